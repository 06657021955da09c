/**
 * Changes what the catalog says of a blob's slots after the blob was committed: a straggler arrived, a copy was found
 * bad, a repair made a new one.
 */
import {
  type BlobHome,
  changeSlots,
  type LocatedWork,
  locateBlob,
  type SlotChange,
  withRepairs,
} from "../catalog/blobs.ts";
import { type Catalog, COMMIT_ATTEMPTS_MAX } from "../catalog/catalog.ts";
import { nodeKey } from "../catalog/keys.ts";
import type { Kv, KvAtomic } from "../catalog/kv.ts";
import { isSamePlace, type Slot } from "../catalog/records/blob.ts";
import type { Clock } from "../shared/clock.ts";
import type { Id, IdSource } from "../shared/ids.ts";

export interface SlotLedger {
  /**
   * Decides on a blob's slots from what they are now, and commits the decision. `decide` runs again whenever another
   * commit came first; it answers `undefined` to leave things as they are.
   * @returns `changed`; `unchanged`, also where a new copy is on a node that left the cluster; `gone` when the blob is dead
   * @throws CatalogError; SlotContentionError when others always came first
   */
  change(
    blobId: Id,
    home: BlobHome,
    decide: (located: LocatedWork) => SlotChange | undefined,
  ): Promise<"changed" | "unchanged" | "gone">;
}

export class SlotContentionError extends Error {
  constructor() {
    super("a blob's record kept changing while its slots were to be changed");
    this.name = "SlotContentionError";
  }
}

export function createSlotLedger(deps: {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly ids: IdSource;
}): SlotLedger {
  const { catalog, clock, ids } = deps;
  return {
    async change(blobId, home, decide) {
      for (let attempt = 0; attempt < COMMIT_ATTEMPTS_MAX; attempt++) {
        const located = await locateBlob(catalog.kv, blobId, home);
        if (located === undefined) return "gone";
        const work = await withRepairs(catalog.kv, located);
        const change = decide(work);
        if (change === undefined) return "unchanged";
        const atomic = catalog.begin();
        if (!(await checkNodesOfNewCopies(catalog.kv, atomic, { before: work.blob.slots, after: change.slots }))) {
          return "unchanged";
        }
        changeSlots(atomic, work, change, { nowMs: clock.nowMs(), replacedId: ids.next() });
        const result = await catalog.commit(atomic);
        if (result.committed) return "changed";
        // Not by a gateway that goes by an older topology: the node may serve another domain by now.
        const node = change.placedOn && nodeKey(change.placedOn.nodeUuid);
        if (node !== undefined && Buffer.compare(node, result.failed) === 0) return "unchanged";
      }
      throw new SlotContentionError();
    },
  };
}

/**
 * Has the commit fail when a node that gets a copy on record leaves the cluster before it.
 * @returns false where one of them has left: a copy must not be on record on a node that nobody knows
 */
async function checkNodesOfNewCopies(
  kv: Kv,
  atomic: KvAtomic,
  { before, after }: { readonly before: readonly Slot[]; readonly after: readonly Slot[] },
): Promise<boolean> {
  const nodes = new Set(
    after.flatMap(({ location }) =>
      location === undefined || before.some((slot) => isSamePlace(slot.location, location)) ? [] : [location.nodeUuid],
    ),
  );
  if (nodes.size === 0) return true;
  for (const entry of await kv.getMany([...nodes].map(nodeKey))) {
    if (entry === undefined) return false;
    atomic.check(entry.key, entry.version);
  }
  return true;
}

/** The slots with one of them replaced. */
export function withSlot(slots: readonly Slot[], number: number, slot: Slot): Slot[] {
  return slots.map((old, at) => (at === number ? slot : old));
}
