/** The comparison of a node with the catalog: what is lost is put on record, what is unknown is only counted (I5, I11). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { endedSessions, endOtherSessions } from "../../../src/catalog/catalog.ts";
import { copiesRange } from "../../../src/catalog/keys.ts";
import { NodeError } from "../../../src/nodes/storage-node.ts";
import type { NodeComparison } from "../../../src/replication/scrub/node-comparison.ts";
import { copyKey, patternBytes } from "../../support/blobs.ts";
import { assertFullyRedundant, assertSound } from "../../support/catalog-audit.ts";
import type { InMemoryGateway } from "../../support/in-memory-gateway.ts";
import { openBox } from "../../support/open-box.ts";
import { comparisonOf, DAY_MS, never } from "../../support/scrub.ts";
import { blobOf, slotsOf } from "../../support/slots.ts";

const BYTES = Buffer.from(patternBytes(1_000, 1));

async function compare(gateway: InMemoryGateway, comparison: NodeComparison): Promise<void> {
  comparison.request();
  await gateway.whileTimePasses(comparison.run(never()));
}

/** Copies on a node that no commit names. */
function strand(gateway: InMemoryGateway, name: string, session: number, count = 1): string[] {
  return Array.from({ length: count }, () => {
    const key = copyKey(session, gateway.random);
    gateway.node(name).store.add(key, { blobId: "a".repeat(32), bytes: BYTES });
    return key;
  });
}

test("copies that the node does not have any more are on record as bad, and are made anew", async () => {
  const { gateway, client } = await openBox();
  for (let i = 0; i < 5; i++) await client.put(`box/k${i}`, BYTES);
  const { store } = gateway.node("d0-0");
  for (const key of store.sortedKeys().slice(1, 3)) store.remove(key);
  const { comparison, told } = comparisonOf(gateway, "d0-0");
  await compare(gateway, comparison);
  assert.deepEqual(told, ["lost d0-0", "lost d0-0"]);
  const { last } = await comparison.state();
  assert.deepEqual(
    { listed: last?.listed, lost: last?.lost, orphans: last?.orphans, unknown: last?.unknown, failed: last?.failed },
    { listed: 3, lost: 2, orphans: 0, unknown: 0, failed: 0 },
  );
  assert.equal((await assertSound(gateway)).repairs.size, 2);
  await gateway.repair();
  await gateway.sweepPastGrace();
  await assertFullyRedundant(gateway);
  await compare(gateway, comparison);
  assert.equal((await comparison.state()).last?.lost, 0);
});

test("an emptied node loses all of its copies, page by page", async () => {
  const { gateway, client } = await openBox();
  for (let i = 0; i < 20; i++) await client.put(`box/k${i}`, BYTES);
  const { store } = gateway.node("d0-0");
  for (const key of store.sortedKeys()) store.remove(key);
  const { comparison } = comparisonOf(gateway, "d0-0");
  await compare(gateway, comparison);
  const { last } = await comparison.state();
  assert.deepEqual([last?.listed, last?.lost], [0, 20]);
  await gateway.repair();
  await gateway.quiesce();
  await assertFullyRedundant(gateway);
});

test("a copy of a deleted object is no loss, whether or not its node still has it", async () => {
  const { gateway, client } = await openBox();
  for (const key of ["a", "b", "c"]) await client.put(`box/${key}`, BYTES);
  for (const key of ["a", "b"]) await client.delete(`box/${key}`);
  const { store, control } = gateway.node("d0-0");
  const [first = ""] = store.sortedKeys();
  store.remove(first);
  const { comparison, told } = comparisonOf(gateway, "d0-0");
  await compare(gateway, comparison);
  // The other one's deletion is carried out later.
  control.hooks.delete = () => Promise.reject(new NodeError("timeout", "no answer"));
  await gateway.sweepPastGrace();
  await compare(gateway, comparison);
  const { last } = await comparison.state();
  assert.deepEqual([last?.lost, last?.orphans, last?.unknown], [0, 0, 0]);
  assert.ok(told.length <= 1, "only a copy of a live object may be lost");
});

test("a copy that is entered while the node is asked is no loss", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  gateway.node("d0-0").control.hooks.list = async (request, pass) => {
    const page = await pass(request);
    await client.put("box/b", BYTES);
    return page;
  };
  const { comparison, told } = comparisonOf(gateway, "d0-0");
  await compare(gateway, comparison);
  assert.deepEqual(told, []);
  assert.equal((await comparison.state()).last?.listed, 1);
});

