/**
 * Puts the copies of nodes that are gone on record as work: of nodes that were replaced, and of those that the
 * configuration does not name any more. They become `unverified`: made anew elsewhere in their domain, or checked should
 * their node come back after all.
 */
import { type BlobHome, decodeCopyEntry } from "../../catalog/blobs.ts";
import { type Catalog, walk } from "../../catalog/catalog.ts";
import { copiesRange, copyKeyOfIndex } from "../../catalog/keys.ts";
import type { KvEntry } from "../../catalog/kv.ts";
import { isSamePlace, type Location, type Slot } from "../../catalog/records/blob.ts";
import type { Members } from "../../cluster/members.ts";
import type { Logger } from "../../observability/logger.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Id } from "../../shared/ids.ts";
import { type SlotLedger, withSlot } from "../slot-ledger.ts";
import { forEachConcurrently } from "../worker.ts";

/** Copies put on record at a time; the catalog commits them together. */
const CONCURRENCY = 16;
/** After this long a node's copies are gone through once more: a write that began before it was gone may end after. */
const AGAIN_MS = 300_000;

/** Whether a node cannot be expected to hold what is on record as being on it. */
export function isAbsent(members: Members, nodeUuid: Id): boolean {
  const member = members.get(nodeUuid);
  return member === undefined || member.state === "replaced";
}

export interface AbsentNodesDeps {
  readonly catalog: Catalog;
  readonly members: () => Members;
  readonly ledger: SlotLedger;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class AbsentNodes {
  readonly #deps: AbsentNodesDeps;
  /** Nodes all of whose copies are on record as work, and when that was: monotonic. */
  readonly #done = new Map<Id, number>();

  constructor(deps: AbsentNodesDeps) {
    this.#deps = deps;
  }

  /** One run over the nodes that are gone now. @returns how many copies were put on record */
  async run(signal: AbortSignal): Promise<number> {
    const { catalog, members, clock, logger } = this.#deps;
    let marked = 0;
    for (const { uuid, name } of members().topology.nodes) {
      if (!isAbsent(members(), uuid)) {
        this.#done.delete(uuid);
        continue;
      }
      const doneAtMs = this.#done.get(uuid);
      if (doneAtMs !== undefined && clock.monotonicMs() < doneAtMs + AGAIN_MS) continue;
      const startedAtMs = clock.monotonicMs();
      let ofNode = 0;
      await forEachConcurrently(walk(catalog.kv, copiesRange(uuid)), CONCURRENCY, signal, async (entry) => {
        if (isAbsent(members(), uuid) && (await this.#mark(uuid, entry))) ofNode += 1;
      });
      if (ofNode > 0)
        logger.warn({ node: name, copies: ofNode }, "the copies of a node that is gone are to be made anew");
      marked += ofNode;
      if (!signal.aborted && isAbsent(members(), uuid)) this.#done.set(uuid, startedAtMs);
    }
    return marked;
  }

  #mark(nodeUuid: Id, entry: KvEntry): Promise<boolean> {
    const { blobId, slot: number, home } = decodeCopyEntry(entry.value);
    const location: Location = { nodeUuid, key: copyKeyOfIndex(entry.key) };
    return markUnverified(this.#deps.ledger, { blobId, home, number, location });
  }
}

/** Puts a copy on record as one that is to be made anew or checked, where it is still a slot's. @returns whether it is now */
export async function markUnverified(
  ledger: SlotLedger,
  copy: { readonly blobId: Id; readonly home: BlobHome; readonly number: number; readonly location: Location },
): Promise<boolean> {
  const { blobId, home, number, location } = copy;
  const outcome = await ledger.change(blobId, home, ({ blob }) => {
    const slot = blob.slots[number];
    if (slot?.state !== "ok" || !isSamePlace(slot.location, location)) return undefined;
    const doubtful: Slot = { state: "unverified", domain: slot.domain, location };
    return { slots: withSlot(blob.slots, number, doubtful) };
  });
  return outcome === "changed";
}
