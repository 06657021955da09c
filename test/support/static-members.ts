/** Nodes whose states a test sets, in place of a membership that finds them out. */
import { EFFECTS } from "../../src/cluster/health/transitions.ts";
import type { Member, Members, NodeCondition, NodeState, ReadPreference } from "../../src/cluster/members.ts";
import type { StorageNode } from "../../src/nodes/storage-node.ts";
import type { Placement } from "../../src/placement/placement.ts";
import type { Topology, TopologyNode } from "../../src/placement/topology.ts";
import type { Id } from "../../src/shared/ids.ts";

export interface StaticMembersOptions {
  readonly topology: Topology;
  readonly placement: Placement;
  /** By uuid. Nodes of the topology that are absent here are no members. */
  readonly nodes: ReadonlyMap<Id, StorageNode>;
}

export class StaticMembers implements Members {
  readonly topology: Topology;
  readonly placement: Placement;
  /** Nodes that are known to be full. */
  readonly full = new Set<Id>();
  /** Load scores by uuid; 0.5 for the others. */
  readonly scores = new Map<Id, number>();
  /** Nodes that are read after all others. */
  readonly readLast = new Set<Id>();
  readonly #specs = new Map<Id, TopologyNode>();
  readonly #nodes: ReadonlyMap<Id, StorageNode>;
  readonly #states = new Map<Id, NodeState>();
  readonly #listeners = new Set<(uuid: Id) => void>();

  constructor({ topology, placement, nodes }: StaticMembersOptions) {
    this.topology = topology;
    this.placement = placement;
    this.#nodes = nodes;
    for (const spec of topology.nodes) if (nodes.has(spec.uuid)) this.#specs.set(spec.uuid, spec);
  }

  /** Sets a node's state and tells the listeners when it came online. */
  setState(uuid: Id, state: NodeState): void {
    const before = this.#stateOf(uuid);
    this.#states.set(uuid, state);
    if (state === "online" && before !== "online") for (const listener of this.#listeners) listener(uuid);
  }

  /** Replaces what the topology says of a node: its write generation, whether it accepts writes. */
  setSpec(uuid: Id, change: Partial<TopologyNode>): void {
    const spec = this.#specs.get(uuid);
    if (spec !== undefined) this.#specs.set(uuid, { ...spec, ...change });
  }

  /** The node left the cluster. */
  remove(uuid: Id): void {
    this.#specs.delete(uuid);
  }

  get(uuid: Id): Member | undefined {
    const spec = this.#specs.get(uuid);
    const node = this.#nodes.get(uuid);
    if (spec === undefined || node === undefined) return undefined;
    const loadScore = (): number => this.scores.get(uuid) ?? 0.5;
    const conditions: NodeCondition[] = this.full.has(uuid) ? ["full"] : [];
    const state = this.#stateOf(uuid);
    const health = { state, conditions, reason: undefined, sinceMs: 0, missedProbes: 0, heartbeat: undefined };
    return { spec, node, ...health, loadScore };
  }

  all(): readonly Member[] {
    return [...this.#specs.keys()].flatMap((uuid) => this.get(uuid) ?? []);
  }

  acceptsWrites(uuid: Id): boolean {
    return this.servesReads(uuid) && this.#specs.get(uuid)?.acceptsWrites === true && !this.full.has(uuid);
  }

  servesReads(uuid: Id): boolean {
    return this.#specs.has(uuid) && this.#stateOf(uuid) === "online";
  }

  isLost(uuid: Id): boolean {
    return !this.#specs.has(uuid) || EFFECTS[this.#stateOf(uuid)].lost;
  }

  preference(uuid: Id): ReadPreference {
    return this.readLast.has(uuid) ? 1 : 0;
  }

  onOnline(listener: (uuid: Id) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  #stateOf(uuid: Id): NodeState {
    return this.#states.get(uuid) ?? "online";
  }
}