test("a copy that a listing leaves out is no loss while its node has it", async () => {
  const { gateway, client } = await openBox();
  for (let i = 0; i < 3; i++) await client.put(`box/k${i}`, BYTES);
  const { control } = gateway.node("d0-0");
  control.hooks.list = async (request, pass) => ({ blobs: (await pass(request)).blobs.slice(1) });
  const { comparison, told } = comparisonOf(gateway, "d0-0");
  await compare(gateway, comparison);
  assert.deepEqual(told, []);
  assert.equal(control.count("head"), 1);
  await assertFullyRedundant(gateway);
});

test("a copy that is replaced while its node is asked for it is no loss", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  const { store, control } = gateway.node("d0-0");
  const [key = ""] = store.sortedKeys();
  store.remove(key);
  control.hooks.head = async () => {
    await client.put("box/a", BYTES);
    return undefined;
  };
  const { comparison, told } = comparisonOf(gateway, "d0-0");
  await compare(gateway, comparison);
  assert.deepEqual(told, []);
  assert.equal(control.count("head"), 1);
  await assertFullyRedundant(gateway);
});

test("unknown copies are counted, by whether their session has ended, and stay; the journal's are passed over", async () => {
  const { gateway } = await openBox();
  await gateway.restart();
  const peer = await gateway.peer();
  const { session } = gateway.process.catalog;
  strand(gateway, "d0-0", 1, 3);
  strand(gateway, "d0-0", session, 2);
  strand(gateway, "d0-0", peer.catalog.session);
  strand(gateway, "d0-0", 77);
  strand(gateway, "d0-0", 0, 4);
  const before = [...gateway.node("d0-0").store.blobs.keys()];
  const { comparison } = comparisonOf(gateway, "d0-0");
  await compare(gateway, comparison);
  const { last } = await comparison.state();
  assert.deepEqual([last?.listed, last?.orphans, last?.unknown, last?.lost], [7, 3, 4, 0]);
  assert.deepEqual([...gateway.node("d0-0").store.blobs.keys()], before);
  assert.equal(gateway.node("d0-0").control.count("delete"), 0);
});

test("copies of a session that was collected and forgotten are collected when they turn up again (I3)", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  const old = strand(gateway, "d0-0", 1, 2);
  await gateway.restart();
  await gateway.collectOrphans();
  assert.deepEqual(await endedSessions(gateway.process.catalog), []);
  assert.ok(!gateway.node("d0-0").store.blobs.has(old[0] ?? ""));
  // A disk of before comes back.
  for (const key of old) gateway.node("d0-0").store.add(key, { blobId: "a".repeat(32), bytes: BYTES });
  const { comparison } = comparisonOf(gateway, "d0-0");
  await compare(gateway, comparison);
  const { last } = await comparison.state();
  assert.deepEqual([last?.orphans, last?.unknown], [2, 0]);
  await gateway.collectOrphans();
  for (const key of old) assert.ok(!gateway.node("d0-0").store.blobs.has(key), key);
  assert.deepEqual(await endedSessions(gateway.process.catalog), []);
  await assertFullyRedundant(gateway);
});

test("more copies than a page holds are compared, lost and unknown ones among them", async () => {
  const { gateway, client } = await openBox();
  for (let i = 0; i < 30; i++) await client.put(`box/k${i}`, BYTES);
  const { store, control } = gateway.node("d0-0");
  const known = [...store.sortedKeys()];
  for (const key of known.filter((_, at) => at % 3 === 0)) store.remove(key);
  // Around those of session 1, in key order.
  strand(gateway, "d0-0", 77, 1_100);
  strand(gateway, "d0-0", 1, 700);
  const { comparison } = comparisonOf(gateway, "d0-0");
  await compare(gateway, comparison);
  const { last } = await comparison.state();
  assert.deepEqual([last?.listed, last?.lost, last?.unknown], [1_820, 10, 1_800]);
  assert.equal(control.count("list"), 4);
});

test("it goes on where it was when its node went away, and in the next process", async () => {
  const { gateway, client } = await openBox();
  for (let i = 0; i < 4; i++) await client.put(`box/k${i}`, BYTES);
  strand(gateway, "d0-0", 77, 1_200);
  const { control, uuid } = gateway.node("d0-0");
  const { comparison } = comparisonOf(gateway, "d0-0");
  let lists = 0;
  control.hooks.list = (request, pass) => {
    if (++lists === 2) {
      gateway.members.setState(uuid, "degraded");
      throw new NodeError("timeout", "no answer");
    }
    return pass(request);
  };
  await compare(gateway, comparison);
  assert.equal((await comparison.state()).pass?.listed, 500);
  control.hooks = {};
  await gateway.restart();
  gateway.members.setState(uuid, "online");
  const next = comparisonOf(gateway, "d0-0").comparison;
  await gateway.whileTimePasses(next.run(never()));
  const { last, pass } = await next.state();
  assert.deepEqual([last?.listed, last?.lost, pass], [1_204, 0, undefined]);
});

