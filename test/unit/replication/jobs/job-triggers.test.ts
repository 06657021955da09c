/** Jobs that begin by themselves: what is queued, by whom, and that none is lost and none is queued for nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Catalog } from "../../../../src/catalog/catalog.ts";
import type { NewEvent } from "../../../../src/cluster/events/event.ts";
import type { NodeState } from "../../../../src/cluster/members.ts";
import type { Capacity } from "../../../../src/nodes/storage-node.ts";
import { silentLogger } from "../../../../src/observability/logger.ts";
import type { TopologyNode } from "../../../../src/placement/topology.ts";
import { JobError, JobStore } from "../../../../src/replication/jobs/job-store.ts";
import { JobTriggers, type JobTriggersDeps } from "../../../../src/replication/jobs/triggers/job-triggers.ts";
import { idSource } from "../../../../src/shared/ids.ts";
import { patternBytes } from "../../../support/blobs.ts";
import type { InMemoryGateway } from "../../../support/in-memory-gateway.ts";
import { openBox } from "../../../support/open-box.ts";
import { changeSlot } from "../../../support/slots.ts";

const NEVER = new AbortController().signal;
const BYTES = Buffer.from(patternBytes(500, 5));

/** Triggers over the nodes of a gateway, of which a test says what they are. */
class World {
  readonly gateway: InMemoryGateway;
  nodes: TopologyNode[];
  readonly states = new Map<string, NodeState>();
  readonly events: NewEvent[] = [];
  capacity: Capacity | undefined;
  rebalances = true;
  queued = 0;

  constructor(gateway: InMemoryGateway) {
    this.gateway = gateway;
    this.nodes = [...gateway.members.topology.nodes];
  }

  set(name: string, change: Partial<TopologyNode>): void {
    this.nodes = this.nodes.map((node) => (node.name === name ? { ...node, ...change } : node));
  }

  without(name: string): TopologyNode {
    const node = this.nodes.find((each) => each.name === name) ?? assert.fail(`no node ${name}`);
    this.nodes = this.nodes.filter((each) => each !== node);
    return node;
  }

  store(catalog: Catalog = this.gateway.process.catalog): JobStore {
    const { clock, random } = this.gateway;
    return new JobStore({ catalog, clock, ids: idSource(clock, random) });
  }

  /** One look, of a process that knows nothing but what is in the catalog. */
  async look(deps: Partial<JobTriggersDeps> = {}): Promise<void> {
    const { gateway } = this;
    const catalog = gateway.process.catalog;
    const stateOf = (uuid: string): NodeState => this.states.get(gateway.nodeOf(uuid).name) ?? "online";
    const view = {
      topology: { ...gateway.members.topology, nodes: this.nodes },
      get: (uuid: string) => {
        const member = gateway.members.get(uuid);
        return member && { ...member, state: stateOf(uuid) };
      },
      isLost: (uuid: string) => stateOf(uuid) === "unreachable",
    };
    await new JobTriggers({
      catalog,
      store: this.store(),
      members: () => view,
      capacityOf: () => this.capacity,
      rebalances: () => this.rebalances,
      recordEvent: (event) => void this.events.push(event),
      onQueued: () => {
        this.queued += 1;
      },
      logger: silentLogger,
      ...deps,
    }).run(NEVER);
  }

  async jobs(): Promise<string[]> {
    return (await this.store().list()).map(({ job: { kind, subject, state, askedBy } }) => {
      assert.equal(askedBy, "bulkhead");
      return `${kind} ${subject.name} ${state}`;
    });
  }
}

async function openWorld({ objects = 6 } = {}): Promise<World> {
  const { gateway, client } = await openBox({ domains: 2, nodesPerDomain: 2, standbyNodes: 1 });
  for (let at = 0; at < objects; at++) await client.put(`box/k${at}`, BYTES);
  return new World(gateway);
}

test("the first look finds nothing to do: what is there was always so", async () => {
  const world = await openWorld();
  await world.look();
  await world.look();
  assert.deepEqual(await world.jobs(), []);
});

test("a node that was added while nobody led gets its share from the next leader, once", async () => {
  const world = await openWorld();
  const added = world.without("d0-1");
  await world.look();
  world.nodes = [...world.nodes, added];
  await world.look();
  await world.look();
  assert.deepEqual(await world.jobs(), ["REBALANCE_TO_NEW d0-1 queued"]);
  assert.equal(world.queued, 1);
});

