/**
 * The gateway's heart in memory: the object service over real placement, replication and catalog code, a key-value
 * store and storage nodes in memory, time that the test moves, randomness from a seed. The store and the nodes outlive
 * `restart`, as disks outlive a process.
 */
import { type Catalog, endOtherSessions, openCatalog, walk } from "../../src/catalog/catalog.ts";
import { dyingRange, pendingDeletesRange, repairRange } from "../../src/catalog/keys.ts";
import { memoryKv } from "../../src/catalog/memory/memory-kv.ts";
import type { ConfiguredTopology } from "../../src/cluster/configured-topology.ts";
import { applyConfiguration } from "../../src/cluster/topology-store.ts";
import { MemoryStore, openMemoryNode } from "../../src/nodes/memory/memory-node.ts";
import type { StorageNode } from "../../src/nodes/storage-node.ts";
import type { ObjectService } from "../../src/objects/api.ts";
import { createPlacement } from "../../src/placement/placement.ts";
import type { ReplicationPolicy } from "../../src/placement/topology.ts";
import { carryOutPendingDeletes } from "../../src/replication/reclaim/pending-deletes.ts";
import type { WriteLimits } from "../../src/replication/write/blob-write-types.ts";
import { type Id, idSource } from "../../src/shared/ids.ts";
import { type Random, seededRandom } from "../../src/shared/random.ts";
import { configuredNode, domainOf, policyOf, quickHasher, standbyDomain } from "../unit/placement/topologies.ts";
import { ControlledNode } from "./controlled-node.ts";
import { type GatewayProcess, GRACE_MS, startProcess, type WriteOutcome } from "./gateway-process.ts";
import { HookedKv } from "./hooked-kv.ts";
import { ManualClock } from "./manual-clock.ts";
import { StaticMembers } from "./static-members.ts";

export { GRACE_MS };

const MIB = 2 ** 20;
const HOUR_MS = 3_600_000;

/** Small, so that short bodies are cut in segments and streamed. */
const SEGMENT_BYTES = MIB;
export const WRITE_LIMITS: WriteLimits = { bufferBytes: MIB / 2, lagTimeoutMs: 1_000, stragglerTimeoutMs: 60_000 };

/** Longer than any time limit of a call: what takes longer hangs. */
const CALL_MS_MAX = 300_000;
/** Longer than any wait of background work: the longest back-off and the grace time together. */
const BACKGROUND_WAIT_MS = 2 * HOUR_MS;
/** Rounds of background work after which something must be wrong: deleting a bucket takes four. */
const ROUNDS_MAX = 12;

export interface GatewayOptions {
  /** Active domains d0, d1, ...; two when absent. */
  readonly domains?: number;
  /** Nodes d0-0, d0-1, ... in each; one when absent. */
  readonly nodesPerDomain?: number;
  /** Nodes standby-0, ...; none when absent. */
  readonly standbyNodes?: number;
  /** Copies inside each domain. */
  readonly replicaCount?: number;
  /** Factor: the number of domains when absent. */
  readonly policy?: Partial<ReplicationPolicy>;
  readonly seed?: number;
  readonly segmentBytes?: number;
  readonly limits?: Partial<WriteLimits>;
  /** Of each node; no limit to speak of when absent. */
  readonly capacityBytes?: number;
}

export interface TestNode {
  readonly name: string;
  readonly domain: string;
  readonly uuid: Id;
  readonly store: MemoryStore;
  readonly control: ControlledNode;
}

export async function openInMemoryGateway(options: GatewayOptions = {}): Promise<InMemoryGateway> {
  const gateway = new InMemoryGateway(options);
  await gateway.restart();
  return gateway;
}

