/** Breaker and membership together: how long a node that went away stays unused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openCatalog } from "../../../../src/catalog/catalog.ts";
import { memoryKv } from "../../../../src/catalog/memory/memory-kv.ts";
import { Membership } from "../../../../src/cluster/membership.ts";
import { applyConfiguration } from "../../../../src/cluster/topology-store.ts";
import { openMemoryNode } from "../../../../src/nodes/memory/memory-node.ts";
import { NodeError, type StorageNode } from "../../../../src/nodes/storage-node.ts";
import { type WrappedNode, wrapNode } from "../../../../src/nodes/wrap.ts";
import { nodeLimits } from "../../../../src/nodes/wrappers/limits.ts";
import { silentLogger } from "../../../../src/observability/logger.ts";
import { createHasher } from "../../../../src/placement/hasher.ts";
import { createPlacement } from "../../../../src/placement/placement.ts";
import { type Id, idSource } from "../../../../src/shared/ids.ts";
import { seededRandom } from "../../../../src/shared/random.ts";
import { ControlledNode } from "../../../support/controlled-node.ts";
import { ManualClock } from "../../../support/manual-clock.ts";
import { domainOf, policyOf } from "../../placement/topologies.ts";
import { KEY, turns, watch } from "../wrappers/stub-node.ts";

/** A node that came back is used again within this. */
const RETURN_MS_MAX = 4_000;
const STEP_MS = 100;

interface Cluster extends AsyncDisposable {
  readonly clock: ManualClock;
  readonly driver: ControlledNode;
  readonly wrapped: WrappedNode;
  /** How often the node was announced as online. */
  readonly announced: () => number;
  readonly usable: () => boolean;
  /** Lets so much time pass, and what it brings about happen. */
  readonly pass: (ms: number) => Promise<void>;
  /** Calls the node until its breaker opens. */
  readonly callUntilOpen: () => Promise<void>;
}

async function openCluster(): Promise<Cluster> {
  const clock = new ManualClock();
  const random = seededRandom(1);
  const ids = idSource(clock, random);
  const catalog = await openCatalog(memoryKv(), { clock, ids, host: "test", pid: 1 });
  const { topology } = await applyConfiguration(
    catalog,
    {
      domains: [domainOf("d1")],
      nodes: [
        {
          name: "n1",
          domain: "d1",
          weight: 100,
          acceptsWrites: true,
          physicalStorageId: "n1",
          host: "h1",
          diskType: "unknown",
        },
      ],
      virtualNodesPerNode: 8,
      replication: policyOf(1),
    },
    ids,
  );
  const [spec] = topology.nodes;
  assert.ok(spec);
  const uuid: Id = spec.uuid;
  const driver = new ControlledNode(openMemoryNode({ name: "n1", clusterId: catalog.clusterId }));
  const wrapped = wrapNode(driver, {
    clock,
    random,
    limits: nodeLimits({ writeStallMs: 10_000, readStallMs: 10_000, inflightMax: 60 }),
    observer: { started() {}, finished() {} },
    capacityCacheMs: 60_000,
  });
  const handle = { ...wrapped, loadScore: () => 0, onUnavailable: (tell: () => void) => wrapped.onUnavailable(tell) };
  const membership = new Membership(
    {
      catalog,
      clusterKey: new Uint8Array(32),
      clock,
      logger: silentLogger,
      onStateChanged: () => {},
      intervalMs: 30_000,
    },
    {
      topology,
      placement: createPlacement(topology, await createHasher()),
      handles: new Map([[uuid, handle]]),
      admitted: new Set(),
    },
  );
  const { members } = membership;
  let announced = 0;
  members.onOnline(() => {
    announced += 1;
  });
  await membership.start(1_000);
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += STEP_MS) {
      clock.advance(STEP_MS);
      await turns(2);
    }
  };
  return {
    clock,
    driver,
    wrapped,
    announced: () => announced,
    usable: () => members.servesReads(uuid) && members.acceptsWrites(uuid),
    pass,
    async callUntilOpen() {
      while (wrapped.available()) {
        const head = watch(wrapped.node.head(KEY));
        while (head.outcome === "pending") await pass(STEP_MS);
        assert.notEqual(head.outcome, "ok");
      }
    },
    [Symbol.asyncDispose]: () => membership[Symbol.asyncDispose](),
  };
}

/** Lets time pass until the node is used, and returns how much that was. */
async function timeUntilUsable({ pass, usable }: Cluster): Promise<number> {
  let passed = 0;
  for (; !usable() && passed < 120_000; passed += STEP_MS) await pass(STEP_MS);
  return passed;
}

for (const outageMs of [0, 1_500, 10_000, 600_000]) {
  test(`a node that is down for ${outageMs} ms is left at once and used again within seconds of its return`, async () => {
    await using cluster = await openCluster();
    assert.equal(cluster.usable(), true);
    cluster.driver.down = true;
    await cluster.callUntilOpen();
    assert.equal(cluster.usable(), false);
    await cluster.pass(outageMs);
    assert.equal(cluster.usable(), false);
    cluster.driver.down = false;
    assert.ok((await timeUntilUsable(cluster)) <= RETURN_MS_MAX);
    await cluster.wrapped.node.head(KEY);
    // Repair is told, since the node may have missed writes.
    assert.equal(cluster.announced(), 2);
  });
}

test("a node that answers health checks but fails its calls is tried ever more seldom, and trusted again after a while", async () => {
  await using cluster = await openCluster();
  const broken: StorageNode["head"] = () => Promise.reject(new NodeError("io", "the disk is bad"));
  const heads = cluster.driver.head;
  cluster.driver.head = broken;
  await cluster.callUntilOpen();
  const waits: number[] = [];
  for (let i = 0; i < 7; i++) {
    waits.push(await timeUntilUsable(cluster));
    await cluster.callUntilOpen();
  }
  assert.deepEqual(
    waits,
    waits.toSorted((a, b) => a - b),
  );
  assert.ok((waits.at(-1) ?? 0) >= 28_000 && (waits.at(-1) ?? 0) <= 34_000, waits.join(" "));

  cluster.driver.head = heads;
  await timeUntilUsable(cluster);
  for (let i = 0; i < 5; i++) await cluster.wrapped.node.head(KEY);
  cluster.driver.head = broken;
  await cluster.callUntilOpen();
  cluster.driver.head = heads;
  assert.ok((await timeUntilUsable(cluster)) <= RETURN_MS_MAX);
});

test("a node whose calls fail for a moment is back without having been seen offline by its checks", async () => {
  await using cluster = await openCluster();
  const heads = cluster.driver.head;
  cluster.driver.head = () => Promise.reject(new NodeError("busy", "too many requests"));
  await cluster.callUntilOpen();
  cluster.driver.head = heads;
  assert.ok((await timeUntilUsable(cluster)) <= RETURN_MS_MAX);
});
