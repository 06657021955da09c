/** What died goes: after its grace time, from every node, also from one that was away (I3, I4). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { dyingKey } from "../../../src/catalog/keys.ts";
import { CatalogError } from "../../../src/catalog/kv.ts";
import { NodeError } from "../../../src/nodes/storage-node.ts";
import { collect, patternBytes } from "../../support/blobs.ts";
import { assertNothingLeft, assertSound, readCatalog } from "../../support/catalog-audit.ts";
import { GRACE_MS, type InMemoryGateway } from "../../support/in-memory-gateway.ts";
import { at, type ObjectClient } from "../../support/object-client.ts";
import { openBox } from "../../support/open-box.ts";
import { copyCount } from "../../support/slots.ts";

const BYTES = Buffer.from(patternBytes(600_000, 1));

async function pendingDeletes(gateway: InMemoryGateway): Promise<number> {
  return (await readCatalog(gateway.kv)).pendingDeletes.size;
}

/** Deletes an object and lets it go from the nodes that are there. */
async function deleteAndSweep(gateway: InMemoryGateway, client: ObjectClient, path = "box/a"): Promise<void> {
  await client.delete(path);
  await gateway.sweepPastGrace();
}

test("copies are deleted when the grace time is over, not before", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  await client.delete("box/a");
  for (let passedMs = 0; passedMs < GRACE_MS; passedMs += GRACE_MS / 4) {
    await gateway.sweep();
    assert.equal(copyCount(gateway), 2, `after ${passedMs} ms`);
    gateway.clock.advance(GRACE_MS / 4);
  }
  await gateway.sweep();
  assert.equal(copyCount(gateway), 0);
  await assertSound(gateway);
});

test("a process that starts waits the whole grace time, as it does not know how long things have been dying", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  await client.delete("box/a");
  await gateway.sweep();
  gateway.clock.advance(10 * GRACE_MS);
  await gateway.restart();
  await gateway.sweep();
  assert.equal(copyCount(gateway), 2);
  gateway.clock.advance(GRACE_MS);
  await gateway.sweep();
  assert.equal(copyCount(gateway), 0);
});

test("nothing goes under a read that began before it died, however long the read takes", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  await client.put("box/b", BYTES);
  await client.delete("box/b");
  gateway.clock.advance(1);
  await gateway.sweep();
  gateway.clock.advance(1);
  const { body } = await gateway.service.getObject({ ...at("box/a"), conditions: {} });
  await client.delete("box/a");
  gateway.clock.advance(5 * GRACE_MS);
  await gateway.sweep();
  assert.equal(copyCount(gateway), 2, "what died before the read began goes");
  await gateway.sweepPastGrace();
  assert.equal(copyCount(gateway), 2);
  assert.ok((await collect(body)).equals(BYTES));
  await gateway.sweepPastGrace();
  assert.equal(copyCount(gateway), 0);
});

test("a blob that objects share goes with the last of them, and parts that others refer to stay", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  await client.copy("box/a", "box/b");
  const upload = await client.createUpload("box/c");
  await client.complete(upload, [await client.partCopy(upload, 1, "box/b", { start: 5, end: 500 })]);
  await deleteAndSweep(gateway, client, "box/a");
  await deleteAndSweep(gateway, client, "box/b");
  assert.deepEqual(await client.get("box/c"), BYTES.subarray(5, 500));
  assert.equal(copyCount(gateway), 2);
  await deleteAndSweep(gateway, client, "box/c");
  await gateway.sweepPastGrace();
  assert.equal(copyCount(gateway), 0);
});

test("a delete reaches a node that was away when it is back, and asks it no more than once", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  gateway.nodeDown("d1-0");
  await deleteAndSweep(gateway, client);
  assert.equal(gateway.node("d0-0").store.blobs.size, 0);
  assert.equal(gateway.node("d1-0").control.count("delete"), 0);
  assert.equal(await pendingDeletes(gateway), 1);
  await gateway.carryOutPendingDeletes();
  assert.equal(await pendingDeletes(gateway), 1);
  await gateway.restart();
  gateway.nodeUp("d1-0");
  await gateway.carryOutPendingDeletes();
  await gateway.carryOutPendingDeletes();
  assert.equal(gateway.node("d1-0").control.count("delete"), 1);
  assert.equal(gateway.node("d1-0").store.blobs.size, 0);
  await client.service.deleteBucket("box");
  await gateway.quiesce();
  await assertNothingLeft(gateway);
});