export class InMemoryGateway {
  readonly clock = new ManualClock();
  readonly random: Random;
  readonly kv = new HookedKv(memoryKv());
  /** By name. */
  readonly nodes = new Map<string, TestNode>();
  /** How often somebody asked for repair to run. */
  repairsWanted = 0;
  /** How each write of a blob ended. */
  readonly writes: WriteOutcome[] = [];
  readonly #options: GatewayOptions;
  readonly #damage = new Set<Promise<void>>();
  #process: GatewayProcess | undefined;
  #peers: GatewayProcess[] = [];

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.random = seededRandom(options.seed ?? 1);
  }

  get process(): GatewayProcess {
    if (this.#process === undefined) throw new Error("the gateway is not started");
    return this.#process;
  }

  get service(): ObjectService {
    return this.process.service;
  }

  get members(): StaticMembers {
    return this.process.members;
  }

  /** Starts a new process over the same store and nodes; the one before is taken for dead and its session ended. */
  async restart(): Promise<void> {
    const catalog = await this.#openCatalog();
    await endOtherSessions(catalog);
    const ids = idSource(this.clock, this.random);
    const { topology } = await applyConfiguration(catalog, configuredTopology(this.#options), ids);
    for (const { uuid, name, domain } of topology.nodes) {
      if (this.nodes.has(name)) continue;
      const store = new MemoryStore(this.#options.capacityBytes);
      const under = openMemoryNode({ name, clusterId: catalog.clusterId, store });
      this.nodes.set(name, { name, domain, uuid, store, control: new ControlledNode(under) });
    }
    const members = new StaticMembers({
      topology,
      placement: createPlacement(topology, quickHasher),
      nodes: new Map<Id, StorageNode>([...this.nodes.values()].map(({ uuid, control }) => [uuid, control])),
    });
    for (const { uuid, control } of this.nodes.values()) if (control.down) members.setState(uuid, "degraded");
    this.#process = await this.#start(catalog, members);
    this.#peers = [];
  }

  /**
   * A second process beside the first, with a session of its own, that sees the nodes as the first does. Nothing but
   * the catalog keeps the two from each other's way.
   */
  async peer(): Promise<GatewayProcess> {
    const peer = await this.#start(await this.#openCatalog(), this.members);
    this.#peers.push(peer);
    return peer;
  }

  node(name: string): TestNode {
    const node = this.nodes.get(name);
    if (node === undefined) throw new Error(`there is no node ${name}`);
    return node;
  }

  nodeOf(uuid: Id): TestNode {
    for (const node of this.nodes.values()) if (node.uuid === uuid) return node;
    throw new Error("there is no such node");
  }

  /** The node does not answer, and the gateway knows. */
  nodeDown(name: string): void {
    this.nodeFails(name);
    this.members.setState(this.node(name).uuid, "degraded");
  }

  /** The node has not answered for so long that it is called unreachable. */
  nodeLost(name: string): void {
    this.nodeFails(name);
    this.members.setState(this.node(name).uuid, "unreachable");
  }

  /** The node does not answer, and the gateway does not know yet. */
  nodeFails(name: string): void {
    this.node(name).control.down = true;
  }

  /** The node answers again, and the gateway knows. */
  nodeUp(name: string): void {
    const { control, uuid } = this.node(name);
    control.down = false;
    this.members.setState(uuid, "online");
  }

  /** Resolves when what runs by itself and needs no time has run: discards, stragglers, damage reports. */
  async settle(): Promise<void> {
    for (let i = 0; i < 3; i++) {
      await turns(10);
      for (const { discarder } of [this.process, ...this.#peers]) await discarder.idle();
      await Promise.all(this.#damage);
    }
  }

  /** Lets time pass in small steps until the promise is settled; fails when it takes CALL_MS_MAX. */
  async whileTimePasses<T>(promise: Promise<T>, stepMs = 50): Promise<T> {
    let settled = false;
    const end = (): void => {
      settled = true;
    };
    promise.then(end, end);
    for (let passedMs = 0; passedMs < CALL_MS_MAX; passedMs += stepMs) {
      await turns(3);
      if (settled) return promise;
      this.clock.advance(stepMs);
    }
    throw new Error(`nothing came of a call within ${CALL_MS_MAX} ms of the test's time`);
  }

  async repair(): Promise<void> {
    await this.whileTimePasses(this.process.repairer.run(new AbortController().signal));
    await this.settle();
  }

  async carryOutPendingDeletes(): Promise<void> {
    const { catalog, members } = this.process;
    await carryOutPendingDeletes({ catalog, members: () => members }, new AbortController().signal);
  }

  /** One run of the sweeper. */
  async sweep(): Promise<void> {
    await this.process.sweeper.run(new AbortController().signal);
    await this.settle();
  }

  /** A run of the sweeper now and one after the grace time: what is dying now is taken away. */
  async sweepPastGrace(): Promise<void> {
    await this.sweep();
    this.clock.advance(GRACE_MS + 1);
    await this.sweep();
  }

  async collectOrphans(): Promise<void> {
    await this.process.orphans.run(new AbortController().signal);
  }

  /** Background work, with all the time that it asks for, until the catalog no longer changes by it. */
  async quiesce(): Promise<void> {
    let before = "";
    for (let round = 0; round < ROUNDS_MAX; round++) {
      await this.settle();
      this.clock.advance(BACKGROUND_WAIT_MS);
      await this.repair();
      await this.carryOutPendingDeletes();
      await this.sweepPastGrace();
      const after = await this.#workLeft();
      if (after === before) return;
      before = after;
    }
    throw new Error("background work does not come to an end");
  }

  /** The keys of what background work has still to do, in one string. */
  async #workLeft(): Promise<string> {
    const pending = [...this.nodes.values()].map(({ uuid }) => pendingDeletesRange(uuid));
    let keys = "";
    for (const range of [repairRange(), dyingRange(), ...pending]) {
      for await (const entry of walk(this.kv, range)) keys += `${entry.key.toString("hex")} `;
    }
    return keys;
  }

  #openCatalog(): Promise<Catalog> {
    const { clock, random, kv } = this;
    return openCatalog(kv, { clock, ids: idSource(clock, random), host: "test", pid: 1 });
  }

  #start(catalog: Catalog, members: StaticMembers): Promise<GatewayProcess> {
    const { clock, random } = this;
    return startProcess({
      catalog,
      members,
      clock,
      random,
      limits: { ...WRITE_LIMITS, ...this.#options.limits },
      segmentBytes: this.#options.segmentBytes ?? SEGMENT_BYTES,
      wakeRepair: () => {
        this.repairsWanted++;
      },
      onDecided: (outcome) => void this.writes.push(outcome),
      onDamage: (reported) => {
        const recorded = reported.finally(() => this.#damage.delete(recorded));
        this.#damage.add(recorded);
      },
    });
  }
}

/** Lets everything run that only waits for its turn. */
export async function turns(count = 10): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

function configuredTopology(options: GatewayOptions): ConfiguredTopology {
  const { domains: domainCount = 2, nodesPerDomain = 1, standbyNodes = 0, replicaCount = 1, policy } = options;
  const active = Array.from({ length: domainCount }, (_, d) => domainOf(`d${d}`, { replicaCount }));
  const named = active.flatMap(({ name }) => nodeNames(name, nodesPerDomain));
  return {
    domains: [...active, standbyDomain],
    nodes: [...named, ...nodeNames("standby", standbyNodes)].map(configuredNode),
    virtualNodesPerNode: 16,
    replication: policyOf(policy?.factor ?? domainCount, policy),
  };
}

function nodeNames(domain: string, count: number): { name: string; domain: string }[] {
  return Array.from({ length: count }, (_, n) => ({ name: `${domain}-${n}`, domain }));
}
