/**
 * Surplus copies: left where they were when their slot got a copy elsewhere. They are served and go with their blob. A
 * slot keeps its number for as long as the blob lives, so a surplus copy that goes earlier leaves its place empty, to be
 * used by the next one; an empty place at the end is cut off.
 */
import type { Location, Slot } from "../catalog/records/blob.ts";

/** The slots with one more surplus copy. */
export function withSurplus(slots: readonly Slot[], surplus: Slot & { readonly location: Location }): Slot[] {
  const entered: Slot = { ...surplus, state: "surplus" };
  const empty = slots.findIndex(({ state, location }) => state === "surplus" && location === undefined);
  return empty < 0 ? [...slots, entered] : slots.with(empty, entered);
}

/** The slots without a surplus copy. */
export function withoutSurplus(slots: readonly Slot[], number: number): Slot[] {
  const left = slots.map((slot, at): Slot => (at === number ? { state: "surplus", domain: slot.domain } : slot));
  while (left.at(-1)?.state === "surplus" && left.at(-1)?.location === undefined) left.pop();
  return left;
}
