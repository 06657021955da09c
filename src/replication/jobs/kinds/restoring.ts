/**
 * The jobs that restore redundancy: MIGRATE_FROM_FAILED, COPY_TO_PROMOTED and RESYNC. The work itself is repair's, which
 * takes the slots with the fewest copies first, whatever the reason. These put on record what is to be done, and follow
 * it until it is.
 */
import { decodeRepairEntry, locateBlob } from "../../../catalog/blobs.ts";
import { type Catalog, walk } from "../../../catalog/catalog.ts";
import { copiesRange, partsOfRepairKey, repairRange } from "../../../catalog/keys.ts";
import { wantsRepair } from "../../../catalog/records/blob.ts";
import type { Members } from "../../../cluster/members.ts";
import { type Clock, sleep } from "../../../shared/clock.ts";
import type { Id } from "../../../shared/ids.ts";
import { markUnverified } from "../../repair/absent-nodes.ts";
import type { SlotLedger } from "../../slot-ledger.ts";
import { JobFailedError } from "../job-runner.ts";
import type { LiveJob } from "../live-job.ts";
import { findSlot, walkCopies } from "../walk-copies.ts";

export interface RestoringDeps {
  readonly catalog: Catalog;
  readonly members: () => Members;
  readonly ledger: SlotLedger;
  readonly clock: Clock;
  /** Has repair look at what is on record now; despite its back-off where a node came back. */
  readonly wakeRepair: (nodeCameBack: boolean) => void;
}

/** How often it is looked how far repair is; a look that takes long is taken more seldom. */
const LOOK_MS = 5_000;
const LOOK_SHARE = 20;
/** After this long without any progress a job ends, and says what is left. */
const STALL_MS = 6 * 3_600_000;
/** Slots that such an end names. */
const NAMED_MAX = 1_000;
/** The cursor when all is on record. */
const FOLLOWING = "following";

interface Pending {
  readonly blobId: Id;
  readonly slot: number;
  readonly bytes: number;
}

/** The copies of a node that does not come back are put on record as unverified, and made anew elsewhere. */
export async function migrateFromFailed(deps: RestoringDeps, live: LiveJob): Promise<void> {
  const { catalog, members, ledger } = deps;
  const uuid = live.record.subject.key;
  if (live.cursor !== FOLLOWING) {
    live.describe("putting the copies of the node on record");
    let found = live.total ?? 0;
    await walkCopies(catalog.kv, live, [uuid], async ({ located, number, slot }) => {
      if (slot.state === "surplus") return;
      found += 1;
      // A node that serves them has them.
      if (slot.state === "ok" && !members().servesReads(uuid)) {
        await markUnverified(ledger, {
          blobId: located.blob.blobId,
          home: located.home,
          number,
          location: slot.location,
        });
      }
    });
    await live.reached(FOLLOWING, { save: true, total: found });
  }
  await follow(deps, live, () => pendingOn(catalog, uuid));
}

/** The copies that a domain lacks are made, now that it has a node more. */
export function copyToPromoted(deps: RestoringDeps, live: LiveJob): Promise<void> {
  const { catalog, members } = deps;
  const node = members().topology.nodes.find(({ uuid }) => uuid === live.record.subject.key);
  if (node === undefined) throw new JobFailedError("the node is no member any more");
  return follow(deps, live, () => pendingIn(catalog, node.domain));
}

/** The copies of a node that came back are checked, and replaced where they are not right. */
export function resync(deps: RestoringDeps, live: LiveJob): Promise<void> {
  return follow(deps, live, () => pendingOn(deps.catalog, live.record.subject.key));
}

async function follow(
  { clock, wakeRepair }: RestoringDeps,
  live: LiveJob,
  pending: () => AsyncIterable<Pending>,
): Promise<void> {
  wakeRepair(true);
  live.waiting = true;
  live.describe("repair is at work on it");
  let seen: { readonly count: number; readonly bytes: number } | undefined;
  let changedAtMs = clock.monotonicMs();
  for (;;) {
    const startedAtMs = clock.monotonicMs();
    const now = await sumOf(pending(), live.signal);
    if (now.count !== seen?.count) changedAtMs = startedAtMs;
    // More of it may have come on record since, which is as much more to do.
    const total = Math.max(live.total ?? 0, live.movedCount + now.count);
    live.restored(total - now.count, Math.max(0, (seen?.bytes ?? now.bytes) - now.bytes));
    await live.reached(FOLLOWING, { total });
    if (now.count === 0) return live.describe("all of it is restored");
    if (clock.monotonicMs() - changedAtMs >= STALL_MS) return await giveUp(live, pending());
    seen = now;
    const tookMs = clock.monotonicMs() - startedAtMs;
    await sleep(clock, Math.max(LOOK_MS, tookMs * LOOK_SHARE), live.signal);
  }
}

async function sumOf(pending: AsyncIterable<Pending>, signal: AbortSignal): Promise<{ count: number; bytes: number }> {
  const sum = { count: 0, bytes: 0 };
  for await (const { bytes } of pending) {
    signal.throwIfAborted();
    sum.count += 1;
    sum.bytes += bytes;
  }
  return sum;
}

async function giveUp(live: LiveJob, pending: AsyncIterable<Pending>): Promise<void> {
  let named = 0;
  for await (const { blobId, slot } of pending) {
    if (named++ >= NAMED_MAX) break;
    await live.failed(blobId, slot, "repair has not restored it; it stays on record and is tried again");
  }
  live.describe("repair does not get on with what is left");
}

/** Slots whose copy is on a node and not known to be good. */
async function* pendingOn({ kv }: Catalog, nodeUuid: Id): AsyncGenerator<Pending, void> {
  for await (const entry of walk(kv, copiesRange(nodeUuid))) {
    const found = await findSlot(kv, nodeUuid, entry);
    if (found === undefined || !wantsRepair(found.slot)) continue;
    const { blob } = found.located;
    yield { blobId: blob.blobId, slot: found.number, bytes: blob.length };
  }
}

/** Slots of a domain that have no good copy in it. */
async function* pendingIn({ kv }: Catalog, domain: string): AsyncGenerator<Pending, void> {
  for await (const entry of walk(kv, repairRange())) {
    const { blobId, slot: number } = partsOfRepairKey(entry.key);
    const located = await locateBlob(kv, blobId, decodeRepairEntry(entry.value).home);
    const slot = located?.blob.slots[number];
    if (located === undefined || slot?.domain !== domain || !wantsRepair(slot)) continue;
    yield { blobId, slot: number, bytes: located.blob.length };
  }
}
