/**
 * Slots of a domain that is drained away and that have no copy anywhere: there is nothing to be moved, and nowhere in
 * their domain for repair to make one. They become slots of the domain that takes over, and repair fills them there.
 */
import { decodeRepairEntry, locateBlob } from "../../catalog/blobs.ts";
import { type Catalog, walk } from "../../catalog/catalog.ts";
import { partsOfRepairKey, repairRange } from "../../catalog/keys.ts";
import { type SlotLedger, withSlot } from "../slot-ledger.ts";
import { forEachConcurrently } from "../worker.ts";

const CONCURRENCY = 8;

/** @throws CatalogError, SlotContentionError; an AggregateError of several */
export async function changeSlotsOfDomain(
  { catalog, ledger }: { readonly catalog: Catalog; readonly ledger: SlotLedger },
  { from, to }: { readonly from: string; readonly to: string },
  signal: AbortSignal,
): Promise<void> {
  await forEachConcurrently(walk(catalog.kv, repairRange()), CONCURRENCY, signal, async (entry) => {
    const { blobId, slot: number } = partsOfRepairKey(entry.key);
    const { home } = decodeRepairEntry(entry.value);
    const located = await locateBlob(catalog.kv, blobId, home);
    if (located?.blob.slots[number]?.domain !== from) return;
    await ledger.change(blobId, home, ({ blob: { slots } }) => {
      const slot = slots[number];
      if (slot?.domain !== from || slot.location !== undefined) return undefined;
      // Where the other domain has its copy already, a second one in it would be worth nothing.
      if (slots.some(({ domain }) => domain === to)) return undefined;
      return { slots: withSlot(slots, number, { state: "missing", domain: to }) };
    });
  });
}
