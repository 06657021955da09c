/**
 * A slot that wants a copy, and a surplus copy of the blob in its domain: once that one was read and found right it is the
 * slot's. Nothing is to be copied then, and without this the surplus copy's node would be barred from the new one.
 */
import type { LocatedBlob } from "../catalog/blobs.ts";
import { isSamePlace, type Location, type Slot } from "../catalog/records/blob.ts";
import type { Members } from "../cluster/members.ts";
import { NodeError } from "../nodes/storage-node.ts";
import type { Clock } from "../shared/clock.ts";
import { type SlotLedger, withSlot } from "./slot-ledger.ts";
import { withoutSurplus } from "./surplus.ts";
import { verifyCopy } from "./verify-copy.ts";

export interface PromoteSurplusDeps {
  readonly members: () => Members;
  readonly ledger: SlotLedger;
  readonly clock: Clock;
}

/**
 * `promoted`: the slot has its copy now. `none`: there is no surplus copy to be had. `bad`: there is one, at this place, and it
 * is not what it should be: a copy may take its place on its node, which might be the only one that is left.
 */
export type SurplusOutcome = "promoted" | "none" | { readonly bad: Location };

/**
 * Gives a slot the surplus copy of its blob in its domain.
 * @throws CatalogError; the signal's reason
 */
export async function promoteSurplus(
  { members, ledger, clock }: PromoteSurplusDeps,
  { blob, home }: LocatedBlob,
  number: number,
  signal: AbortSignal,
): Promise<SurplusOutcome> {
  const wanting = blob.slots[number];
  if (wanting === undefined) return "none";
  const at = blob.slots.findIndex((slot) => isSpareOf(members(), wanting, slot));
  const location = blob.slots[at]?.location;
  const node = location && members().get(location.nodeUuid)?.node;
  if (location === undefined || node === undefined) return "none";
  try {
    if ((await verifyCopy(node, blob, { key: location.key, signal })) !== "good") return { bad: location };
  } catch (error) {
    // A copy can be made all the same.
    if (!(error instanceof NodeError) || signal.aborted) throw error;
    return "none";
  }
  const outcome = await ledger.change(blob.blobId, home, ({ blob: { slots } }) => {
    const [now, spare] = [slots[number], slots[at]];
    if (now?.state !== wanting.state || !isSamePlace(now.location, wanting.location)) return undefined;
    if (spare?.state !== "surplus" || !isSamePlace(spare.location, location)) return undefined;
    const filled: Slot = { state: "ok", domain: now.domain, location, verifiedAtMs: clock.nowMs() };
    return { slots: withoutSurplus(withSlot(slots, number, filled), at) };
  });
  return outcome === "changed" ? "promoted" : "none";
}

function isSpareOf(members: Members, wanting: Slot, slot: Slot): slot is Slot & { readonly location: Location } {
  if (slot.state !== "surplus" || slot.location === undefined || !members.servesReads(slot.location.nodeUuid)) {
    return false;
  }
  const spec = members.get(slot.location.nodeUuid)?.spec;
  // One that is being drained is about to lose its copies.
  return spec?.domain === wanting.domain && spec.acceptsWrites;
}
