/** Copies of writes that were never committed: found, removed, and nothing else with them (I3, I11). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { endedSessions } from "../../../src/catalog/catalog.ts";
import { orphansHeldKey } from "../../../src/catalog/keys.ts";
import { NodeError } from "../../../src/nodes/storage-node.ts";
import { copyKey, patternBytes } from "../../support/blobs.ts";
import { assertSound, audit, readCatalog } from "../../support/catalog-audit.ts";
import { type InMemoryGateway, turns } from "../../support/in-memory-gateway.ts";
import { openBox } from "../../support/open-box.ts";
import { copyCount } from "../../support/slots.ts";

const BYTES = Buffer.from(patternBytes(1_000, 1));

/** Copies on a node that no commit names, as a process that was killed leaves them. */
function strand(gateway: InMemoryGateway, name: string, { session = 1, count = 1 } = {}): string[] {
  return Array.from({ length: count }, () => {
    const key = copyKey(session, gateway.random);
    gateway.node(name).store.add(key, { blobId: "a".repeat(32), bytes: BYTES });
    return key;
  });
}

test("what a process that died left uncommitted is removed, and what it committed, deleted or owes stays", async () => {
  const { gateway, client } = await openBox({ domains: 2, nodesPerDomain: 2 });
  await client.put("box/live", BYTES);
  await client.copy("box/live", "box/shared");
  await client.put("box/dying", BYTES);
  await client.delete("box/dying");
  await client.put("box/late", BYTES);
  const before = copyCount(gateway);
  strand(gateway, "d0-0");
  strand(gateway, "d1-1", { count: 2 });
  await gateway.restart();
  await gateway.collectOrphans();
  assert.equal(copyCount(gateway), before);
  assert.deepEqual(gateway.process.orphans.counts, { found: 3, removed: 3 });
  assert.equal(gateway.process.orphans.checkedAtMs, gateway.clock.nowMs());
  await assertSound(gateway);
  for (const key of ["live", "shared", "late"]) assert.deepEqual(await client.get(`box/${key}`), BYTES);
});

test("a write that was under way when its process died leaves nothing", async () => {
  const { gateway, client } = await openBox();
  const gate = Promise.withResolvers<void>();
  gateway.kv.hooks.commit = async () => {
    await gate.promise;
    return { committed: false, failed: Buffer.of(1) };
  };
  const put = client.put("box/a", BYTES).catch(() => undefined);
  await turns();
  gateway.kv.hooks = {};
  assert.equal(copyCount(gateway), 2);
  await gateway.restart();
  await gateway.collectOrphans();
  assert.equal(copyCount(gateway), 0);
  gate.resolve();
  await put;
  await gateway.settle();
  assert.deepEqual((await audit(gateway)).problems, []);
});

test("copies of sessions that have not ended, and of none that ever was, are never touched", async () => {
  const { gateway } = await openBox();
  await gateway.restart();
  const peer = await gateway.peer();
  const kept = [
    ...strand(gateway, "d0-0", { session: gateway.process.catalog.session }),
    ...strand(gateway, "d0-0", { session: peer.catalog.session }),
    ...strand(gateway, "d0-0", { session: 77 }),
    ...strand(gateway, "d0-0", { session: 0 }),
  ];
  strand(gateway, "d0-0", { session: 1 });
  await gateway.collectOrphans();
  assert.deepEqual([...gateway.node("d0-0").store.blobs.keys()].sort(), kept.sort());
});

test("a node that is away is looked through when it is back, and the session is on record until then", async () => {
  const { gateway } = await openBox();
  strand(gateway, "d0-0");
  strand(gateway, "d1-0");
  gateway.nodeDown("d1-0");
  await gateway.restart();
  await gateway.collectOrphans();
  assert.deepEqual(await endedSessions(gateway.process.catalog), [1]);
  assert.equal(gateway.node("d0-0").store.blobs.size, 0);
  await gateway.collectOrphans();
  assert.equal(gateway.node("d0-0").control.count("list"), 1, "a node that was looked through was asked again");
  gateway.nodeUp("d1-0");
  await gateway.collectOrphans();
  assert.equal(copyCount(gateway), 0);
  assert.deepEqual(await endedSessions(gateway.process.catalog), []);
  const { counts } = await readCatalog(gateway.kv);
  assert.deepEqual([counts.get("session"), counts.get("collected")], [1, undefined]);
});

