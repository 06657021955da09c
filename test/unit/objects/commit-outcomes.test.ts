/** Commits that fail, whose answers are lost, or that others come before every time (I2, I3). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { endOtherSessions } from "../../../src/catalog/catalog.ts";
import { nodeKey } from "../../../src/catalog/keys.ts";
import { CatalogError, type CatalogErrorKind } from "../../../src/catalog/kv.ts";
import { patternBytes } from "../../support/blobs.ts";
import { assertFullyRedundant, assertSound, audit } from "../../support/catalog-audit.ts";
import type { InMemoryGateway } from "../../support/in-memory-gateway.ts";
import { assertCode, type ObjectClient } from "../../support/object-client.ts";
import { MIB, openBox } from "../../support/open-box.ts";

const BYTES = Buffer.from(patternBytes(1_000, 1));
const SEGMENTED = Buffer.from(patternBytes(2 * MIB, 2));

function copyCount({ nodes }: InMemoryGateway): number {
  return [...nodes.values()].reduce((sum, { store }) => sum + store.blobs.size, 0);
}

/** Commits that put or remove an object fail; those of background work do not. */
function failCommits(gateway: InMemoryGateway, kind: CatalogErrorKind, when: "before" | "after" = "before"): void {
  gateway.kv.hooks.commit = async ({ checks }, pass) => {
    // Every commit checks its session; one of a call checks more.
    if (checks.length === 1) return pass();
    if (when === "after") await pass();
    throw new CatalogError(kind, "a fault of the test");
  };
}

/** Every call that commits, on a bucket with an object `a` and an upload. */
async function assertAllFail(client: ObjectClient, code: "unavailable" | "insufficient-storage"): Promise<void> {
  const { uploads } = await client.service.listUploads({
    bucket: "box",
    prefix: "",
    delimiter: "",
    keyMarker: "",
    uploadIdMarker: "",
    maxUploads: 1,
  });
  const upload = { bucket: "box", key: "b", uploadId: uploads[0]?.uploadId ?? assert.fail() };
  const { parts } = await client.service.listParts({ ...upload, after: 0, maxParts: 1 });
  await assertCode(client.createBucket("new"), code);
  await assertCode(client.put("box/a", BYTES), code);
  await assertCode(client.put("box/a", SEGMENTED), code);
  await assertCode(client.delete("box/a"), code);
  await assertCode(client.copy("box/a", "box/c"), code);
  await assertCode(client.createUpload("box/a"), code);
  await assertCode(client.part(upload, 2, SEGMENTED), code);
  await assertCode(client.partCopy(upload, 2, "box/a"), code);
  const listed = parts.map(({ partNumber, etag }) => ({ partNumber, etag }));
  await assertCode(client.complete(upload, listed), code);
  await assertCode(client.abort(upload), code);
}

async function openWithUpload(): Promise<{ gateway: InMemoryGateway; client: ObjectClient }> {
  const box = await openBox();
  await box.client.put("box/a", BYTES);
  await box.client.part(await box.client.createUpload("box/b"), 1, BYTES);
  return box;
}

test("while the catalog takes no commits every write is refused, changes nothing and leaves nothing on the nodes", async () => {
  for (const [kind, code] of [
    ["unavailable", "unavailable"],
    ["full", "insufficient-storage"],
  ] as const) {
    const { gateway, client } = await openWithUpload();
    const copies = copyCount(gateway);
    failCommits(gateway, kind);
    await assertAllFail(client, code);
    gateway.kv.hooks = {};
    await gateway.settle();
    await assertSound(gateway);
    assert.equal(copyCount(gateway), copies);
    assert.deepEqual(await client.get("box/a"), BYTES);
    assert.deepEqual(await client.keys("box"), ["a"]);
  }
});

test("a catalog that cannot be read makes every call unavailable", async () => {
  const { gateway, client } = await openWithUpload();
  const broken = (): Promise<void> => Promise.reject(new CatalogError("unavailable", "closed"));
  gateway.kv.hooks = { get: broken, list: broken };
  await assertCode(client.get("box/a"), "unavailable");
  await assertCode(client.head("box/a"), "unavailable");
  await assertCode(client.list("box"), "unavailable");
  await assertCode(client.service.headBucket("box"), "unavailable");
  await assertCode(client.service.listBuckets({ prefix: "", after: "", maxBuckets: 10 }), "unavailable");
  await assertCode(client.put("box/a", BYTES), "unavailable");
});

