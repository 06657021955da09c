/**
 * Empties nodes that were demoted of the copies of the domain that they served. Such a copy is a hand-off copy from then
 * on: repair makes one where it belongs, and only then is it dropped. When none is left the demotion is over.
 */
import { decodeCopyEntry, locateBlob } from "../../catalog/blobs.ts";
import { type Catalog, walk } from "../../catalog/catalog.ts";
import { copiesRange, copyKeyOfIndex } from "../../catalog/keys.ts";
import type { KvEntry } from "../../catalog/kv.ts";
import { isSamePlace, type Location, type Slot } from "../../catalog/records/blob.ts";
import { endDemotion } from "../../cluster/promotion/change-promotion.ts";
import { loadTopology } from "../../cluster/topology-store.ts";
import type { Logger } from "../../observability/logger.ts";
import type { Id } from "../../shared/ids.ts";
import { type SlotLedger, withSlot } from "../slot-ledger.ts";
import { forEachConcurrently } from "../worker.ts";

/** Copies put on record at a time; the catalog commits them together. */
const CONCURRENCY = 16;

export interface DemotedNodesDeps {
  readonly catalog: Catalog;
  readonly ledger: SlotLedger;
  readonly logger: Logger;
}

export class DemotedNodes {
  readonly #deps: DemotedNodesDeps;

  constructor(deps: DemotedNodesDeps) {
    this.#deps = deps;
  }

  /** One run over the nodes that are being demoted. @returns how many copies became hand-off copies */
  async run(signal: AbortSignal): Promise<number> {
    const { catalog, logger } = this.#deps;
    let marked = 0;
    for (const { uuid, name, domain, demotedFrom } of (await loadTopology(catalog.kv))?.records.values() ?? []) {
      // Promoted once more, to another domain: what it has of the one before leaves it as well.
      if (demotedFrom === undefined || demotedFrom === domain) continue;
      const of = { nodeUuid: uuid, demotedFrom };
      let left = 0;
      await forEachConcurrently(walk(catalog.kv, copiesRange(uuid)), CONCURRENCY, signal, async (entry) => {
        const found = await this.#look(of, entry);
        if (found !== "other") left += 1;
        if (found === "marked") marked += 1;
      });
      if (signal.aborted) return marked;
      if (left > 0) continue;
      await endDemotion(catalog, uuid, demotedFrom);
      logger.info({ node: name, domain: demotedFrom }, "a demoted node has no copies of its domain any more");
    }
    return marked;
  }

  /** What a copy on the node is: one of the domain that it served, made a hand-off copy now or before, or another. */
  async #look(
    { nodeUuid, demotedFrom }: { readonly nodeUuid: Id; readonly demotedFrom: string },
    entry: KvEntry,
  ): Promise<"marked" | "left" | "other"> {
    const { catalog, ledger } = this.#deps;
    const { blobId, slot: number, home } = decodeCopyEntry(entry.value);
    const location: Location = { nodeUuid, key: copyKeyOfIndex(entry.key) };
    const isIts = (slot: Slot | undefined): slot is Slot =>
      slot !== undefined && slot.domain === demotedFrom && isSamePlace(slot.location, location);
    const slot = (await locateBlob(catalog.kv, blobId, home))?.blob.slots[number];
    if (!isIts(slot)) return "other";
    // One too many is served where it is, and goes with its object.
    if (slot.state === "surplus") return "other";
    if (slot.state !== "ok") return "left";
    const outcome = await ledger.change(blobId, home, ({ blob }) => {
      const now = blob.slots[number];
      if (!isIts(now) || now.state !== slot.state) return undefined;
      return { slots: withSlot(blob.slots, number, { ...now, state: "handoff" }) };
    });
    return outcome === "changed" ? "marked" : "left";
  }
}
