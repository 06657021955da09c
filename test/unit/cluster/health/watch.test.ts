/** A watched node: what its checks, its breaker, its traffic and its deeper probes make of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { writeIdentityDocument } from "../../../../src/cluster/identity.ts";
import { NodeError } from "../../../../src/nodes/storage-node.ts";
import { CLUSTER_KEY, type Cluster, INTERVAL_MS, openCluster, RETRY_MS } from "../test-cluster.ts";

const NOTHING = { reads: false, writes: false };
const ALL = { reads: true, writes: true };

/** Lets the node go, and the probes on the interval clock find nobody so often. */
async function miss(cluster: Cluster, probes: number): Promise<void> {
  cluster.handle("a").node.down = true;
  await cluster.pass(probes * INTERVAL_MS);
}

test("the third missed probe degrades a node, the fifth makes it unreachable, and each is an event", async () => {
  await using cluster = await openCluster();
  const seen: string[] = [];
  for (let probe = 1; probe <= 6; probe++) {
    await miss(cluster, 1);
    const { uuid } = cluster.handle("a");
    seen.push(`${cluster.state("a")} ${cluster.members.get(uuid)?.missedProbes} ${cluster.members.isLost(uuid)}`);
  }
  assert.deepEqual(seen, [
    "online 1 false",
    "online 2 false",
    "degraded 3 false",
    "degraded 4 false",
    "unreachable 5 true",
    "unreachable 6 true",
  ]);
  assert.deepEqual(cluster.eventsOf("a"), ["NODE_ONLINE", "NODE_DEGRADED", "NODE_OFFLINE"]);
  assert.equal(cluster.state("b"), "online");
});

test("H11: a node that is unreachable is read again after one good check, last, and takes new copies after two", async () => {
  await using cluster = await openCluster();
  await miss(cluster, 5);
  const { uuid, node } = cluster.handle("a");
  assert.deepEqual(cluster.accepts("a"), NOTHING);
  node.down = false;
  await cluster.pass(RETRY_MS);
  assert.deepEqual(
    [cluster.state("a"), cluster.accepts("a"), cluster.members.preference(uuid), cluster.members.isLost(uuid)],
    ["unreachable", { reads: true, writes: false }, 1, true],
  );
  assert.equal(cluster.announced.length, 2);
  await cluster.pass(RETRY_MS);
  assert.deepEqual([cluster.state("a"), cluster.accepts("a")], ["online", ALL]);
  assert.deepEqual([cluster.members.preference(uuid), cluster.members.isLost(uuid)], [0, false]);
  assert.deepEqual(cluster.announced.slice(2), ["a"]);
});

test("a node that flaps stays degraded, and is neither lost nor given copies", async () => {
  await using cluster = await openCluster();
  await miss(cluster, 3);
  const { node, uuid } = cluster.handle("a");
  for (let round = 0; round < 20; round++) {
    node.down = false;
    await cluster.pass(RETRY_MS);
    assert.deepEqual([cluster.state("a"), cluster.accepts("a").writes], ["degraded", false]);
    node.down = true;
    await cluster.pass(RETRY_MS);
    assert.equal(cluster.members.isLost(uuid), false);
  }
  assert.equal(cluster.eventsOf("a").length, 2);
});

test("H10: a node is used only after a check that found our identity, and not between its breaker's opening and the next", async () => {
  const foreign = writeIdentityDocument({ clusterId: "f".repeat(32), nodeUuid: "1".repeat(32) }, CLUSTER_KEY);
  await using cluster = await openCluster();
  const handle = cluster.handle("a");
  const own = handle.store.identity;
  handle.openBreaker();
  handle.breakerOpen = false;
  assert.deepEqual(cluster.accepts("a"), NOTHING, "it may be another node by now");
  handle.store.identity = foreign;
  await cluster.pass(RETRY_MS);
  assert.deepEqual([cluster.state("a"), cluster.accepts("a")], ["refused", NOTHING]);
  handle.store.identity = own;
  await cluster.pass(RETRY_MS);
  assert.deepEqual([cluster.state("a"), cluster.accepts("a")], ["online", ALL]);
});

test("a probe that fails while calls succeed is not missed: the node can be reached", async () => {
  await using cluster = await openCluster();
  const handle = cluster.handle("a");
  handle.node.hooks.readIdentity = () => {
    handle.lastSuccessMs = cluster.clock.monotonicMs() + 1;
    return Promise.reject(new NodeError("timeout", "it did not answer in time"));
  };
  await cluster.pass(20 * INTERVAL_MS);
  assert.deepEqual([cluster.state("a"), cluster.accepts("a")], ["online", ALL]);
  assert.equal(cluster.members.get(handle.uuid)?.missedProbes, 0);
});

test("a node that is busy is there: it is left alone and never counts as away", async () => {
  await using cluster = await openCluster();
  const handle = cluster.handle("a");
  handle.find({ check: "reach", passed: false, kind: "busy", reason: "SlowDown" });
  handle.node.hooks.probe = async () => [{ check: "reach", passed: false, kind: "busy", reason: "SlowDown" }];
  await cluster.pass(20 * INTERVAL_MS);
  assert.deepEqual([cluster.state("a"), cluster.accepts("a")], ["online", NOTHING]);
  assert.equal(cluster.members.isLost(handle.uuid), false);
});

test("a node that is full keeps its copies and serves them, and takes none; it is told once", async () => {
  await using cluster = await openCluster();
  const handle = cluster.handle("a");
  handle.room = false;
  await cluster.pass(3 * INTERVAL_MS);
  assert.deepEqual([cluster.state("a"), cluster.conditions("a")], ["online", ["full"]]);
  assert.deepEqual(
    [cluster.accepts("a"), cluster.members.preference(handle.uuid)],
    [{ reads: true, writes: false }, 0],
  );
  assert.deepEqual(cluster.eventsOf("a"), ["NODE_ONLINE", "NODE_FULL"]);
  handle.room = true;
  assert.deepEqual(cluster.accepts("a"), ALL);
});

