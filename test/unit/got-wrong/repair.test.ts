/** What the earlier system got wrong of repair, shown right (G3, G4, G12, G17 of the design), over nodes in memory. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeError, type NodeErrorKind } from "../../../src/nodes/storage-node.ts";
import { silentLogger } from "../../../src/observability/logger.ts";
import { createMetrics } from "../../../src/observability/metrics.ts";
import { createBlobReader } from "../../../src/replication/read/blob-reader.ts";
import { Backlog } from "../../../src/replication/repair/backlog.ts";
import { DeadLetters } from "../../../src/replication/repair/dead-letters.ts";
import { type AcquireLease } from "../../../src/replication/repair/lease.ts";
import { Repairer } from "../../../src/replication/repair/repairer.ts";
import { absenceIn } from "../../support/absence.ts";
import { patternBytes } from "../../support/blobs.ts";
import { assertFullyRedundant, assertSound } from "../../support/catalog-audit.ts";
import type { InMemoryGateway } from "../../support/in-memory-gateway.ts";
import { openBox } from "../../support/open-box.ts";
import { blobOf, changeSlot, copyCount, copyIn, slotsOf } from "../../support/slots.ts";

const BYTES = Buffer.from(patternBytes(300_000, 1));
const NEVER = new AbortController().signal;
const HOUR_MS = 3_600_000;

/** A repairer over the gateway's nodes with dependencies of the test's own. */
function repairerOf(gateway: InMemoryGateway, deps: Partial<ConstructorParameters<typeof Repairer>[0]>): Repairer {
  const { clock, random, process } = gateway;
  const { catalog, ledger, discarder } = process;
  const members = () => gateway.members;
  const limits = { hedgeDelayMs: 250, stallTimeoutMs: 10_000 };
  return new Repairer({
    catalog,
    members,
    reader: createBlobReader({ members, clock, random, limits, onDamage: () => {} }),
    ledger,
    discard: discarder.discard,
    clock,
    random,
    logger: silentLogger,
    onRestored: () => {},
    ...deps,
  });
}

test("G3: an error of a node is not taken for a copy that is missing: it stays on record until the node itself says so", async () => {
  const kinds: readonly NodeErrorKind[] = ["timeout", "unreachable", "busy", "io", "access-denied", "refused"];
  for (const kind of kinds) {
    const { gateway, client } = await openBox({ policy: { domainChoice: "priority" } });
    await client.put("box/a", BYTES);
    const before = await copyIn(gateway, "a", 1);
    await changeSlot(gateway, "a", 1, (slot) => ({ ...slot, state: "unverified" }));
    const fail = (): Promise<never> => Promise.reject(new NodeError(kind, "no answer to be used"));
    before.node.control.hooks.get = fail;
    before.node.control.hooks.head = fail;
    await gateway.repair();
    gateway.clock.advance(HOUR_MS);
    await gateway.repair();
    assert.equal((await slotsOf(gateway, "a"))[1], "unverified d1 d1-0", kind);
    before.node.control.hooks = {};
    gateway.clock.advance(HOUR_MS);
    await gateway.repair();
    assert.equal(
      (await copyIn(gateway, "a", 1)).location.key,
      before.location.key,
      `${kind}: it was there all the time`,
    );
    assert.equal(copyCount(gateway), 2);
  }
});

test("G3: a copy is made only where the record then points to: what reads ask is what repair wrote", async () => {
  const { gateway, client } = await openBox({ nodesPerDomain: 3, policy: { domainChoice: "priority" } });
  await client.put("box/a", BYTES);
  await changeSlot(gateway, "a", 1, ({ domain }) => ({ state: "missing", domain }));
  await gateway.sweepPastGrace();
  const written: string[] = [];
  for (const { name, control } of gateway.nodes.values()) {
    control.hooks.put = (request, pass) => {
      written.push(`${name} ${request.key}`);
      return pass(request);
    };
  }
  await gateway.repair();
  const { node, location } = await copyIn(gateway, "a", 1);
  assert.deepEqual(written, [`${node.name} ${location.key}`]);
  gateway.nodeDown((await copyIn(gateway, "a", 0)).node.name);
  assert.deepEqual(await client.get("box/a"), BYTES);
});

test("G4: repair makes as many copies as the factor says, in as many domains, however many domains there are", async () => {
  const { gateway, client } = await openBox({ domains: 4, nodesPerDomain: 2, policy: { factor: 2 } });
  for (let at = 0; at < 10; at++) await client.put(`box/k${at}`, BYTES);
  for (let at = 0; at < 10; at++)
    await changeSlot(gateway, `k${at}`, 1, ({ domain }) => ({ state: "missing", domain }));
  await gateway.sweepPastGrace();
  await gateway.repair();
  await gateway.quiesce();
  await assertFullyRedundant(gateway);
  assert.equal(copyCount(gateway), 20);
});