test("a node that cannot tell what it holds keeps nobody from asking the others", async () => {
  for (const kind of ["timeout", "access-denied", "unreachable"] as const) {
    const { gateway } = await openBox();
    strand(gateway, "d0-0");
    strand(gateway, "d1-0");
    gateway.node("d0-0").control.hooks.list = () => Promise.reject(new NodeError(kind, "no"));
    await gateway.restart();
    await gateway.collectOrphans();
    assert.deepEqual([gateway.node("d0-0").store.blobs.size, gateway.node("d1-0").store.blobs.size], [1, 0]);
    gateway.node("d0-0").control.hooks = {};
    await gateway.collectOrphans();
    assert.equal(copyCount(gateway), 0);
    assert.deepEqual(await endedSessions(gateway.process.catalog), []);
  }
});

test("after a rebuild that did not see all of the journal nothing is collected until that is accepted", async () => {
  const { gateway } = await openBox();
  strand(gateway, "d0-0");
  await gateway.restart();
  await gateway.kv.atomic().set(orphansHeldKey(), Buffer.from("not all was seen")).commit();
  await gateway.collectOrphans();
  assert.equal(copyCount(gateway), 1);
  await gateway.kv.atomic().delete(orphansHeldKey()).commit();
  await gateway.collectOrphans();
  assert.equal(copyCount(gateway), 0);
});

test("an orphan that its node does not delete is found again", async () => {
  const { gateway } = await openBox();
  strand(gateway, "d0-0", { count: 2 });
  const { control } = gateway.node("d0-0");
  let deletes = 0;
  control.hooks.delete = (key, pass) => {
    if (++deletes === 1) throw new NodeError("busy", "later");
    return pass(key);
  };
  await gateway.restart();
  await gateway.collectOrphans();
  assert.deepEqual(gateway.process.orphans.counts, { found: 2, removed: 1 });
  assert.deepEqual(await endedSessions(gateway.process.catalog), [1]);
  await gateway.collectOrphans();
  assert.equal(copyCount(gateway), 0);
  assert.deepEqual(await endedSessions(gateway.process.catalog), []);
});

test("more orphans than a page holds are found among copies that stay", async () => {
  const { gateway, client } = await openBox();
  for (let i = 0; i < 20; i++) await client.put(`box/k${i}`, BYTES);
  strand(gateway, "d0-0", { count: 1_100 });
  await gateway.restart();
  await gateway.collectOrphans();
  assert.equal(gateway.node("d0-0").store.blobs.size, 20);
  await assertSound(gateway);
});

test("several sessions that ended are worked off, each with its own", async () => {
  const { gateway } = await openBox();
  for (let session = 1; session <= 4; session++) {
    strand(gateway, "d1-0", { session });
    await gateway.restart();
  }
  await gateway.collectOrphans();
  assert.equal(copyCount(gateway), 0);
  assert.deepEqual(await endedSessions(gateway.process.catalog), []);
  assert.equal(gateway.process.catalog.session, 5);
});

test("a copy that is to be deleted from a node is left to that deletion", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  const { control } = gateway.node("d1-0");
  control.hooks.delete = () => Promise.reject(new NodeError("timeout", "no answer"));
  await client.delete("box/a");
  await gateway.sweepPastGrace();
  await gateway.restart();
  await gateway.collectOrphans();
  assert.deepEqual(gateway.process.orphans.counts, { found: 0, removed: 0 });
  control.hooks = {};
  await gateway.carryOutPendingDeletes();
  assert.equal(copyCount(gateway), 0);
});

test("a run that is told to stop ends, and the next goes on", async () => {
  const { gateway } = await openBox();
  strand(gateway, "d0-0");
  strand(gateway, "d1-0");
  await gateway.restart();
  const stop = new AbortController();
  gateway.node("d0-0").control.hooks.list = (request, pass) => {
    stop.abort();
    return pass(request);
  };
  await gateway.process.orphans.run(stop.signal);
  assert.equal(gateway.node("d1-0").store.blobs.size, 1);
  await gateway.collectOrphans();
  assert.equal(copyCount(gateway), 0);
});
