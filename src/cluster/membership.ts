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

export interface MembershipDeps {
  readonly catalog: Catalog;
  readonly topology: Topology;
  readonly placement: Placement;
  /** Handles of the nodes that are configured, by uuid. */
  readonly handles: ReadonlyMap<Id, NodeHandle>;
  /** Nodes that passed admission before. */
  readonly admitted: ReadonlySet<Id>;
  readonly clusterKey: Uint8Array;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly intervalMs: number;
  readonly onStateChanged: (node: string, state: NodeState) => void;
}

export class Membership implements Members, AsyncDisposable {
  readonly topology: Topology;
  readonly placement: Placement;
  readonly #deps: MembershipDeps;
  readonly #members = new Map<Id, TrackedNode>();
  readonly #onlineListeners = new Set<(uuid: Id) => void>();

  constructor(deps: MembershipDeps) {
    this.#deps = deps;
    this.topology = deps.topology;
    this.placement = deps.placement;
    for (const spec of deps.topology.nodes) {
      const handle = deps.handles.get(spec.uuid);
      if (handle === undefined) continue;
      const tracked = new TrackedNode(deps, spec, handle, () => this.#announceOnline(spec.uuid));
      this.#members.set(spec.uuid, tracked);
    }
  }

  /** Checks every node once and goes on checking. Resolves when each was checked, or after `waitMs` at the latest. */
  async start(waitMs: number): Promise<void> {
    const checks = [...this.#members.values()].map((member) => member.start());
    const patience = Promise.withResolvers<void>();
    const timer = this.#deps.clock.startTimer(waitMs, patience.resolve);
    await Promise.race([Promise.all(checks), patience.promise]);
    timer.stop();
  }

  get(uuid: Id): Member | undefined {
    return this.#members.get(uuid);
  }

  all(): readonly Member[] {
    return [...this.#members.values()];
  }

  acceptsWrites(uuid: Id): boolean {
    const member = this.#members.get(uuid);
    return member !== undefined && member.spec.acceptsWrites && member.usable && member.handle.hasRoom();
  }

  servesReads(uuid: Id): boolean {
    return this.#members.get(uuid)?.usable === true;
  }

  onOnline(listener: (uuid: Id) => void): () => void {
    this.#onlineListeners.add(listener);
    return () => {
      this.#onlineListeners.delete(listener);
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#members.values()].map((member) => member.stop()));
  }

  #announceOnline(uuid: Id): void {
    for (const listener of this.#onlineListeners) listener(uuid);
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

  constructor(deps: MembershipDeps, spec: TopologyNode, handle: NodeHandle, announceOnline: () => void) {
    this.#deps = deps;
    this.#spec = spec;
    this.handle = handle;
    this.#announceOnline = announceOnline;
    this.#sinceMs = deps.clock.nowMs();
    this.#admitted = deps.admitted.has(spec.uuid);
    handle.onUnavailable(() => {
      this.#announced = false;
      this.#checkSoon();
    });
  }

  get spec(): TopologyNode {
    return this.#spec;
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
