/** Decommissioning: by the word of most gateways, one at a time, and back by an operator only. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openCatalog } from "../../../../src/catalog/catalog.ts";
import { copyIndexKey } from "../../../../src/catalog/keys.ts";
import { type NodeView, nodeToDecommission } from "../../../../src/cluster/health/decommission.ts";
import { Decommissioner, rejoinNode } from "../../../../src/cluster/health/decommissioner.ts";
import { type HealthReport, OwnReport, readReports, writeReport } from "../../../../src/cluster/health/reports.ts";
import type { NodeState } from "../../../../src/cluster/health/transitions.ts";
import type { Member, Members } from "../../../../src/cluster/members.ts";
import { loadTopology } from "../../../../src/cluster/topology-store.ts";
import { silentLogger } from "../../../../src/observability/logger.ts";
import { idSource } from "../../../../src/shared/ids.ts";
import { seededRandom } from "../../../../src/shared/random.ts";
import { type Cluster, INTERVAL_MS, openCluster, RETRY_MS } from "../test-cluster.ts";

function view(name: string, state: NodeState = "online", missed = 0, holdsCopies = true): NodeView {
  return { uuid: name, name, state, missed, holdsCopies };
}

function report(...missed: [string, number][]): HealthReport {
  return { beat: 1, missed: new Map(missed) };
}

const WELL = [view("n1"), view("n2"), view("n3")];
const AWAY = view("away", "unreachable", 10);
const SESSIONS = new Set([1, 2, 3]);

function decide(nodes: readonly NodeView[], reports: readonly (readonly [number, HealthReport])[]): string | undefined {
  return nodeToDecommission({ nodes, gateways: SESSIONS, reports: new Map(reports) })?.name;
}

test("H12: a node is decommissioned when most gateways have missed it ten times, and not before", () => {
  const nodes = [AWAY, ...WELL];
  const ten = report(["away", 10]);
  assert.equal(
    decide(nodes, [
      [1, ten],
      [2, ten],
    ]),
    "away",
  );
  assert.equal(decide(nodes, [[1, ten]]), undefined, "one of three is not most");
  assert.equal(
    decide(nodes, [
      [1, ten],
      [2, report(["away", 9])],
    ]),
    undefined,
  );
  assert.equal(
    decide(nodes, [
      [1, ten],
      [8, ten],
      [9, ten],
    ]),
    undefined,
    "the word of gateways that are gone counts for nothing",
  );
  assert.equal(
    decide(
      [view("away", "unreachable", 9), ...WELL],
      [
        [1, ten],
        [2, ten],
      ],
    ),
    undefined,
    "the leader has to see it, too",
  );
});

test("H12: none is decommissioned while more than a third of all nodes are down, for whatever reason", () => {
  const all = [1, 2, 3].map((session) => [session, report(["away", 99])] as const);
  assert.equal(decide([AWAY, ...WELL.slice(0, 2)], all), "away", "a third is not more than a third");
  assert.equal(decide([AWAY, view("n1")], all), undefined);
  for (const state of ["unreachable", "access-denied", "replaced", "refused", "decommissioned"] as const) {
    assert.equal(decide([AWAY, view("down", state, 0, false), view("n1"), view("n2")], all), undefined, state);
  }
});

test("H12: one at a time: not while another decommissioned node has copies on record", () => {
  const all = [1, 2, 3].map((session) => [session, report(["away", 99])] as const);
  const many = [...WELL, view("n4"), view("n5"), view("n6")];
  assert.equal(decide([AWAY, view("before", "decommissioned", 0, true), ...many], all), undefined);
  assert.equal(decide([AWAY, view("before", "decommissioned", 0, false), ...many], all), "away");
});

test("only nodes that do not answer are decommissioned", () => {
  const all = [1, 2, 3].map((session) => [session, report(["away", 99])] as const);
  for (const state of ["joining", "online", "degraded", "access-denied", "replaced", "refused"] as const) {
    assert.equal(decide([view("away", state, 99), ...WELL, view("n4")], all), undefined, state);
  }
});

/** Two real nodes, and two more that are only counted. */
function padded(cluster: Cluster): () => Members {
  return () => {
    const { members } = cluster;
    const more = ["x", "y"].map((name): Member => {
      const one = members.get(cluster.handle("b").uuid) ?? assert.fail();
      const { node, sinceMs, heartbeat } = one;
      const health = { state: "online", conditions: [], reason: undefined, missedProbes: 0 } as const;
      const spec = { ...one.spec, uuid: name.repeat(32).replaceAll(/[xy]/g, name === "x" ? "e" : "d"), name };
      return { spec, node, sinceMs, heartbeat, ...health, loadScore: () => 0 };
    });
    return new Proxy(members, {
      get: (target, property) =>
        property === "all" ? () => [...target.all(), ...more] : Reflect.get(target, property),
    });
  };
}

async function decommissionerOf(cluster: Cluster, isLeader = true): Promise<{ run: () => Promise<void> }> {
  const { clock, kv } = cluster;
  const catalog = await openCatalog(kv, { clock, ids: idSource(clock, seededRandom(9)), host: "g", pid: 2 });
  // Of the gateways only the one under test lives: sessions of the cluster's own are ended.
  const { endOtherSessions } = await import("../../../../src/catalog/catalog.ts");
  await endOtherSessions(catalog);
  const members = padded(cluster);
  const report = new OwnReport({ catalog, members });
  const decommissioner = new Decommissioner({
    catalog,
    leaders: catalog,
    members,
    isLeader: () => isLeader,
    clock,
    logger: silentLogger,
    intervalMs: INTERVAL_MS,
    refresh: async () => cluster.membership.update(cluster.shapeOf((await loadTopology(kv)) ?? assert.fail())),
  });
  return {
    async run() {
      await report.write();
      await decommissioner.run();
    },
  };
}

