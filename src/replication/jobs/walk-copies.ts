/** The copies that the catalog has on record as being on some nodes, gone through with a cursor that outlives a process. */
import { decodeCopyEntry, type LocatedBlob, locateBlob } from "../../catalog/blobs.ts";
import { copyKeyOfIndex } from "../../catalog/keys.ts";
import type { Kv, KvEntry } from "../../catalog/kv.ts";
import { isSamePlace, type Location, type Slot } from "../../catalog/records/blob.ts";
import type { CopyKey } from "../../nodes/storage-node.ts";
import type { Id } from "../../shared/ids.ts";
import { copiesBetween, countCopies, isJournals } from "../scrub/copies-of-node.ts";
import { forEachConcurrently } from "../worker.ts";
import type { LiveJob } from "./live-job.ts";

/** Copies between two places where the cursor can stand. A job that goes on looks at no more than these again. */
const PAGE = 32;
/** Copies worked on at a time. */
const CONCURRENCY = 4;

/** A copy that a slot of a live blob points to. */
export interface FoundSlot {
  readonly located: LocatedBlob;
  readonly number: number;
  readonly slot: Slot & { readonly location: Location };
}

/** A place between two copies of a list of nodes. */
interface Place {
  readonly nodeUuid: Id;
  readonly after: CopyKey;
}

const ID_CHARS = 32;

function placeOf(cursor: string | undefined): Place | undefined {
  if (cursor === undefined || cursor.length <= ID_CHARS) return undefined;
  return { nodeUuid: cursor.slice(0, ID_CHARS), after: cursor.slice(ID_CHARS + 1) };
}

/** The slot that a copy's entry under its node belongs to; `undefined` when its blob or its place is gone. */
export async function findSlot(kv: Kv, nodeUuid: Id, entry: KvEntry): Promise<FoundSlot | undefined> {
  const location: Location = { nodeUuid, key: copyKeyOfIndex(entry.key) };
  if (isJournals(location.key)) return undefined;
  const { blobId, slot: number, home } = decodeCopyEntry(entry.value);
  const located = await locateBlob(kv, blobId, home);
  const slot = located?.blob.slots[number];
  if (located === undefined || slot === undefined || !isSamePlace(slot.location, location)) return undefined;
  return { located, number, slot: { ...slot, location } };
}

export async function countAll(kv: Kv, nodes: readonly Id[], signal: AbortSignal): Promise<number> {
  let total = 0;
  for (const uuid of nodes) total += await countCopies(kv, uuid, signal);
  return total;
}

/**
 * Goes through the copies on the nodes, from where the job's cursor stands, in the order of their uuids and keys. The
 * cursor moves on when all before it are settled; what `settle` throws ends the walk.
 */
export async function walkCopies(
  kv: Kv,
  live: LiveJob,
  nodes: readonly Id[],
  settle: (found: FoundSlot) => Promise<void>,
): Promise<void> {
  const { signal } = live;
  for (const nodeUuid of nodes.toSorted()) {
    const place = placeOf(live.cursor);
    if (place !== undefined && place.nodeUuid > nodeUuid) continue;
    let after = place?.nodeUuid === nodeUuid ? place.after : undefined;
    for (;;) {
      signal.throwIfAborted();
      const page = await kv.list(copiesBetween(nodeUuid, after), { limit: PAGE });
      const last = page.at(-1);
      if (last === undefined) break;
      await forEachConcurrently(each(page), CONCURRENCY, signal, async (entry) => {
        const found = await findSlot(kv, nodeUuid, entry);
        if (found !== undefined) await settle(found);
      });
      signal.throwIfAborted();
      after = copyKeyOfIndex(last.key);
      await live.reached(`${nodeUuid}/${after}`);
    }
  }
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T, void> {
  yield* items;
}