test("G4: only who has the lease repairs, and one that loses it leaves its work, which is done by the next", async () => {
  const { gateway, client } = await openBox({ policy: { domainChoice: "priority" } });
  await client.put("box/a", BYTES);
  await changeSlot(gateway, "a", 1, ({ domain }) => ({ state: "missing", domain }));
  await gateway.sweepPastGrace();
  let puts = 0;
  const { control } = gateway.node("d1-0");
  control.hooks.put = (request, pass) => {
    puts += 1;
    return pass(request);
  };
  await repairerOf(gateway, { acquireLease: async () => undefined }).run(NEVER);
  assert.equal(puts, 0, "another gateway has it");

  const lost = new AbortController();
  let released = 0;
  const acquireLease: AcquireLease = async () => ({ lost: lost.signal, release: async () => void (released += 1) });
  control.hooks.put = async (request) => {
    lost.abort(new Error("the lease was lost"));
    request.signal?.throwIfAborted();
    throw new Error("it went on without its lease");
  };
  await repairerOf(gateway, { acquireLease }).run(NEVER);
  await gateway.settle();
  assert.equal(released, 1);
  const [entry] = (await assertSound(gateway)).repairs.values();
  assert.equal(entry?.attempts, 0, "losing the lease is no failure of the copy");
  control.hooks = {};
  await gateway.repair();
  await assertFullyRedundant(gateway);
});

test("G4: two repairs of a slot at once, as when a lease runs out, leave one copy on record and none besides", async () => {
  const { gateway, client } = await openBox({ nodesPerDomain: 2, policy: { domainChoice: "priority" } });
  for (const key of ["a", "b", "c"]) {
    await client.put(`box/${key}`, BYTES);
    await changeSlot(gateway, key, 1, ({ domain }) => ({ state: "missing", domain }));
  }
  await gateway.sweepPastGrace();
  const peer = await gateway.peer();
  await gateway.whileTimePasses(
    Promise.all([gateway.process.repairer.run(NEVER), gateway.process.repairer.run(NEVER), peer.repairer.run(NEVER)]),
  );
  await gateway.settle();
  await gateway.quiesce();
  await assertFullyRedundant(gateway);
  assert.equal(copyCount(gateway), 6);
});

test("G4: what has fewer copies comes first also when it comes while other work is under way", async () => {
  const { gateway, client } = await openBox({ domains: 3, policy: { domainChoice: "priority" } });
  const keys = Array.from({ length: 20 }, (_, at) => `k${at}`);
  for (const key of [...keys, "urgent"]) await client.put(`box/${key}`, patternBytes(1_000, 1));
  for (const key of keys) await changeSlot(gateway, key, 1, ({ domain }) => ({ state: "missing", domain }));
  const urgent = (await blobOf(gateway, "urgent")).blob.blobId;
  const order: string[] = [];
  const { repairer } = gateway.process;
  const arrived = Promise.withResolvers<void>();
  for (const { control } of gateway.nodes.values()) {
    control.hooks.put = async (request, pass) => {
      order.push(request.header.blobId);
      if (order.length === 5) {
        await changeSlot(gateway, "urgent", 1, ({ domain }) => ({ state: "missing", domain }));
        await changeSlot(gateway, "urgent", 2, ({ domain }) => ({ state: "missing", domain }));
        repairer.workArrived();
        arrived.resolve();
      }
      if (order.length >= 5) await arrived.promise;
      return await pass(request);
    };
  }
  await repairer.run(NEVER);
  await gateway.settle();
  const places = order.flatMap((blobId, at) => (blobId === urgent ? [at] : []));
  assert.equal(places.length, 2);
  // Four are worked on at a time: those that had been begun come before.
  assert.ok(
    places.every((at) => at < 12),
    `it came at ${places.join(", ")} of ${order.length}`,
  );
  await assertFullyRedundant(gateway);
});

test("G12: a straggler's copy is not made anew before its deadline, and is made once it did not come", async () => {
  const { gateway, client } = await openBox({ domains: 3, policy: { domainChoice: "priority", quorum: 2 } });
  const never = Promise.withResolvers<never>();
  let puts = 0;
  const { control } = gateway.node("d2-0");
  control.hooks.put = async (request, pass) => {
    puts += 1;
    if (puts === 1) return await never.promise;
    return await pass(request);
  };
  await gateway.whileTimePasses(client.put("box/a", BYTES));
  for (let seconds = 0; seconds < 55; seconds += 5) {
    gateway.process.repairer.nodeCameBack();
    gateway.process.repairer.workArrived();
    await gateway.process.repairer.run(NEVER);
    assert.equal(puts, 1, "it was made although it may still arrive");
    gateway.clock.advance(5_000);
  }
  gateway.clock.advance(10_000);
  await gateway.settle();
  await gateway.repair();
  await gateway.quiesce();
  await assertFullyRedundant(gateway);
});