test("a node that is away for ten probes is decommissioned under a new epoch, survives a restart as such, and rejoins by an operator", async () => {
  await using cluster = await openCluster();
  const decommissioner = await decommissionerOf(cluster);
  const handle = cluster.handle("a");
  handle.node.down = true;
  for (let probe = 1; probe <= 9; probe++) {
    await cluster.pass(INTERVAL_MS);
    await decommissioner.run();
  }
  assert.equal(cluster.state("a"), "unreachable");
  const before = cluster.members.topology.epoch;
  await cluster.pass(INTERVAL_MS);
  await decommissioner.run();
  assert.deepEqual([cluster.state("a"), cluster.members.topology.epoch], ["decommissioned", before + 1]);
  assert.equal(cluster.members.isLost(handle.uuid), true);

  handle.node.down = false;
  await cluster.pass(3 * INTERVAL_MS);
  assert.equal(cluster.state("a"), "decommissioned", "it does not come back by itself");
  assert.deepEqual(cluster.accepts("a"), { reads: true, writes: false }, "what is on it is read");
  await cluster.start();
  assert.equal(cluster.state("a"), "decommissioned");
  assert.equal(cluster.members.isLost(handle.uuid), true);

  const catalog = await openCatalog(cluster.kv, {
    clock: cluster.clock,
    ids: idSource(cluster.clock, seededRandom(8)),
    host: "g",
    pid: 3,
  });
  await assert.rejects(rejoinNode(catalog, "nobody"), /there is no node nobody/);
  await assert.rejects(rejoinNode(catalog, "b"), /not decommissioned/);
  await rejoinNode(catalog, "a");
  cluster.membership.update(cluster.shapeOf((await loadTopology(cluster.kv)) ?? assert.fail()));
  assert.equal(cluster.state("a"), "joining");
  await cluster.pass(RETRY_MS);
  assert.deepEqual([cluster.state("a"), cluster.members.isLost(handle.uuid)], ["online", false]);
});

test("a gateway that is not the leader reports what it misses and decommissions nobody", async () => {
  await using cluster = await openCluster();
  const decommissioner = await decommissionerOf(cluster, false);
  cluster.handle("a").node.down = true;
  await cluster.pass(12 * INTERVAL_MS);
  await decommissioner.run();
  assert.equal(cluster.state("a"), "unreachable");
  const { clock, kv } = cluster;
  const catalog = await openCatalog(kv, { clock, ids: idSource(clock, seededRandom(7)), host: "g", pid: 4 });
  const [told] = [...(await readReports(catalog)).values()];
  assert.deepEqual([...(told?.missed ?? [])], [[cluster.handle("a").uuid, 12]]);
  cluster.handle("a").node.down = false;
  await cluster.pass(2 * RETRY_MS);
  await decommissioner.run();
  assert.equal((await readReports(catalog)).size, 0, "there is nothing to report any more");
});

test("what a gateway reported whose session has ended is forgotten", async () => {
  await using cluster = await openCluster();
  const { clock, kv } = cluster;
  const gone = await openCatalog(kv, { clock, ids: idSource(clock, seededRandom(5)), host: "g", pid: 5 });
  await writeReport(gone, { beat: 1, missed: new Map([[cluster.handle("a").uuid, 10]]) });
  const decommissioner = await decommissionerOf(cluster);
  await decommissioner.run();
  assert.equal((await readReports(gone)).size, 0);
});

test("a report that its gateway does not renew stops counting", async () => {
  await using cluster = await openCluster();
  const { clock, kv } = cluster;
  const decommissioner = await decommissionerOf(cluster);
  const { uuid } = cluster.handle("a");
  // Two other gateways that live by their sessions: one of them needs to agree, and only has once.
  const others = await Promise.all(
    [5, 6].map((pid) => openCatalog(kv, { clock, ids: idSource(clock, seededRandom(pid)), host: "g", pid })),
  );
  cluster.handle("a").node.down = true;
  await cluster.pass(5 * INTERVAL_MS);
  for (const other of others) await writeReport(other, { beat: 1, missed: new Map([[uuid, 10]]) });
  await decommissioner.run();
  await cluster.pass(5 * INTERVAL_MS);
  await decommissioner.run();
  assert.equal(cluster.state("a"), "unreachable");
  for (const other of others) await writeReport(other, { beat: 2, missed: new Map([[uuid, 10]]) });
  await decommissioner.run();
  assert.equal(cluster.state("a"), "decommissioned");
});

test("a node whose record changed meanwhile by another decommissioning is left alone", async () => {
  await using cluster = await openCluster();
  const decommissioner = await decommissionerOf(cluster);
  cluster.handle("a").node.down = true;
  await cluster.pass(12 * INTERVAL_MS);
  const stored = (await loadTopology(cluster.kv)) ?? assert.fail();
  const b = stored.records.get(cluster.handle("b").uuid) ?? assert.fail();
  const { changeTopology } = await import("../../../../src/cluster/change-topology.ts");
  const { clock, kv } = cluster;
  const catalog = await openCatalog(kv, { clock, ids: idSource(clock, seededRandom(6)), host: "g", pid: 7 });
  await changeTopology(catalog, () => ({ nodes: [{ ...b, decommissionedAtMs: 1 }] }));
  // This gateway has not seen that yet.
  await catalog.kv
    .atomic()
    .set(copyIndexKey(b.uuid, `00000001/${"0".repeat(32)}`), Buffer.of())
    .commit();
  await decommissioner.run();
  assert.equal(cluster.state("a"), "unreachable");
});
