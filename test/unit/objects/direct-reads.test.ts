import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeError } from "../../../src/nodes/storage-node.ts";
import { setBucket } from "../../../src/objects/bucket-settings.ts";
import type { DeclineReason } from "../../../src/objects/direct-reads.ts";
import { patternBytes } from "../../support/blobs.ts";
import { answerAsS3, type DirectWorld, directWorld } from "../../support/direct.ts";
import type { InMemoryGateway } from "../../support/in-memory-gateway.ts";
import { assertCode, at, type ObjectClient } from "../../support/object-client.ts";
import { MIB, openBox } from "../../support/open-box.ts";
import { changeSlot, copyIn } from "../../support/slots.ts";

const BYTES = patternBytes(1_000, 1);
const TYPED = { headers: [["content-type", "text/plain"]] } as const;

interface World extends DirectWorld {
  readonly gateway: InMemoryGateway;
  readonly client: ObjectClient;
}

/** A bucket `box` that wants its reads sent on, with an object `a` that can be. */
async function openWorld(how: Parameters<typeof directWorld>[1] = {}): Promise<World> {
  const { gateway, client } = await openBox({ policy: { domainChoice: "priority" } });
  answerAsS3(gateway);
  await setBucket(gateway.process.catalog, "box", { readRedirect: true });
  await client.put("box/a", BYTES, { attributes: TYPED });
  return { gateway, client, ...directWorld(gateway, how) };
}

async function assertDeclined({ reads, outcomes }: World, reason: DeclineReason, path = "box/a"): Promise<void> {
  assert.equal(await reads.redirect(at(path)), undefined);
  assert.deepEqual(outcomes.at(-1), { declined: reason });
}

test("a bucket sends no read on until it is told to, and then the copy is read with its headers, for a minute", async () => {
  const { gateway, client } = await openBox();
  answerAsS3(gateway);
  await client.put("box/a", BYTES, { attributes: TYPED });
  const { reads, outcomes } = directWorld(gateway, { volumes: ["d1-0"] });
  assert.equal(await reads.redirect(at("box/a")), undefined);
  assert.deepEqual(outcomes, []);
  await setBucket(gateway.process.catalog, "box", { readRedirect: true });
  const { location } = await copyIn(gateway, "a", 0);
  const url = { method: "GET", expiresSeconds: 60, headers: TYPED.headers };
  assert.equal(await reads.redirect(at("box/a")), `direct:d0-0/${location.key}?${JSON.stringify(url)}`);
  assert.deepEqual(outcomes, [{ node: "d0-0" }]);
  await setBucket(gateway.process.catalog, "box", { readRedirect: false });
  assert.equal(await reads.redirect(at("box/a")), undefined);
});

test("a copy of an object, which shares its blob, is sent on as well", async () => {
  const { reads, client } = await openWorld();
  await client.copy("box/a", "box/b");
  assert.match((await reads.redirect(at("box/b"))) ?? "", /^direct:/);
  assert.match((await reads.redirect(at("box/a"))) ?? "", /^direct:/);
});

test("what is not one blob is served here: nothing, segments, parts", async () => {
  const world = await openWorld();
  const { client } = world;
  await client.put("box/empty", new Uint8Array(0));
  await assertDeclined(world, "not-one-blob", "box/empty");
  await client.put("box/segments", patternBytes(MIB + 1, 2));
  await assertDeclined(world, "not-one-blob", "box/segments");
  const upload = await client.createUpload("box/parts");
  await client.complete(upload, [await client.part(upload, 1, BYTES)]);
  await assertDeclined(world, "not-one-blob", "box/parts");
});

test("an object with metadata of its user's is served here, as a copy has none", async () => {
  const world = await openWorld();
  await world.client.put("box/m", BYTES, { attributes: { metadata: [["name", "value"]] } });
  await assertDeclined(world, "metadata", "box/m");
});

test("where the node's ETag is another, the object is served here", async () => {
  const world = await openWorld();
  answerAsS3(world.gateway, { etag: "0".repeat(32) });
  await assertDeclined(world, "other-etag");
});

test("where the node would send other headers, the object is served here", async () => {
  const world = await openWorld();
  answerAsS3(world.gateway, { contentEncoding: "aws-chunked" });
  await assertDeclined(world, "other-headers");
  answerAsS3(world.gateway);
  await world.client.put("box/latin", BYTES, { attributes: { headers: [["content-disposition", "a\u00fc"]] } });
  await assertDeclined(world, "other-headers", "box/latin");
  await world.client.put("box/gzip", BYTES, { attributes: { headers: [["content-encoding", "gzip"]] } });
  answerAsS3(world.gateway, { contentEncoding: "aws-chunked" });
  assert.match((await world.reads.redirect(at("box/gzip"))) ?? "", /"content-encoding","gzip"/);
});