test("it runs daily by itself, where it is enabled, and whenever it is asked for", async () => {
  const { gateway } = await openBox();
  const { control } = gateway.node("d0-0");
  const { comparison } = comparisonOf(gateway, "d0-0");
  for (const [waitMs, count] of [
    [0, 1],
    [DAY_MS - 1, 1],
    [1, 2],
  ] as const) {
    gateway.clock.advance(waitMs);
    await comparison.run(never());
    assert.equal(control.count("list"), count);
  }
  await compare(gateway, comparison);
  assert.equal(control.count("list"), 3);
  const disabled = comparisonOf(gateway, "d1-0", { limits: { enabled: false, intervalMs: DAY_MS } }).comparison;
  await disabled.run(never());
  assert.equal(gateway.node("d1-0").control.count("list"), 0);
  await compare(gateway, disabled);
  assert.equal(gateway.node("d1-0").control.count("list"), 1);
});

test("a node that is not online is not asked", async () => {
  const { gateway } = await openBox();
  for (const state of ["degraded", "replaced", "refused"] as const) {
    gateway.members.setState(gateway.node("d0-0").uuid, state);
    const { comparison } = comparisonOf(gateway, "d0-0");
    await compare(gateway, comparison);
    assert.equal(gateway.node("d0-0").control.calls.length, 0);
  }
});

test("one record that cannot be read, and one copy that its node cannot tell of, keep nobody from the others", async () => {
  const { gateway, client } = await openBox();
  for (let i = 0; i < 3; i++) await client.put(`box/k${i}`, BYTES);
  const { store, uuid } = gateway.node("d0-0");
  for (const key of store.sortedKeys()) store.remove(key);
  const [entry] = await gateway.kv.list(copiesRange(uuid), { limit: 1 });
  await gateway.kv
    .atomic()
    .set(entry?.key ?? assert.fail(), Buffer.from("garbage"))
    .commit();
  const { comparison, told } = comparisonOf(gateway, "d0-0");
  await compare(gateway, comparison);
  const { last } = await comparison.state();
  assert.deepEqual([told.length, last?.lost, last?.failed], [2, 2, 1]);
});

test("a node that cannot tell of its missing copies is asked for three of them and no more", async () => {
  const { gateway, client } = await openBox();
  for (let i = 0; i < 10; i++) await client.put(`box/k${i}`, BYTES);
  const { control } = gateway.node("d0-0");
  control.hooks.list = async () => ({ blobs: [] });
  control.hooks.head = () => Promise.reject(new NodeError("io", "a volume cannot be read; it may hold the blob"));
  const { comparison, told } = comparisonOf(gateway, "d0-0");
  await compare(gateway, comparison);
  assert.equal(control.count("head"), 3);
  assert.deepEqual([told, (await comparison.state()).last?.failed], [[], 10]);
  await assertFullyRedundant(gateway);
});

test("it takes its time: no more copies a second than its limit, and none while clients want the node", async () => {
  const { gateway } = await openBox();
  strand(gateway, "d0-0", 77, 3_000);
  let busy = true;
  const { comparison } = comparisonOf(gateway, "d0-0", { busy: () => busy });
  gateway.clock.startTimer(5_000, () => {
    busy = false;
  });
  const startMs = gateway.clock.monotonicMs();
  await compare(gateway, comparison);
  assert.ok(gateway.clock.monotonicMs() - startMs >= 5_000 + 2_000);
});

test("what else is on the node is found, kept on record and left alone", async () => {
  const { gateway } = await openBox();
  const { control } = gateway.node("d0-0");
  const report = { names: ["photos/", "ü\u0001"], count: 2, more: true };
  control.hooks.foreign = async () => report;
  const { comparison } = comparisonOf(gateway, "d0-0");
  await compare(gateway, comparison);
  const { foreign } = await comparisonOf(gateway, "d0-0").comparison.state();
  assert.deepEqual(foreign, { ...report, checkedAtMs: gateway.clock.nowMs() });
  assert.deepEqual(
    control.calls.map(({ call }) => call),
    ["list"],
  );
});

test("a process whose session was ended neither records anything nor loses the cursor", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  const { store } = gateway.node("d0-0");
  for (const key of store.sortedKeys()) store.remove(key);
  const { comparison, told } = comparisonOf(gateway, "d0-0");
  await endOtherSessions((await gateway.peer()).catalog);
  comparison.request();
  await assert.rejects(comparison.run(never()), { name: "SessionEndedError" });
  assert.deepEqual(told, []);
  assert.deepEqual(
    (await slotsOf(gateway, "a")).map((slot) => slot.split(" ")[0]),
    ["ok", "ok"],
  );
  assert.ok((await blobOf(gateway, "a")).blob.slots.every(({ state }) => state === "ok"));
});
