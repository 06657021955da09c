/**
 * Keeps the state of every node: checked when the gateway starts, then at an interval, sooner while it is not online and
 * after its circuit breaker opened. Each node has a clock of its own; no check waits for another.
 */
import type { Placement } from "../placement/placement.ts";
import type { Topology } from "../placement/topology.ts";
import type { Id } from "../shared/ids.ts";
import { EFFECTS } from "./health/transitions.ts";
import type { Member, Members, ReadPreference } from "./members.ts";
import type { NodeHandle } from "./node-handle.ts";
import { TrackedNode, type WatchDeps } from "./tracked-node.ts";

export type { NodeHandle } from "./node-handle.ts";

/** What the catalog and the configuration say the cluster consists of. */
export interface ClusterShape {
  readonly topology: Topology;
  readonly placement: Placement;
  /** Handles of the nodes that are configured, by uuid. A node whose handle is another one is checked anew. */
  readonly handles: ReadonlyMap<Id, NodeHandle>;
  /** Nodes that passed admission before. */
  readonly admitted: ReadonlySet<Id>;
}

export type MembershipDeps = WatchDeps;

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

  /** A block on a node was found bad. */
  badBlockFound(uuid: Id): void {
    this.#nodes.get(uuid)?.badBlockFound();
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
      const peersMs = (): number[] => this.#latenciesBeside(spec.uuid);
      const node = { spec, handle, admitted: admitted.has(spec.uuid), announceOnline, peersMs };
      const tracked = new TrackedNode(this.#deps, node);
      // The same node, reached in another way: it is what it was until its check says otherwise.
      if (before !== undefined) tracked.inherit(before);
      nodes.set(spec.uuid, tracked);
    }
    return nodes;
  }

  #latenciesBeside(uuid: Id): number[] {
    return [...this.#nodes].flatMap(([other, node]) => (other === uuid ? [] : (node.latencyMs() ?? [])));
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
    if (node === undefined || !takesCopies(node)) return false;
    return !node.conditions.includes("slow") || !this.#hasBetter(node);
  }

  /** Whether another node of its domain takes copies and is not slow. */
  #hasBetter(slow: TrackedNode): boolean {
    return [...this.#nodes.values()].some(
      (node) => node.spec.domain === slow.spec.domain && takesCopies(node) && !node.conditions.includes("slow"),
    );
  }

  servesReads(uuid: Id): boolean {
    const node = this.#nodes.get(uuid);
    return node !== undefined && EFFECTS[node.state].reads !== "never" && node.usable;
  }

  isLost(uuid: Id): boolean {
    const node = this.#nodes.get(uuid);
    return node === undefined || EFFECTS[node.state].lost;
  }

  preference(uuid: Id): ReadPreference {
    const node = this.#nodes.get(uuid);
    const usual = node !== undefined && EFFECTS[node.state].reads === "as usual";
    return usual && !node.conditions.some((condition) => condition !== "full") ? 0 : 1;
  }

  onOnline(listener: (uuid: Id) => void): () => void {
    this.#onlineListeners.add(listener);
    return () => {
      this.#onlineListeners.delete(listener);
    };
  }
}

function takesCopies({ spec, state, usable, conditions }: TrackedNode): boolean {
  if (!spec.acceptsWrites || !EFFECTS[state].writes || !usable) return false;
  return !conditions.includes("full") && !conditions.includes("corrupt");
}