test("a Last-Modified that has not passed yet is not given to anybody, as later changes must be later", async () => {
  const world = await openWorld();
  const nowMs = Math.floor(world.gateway.clock.nowMs() / 1000) * 1000;
  answerAsS3(world.gateway, { modifiedAtMs: nowMs });
  await assertDeclined(world, "last-modified");
  world.gateway.clock.advance(1_000);
  assert.match((await world.reads.redirect(at("box/a"))) ?? "", /^direct:/);
});

test("a grace time that would not outlast the URL and a node's clock keeps every read here", async () => {
  await assertDeclined(await openWorld({ graceMs: 360_000 - 1 }), "no-grace");
  const { reads } = await openWorld({ graceMs: 360_000 });
  assert.match((await reads.redirect(at("box/a"))) ?? "", /^direct:/);
});

test("the node with the lower load is read, if others may reach it, it serves reads and its copy is right", async () => {
  const { gateway, reads } = await openWorld({ internal: ["d1-0"] });
  const [first, second] = [gateway.node("d0-0"), gateway.node("d1-0")];
  gateway.members.scores.set(first.uuid, 0.9);
  assert.match((await reads.redirect(at("box/a"))) ?? "", /^direct:d0-0/);
  const open = directWorld(gateway).reads;
  assert.match((await open.redirect(at("box/a"))) ?? "", /^direct:d1-0/);
  gateway.nodeDown("d1-0");
  assert.match((await open.redirect(at("box/a"))) ?? "", /^direct:d0-0/);
  gateway.nodeUp("d1-0");
  for (const state of ["unverified", "corrupt"] as const) {
    await changeSlot(gateway, "a", 1, (slot) => ({ ...slot, state }));
    assert.match((await open.redirect(at("box/a"))) ?? "", /^direct:d0-0/);
  }
  assert.equal(second.control.count("put"), 1);
});

test("a node that has lost the copy, holds another blob or fails is left for another one, and none is made up", async () => {
  const world = await openWorld();
  const { gateway, reads } = world;
  const [first, second] = [gateway.node("d0-0"), gateway.node("d1-0")];
  gateway.members.scores.set(first.uuid, 0.1);
  const served = { etag: "", modifiedAtMs: 0 };
  for (const stat of [undefined, { blobId: "0".repeat(32), length: 1_000, served }, { length: 1_000, served }]) {
    first.control.hooks.head = async (key) => stat && { key, ...stat };
    assert.match((await reads.redirect(at("box/a"))) ?? "", /^direct:d1-0/);
  }
  gateway.nodeFails("d0-0");
  assert.match((await reads.redirect(at("box/a"))) ?? "", /^direct:d1-0/);
  second.store.blobs.clear();
  await assertDeclined(world, "no-node");
});

test("a node that does not answer for the copy in time is left for another one", async () => {
  const { gateway, reads } = await openWorld();
  const first = gateway.node("d0-0");
  gateway.members.scores.set(first.uuid, 0.1);
  first.control.head = (_key, signal) =>
    new Promise((_resolve, reject) => {
      signal?.addEventListener("abort", () => reject(new NodeError("aborted", "given up")));
    });
  assert.match((await gateway.whileTimePasses(reads.redirect(at("box/a")))) ?? "", /^direct:d1-0/);
  assert.equal(gateway.clock.timers, 0);
});

test("an object that is not there is told as every read of it is told", async () => {
  const { reads } = await openWorld();
  await assertCode(reads.redirect(at("box/none")), "no-such-key");
  await assertCode(reads.redirect(at("none/a")), "no-such-bucket");
  await assertCode(reads.redirect({ ...at("box/a"), versionId: "1" }), "no-such-version");
});

test("an operator's URL is of any node that has a copy, and says what the node's answer lacks", async () => {
  const { gateway, client, reads } = await openWorld({ internal: ["d0-0", "d1-0"] });
  await client.put("box/m", BYTES, { attributes: { metadata: [["name", "value"]] } });
  answerAsS3(gateway, { etag: "0".repeat(32), contentEncoding: "aws-chunked", modifiedAtMs: 2 ** 42 });
  const request = { method: "HEAD" as const, expiresSeconds: 60, nodeName: "d1-0" };
  const found = await reads.nodeUrl({ ...at("box/m"), ...request });
  assert.match(found.url, /^direct:d1-0.*"HEAD"/);
  assert.deepEqual(found.differences, ["metadata", "etag", "content-headers", "last-modified"]);
  assert.equal(found.expiresAtMs, gateway.clock.nowMs() + 60_000);
  answerAsS3(gateway);
  assert.deepEqual((await reads.nodeUrl({ ...at("box/a"), ...request })).differences, []);
  await client.put("box/empty", new Uint8Array(0));
  await assertCode(reads.nodeUrl({ ...at("box/empty"), ...request }), "invalid-request");
  gateway.nodeDown("d1-0");
  await assertCode(reads.nodeUrl({ ...at("box/a"), ...request }), "unavailable");
});
