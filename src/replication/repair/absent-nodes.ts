/**
 * Puts the copies of nodes that are gone on record as work: of nodes that were replaced, and of those that the
 * configuration does not name any more. They become `unverified`: made anew elsewhere in their domain, or checked should
 * their node come back after all. Those of a node that an operator gave up are missing, but for the last one of a blob.
 */
import { type BlobHome, decodeCopyEntry } from "../../catalog/blobs.ts";
import { type Catalog, walk } from "../../catalog/catalog.ts";
import { copiesRange, copyKeyOfIndex, nodeKey } from "../../catalog/keys.ts";
import type { KvEntry } from "../../catalog/kv.ts";
import { isReadable, isSamePlace, type Location, type Slot } from "../../catalog/records/blob.ts";
import type { Members } from "../../cluster/members.ts";
import { decodeNode } from "../../cluster/topology-records.ts";
import type { Logger } from "../../observability/logger.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Id } from "../../shared/ids.ts";
import { type SlotLedger, withSlot } from "../slot-ledger.ts";
import { withoutSurplus } from "../surplus.ts";
import { forEachConcurrently } from "../worker.ts";

/** Copies put on record at a time; the catalog commits them together. */
const CONCURRENCY = 16;
/** After this long a node's copies are gone through once more: a write that began before it was gone may end after. */
const AGAIN_MS = 300_000;

/**
 * Whether a node cannot be expected to hold what is on record as being on it, or to be asked for it again. One that only
 * does not answer can: see lost-nodes.ts.
 */
export function isAbsent(members: Members, nodeUuid: Id): boolean {
  const state = members.get(nodeUuid)?.state;
  return state === undefined || state === "replaced" || state === "decommissioned";
}

export interface AbsentNodesDeps {
  readonly catalog: Catalog;
  readonly members: () => Members;
  readonly ledger: SlotLedger;
  /** Whether a node's copies are to be made anew; by default those of nodes that are gone or were replaced. */
  readonly isLost?: (nodeUuid: Id) => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class AbsentNodes {
  readonly #deps: AbsentNodesDeps;
  /** Nodes all of whose copies are on record as work, and when that was: monotonic. */
  readonly #done = new Map<Id, { readonly atMs: number; readonly givenUp: boolean }>();

  constructor(deps: AbsentNodesDeps) {
    this.#deps = deps;
  }

  /** One run over the nodes that are gone now. @returns how many copies were put on record */
  async run(signal: AbortSignal): Promise<number> {
    const { catalog, members, clock, logger } = this.#deps;
    let marked = 0;
    for (const { uuid, name } of members().topology.nodes) {
      if (!this.#isLost(uuid)) {
        this.#done.delete(uuid);
        continue;
      }
      const givenUp = await this.#isGivenUp(uuid);
      const done = this.#done.get(uuid);
      if (done?.givenUp === givenUp && clock.monotonicMs() < done.atMs + AGAIN_MS) continue;
      const startedAtMs = clock.monotonicMs();
      let ofNode = 0;
      await forEachConcurrently(walk(catalog.kv, copiesRange(uuid)), CONCURRENCY, signal, async (entry) => {
        if (this.#isLost(uuid) && (await this.#mark(uuid, entry, givenUp))) ofNode += 1;
      });
      if (ofNode > 0)
        logger.warn({ node: name, copies: ofNode }, "the copies of a node that is gone are to be made anew");
      marked += ofNode;
      if (!signal.aborted && this.#isLost(uuid)) this.#done.set(uuid, { atMs: startedAtMs, givenUp });
    }
    return marked;
  }

  #isLost(nodeUuid: Id): boolean {
    return this.#deps.isLost?.(nodeUuid) ?? isAbsent(this.#deps.members(), nodeUuid);
  }

  /** Whether an operator took the node out as one that does not come back. */
  async #isGivenUp(nodeUuid: Id): Promise<boolean> {
    const entry = await this.#deps.catalog.kv.get(nodeKey(nodeUuid));
    return entry !== undefined && decodeNode(entry.value).leaving === true;
  }

  /** Whether a copy is there to be read for all that is known. */
  #isGood(slot: Slot): boolean {
    return isReadable(slot) && slot.state !== "unverified" && !isAbsent(this.#deps.members(), slot.location.nodeUuid);
  }

  async #mark(nodeUuid: Id, entry: KvEntry, givenUp: boolean): Promise<boolean> {
    const { blobId, slot: number, home } = decodeCopyEntry(entry.value);
    const location: Location = { nodeUuid, key: copyKeyOfIndex(entry.key) };
    const outcome = await this.#deps.ledger.change(blobId, home, ({ blob }) => {
      const slot = blob.slots[number];
      if (slot === undefined || !isSamePlace(slot.location, location)) return undefined;
      if (givenUp && blob.slots.some((other, at) => at !== number && this.#isGood(other))) {
        // One more than is wanted is not missed.
        if (slot.state === "surplus") return { slots: withoutSurplus(blob.slots, number) };
        return { slots: withSlot(blob.slots, number, { state: "missing", domain: slot.domain }) };
      }
      if (slot.state !== "ok") return undefined;
      const doubtful: Slot = { state: "unverified", domain: slot.domain, location };
      return { slots: withSlot(blob.slots, number, doubtful) };
    });
    return outcome === "changed";
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
