/** The copies that the catalog has on record as being on a node. */
import { type CopyEntry, decodeCopyEntry, type LocatedBlob, locateBlob } from "../../catalog/blobs.ts";
import { walk } from "../../catalog/catalog.ts";
import { copiesRange, copyIndexKey } from "../../catalog/keys.ts";
import type { Kv, KvRange } from "../../catalog/kv.ts";
import { isReadable, isSamePlace, type Location, type Slot } from "../../catalog/records/blob.ts";
import { JOURNAL_SESSION, sessionOfCopyKey } from "../../nodes/copy-key.ts";
import type { CopyKey } from "../../nodes/storage-node.ts";
import type { Id } from "../../shared/ids.ts";

const COUNT_PAGE = 5_000;

/** A copy that a live blob has in one of its slots, and that is not on record as bad. */
export interface KnownCopy extends LocatedBlob {
  readonly number: number;
  readonly slot: Slot & { readonly location: Location };
}

/** Whether a key is that of a piece of the catalog's journal, which is no copy of a blob, and is left alone. */
export function isJournals(key: CopyKey): boolean {
  return sessionOfCopyKey(key) === JOURNAL_SESSION;
}

/** The copies of a node after one of them (or all), up to another one and including it (or to the end). */
export function copiesBetween(nodeUuid: Id, after: CopyKey | undefined, upTo?: CopyKey): KvRange {
  const whole = copiesRange(nodeUuid);
  return {
    start: after === undefined ? whole.start : behind(nodeUuid, after),
    end: upTo === undefined ? whole.end : behind(nodeUuid, upTo),
  };
}

/** The first key that may follow a copy's. */
function behind(nodeUuid: Id, key: CopyKey): Buffer {
  return Buffer.concat([copyIndexKey(nodeUuid, key), Buffer.of(0)]);
}

export async function countCopies(kv: Kv, nodeUuid: Id, signal: AbortSignal): Promise<number> {
  let count = 0;
  for await (const _ of walk(kv, copiesRange(nodeUuid), COUNT_PAGE)) {
    signal.throwIfAborted();
    count += 1;
  }
  return count;
}

/**
 * The record of a copy as it is now; `undefined` when nothing is to be expected of the copy: its blob is dead, its slot
 * has another one, or it is known to be bad.
 * @param value of the entry that the copy has under its node
 * @throws RecordError, CatalogError
 */
export async function findCopy(kv: Kv, location: Location, value: Uint8Array): Promise<KnownCopy | undefined> {
  const { blobId, slot: number, home }: CopyEntry = decodeCopyEntry(value);
  const located = await locateBlob(kv, blobId, home);
  const slot = located?.blob.slots[number];
  if (located === undefined || slot === undefined) return undefined;
  if (!isReadable(slot) || !isSamePlace(slot.location, location)) return undefined;
  return { ...located, number, slot };
}