test("a delete that its node does not carry out is kept for it, and tried until it does", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  const { control, store } = gateway.node("d1-0");
  control.hooks.delete = () => Promise.reject(new NodeError("timeout", "no answer"));
  await deleteAndSweep(gateway, client);
  await gateway.carryOutPendingDeletes();
  assert.equal(await pendingDeletes(gateway), 1);
  assert.equal(store.blobs.size, 1);
  control.hooks.delete = async (key, pass) => {
    await pass(key);
    throw new NodeError("timeout", "the answer was lost");
  };
  await gateway.carryOutPendingDeletes();
  assert.deepEqual([await pendingDeletes(gateway), store.blobs.size], [1, 0]);
  control.hooks = {};
  await gateway.carryOutPendingDeletes();
  assert.equal(await pendingDeletes(gateway), 0);
});

test("a node that comes back with copies of what was deleted meanwhile shows none of it to anybody (I4)", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  await client.put("box/kept", BYTES);
  gateway.nodeDown("d1-0");
  await deleteAndSweep(gateway, client);
  await client.put("box/kept", patternBytes(10, 2));
  gateway.nodeUp("d1-0");
  await gateway.repair();
  assert.deepEqual(await client.keys("box"), ["kept"]);
  assert.equal((await client.get("box/kept")).length, 10);
  await gateway.quiesce();
  await assertSound(gateway);
  assert.equal(gateway.node("d1-0").store.blobs.size, 1);
});

test("a run that fails half-way does its work at the next run, and nothing twice with effect", async () => {
  const { gateway, client } = await openBox();
  for (const key of ["a", "b", "c"]) await client.put(`box/${key}`, BYTES);
  for (const key of ["a", "b", "c"]) await client.delete(`box/${key}`);
  await gateway.sweep();
  gateway.clock.advance(GRACE_MS + 1);
  let commits = 0;
  gateway.kv.hooks.commit = async (_, pass) => {
    commits++;
    if (commits === 3) throw new CatalogError("unavailable", "closed");
    const result = await pass();
    if (commits === 4) throw new CatalogError("unknown-outcome", "the answer was lost");
    return result;
  };
  await assert.rejects(
    gateway.sweep(),
    (error) => error instanceof AggregateError && error.errors.every((each) => each instanceof CatalogError),
  );
  gateway.kv.hooks = {};
  await gateway.sweep();
  assert.equal(copyCount(gateway), 0);
  await assertSound(gateway);
  assert.equal((await readCatalog(gateway.kv)).dying.length, 0);
});

test("a deleted bucket takes its unfinished uploads and its counters along", async () => {
  const { gateway, client } = await openBox();
  for (const key of ["a", "b"]) {
    const upload = await client.createUpload(`box/${key}`);
    await client.part(upload, 1, BYTES);
  }
  await client.put("box/c", BYTES);
  await client.delete("box/c");
  await client.service.deleteBucket("box");
  await gateway.quiesce();
  await assertNothingLeft(gateway);
});

test("two processes that sweep at the same time leave nothing and take nothing that lives", async () => {
  const { gateway, client } = await openBox();
  const peer = await gateway.peer();
  await client.put("box/kept", BYTES);
  for (let i = 0; i < 10; i++) {
    await client.put(`box/k${i}`, BYTES.subarray(0, 100 + i));
    await client.copy("box/kept", `box/c${i}`);
    await client.delete(`box/k${i}`);
    await client.delete(`box/c${i}`);
  }
  const run = (): Promise<void[]> =>
    Promise.all([gateway.process.sweeper, peer.sweeper].map((sweeper) => sweeper.run(new AbortController().signal)));
  await run();
  gateway.clock.advance(GRACE_MS + 1);
  await run();
  await gateway.settle();
  await assertSound(gateway);
  assert.equal(copyCount(gateway), 2);
  assert.deepEqual(await client.get("box/kept"), BYTES);
});

test("one record that cannot be read keeps nothing else from going, and is not lost", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  const unreadable = dyingKey(0, "0".repeat(32));
  await gateway.kv.atomic().set(unreadable, Buffer.from("no record")).commit();
  await client.delete("box/a");
  await gateway.sweep();
  gateway.clock.advance(GRACE_MS + 1);
  await assert.rejects(gateway.sweep());
  assert.equal(copyCount(gateway), 0);
  assert.notEqual(await gateway.kv.get(unreadable), undefined);
});
