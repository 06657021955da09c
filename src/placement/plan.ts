/**
 * Where the copies of a new blob go. Pure: decides from the topology, its rings and what is known of the nodes'
 * state; the writer carries it out.
 */
import type { Id } from "../shared/ids.ts";

/** One planned copy. */
export interface PlannedSlot {
  /** The fault domain that the copy belongs to. */
  readonly domain: string;
  /**
   * Nodes of that domain that may hold it, the preferred one first, the stand-ins after it. Empty when the domain has
   * no node that accepts writes. A slot's candidates may stand in other slots' lists as well; the writer takes each
   * node at most once (see `compatible`).
   */
  readonly candidates: readonly Id[];
}

export interface PlacementPlan {
  /** One for each copy that the policy wants, domains in the order in which they were chosen. */
  readonly slots: readonly PlannedSlot[];
  /** Nodes for hand-off copies, the preferred one first, as the policy's scope allows; none of a slot's own domain comes before the others. */
  readonly handoff: readonly Id[];
}

/** What placement has to know of a node besides the topology. */
export type NodeWritable = (node: Id) => boolean;
