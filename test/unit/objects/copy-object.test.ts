import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { objectKey } from "../../../src/catalog/keys.ts";
import { CHECKSUM_ALGORITHMS, encodeVersion } from "../../../src/catalog/records/version.ts";
import { PART_BYTES_MIN } from "../../../src/objects/multipart/complete-upload.ts";
import { PUT_BYTES_MAX } from "../../../src/objects/put-object.ts";
import { patternBytes } from "../../support/blobs.ts";
import { assertNothingLeft, assertSound } from "../../support/catalog-audit.ts";
import type { InMemoryGateway } from "../../support/in-memory-gateway.ts";
import { atEveryStep, interposeAt } from "../../support/interpose.ts";
import { ALICE, assertCode, bodyOf, ObjectClient } from "../../support/object-client.ts";
import { MIB, openBox } from "../../support/open-box.ts";

const BYTES = Buffer.from(patternBytes(1_000, 1));
const OTHER = Buffer.from(patternBytes(1_000, 2));
const TEXT = { headers: [["content-type", "text/plain"]], metadata: [["a", "b"]], storageClass: "STANDARD" } as const;

function putCount(gateway: InMemoryGateway): number {
  return [...gateway.nodes.values()].reduce((sum, { control }) => sum + control.count("put"), 0);
}

/** An object of each kind of content, by the kind's name. */
async function putEveryKind(client: ObjectClient): Promise<Map<string, Buffer>> {
  const large = Buffer.from(patternBytes(2 * MIB, 3));
  await client.put("box/empty", Buffer.alloc(0));
  await client.put("box/inline", BYTES);
  await client.put("box/segmented", large);
  await client.put("box/blob", OTHER);
  await client.copy("box/blob", "box/blob too");
  const upload = await client.createUpload("box/parts");
  await client.complete(upload, [await client.part(upload, 1, BYTES)]);
  return new Map([
    ["empty", Buffer.alloc(0)],
    ["inline", BYTES],
    ["segmented", large],
    ["blob", OTHER],
    ["parts", BYTES],
  ]);
}

test("a copy of every kind of object has its bytes and attributes, and moves none of its bytes", async () => {
  const { gateway, client } = await openBox();
  const kinds = await putEveryKind(client);
  await client.createBucket("far");
  const puts = putCount(gateway);
  for (const [kind, bytes] of kinds) {
    const source = (await client.head(`box/${kind}`)).object;
    gateway.clock.advance(5_000);
    const { etag, modifiedAtMs } = await client.copy(`box/${kind}`, `far/${kind}`);
    assert.equal(etag, source.etag);
    assert.equal(modifiedAtMs, gateway.clock.nowMs());
    const { partCount: _parts, ...kept } = source;
    assert.deepEqual((await client.head(`far/${kind}`)).object, { ...kept, key: kind, modifiedAtMs });
    assert.ok((await client.get(`far/${kind}`)).equals(bytes), kind);
  }
  assert.equal(putCount(gateway), puts);
  await assertSound(gateway);
});

test("copies live and die apart, in whatever order they are deleted", async () => {
  for (const order of [
    ["inline", "one", "two"],
    ["one", "inline", "two"],
    ["two", "one", "inline"],
  ]) {
    const { gateway, client } = await openBox();
    await client.put("box/inline", BYTES);
    await client.copy("box/inline", "box/one");
    await client.copy("box/one", "box/two");
    const left = new Set(order);
    for (const key of order) {
      await client.delete(`box/${key}`);
      left.delete(key);
      await gateway.sweepPastGrace();
      for (const each of left) assert.deepEqual(await client.get(`box/${each}`), BYTES);
    }
    await client.service.deleteBucket("box");
    await gateway.quiesce();
    await assertNothingLeft(gateway);
  }
});

test("objects that are copied over each other in a circle keep their bytes", async () => {
  const { gateway, client } = await openBox();
  const kinds = [...(await putEveryKind(client))];
  await client.copy(`box/${kinds.at(-1)?.[0]}`, "box/spare");
  for (const [index, [kind]] of [...kinds.entries()].reverse()) {
    const from = index === 0 ? "spare" : kinds[index - 1]?.[0];
    await client.copy(`box/${from}`, `box/${kind}`);
  }
  for (const [index, [kind]] of kinds.entries()) {
    const expected = kinds.at(index - 1)?.[1] ?? assert.fail();
    assert.ok((await client.get(`box/${kind}`)).equals(expected), kind);
  }
  await assertSound(gateway);
});

test("a copy may have attributes of its own", async () => {
  const { client } = await openBox();
  await client.put("box/a", BYTES, { attributes: { metadata: [["old", "value"]] } });
  await client.copy("box/a", "box/b", { attributes: TEXT, principal: { id: "bob", displayName: "bob" } });
  const { object } = await client.head("box/b");
  assert.deepEqual([object.headers, object.metadata, object.owner.id], [TEXT.headers, TEXT.metadata, "bob"]);
  assert.equal((await client.head("box/a")).object.owner.id, ALICE.id);
});

