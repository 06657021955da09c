/**
 * The nodes of the cluster as the rest of the gateway sees them: what they are (topology), how they are (state), and
 * the handle to call them by.
 */
import type { StorageNode } from "../nodes/storage-node.ts";
import type { Placement } from "../placement/placement.ts";
import type { Topology, TopologyNode } from "../placement/topology.ts";
import type { Id } from "../shared/ids.ts";

/**
 * - `online`: takes copies and serves them.
 * - `offline`: does not answer.
 * - `access-denied`: answers, but refuses our credentials.
 * - `replaced`: answers, but its identity is gone; the copies that were on it are not there.
 * - `refused`: answers with another node's or cluster's identity, or failed admission; never used.
 * - `joining`: not yet checked.
 */
export type NodeState = "joining" | "online" | "offline" | "access-denied" | "replaced" | "refused";

export interface Member {
  readonly spec: TopologyNode;
  /** All wrappers included. */
  readonly node: StorageNode;
  readonly state: NodeState;
  /** Why it is not online, for an operator. */
  readonly reason: string | undefined;
  /** Wall clock of the last change of state. */
  readonly sinceMs: number;
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
  /** Whether new copies may go to the node now: topology and state both allow it, and it is not known to be full. */
  acceptsWrites(uuid: Id): boolean;
  /** Whether asking the node for a copy makes sense now. */
  servesReads(uuid: Id): boolean;
  /** Called after a node came online. Returns how to stop listening. */
  onOnline(listener: (uuid: Id) => void): () => void;
}