test("nothing is queued for a node beside which no other one of its domain holds a copy", async () => {
  const world = await openWorld({ objects: 0 });
  const added = world.without("d0-1");
  await world.look();
  world.nodes = [...world.nodes, added];
  await world.look();
  assert.deepEqual(await world.jobs(), []);
});

test("nothing is moved by itself where that is not wanted, nor made up for when it is", async () => {
  const world = await openWorld();
  await world.look();
  world.rebalances = false;
  world.set("d0-0", { weight: 200 });
  await world.look();
  world.rebalances = true;
  await world.look();
  assert.deepEqual(await world.jobs(), []);
});

test("promotion, a node that is lost for good and one that is back each have their job", async () => {
  const world = await openWorld();
  await world.look();
  world.set("standby-0", { domain: "d1" });
  world.set("d1-0", { decommissionedAtMs: 1 });
  world.states.set("d1-0", "decommissioned");
  world.states.set("d0-0", "unreachable");
  for (let at = 0; at < 6; at++) {
    await changeSlot(world.gateway, `k${at}`, 0, (slot) => ({ ...slot, state: "unverified" }));
  }
  await world.look();
  assert.deepEqual((await world.jobs()).toSorted(), [
    "COPY_TO_PROMOTED standby-0 queued",
    "MIGRATE_FROM_FAILED d1-0 queued",
  ]);
  world.states.set("d0-0", "online");
  // What was put on record is known, though repair has checked some of it by now.
  await world.gateway.repair();
  await world.look();
  await world.look();
  assert.deepEqual((await world.jobs()).toSorted(), [
    "COPY_TO_PROMOTED standby-0 queued",
    "MIGRATE_FROM_FAILED d1-0 queued",
    "RESYNC d0-0 queued",
  ]);
});

test("a look that ends before a node is on record queues the job again, which joins the one that waits", async () => {
  const world = await openWorld();
  await world.look();
  world.set("d0-0", { weight: 200 });
  const { catalog } = world.gateway.process;
  const broken = { ...catalog, commit: () => Promise.reject(new Error("the process ended")) };
  await assert.rejects(world.look({ catalog: broken }), /the process ended/);
  assert.deepEqual(await world.jobs(), ["REBALANCE_TO_NEW d0-0 queued"]);
  await world.look();
  await world.look();
  assert.deepEqual(await world.jobs(), ["REBALANCE_TO_NEW d0-0 queued"]);
});

test("a job for which there is no room is queued when there is", async () => {
  const world = await openWorld();
  await world.look();
  world.set("d0-0", { weight: 200 });
  const full = { submit: () => Promise.reject(new JobError("refused", "too many jobs wait already")) };
  await world.look({ store: full });
  assert.deepEqual(await world.jobs(), []);
  await world.look();
  assert.deepEqual(await world.jobs(), ["REBALANCE_TO_NEW d0-0 queued"]);
});

test("a capacity that changed while the gateway was down is told once, and a larger disk gets more", async () => {
  const world = await openWorld();
  world.nodes = world.nodes.filter(({ name }) => name !== "d1-1" && name !== "d1-0" && name !== "standby-0");
  world.capacity = { totalBytes: 1_000, usedBytes: 100, freeBytes: 900 };
  await world.look();
  world.capacity = { totalBytes: 2_000, usedBytes: 100, freeBytes: 1_900 };
  await world.look();
  await world.look();
  assert.deepEqual(
    world.events.map(({ kind, node }) => `${kind} ${node}`),
    ["NODE_CAPACITY_CHANGED d0-0", "NODE_CAPACITY_CHANGED d0-1"],
  );
  assert.deepEqual((await world.jobs()).toSorted(), ["REBALANCE_TO_NEW d0-0 queued", "REBALANCE_TO_NEW d0-1 queued"]);
});

test("a node that left is forgotten: by its name and uuid it is a new one when it comes again", async () => {
  const world = await openWorld();
  await world.look();
  const left = world.without("d0-1");
  await world.look();
  world.nodes = [...world.nodes, left];
  await world.look();
  assert.deepEqual(await world.jobs(), ["REBALANCE_TO_NEW d0-1 queued"]);
});