test("a copy onto itself must change something, and then keeps the bytes of every kind of object", async () => {
  const { gateway, client } = await openBox();
  for (const [kind, bytes] of await putEveryKind(client)) {
    const path = `box/${kind}`;
    await assertCode(client.copy(path, path), "invalid-request");
    await client.copy(path, path, { attributes: TEXT });
    assert.deepEqual((await client.head(path)).object.metadata, TEXT.metadata);
    await client.copy(path, path, { checksumAlgorithm: "CRC32" });
    assert.equal((await client.head(path)).object.checksum?.algorithm, "CRC32");
    assert.ok((await client.get(path)).equals(bytes), kind);
  }
  await gateway.quiesce();
  await assertSound(gateway);
});

test("a copy keeps the source's checksum, or has the one that was asked for", async () => {
  const { client } = await openBox();
  const checksum = { algorithm: "SHA1", value: () => undefined } as const;
  const put = await client.put("box/a", bodyOf(BYTES, { checksum }));
  assert.deepEqual((await client.copy("box/a", "box/b")).checksum, put.checksum);
  assert.deepEqual((await client.copy("box/a", "box/b", { checksumAlgorithm: "SHA1" })).checksum, put.checksum);
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const expected = await client.put("box/c", bodyOf(BYTES, { checksum: { algorithm, value: () => undefined } }));
    const copied = await client.copy("box/a", "box/b", { checksumAlgorithm: algorithm });
    assert.deepEqual(copied.checksum, expected.checksum);
    assert.deepEqual((await client.head("box/b")).object.checksum, expected.checksum);
  }
});

test("a composite checksum is not taken for one of the whole object", async () => {
  const { client } = await openBox();
  const upload = await client.createUpload("box/a", { algorithm: "SHA256", type: "COMPOSITE" });
  const first = patternBytes(PART_BYTES_MIN, 1);
  const parts = [await client.part(upload, 1, first), await client.part(upload, 2, BYTES)];
  assert.equal((await client.complete(upload, parts)).checksum?.type, "COMPOSITE");
  const { checksum } = await client.copy("box/a", "box/b", { checksumAlgorithm: "SHA256" });
  const value = createHash("sha256").update(first).update(BYTES).digest("base64");
  assert.deepEqual(checksum, { algorithm: "SHA256", type: "FULL_OBJECT", value });
});

test("what is not there, too large or under a condition that does not hold is not copied", async () => {
  const { gateway, client } = await openBox();
  const { etag } = await client.put("box/a", BYTES);
  await client.put("box/b", OTHER);
  await assertCode(client.copy("box/absent", "box/b"), "no-such-key");
  await assertCode(client.copy(`box/${"k".repeat(1_025)}`, "box/b"), "key-too-long");
  await assertCode(client.copy("box/a", `box/${"k".repeat(1_025)}`), "key-too-long");
  const source = { bucket: "box", key: "a", versionId: "1".repeat(32), conditions: {} };
  await assertCode(client.copy("box/a", "box/b", { source }), "no-such-version");
  for (const sourceConditions of [{ ifMatch: ["x"] }, { ifNoneMatch: [etag] }, { ifUnmodifiedSinceMs: 0 }]) {
    await assertCode(client.copy("box/a", "box/b", { sourceConditions }), "precondition-failed");
  }
  await assertCode(client.copy("box/a", "box/b", { conditions: { ifNoneMatch: "*" } }), "precondition-failed");
  await assertCode(client.copy("box/a", "box/b", { conditions: { ifMatch: etag } }), "precondition-failed");
  await assertCode(client.copy("box/a", "box/c", { conditions: { ifMatch: etag } }), "no-such-key");
  assert.deepEqual(await client.get("box/b"), OTHER);

  // Five gibibytes are more than a test wants to put.
  const { buckets, versions } = await assertSound(gateway);
  const [bucketId = ""] = buckets.keys();
  const version = versions.get(`${bucketId}/a`) ?? assert.fail();
  const large = encodeVersion({ ...version, size: PUT_BYTES_MAX + 1 });
  await gateway.kv.atomic().set(objectKey(bucketId, "a"), large).commit();
  await assertCode(client.copy("box/a", "box/b"), "invalid-request");
});

test("a copy over an object that shares its source's bytes keeps them when the source is replaced meanwhile", async () => {
  await atEveryStep(async (at) => {
    const { gateway, client } = await openBox();
    await client.put("box/a", BYTES);
    await client.copy("box/a", "box/b");
    const peer = await gateway.peer();
    const other = new ObjectClient(() => peer.service);
    const { reached } = interposeAt(gateway.kv, at, async () => {
      await other.put("box/a", OTHER);
    });
    await client.copy("box/a", "box/b");
    gateway.kv.hooks = {};
    const copied = await client.get("box/b");
    assert.ok(copied.equals(BYTES) || copied.equals(OTHER));
    await assertSound(gateway);
    return reached();
  });
});

test("a copy whose source's bytes cannot be read for its checksum is not made", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  gateway.nodeDown("d0-0");
  gateway.nodeDown("d1-0");
  const copy = client.copy("box/a", "box/b", { checksumAlgorithm: "CRC32" });
  await gateway.whileTimePasses(assertCode(copy, "unavailable"));
  await client.copy("box/a", "box/b");
  const caller = new AbortController();
  caller.abort();
  const given = { checksumAlgorithm: "SHA1" as const, signal: caller.signal };
  await assertCode(client.copy("box/a", "box/c", given), "aborted");
});
