/** What an operator changes of nodes, and how a process comes to go by it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openCatalog } from "../../../src/catalog/catalog.ts";
import { nodeKey } from "../../../src/catalog/keys.ts";
import { CatalogError } from "../../../src/catalog/kv.ts";
import { addNode, setNode } from "../../../src/cluster/change-nodes.ts";
import { LiveTopology } from "../../../src/cluster/live-topology.ts";
import { TopologyChangeError } from "../../../src/cluster/topology-change-error.ts";
import { loadTopology, recordAdmission } from "../../../src/cluster/topology-store.ts";
import { silentLogger } from "../../../src/observability/logger.ts";
import { createPlacement } from "../../../src/placement/placement.ts";
import { idSource } from "../../../src/shared/ids.ts";
import { seededRandom } from "../../../src/shared/random.ts";
import { turns } from "../../support/in-memory-gateway.ts";
import { quickHasher } from "../placement/topologies.ts";
import { type Cluster, openCluster } from "./test-cluster.ts";

const INTERVAL_MS = 5_000;

async function follow(cluster: Cluster) {
  const { clock, kv, membership } = cluster;
  const ids = idSource(clock, seededRandom(5));
  const catalog = await openCatalog(kv, { clock, ids, host: "operator", pid: 2 });
  const live = new LiveTopology({
    kv,
    membership,
    placementOf: (topology) => createPlacement(topology, quickHasher),
    handlesOf: () => new Map([...cluster.handles.values()].map((handle) => [handle.uuid, handle])),
    clock,
    logger: silentLogger,
    intervalMs: INTERVAL_MS,
  });
  const weightOf = (name: string): number | undefined => cluster.members.get(cluster.handle(name).uuid)?.spec.weight;
  return { catalog, live, weightOf };
}

test("a change is one commit under a new epoch, and a process goes by it when it looks", async () => {
  await using cluster = await openCluster();
  const { catalog, live, weightOf } = await follow(cluster);
  const before = cluster.members;
  await setNode(catalog, "a", { weight: 50, acceptsWrites: false });
  assert.equal(weightOf("a"), 100);
  await live.refresh();
  assert.equal(weightOf("a"), 50);
  assert.deepEqual(cluster.accepts("a"), { reads: true, writes: false });
  assert.equal(cluster.members.topology.epoch, before.topology.epoch + 1);
  const { uuid } = cluster.handle("a");
  assert.equal(cluster.members.get(uuid)?.spec.writeGeneration, (await cluster.kv.get(nodeKey(uuid)))?.version);
  assert.equal(before.topology.nodes.find(({ name }) => name === "a")?.weight, 100);
});

test("whoever wants to know is told what the topology was and what it is, once for each change", async () => {
  await using cluster = await openCluster();
  const { kv, membership } = cluster;
  const { catalog } = await follow(cluster);
  const { topology, records } = (await loadTopology(kv)) ?? assert.fail();
  const told: string[] = [];
  await using live = new LiveTopology({
    kv,
    membership,
    placementOf: (shape) => createPlacement(shape, quickHasher),
    handlesOf: () => new Map([...cluster.handles.values()].map((handle) => [handle.uuid, handle])),
    clock: cluster.clock,
    logger: silentLogger,
    intervalMs: INTERVAL_MS,
    initial: { topology, records },
    onChanged: (before, after) => {
      const weights = [before, after].map((each) => each?.topology.nodes.find(({ name }) => name === "a")?.weight);
      told.push(`${before?.topology.epoch} ${after.topology.epoch} ${weights.join(" ")}`);
    },
  });
  await live.refresh();
  await setNode(catalog, "a", { weight: 50 });
  await live.refresh();
  await setNode(catalog, "a", { weight: 60 });
  await live.refresh();
  await live.refresh();
  assert.deepEqual(told, ["1 2 100 50", "2 3 50 60"]);
});

test("what says what is there already changes nothing", async () => {
  await using cluster = await openCluster();
  const { catalog } = await follow(cluster);
  const version = await cluster.kv.version();
  await setNode(catalog, "a", { weight: 100 });
  assert.equal(await cluster.kv.version(), version);
});

test("a node that nobody knows is refused by name", async () => {
  await using cluster = await openCluster();
  const { catalog } = await follow(cluster);
  await assert.rejects(
    setNode(catalog, "z", { weight: 1 }),
    (error: unknown) => error instanceof TopologyChangeError && error.kind === "unknown",
  );
});

test("a change and an admission of the same node at one time are both kept", async () => {
  await using cluster = await openCluster((fresh) => {
    fresh.handle("a").find({ check: "read-after-write", passed: false });
  });
  const { catalog, live } = await follow(cluster);
  const { uuid } = cluster.handle("a");
  cluster.kv.hooks.commit = async (_request, pass) => {
    cluster.kv.hooks = {};
    await recordAdmission(catalog, uuid);
    return pass();
  };
  await setNode(catalog, "a", { weight: 7 });
  await live.refresh();
  assert.equal(cluster.members.get(uuid)?.spec.weight, 7);
  assert.notEqual(await recordAdmission(catalog, uuid), undefined);
  const version = await cluster.kv.version();
  await recordAdmission(catalog, uuid);
  assert.equal(await cluster.kv.version(), version, "it is on record as admitted");
});

test("a process looks by itself, goes on after a failure, and stops when it is told", async () => {
  await using cluster = await openCluster();
  const { catalog, live, weightOf } = await follow(cluster);
  live.start();
  await setNode(catalog, "b", { weight: 20 });
  await cluster.pass(INTERVAL_MS);
  assert.equal(weightOf("b"), 20);
  await setNode(catalog, "b", { weight: 30 });
  cluster.kv.hooks.get = () => Promise.reject(new CatalogError("unavailable", "the store is away"));
  await cluster.pass(INTERVAL_MS);
  assert.equal(weightOf("b"), 20);
  cluster.kv.hooks = {};
  await cluster.pass(INTERVAL_MS);
  assert.equal(weightOf("b"), 30);
  await live[Symbol.asyncDispose]();
  await setNode(catalog, "b", { weight: 40 });
  await cluster.pass(2 * INTERVAL_MS);
  assert.equal(weightOf("b"), 30);
});

test("whoever asks while a look is under way gets one that began after", async () => {
  await using cluster = await openCluster();
  const { catalog, live, weightOf } = await follow(cluster);
  const gate = Promise.withResolvers<void>();
  // When the nodes are listed, the topology's own record was read.
  cluster.kv.hooks.list = () => {
    cluster.kv.hooks = {};
    return gate.promise;
  };
  const first = live.refresh();
  await turns();
  await setNode(catalog, "a", { weight: 3 });
  const second = live.refresh();
  gate.resolve();
  await Promise.all([first, second]);
  assert.equal(weightOf("a"), 3);
});

test("a change is told with the topology before and after; nodes are opened anew also where it is the same", async () => {
  await using cluster = await openCluster();
  const { catalog } = await follow(cluster);
  const told: string[] = [];
  let opened = 0;
  const initial = (await loadTopology(cluster.kv)) ?? assert.fail();
  const live = new LiveTopology({
    initial,
    kv: cluster.kv,
    membership: cluster.membership,
    placementOf: (topology) => createPlacement(topology, quickHasher),
    handlesOf: async () => {
      opened++;
      return new Map([...cluster.handles.values()].map((handle) => [handle.uuid, handle]));
    },
    onChanged: (before, after) => void told.push(`${before?.topology.nodes.length} ${after.topology.nodes.length}`),
    clock: cluster.clock,
    logger: silentLogger,
    intervalMs: INTERVAL_MS,
  });
  await live.refresh();
  assert.deepEqual([told, opened], [[], 0]);
  await live.refresh(true);
  assert.deepEqual([told, opened], [[], 1]);
  const node = {
    name: "c",
    domain: "d0",
    weight: 1,
    acceptsWrites: true,
    physicalStorageId: "c",
    host: "c",
    diskType: "ssd",
  } as const;
  await addNode(catalog, { node, connection: () => Buffer.alloc(1) }, idSource(cluster.clock, seededRandom(9)));
  await live.refresh();
  assert.deepEqual([told, opened], [["2 3"], 2]);
  await live.refresh();
  assert.equal(opened, 2);
  await live[Symbol.asyncDispose]();
});
