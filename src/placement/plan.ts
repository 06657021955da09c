/** Where the copies of a new blob go: what `Placement` decides and the writer carries out. */
import type { Id } from "../shared/ids.ts";

/** One planned copy. */
export interface PlannedSlot {
  /** The fault domain that the copy belongs to. */
  readonly domain: string;
  /**
   * Nodes of that domain that may hold it, the preferred one first, at most STAND_INS_MAX stand-ins after it. The first
   * candidates of all slots may hold their copies together; a stand-in may stand in other slots' lists as well and has
   * to be checked against the nodes taken by then (see `nextCandidate`). Empty when the domain has no node that accepts
   * writes and goes with those of the other slots.
   */
  readonly candidates: readonly Id[];
}

export interface PlacementPlan {
  /** One for each copy that the policy wants, domains in the order in which they were chosen. */
  readonly slots: readonly PlannedSlot[];
  /**
   * Nodes for hand-off copies, the preferred one first, as the policy's scope allows: those of active domains that hold
   * no slot, then of standby, then of the slots' own domains. Found out when first asked for, since most writes never do.
   */
  readonly handoff: readonly Id[];
}

/** What placement has to know of a node besides the topology. */
export type NodeWritable = (node: Id) => boolean;
