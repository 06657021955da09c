/** A membership of two nodes in memory, whose every part a test can turn. */
import assert from "node:assert/strict";
import { openCatalog } from "../../../src/catalog/catalog.ts";
import { memoryKv } from "../../../src/catalog/memory/memory-kv.ts";
import type { NewEvent } from "../../../src/cluster/events/event.ts";
import type { Members } from "../../../src/cluster/members.ts";
import { type ClusterShape, Membership, type NodeHandle } from "../../../src/cluster/membership.ts";
import { applyConfiguration, type StoredTopology } from "../../../src/cluster/topology-store.ts";
import { MemoryStore, openMemoryNode } from "../../../src/nodes/memory/memory-node.ts";
import type { NodeFigures } from "../../../src/nodes/node-figures.ts";
import type { ProbeFinding } from "../../../src/nodes/storage-node.ts";
import type { NodeSigns } from "../../../src/nodes/wrappers/live-signs.ts";
import { type LogFields, type Logger, silentLogger } from "../../../src/observability/logger.ts";
import { createPlacement } from "../../../src/placement/placement.ts";
import { type Id, idSource } from "../../../src/shared/ids.ts";
import { seededRandom } from "../../../src/shared/random.ts";
import { ControlledNode } from "../../support/controlled-node.ts";
import { HookedKv } from "../../support/hooked-kv.ts";
import { turns } from "../../support/in-memory-gateway.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { domainOf, policyOf, quickHasher } from "../placement/topologies.ts";

export const INTERVAL_MS = 30_000;
/** How soon a node that is not online is looked at again. */
export const RETRY_MS = 2_000;
export const CLUSTER_KEY = Buffer.alloc(32, 3);

/** A node with the knobs that its wrappers turn. */
export class TestHandle implements NodeHandle {
  readonly uuid: Id;
  readonly store = new MemoryStore();
  readonly node: ControlledNode;
  breakerOpen = false;
  room = true;
  figures: NodeFigures = {};
  latencyMs: number | undefined;
  lastSuccessMs: number | undefined;
  /** Looks at the node so far. */
  probes = 0;
  readonly #listeners: (() => void)[] = [];

  constructor(uuid: Id, name: string, clusterId: Id) {
    this.uuid = uuid;
    this.node = new ControlledNode(openMemoryNode({ name, clusterId, store: this.store }));
    this.find();
  }

  /** What the node's probes find from now on; all is well when nothing is given. */
  find(...findings: ProbeFinding[]): void {
    this.node.hooks.probe = async (depth) => {
      if (depth === "reach") this.probes++;
      return [{ check: "reach", passed: true }, ...findings];
    };
  }

  openBreaker(): void {
    this.breakerOpen = true;
    for (const listener of this.#listeners) listener();
  }

  available(): boolean {
    return !this.breakerOpen;
  }

  hasRoom(): boolean {
    return this.room;
  }

  signs(): NodeSigns {
    return { lastSuccessMs: this.lastSuccessMs, latencyMs: this.latencyMs, calls: 0 };
  }

  toldFigures(): NodeFigures {
    return this.figures;
  }

  loadScore(): number {
    return 0.25;
  }

  onUnavailable(listener: () => void): void {
    this.#listeners.push(listener);
  }
}

/** Two nodes, `a` and `b`, and what membership says of them. */
export class Cluster implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly kv = new HookedKv(memoryKv());
  readonly handles = new Map<string, TestHandle>();
  /** `name state`, in the order in which membership told. */
  readonly changes: string[] = [];
  /** Names of the nodes that were announced as online. */
  readonly announced: string[] = [];
  readonly errors: LogFields[] = [];
  readonly events: NewEvent[] = [];
  /** Names of the nodes whose scrub was asked for. */
  readonly scrubbed: string[] = [];
  clusterId: Id = "";
  #membership: Membership | undefined;

  get membership(): Membership {
    return this.#membership ?? assert.fail("membership was not started");
  }

  get members(): Members {
    return this.membership.members;
  }

  /** With the handles that there are now. */
  shapeOf({ topology, records }: StoredTopology): ClusterShape {
    return {
      topology,
      placement: createPlacement(topology, quickHasher),
      handles: new Map([...this.handles.values()].map((handle) => [handle.uuid, handle])),
      admitted: new Set([...records.values()].flatMap(({ uuid, admitted }) => (admitted ? [uuid] : []))),
    };
  }

  handle(name: string): TestHandle {
    return this.handles.get(name) ?? assert.fail(`there is no node ${name}`);
  }

  state(name: string): string | undefined {
    return this.members.get(this.handle(name).uuid)?.state;
  }

  conditions(name: string): readonly string[] | undefined {
    return this.members.get(this.handle(name).uuid)?.conditions;
  }

  reason(name: string): string | undefined {
    return this.members.get(this.handle(name).uuid)?.reason;
  }

  eventsOf(name: string): string[] {
    return this.events.flatMap(({ node, kind }) => (node === name ? [kind] : []));
  }

  accepts(name: string): { reads: boolean; writes: boolean } {
    const { uuid } = this.handle(name);
    return { reads: this.members.servesReads(uuid), writes: this.members.acceptsWrites(uuid) };
  }

  /** A process starts on what the one before left. `prepare` runs before the first check. */
  async start(prepare: () => void = () => {}): Promise<void> {
    await this.#membership?.[Symbol.asyncDispose]();
    const { clock, kv } = this;
    const ids = idSource(clock, seededRandom(clock.nowMs() % 1_000));
    const catalog = await openCatalog(kv, { clock, ids, host: "test", pid: 1 });
    this.clusterId = catalog.clusterId;
    const nodes = ["a", "b"].map((name) => ({
      name,
      domain: name === "a" ? "d0" : "d1",
      weight: 100,
      acceptsWrites: true,
      physicalStorageId: name,
      host: name,
      diskType: "unknown" as const,
    }));
    const wanted = {
      domains: [domainOf("d0"), domainOf("d1")],
      nodes,
      virtualNodesPerNode: 8,
      replication: policyOf(2),
    };
    const { topology, records } = await applyConfiguration(catalog, wanted, ids);
    for (const { uuid, name } of topology.nodes) {
      if (!this.handles.has(name)) this.handles.set(name, new TestHandle(uuid, name, catalog.clusterId));
    }
    prepare();
    const logger: Logger = { ...silentLogger, error: (fields) => void this.errors.push(fields) };
    const membership = new Membership(
      {
        catalog,
        clusterKey: CLUSTER_KEY,
        clock,
        logger,
        intervalMs: INTERVAL_MS,
        onStateChanged: (node, state) => void this.changes.push(`${node} ${state}`),
        recordEvent: (event) => void this.events.push(event),
        onCorrupt: (uuid) => void this.scrubbed.push(this.members.get(uuid)?.spec.name ?? ""),
      },
      this.shapeOf({ topology, records }),
    );
    this.#membership = membership;
    membership.members.onOnline((uuid) => void this.announced.push(this.members.get(uuid)?.spec.name ?? ""));
    const started = membership.start(1_000);
    await turns();
    clock.advance(1_000);
    await started;
  }

  /** Lets time pass, and what it brings about happen. */
  async pass(ms: number, stepMs = 500): Promise<void> {
    for (let passed = 0; passed < ms; passed += stepMs) {
      this.clock.advance(Math.min(stepMs, ms - passed));
      await turns(3);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#membership?.[Symbol.asyncDispose]();
  }
}

export async function openCluster(prepare?: (cluster: Cluster) => void): Promise<Cluster> {
  const cluster = new Cluster();
  await cluster.start(() => prepare?.(cluster));
  return cluster;
}
