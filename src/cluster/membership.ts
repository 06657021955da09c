/**
 * Keeps the state of every node: checked when the gateway starts, then at an interval, sooner while it is not online and
 * after its circuit breaker opened. Each node has a clock of its own; no check waits for another.
 */
import type { Catalog } from "../catalog/catalog.ts";
import { nodeKey } from "../catalog/keys.ts";
import type { StorageNode } from "../nodes/storage-node.ts";
import type { Logger } from "../observability/logger.ts";
import type { Placement } from "../placement/placement.ts";
import type { Topology, TopologyNode } from "../placement/topology.ts";
import type { Clock, Timer } from "../shared/clock.ts";
import type { Id } from "../shared/ids.ts";
import type { Member, Members, NodeState } from "./members.ts";
import { checkNode } from "./node-check.ts";
import { recordAdmission } from "./topology-store.ts";

/** How soon a node that is not online is checked again. */
const RETRY_MS = 2_000;
/** Longest time that one check may take. */
const CHECK_TIMEOUT_MS = 15_000;

/** A node with what its wrappers know of it. */
export interface NodeHandle {
  readonly node: StorageNode;
  /** False while its circuit breaker keeps traffic away. */
  available(): boolean;
  /** False while it answered lately that it is full. */
  hasRoom(): boolean;
  loadScore(): number;
  /** Called when its circuit breaker opens. */
  onUnavailable(listener: () => void): void;
}

/** What the catalog and the configuration say the cluster consists of. */
export interface ClusterShape {
  readonly topology: Topology;
  readonly placement: Placement;
  /** Handles of the nodes that are configured, by uuid. A node whose handle is another one is checked anew. */
  readonly handles: ReadonlyMap<Id, NodeHandle>;
  /** Nodes that passed admission before. */
  readonly admitted: ReadonlySet<Id>;
}

export interface MembershipDeps {
  readonly catalog: Catalog;
  readonly clusterKey: Uint8Array;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly intervalMs: number;
  readonly onStateChanged: (node: string, state: NodeState) => void;
}

export class Membership implements AsyncDisposable {
  readonly #deps: MembershipDeps;
  readonly #onlineListeners = new Set<(uuid: Id) => void>();
  #nodes: ReadonlyMap<Id, TrackedNode> = new Map();
  #members: Members;
  /** Nodes that left and whose last check has still to end. */
  readonly #leaving = new Set<Promise<void>>();

  constructor(deps: MembershipDeps, shape: ClusterShape) {
    this.#deps = deps;
    this.#nodes = this.#track(shape);
    this.#members = new View(shape, this.#nodes, this.#onlineListeners);
  }

  /** The members as they are now. */
  get members(): Members {
    return this.#members;
  }