test("a put whose commit's answer is lost is whole if it happened, whatever the client was told", async () => {
  for (const bytes of [BYTES, SEGMENTED]) {
    const { gateway, client } = await openBox();
    failCommits(gateway, "unknown-outcome", "after");
    await assertCode(client.put("box/a", bytes), "unavailable");
    gateway.kv.hooks = {};
    await gateway.settle();
    assert.ok((await client.get("box/a")).equals(bytes));
    await assertFullyRedundant(gateway);
  }
});

test("a put whose commit's answer is lost and that did not happen leaves orphans, for the collector to find", async () => {
  for (const bytes of [BYTES, SEGMENTED]) {
    const { gateway, client } = await openBox();
    failCommits(gateway, "unknown-outcome");
    await assertCode(client.put("box/a", bytes), "unavailable");
    gateway.kv.hooks = {};
    await gateway.settle();
    await assertCode(client.get("box/a"), "no-such-key");
    assert.ok((await audit(gateway)).orphans.length > 0, "they could not be told from what was committed");
    await gateway.restart();
    await gateway.collectOrphans();
    await assertSound(gateway);
    assert.equal(copyCount(gateway), 0);
  }
});

test("a completion whose answer is lost is found done when it is asked for again", async () => {
  const { gateway, client } = await openBox();
  const upload = await client.createUpload("box/a");
  const part = await client.part(upload, 1, BYTES);
  failCommits(gateway, "unknown-outcome", "after");
  await assertCode(client.complete(upload, [part]), "unavailable");
  gateway.kv.hooks = {};
  assert.equal((await client.complete(upload, [part])).size, BYTES.length);
  assert.deepEqual(await client.get("box/a"), BYTES);
});

test("a write that others come before every time ends as a conflict, and leaves nothing", async () => {
  const { gateway, client } = await openWithUpload();
  const copies = copyCount(gateway);
  gateway.kv.hooks.commit = async ({ checks }, pass) => {
    const last = checks.at(-1);
    if (checks.length === 1 || last === undefined) return pass();
    return { committed: false, failed: last.kind === "version" ? last.key : last.range.end };
  };
  await assertCode(client.put("box/a", SEGMENTED), "conflict");
  await assertCode(client.delete("box/a"), "conflict");
  await assertCode(client.copy("box/a", "box/c"), "conflict");
  await assertCode(client.copy("box/a", "box/a", { checksumAlgorithm: "SHA1" }), "conflict");
  gateway.kv.hooks = {};
  await gateway.settle();
  await assertSound(gateway);
  assert.equal(copyCount(gateway), copies);
});

test("a process whose session was ended commits nothing more, and can still read", async () => {
  const { gateway, client } = await openWithUpload();
  const peer = await gateway.peer();
  await endOtherSessions(peer.catalog);
  await assertAllFail(client, "unavailable");
  assert.deepEqual(await client.get("box/a"), BYTES);
  assert.deepEqual(await client.keys("box"), ["a"]);
});

test("a write is not committed onto a node that left the cluster since its copies were made", async () => {
  const { gateway, client } = await openBox();
  const { uuid, control } = gateway.node("d1-0");
  control.hooks.put = async (request, pass) => {
    const receipt = await pass(request);
    await gateway.kv.atomic().delete(nodeKey(uuid)).commit();
    return receipt;
  };
  await assertCode(client.put("box/a", BYTES), "conflict");
  await gateway.settle();
  assert.equal(copyCount(gateway), 0);
  await assertSound(gateway);
});

test("a write onto a node whose record changed is committed as soon as the process has read the change", async () => {
  const { gateway, client } = await openBox();
  const { uuid, control } = gateway.node("d1-0");
  control.hooks.put = async (request, pass) => {
    const receipt = await pass(request);
    const record = (await gateway.kv.get(nodeKey(uuid))) ?? assert.fail();
    await gateway.kv.atomic().set(record.key, record.value).commit();
    return receipt;
  };
  await client.put("box/a", BYTES);
  await assertFullyRedundant(gateway);
});