test("a node with bad blocks takes no copies, is read last and scrubbed; after an hour without any it is well", async () => {
  await using cluster = await openCluster();
  const { uuid } = cluster.handle("a");
  for (let block = 0; block < 2; block++) cluster.membership.badBlockFound(uuid);
  assert.deepEqual(cluster.conditions("a"), []);
  cluster.membership.badBlockFound(uuid);
  assert.deepEqual([cluster.state("a"), cluster.conditions("a")], ["online", ["corrupt"]]);
  assert.deepEqual([cluster.accepts("a"), cluster.members.preference(uuid)], [{ reads: true, writes: false }, 1]);
  assert.deepEqual([cluster.scrubbed, cluster.eventsOf("a").at(-1)], [["a"], "NODE_CORRUPT"]);
  await cluster.pass(3_600_000);
  assert.deepEqual(cluster.conditions("a"), []);
});

test("a node much slower than its peer is read last, and takes copies only because nobody else of its domain does", async () => {
  await using cluster = await openCluster();
  const handle = cluster.handle("a");
  cluster.handle("b").latencyMs = 20;
  handle.latencyMs = 2_000;
  await cluster.pass(2 * INTERVAL_MS);
  assert.deepEqual(cluster.conditions("a"), [], "not at the first look");
  await cluster.pass(INTERVAL_MS);
  assert.deepEqual([cluster.state("a"), cluster.conditions("a")], ["online", ["slow"]]);
  assert.deepEqual([cluster.members.preference(handle.uuid), cluster.accepts("a")], [1, ALL]);
  assert.equal(cluster.eventsOf("a").at(-1), "NODE_SLOW");
  handle.latencyMs = 30;
  await cluster.pass(3 * INTERVAL_MS);
  assert.deepEqual(cluster.conditions("a"), []);
});

test("a canary that fails for what the node refuses holds it degraded until one passes; it is read meanwhile", async () => {
  await using cluster = await openCluster();
  const handle = cluster.handle("a");
  const reason = "read-after-write: the node refuses the credentials (403 AccessDenied)";
  handle.node.hooks.probe = async (depth) => [
    { check: "reach", passed: true },
    ...(depth === "canary" ? [{ check: "canary", passed: false, kind: "access-denied" as const, reason }] : []),
  ];
  await cluster.pass(11 * INTERVAL_MS);
  assert.deepEqual([cluster.state("a"), cluster.accepts("a")], ["degraded", { reads: true, writes: false }]);
  assert.match(cluster.reason("a") ?? "", /^canary probe: canary: read-after-write/);
  assert.equal(cluster.members.isLost(handle.uuid), false);
  handle.find();
  await cluster.pass(3 * INTERVAL_MS);
  assert.deepEqual([cluster.state("a"), cluster.reason("a")], ["online", undefined]);
});

test("admission is repeated daily: versioning that was switched on since degrades the node by name", async () => {
  await using cluster = await openCluster();
  cluster.handle("a").node.hooks.probe = async (depth) => [
    { check: "reach", passed: true },
    ...(depth === "admission" ? [{ check: "versioning-off", passed: false, kind: "refused" as const }] : []),
  ];
  await cluster.pass(86_400_000 + INTERVAL_MS, INTERVAL_MS / 2);
  assert.deepEqual([cluster.state("a"), cluster.reason("a")], ["degraded", "admission probe: versioning-off"]);
});

test("a canary that hangs delays no probe of reach, and says something only the second time", async () => {
  await using cluster = await openCluster();
  const handle = cluster.handle("a");
  let reach = 0;
  let canaries = 0;
  handle.node.probe = async (depth) => {
    if (depth === "canary") {
      canaries++;
      return new Promise(() => {});
    }
    if (depth === "reach") reach++;
    return [{ check: "reach", passed: true }];
  };
  await cluster.pass(10 * INTERVAL_MS);
  assert.deepEqual([canaries, reach, cluster.state("a")], [1, 10, "online"]);
  await cluster.pass(6 * INTERVAL_MS);
  assert.deepEqual([canaries >= 2, cluster.state("a")], [true, "degraded"]);
});

test("what a node tells of itself is kept as its heartbeat, with the time", async () => {
  await using cluster = await openCluster();
  await cluster.pass(INTERVAL_MS);
  const heartbeat = cluster.members.get(cluster.handle("a").uuid)?.heartbeat ?? assert.fail("there is no heartbeat");
  assert.equal(heartbeat.workerId, cluster.handle("a").uuid);
  assert.equal(heartbeat.storage.capacity?.totalBytes, cluster.handle("a").store.capacityBytes);
  assert.deepEqual([heartbeat.isMaster, heartbeat.diskHealth, heartbeat.uptimeSeconds], [false, "ok", undefined]);
});

test("a heartbeat has what the node's figures tell of its disk, and nothing made up where they do not", async () => {
  await using cluster = await openCluster();
  const { uuid } = cluster.handle("a");
  const storage = () => cluster.members.get(uuid)?.heartbeat?.storage ?? assert.fail("there is no heartbeat");
  await cluster.pass(INTERVAL_MS);
  assert.deepEqual([storage().diskType, storage().ioUtilization], ["unknown", undefined]);
  cluster.handle("a").figures = { diskType: "nvme", ioUtilization: 0.25 };
  await cluster.pass(INTERVAL_MS);
  assert.deepEqual([storage().diskType, storage().ioUtilization, storage().diskModel], ["nvme", 0.25, undefined]);
});
