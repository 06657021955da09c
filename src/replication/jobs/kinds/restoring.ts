/**
 * The jobs that restore redundancy: MIGRATE_FROM_FAILED, COPY_TO_PROMOTED and RESYNC. The work itself is repair's, which
 * takes the slots with the fewest copies first, whatever the reason. These put on record what is to be done, and follow
 * it until it is.
 */
import { decodeRepairEntry, locateBlob } from "../../../catalog/blobs.ts";
import { type Catalog, walk } from "../../../catalog/catalog.ts";
import { partsOfRepairKey, repairRange } from "../../../catalog/keys.ts";
import { wantsRepair } from "../../../catalog/records/blob.ts";
import type { Members } from "../../../cluster/members.ts";
import { LAST_JOURNAL_KEY } from "../../../nodes/copy-key.ts";
import { type Clock, sleep } from "../../../shared/clock.ts";
import type { Id } from "../../../shared/ids.ts";
import { markUnverified } from "../../repair/absent-nodes.ts";
import { copiesBetween } from "../../scrub/copies-of-node.ts";
import type { SlotLedger } from "../../slot-ledger.ts";
import { JobObsoleteError } from "../job-runner.ts";
import type { LiveJob } from "../live-job.ts";
import { type PendingRange, type PendingSum, PendingSweep } from "../pending-sweep.ts";
import { findSlot, walkCopies } from "../walk-copies.ts";
import { requireSubject } from "./subject.ts";

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
/** The same until all was looked at once. */
const FIRST_LOOK_MS = 250;
/** After this long without any progress a job ends, and says what is left. */
const STALL_MS = 6 * 3_600_000;
/** Slots that such an end names. */
const NAMED_MAX = 1_000;
/** The cursor when all is on record. */
const FOLLOWING = "following";

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
  await follow(deps, live, pendingOn(catalog, uuid));
}

/** The copies that a domain lacks are made, now that it has a node more. */
export async function copyToPromoted(deps: RestoringDeps, live: LiveJob): Promise<void> {
  const { catalog, members } = deps;
  const uuid = live.record.subject.key;
  const domainNow = (): string | undefined => members().topology.nodes.find((node) => node.uuid === uuid)?.domain;
  requireSubject(members(), live);
  const domain = domainNow();
  if (domain === undefined) return;
  await follow(deps, live, pendingIn(catalog, domain), () => {
    if (domainNow() !== domain) throw new JobObsoleteError(`the node does not serve ${domain} any more`);
  });
}

/** The copies of a node that came back are checked, and replaced where they are not right. */
export function resync(deps: RestoringDeps, live: LiveJob): Promise<void> {
  return follow(deps, live, pendingOn(deps.catalog, live.record.subject.key));
}

/** @param check throws when there is nothing to follow any more */
async function follow(
  { clock, members, wakeRepair }: RestoringDeps,
  live: LiveJob,
  what: PendingRange,
  check: () => void = () => {},
): Promise<void> {
  wakeRepair(true);
  live.waiting = true;
  live.describe("repair is at work on it");
  const sweep = new PendingSweep(what);
  let seen: PendingSum | undefined;
  let changedAtMs = clock.monotonicMs();
  for (;;) {
    requireSubject(members(), live);
    check();
    const startedAtMs = clock.monotonicMs();
    const now = await sweep.look(live.signal);
    if (!now.whole || now.count !== seen?.count) changedAtMs = startedAtMs;
    if (now.whole) {
      // More of it may have come on record since, which is as much more to do.
      const total = Math.max(live.total ?? 0, live.movedCount + now.count);
      live.restored(total - now.count, Math.max(0, (seen?.bytes ?? now.bytes) - now.bytes));
      await live.reached(FOLLOWING, { total });
      seen = now;
    } else await live.reached(FOLLOWING);
    if (now.nothing) return live.describe("all of it is restored");
    if (clock.monotonicMs() - changedAtMs >= STALL_MS) return await giveUp(live, what);
    const tookMs = clock.monotonicMs() - startedAtMs;
    await sleep(clock, Math.max(now.whole ? LOOK_MS : FIRST_LOOK_MS, tookMs * LOOK_SHARE), live.signal);
  }
}

async function giveUp(live: LiveJob, { kv, range, pendingOf }: PendingRange): Promise<void> {
  let named = 0;
  for await (const entry of walk(kv, range)) {
    live.signal.throwIfAborted();
    const pending = await pendingOf(entry);
    if (pending === undefined) continue;
    if (named++ >= NAMED_MAX) break;
    await live.failed(
      pending.blobId,
      pending.slot,
      "repair has not restored it; it stays on record and is tried again",
    );
  }
  live.describe("repair does not get on with what is left");
}

/** Slots whose copy is on a node and not known to be good. */
function pendingOn({ kv }: Catalog, nodeUuid: Id): PendingRange {
  const range = copiesBetween(nodeUuid, LAST_JOURNAL_KEY);
  return {
    kv,
    range,
    async pendingOf(entry) {
      const found = await findSlot(kv, nodeUuid, entry);
      if (found === undefined || !wantsRepair(found.slot)) return undefined;
      const { blobId, length: bytes } = found.located.blob;
      return { blobId, slot: found.number, bytes };
    },
  };
}

/** Slots of a domain that have no good copy in it. */
function pendingIn({ kv }: Catalog, domain: string): PendingRange {
  return {
    kv,
    range: repairRange(),
    async pendingOf(entry) {
      const { work, home } = decodeRepairEntry(entry.value);
      if (work !== undefined && work.domain !== domain) return undefined;
      const { blobId, slot: number } = partsOfRepairKey(entry.key);
      const located = await locateBlob(kv, blobId, home);
      const slot = located?.blob.slots[number];
      if (located === undefined || slot?.domain !== domain || !wantsRepair(slot)) return undefined;
      return { blobId, slot: number, bytes: located.blob.length };
    },
  };
}