  /** Checks every node once and goes on checking. Resolves when each was checked, or after `waitMs` at the latest. */
  async start(waitMs: number): Promise<void> {
    const checks = [...this.#nodes.values()].map((node) => node.start());
    const patience = Promise.withResolvers<void>();
    const timer = this.#deps.clock.startTimer(waitMs, patience.resolve);
    await Promise.race([Promise.all(checks), patience.promise]);
    timer.stop();
  }

  /** The cluster has changed. Nodes that stay keep their state; new ones are checked at once, and none is waited for. */
  update(shape: ClusterShape): void {
    const before = this.#nodes;
    this.#nodes = this.#track(shape);
    this.#members = new View(shape, this.#nodes, this.#onlineListeners);
    for (const [uuid, node] of before) {
      if (this.#nodes.get(uuid) === node) continue;
      const stopped = node.stop().finally(() => this.#leaving.delete(stopped));
      this.#leaving.add(stopped);
    }
    for (const [uuid, node] of this.#nodes) if (before.get(uuid) !== node) void node.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...[...this.#nodes.values()].map((node) => node.stop()), ...this.#leaving]);
  }

  #track({ topology, handles, admitted }: ClusterShape): Map<Id, TrackedNode> {
    const nodes = new Map<Id, TrackedNode>();
    for (const spec of topology.nodes) {
      const handle = handles.get(spec.uuid);
      if (handle === undefined) continue;
      const before = this.#nodes.get(spec.uuid);
      if (before?.handle === handle) {
        before.respecify(spec);
        nodes.set(spec.uuid, before);
        continue;
      }
      const announceOnline = (): void => {
        for (const listener of this.#onlineListeners) listener(spec.uuid);
      };
      const node = { spec, handle, admitted: admitted.has(spec.uuid), announceOnline };
      nodes.set(spec.uuid, new TrackedNode(this.#deps, node));
    }
    return nodes;
  }
}

/** The members under one topology. The state of a node is that of the moment, whatever the topology. */
class View implements Members {
  readonly topology: Topology;
  readonly placement: Placement;
  readonly #nodes: ReadonlyMap<Id, TrackedNode>;
  readonly #onlineListeners: Set<(uuid: Id) => void>;

  constructor(
    { topology, placement }: ClusterShape,
    nodes: ReadonlyMap<Id, TrackedNode>,
    onlineListeners: Set<(uuid: Id) => void>,
  ) {
    this.topology = topology;
    this.placement = placement;
    this.#nodes = nodes;
    this.#onlineListeners = onlineListeners;
  }

  get(uuid: Id): Member | undefined {
    return this.#nodes.get(uuid);
  }

  all(): readonly Member[] {
    return [...this.#nodes.values()];
  }

  acceptsWrites(uuid: Id): boolean {
    const node = this.#nodes.get(uuid);
    return node !== undefined && node.spec.acceptsWrites && node.usable && node.handle.hasRoom();
  }

  servesReads(uuid: Id): boolean {
    return this.#nodes.get(uuid)?.usable === true;
  }

  onOnline(listener: (uuid: Id) => void): () => void {
    this.#onlineListeners.add(listener);
    return () => {
      this.#onlineListeners.delete(listener);
    };
  }
}

class TrackedNode implements Member {
  readonly handle: NodeHandle;
  readonly #deps: MembershipDeps;
  readonly #announceOnline: () => void;
  readonly #stopped = new AbortController();
  #spec: TopologyNode;
  #state: NodeState = "joining";
  #reason: string | undefined;
  #sinceMs: number;
  #admitted: boolean;
  /** Whether it was announced as online and has been usable ever since. */
  #announced = false;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;

  constructor(
    deps: MembershipDeps,
    node: {
      readonly spec: TopologyNode;
      readonly handle: NodeHandle;
      readonly admitted: boolean;
      readonly announceOnline: () => void;
    },
  ) {
    const { spec, handle, admitted, announceOnline } = node;
    this.#deps = deps;
    this.#spec = spec;
    this.handle = handle;
    this.#announceOnline = announceOnline;
    this.#sinceMs = deps.clock.nowMs();
    this.#admitted = admitted;
    handle.onUnavailable(() => {
      this.#announced = false;
      this.#checkSoon();
    });
  }

  get spec(): TopologyNode {
    return this.#spec;
  }

  /** The topology says something else of it now, unless that was read before it was admitted. */
  respecify(spec: TopologyNode): void {
    if (spec.writeGeneration >= this.#spec.writeGeneration) this.#spec = spec;
  }

  get node(): StorageNode {
    return this.handle.node;
  }

  get state(): NodeState {
    return this.#state === "online" && !this.handle.available() ? "offline" : this.#state;
  }

  get reason(): string | undefined {
    if (this.#state === "online" && !this.handle.available()) return "its circuit breaker is open";
    return this.#reason;
  }

  get sinceMs(): number {
    return this.#sinceMs;
  }

  get usable(): boolean {
    return this.#state === "online" && this.handle.available();
  }

  loadScore(): number {
    return this.handle.loadScore();
  }

  start(): Promise<void> {
    this.#running ??= this.#check().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#timer?.stop();
    await this.#running;
  }

  #checkSoon(): void {
    if (this.#stopped.signal.aborted || this.#running !== undefined) return;
    this.#timer?.stop();
    this.#timer = this.#deps.clock.startTimer(RETRY_MS, () => void this.start());
  }

  async #check(): Promise<void> {
    const { catalog, clusterKey, clock, logger, intervalMs } = this.#deps;
    const { uuid, name } = this.#spec;
    const isKnown = async (other: Id): Promise<boolean> => (await catalog.kv.get(nodeKey(other))) !== undefined;
    this.#timer?.stop();
    const timeout = new AbortController();
    const timer = clock.startTimer(CHECK_TIMEOUT_MS, () => timeout.abort());
    try {
      const result = await checkNode(
        this.node,
        { clusterId: catalog.clusterId, nodeUuid: uuid },
        {
          clusterKey,
          admitted: this.#admitted,
          isKnown,
          signal: AbortSignal.any([timeout.signal, this.#stopped.signal]),
        },
      );
      if (this.#stopped.signal.aborted) return;
      if (result.admittedNow === true) {
        const writeGeneration = await recordAdmission(catalog, uuid);
        if (writeGeneration === undefined) return;
        this.#admitted = true;
        this.#spec = { ...this.#spec, writeGeneration };
        logger.info({ node: name }, "node admitted");
      }
      // What the node's driver says then is only that its caller gave up.
      const late = result.state === "offline" && timeout.signal.aborted;
      this.#enter(result.state, late ? "it did not answer its check in time" : result.reason);
    } catch (error) {
      logger.error({ err: error, node: name }, "a node check failed in an unexpected way");
      this.#enter("offline", "its check failed in an unexpected way");
    } finally {
      timer.stop();
      if (!this.#stopped.signal.aborted) {
        const delayMs = this.usable ? intervalMs : Math.min(RETRY_MS, intervalMs);
        this.#timer = clock.startTimer(delayMs, () => void this.start());
      }
    }
  }

  #enter(state: NodeState, reason: string | undefined): void {
    const before = this.#state;
    this.#reason = reason;
    if (state !== before) {
      this.#state = state;
      this.#sinceMs = this.#deps.clock.nowMs();
      this.#deps.onStateChanged(this.#spec.name, state);
      const facts = { node: this.#spec.name, domain: this.#spec.domain, state, before, reason };
      if (state === "online") this.#deps.logger.info(facts, "node is online");
      else this.#deps.logger.warn(facts, "node is not online");
    }
    const comesOnline = this.usable && !this.#announced;
    this.#announced = this.usable;
    if (comesOnline) this.#announceOnline();
  }
}