test("G17: backlog, dead letters, attempts and the age of the oldest missing copy are told, and dead letters replayed", async () => {
  const { gateway, client } = await openBox({ policy: { domainChoice: "priority" } });
  const metrics = createMetrics({ version: "0", processMetrics: false });
  const { catalog, ledger } = gateway.process;
  const backlog = new Backlog({ kv: gateway.kv, clock: gateway.clock, cacheMs: 0 });
  metrics.watchBacklog(async () => {
    const { missing, deadLetters } = await backlog.read();
    return { missing, "dead-letter": deadLetters };
  });
  metrics.watchRepair(async () => {
    const { oldestMissingSinceMs = gateway.clock.nowMs() } = await backlog.read();
    return { oldestMissingMs: gateway.clock.nowMs() - oldestMissingSinceMs, waiting: 0 };
  });
  const repairer = repairerOf(gateway, { onAttempt: (outcome) => metrics.repairAttempted(outcome) });
  const told = async (): Promise<string[]> =>
    (await metrics.render()).body
      .split("\n")
      .filter((line) => /^bulkhead_(backlog|repair_attempts_total|oldest_missing_copy_seconds)/.test(line));
  await client.put("box/a", BYTES);
  await changeSlot(gateway, "a", 1, ({ domain }) => ({ state: "missing", domain }));
  gateway.node("d1-0").control.hooks.put = () => Promise.reject(new NodeError("io", "the disk is broken"));
  for (let attempt = 0; attempt < 12; attempt++) {
    gateway.clock.advance(HOUR_MS);
    await gateway.whileTimePasses(repairer.run(NEVER));
  }
  const lines = await told();
  assert.ok(lines.includes('bulkhead_backlog{kind="missing"} 0'), lines.join("\n"));
  assert.ok(lines.includes('bulkhead_backlog{kind="dead-letter"} 1'), lines.join("\n"));
  assert.ok(lines.includes('bulkhead_repair_attempts_total{outcome="failed"} 12'), lines.join("\n"));
  assert.ok(lines.includes('bulkhead_repair_attempts_total{outcome="dead-letter"} 1'), lines.join("\n"));
  const age = Number(lines.find((line) => line.startsWith("bulkhead_oldest"))?.split(" ")[1]);
  assert.ok(age >= 12 * 3_600, `${age} s`);
  gateway.node("d1-0").control.hooks = {};
  assert.deepEqual(await new DeadLetters({ catalog, ledger }).replayAll(NEVER), { replayed: 1, more: false });
  await gateway.whileTimePasses(repairer.run(NEVER));
  await assertFullyRedundant(gateway);
  assert.ok((await told()).includes("bulkhead_oldest_missing_copy_seconds 0"));
});

test("a node that is away for long has its copies made elsewhere in its domain, and those that come back are checked", async () => {
  const { gateway, client } = await openBox({ nodesPerDomain: 2, policy: { domainChoice: "priority" } });
  for (const key of ["a", "b", "c", "d"]) await client.put(`box/${key}`, BYTES);
  const absence = absenceIn(gateway);
  const repairer = repairerOf(gateway, { isLost: absence.isLost });
  const run = async (): Promise<number> => {
    const marked = await absence.look();
    await gateway.whileTimePasses(repairer.run(NEVER));
    await gateway.settle();
    return marked;
  };
  const victim = (await copyIn(gateway, "a", 1)).node.name;
  gateway.nodeDown(victim);
  assert.equal(await run(), 0);
  gateway.nodeUp(victim);
  await run();
  gateway.nodeDown(victim);
  assert.equal(await run(), 0, "not yet");
  gateway.nodeLost(victim);
  assert.ok((await run()) > 0);
  for (const key of ["a", "b", "c", "d"]) assert.match((await slotsOf(gateway, key))[1] ?? "", /^ok d1/);
  assert.ok(!(await slotsOf(gateway, "a"))[1]?.endsWith(victim));
  gateway.nodeUp(victim);
  await gateway.quiesce();
  await assertFullyRedundant(gateway);
  assert.equal(copyCount(gateway), 8, "what the node still had of them is gone");
});

test("a domain without any node that answers has none of its copies given up", async () => {
  const { gateway, client } = await openBox({ nodesPerDomain: 2, policy: { domainChoice: "priority" } });
  await client.put("box/a", BYTES);
  const { look } = absenceIn(gateway);
  for (const name of ["d1-0", "d1-1"]) gateway.nodeLost(name);
  assert.equal(await look(), 0);
  assert.match((await slotsOf(gateway, "a"))[1] ?? "", /^ok d1/);
});
