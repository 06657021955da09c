/**
 * The states of a standby node and what may happen in each, in one total table (docs/operations/standby-promotion.md has
 * it with the invariants). The state follows from the node's record: nothing else remembers it.
 */
import type { NodeRecord } from "../topology-records.ts";

/**
 * - `standby`: serves the standby domain; takes hand-off copies only.
 * - `promoted`: serves an active domain.
 * - `demoting`: serves the standby domain again, and still has copies of the domain that it served.
 */
export const PROMOTION_STATES = ["standby", "promoted", "demoting"] as const;
export type PromotionState = (typeof PROMOTION_STATES)[number];

/**
 * - `promote`: it is to serve an active domain.
 * - `demote`: it is to go back.
 * - `emptied`: no copy of the domain that it served is left on it.
 */
export const PROMOTION_EVENTS = ["promote", "demote", "emptied"] as const;
export type PromotionEvent = (typeof PROMOTION_EVENTS)[number];

/** The state that follows, or why there is none. */
export type PromotionStep = { readonly to: PromotionState } | { readonly refused: string };

export const PROMOTION_TABLE: Readonly<Record<PromotionState, Readonly<Record<PromotionEvent, PromotionStep>>>> = {
  standby: {
    promote: { to: "promoted" },
    demote: { refused: "it is not promoted" },
    emptied: { to: "standby" },
  },
  promoted: {
    promote: { refused: "it is promoted already" },
    demote: { to: "demoting" },
    emptied: { to: "promoted" },
  },
  demoting: {
    // Its copies of that domain are where they belong again, or are moved to it as any other hand-off copy is.
    promote: { to: "promoted" },
    demote: { refused: "it is being demoted already" },
    emptied: { to: "standby" },
  },
};

/** The state of a node whose home is the standby domain. */
export function promotionStateOf(
  record: Pick<NodeRecord, "domain" | "homeDomain"> & { readonly demotedFrom?: string | undefined },
): PromotionState {
  if (record.domain !== record.homeDomain) return "promoted";
  return record.demotedFrom === undefined ? "standby" : "demoting";
}
