/**
 * The nodes of the cluster as the rest of the gateway sees them: what they are (topology), how they are (state), and
 * the handle to call them by.
 */
import type { StorageNode } from "../nodes/storage-node.ts";
import type { Placement } from "../placement/placement.ts";
import type { Topology, TopologyNode } from "../placement/topology.ts";
import type { Id } from "../shared/ids.ts";
import type { NodeCondition } from "./health/conditions.ts";
import type { Heartbeat } from "./health/heartbeat.ts";
import type { NodeState } from "./health/transitions.ts";

export type { NodeCondition } from "./health/conditions.ts";
export type { NodeState } from "./health/transitions.ts";

export interface Member {
  readonly spec: TopologyNode;
  /** All wrappers included. */
  readonly node: StorageNode;
  readonly state: NodeState;
  /** What else is the matter with it, beside its state. */
  readonly conditions: readonly NodeCondition[];
  /** Why it is not as it should be, for an operator. */
  readonly reason: string | undefined;
  /** Wall clock of the last change of state. */
  readonly sinceMs: number;
  /** Probes on the interval clock that failed in a row. */
  readonly missedProbes: number;
  /** What it last told of itself; `undefined` before it did. */
  readonly heartbeat: Heartbeat | undefined;
  /** 0 (idle) to 1: see placement/score.ts. */
  loadScore(): number;
}

/** A consistent view; replaced as a whole when the topology changes. */
export interface Members {
  readonly topology: Topology;
  readonly placement: Placement;
  /** `undefined` for a node that the topology does not know (any more). */
  get(uuid: Id): Member | undefined;
  /** In the order of the topology. */
  all(): readonly Member[];
  /** Whether new copies may go to the node now: topology, state and conditions all allow it. */
  acceptsWrites(uuid: Id): boolean;
  /** Whether asking the node for a copy makes sense now. */
  servesReads(uuid: Id): boolean;
  /**
   * Whether its copies are to be made anew elsewhere: it is unreachable, decommissioned or replaced, or no member. Its
   * copies may still be read while it answers.
   */
  isLost(uuid: Id): boolean;
  /** Rank of the node for reads: 0 as usual, 1 after all others. */
  preference(uuid: Id): ReadPreference;
  /** Called after a node came online. Returns how to stop listening. */
  onOnline(listener: (uuid: Id) => void): () => void;
}

export type ReadPreference = 0 | 1;

/** Whether a node is as it should be: it counts for `minNodes` of its domain. One that is full, slow or corrupt is there. */
export function isHealthy({ state, conditions }: Pick<Member, "state" | "conditions">): boolean {
  return state === "online" && !conditions.includes("suspect");
}
