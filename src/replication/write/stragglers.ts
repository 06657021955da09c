import type { BlobHome } from "../../catalog/blobs.ts";
import { type Location, nodesOfOthers, type Slot } from "../../catalog/records/blob.ts";
import type { Members } from "../../cluster/members.ts";
import { compatible } from "../../placement/constraints.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Id } from "../../shared/ids.ts";
import { type SlotLedger, withSlot } from "../slot-ledger.ts";
import type { Straggler, WrittenBlob } from "./blob-write-types.ts";

export interface StragglerDeps {
  readonly members: () => Members;
  readonly ledger: SlotLedger;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly discard: (blobId: Id, copies: readonly Location[]) => void;
  readonly wakeRepair: () => void;
}

/**
 * Adds the copies that arrive after the acknowledgement to the blob's record, each as it comes, and gives up those
 * that have not come when the time is over; repair makes them then.
 */
export function followStragglers(deps: StragglerDeps, written: WrittenBlob, home: BlobHome): void {
  for (const straggler of written.stragglers) void followOne(deps, written.blob.blobId, home, straggler);
}

async function followOne(deps: StragglerDeps, blobId: Id, home: BlobHome, straggler: Straggler): Promise<void> {
  const timer = deps.clock.startTimer(deps.timeoutMs, () => straggler.abort());
  const arrived = await straggler.done;
  timer.stop();
  if (!arrived) {
    deps.wakeRepair();
    return;
  }
  const { nodeUuid, key } = straggler;
  const location = { nodeUuid, key };
  try {
    const outcome = await deps.ledger.change(blobId, home, ({ blob }) => {
      const slot = blob.slots[straggler.slot];
      if (slot === undefined || slot.state !== "missing") return undefined;
      const members = deps.members();
      // Its node may serve another domain by now; and another slot's copy may have been made there, while nothing was on
      // record of this one.
      const isHome = members.get(nodeUuid)?.spec.domain === slot.domain;
      const others = nodesOfOthers(blob, straggler.slot);
      if (!compatible(members.placement.index, others, nodeUuid, isHome ? "planned" : "handoff")) return undefined;
      const state = isHome ? "ok" : "handoff";
      const arrivedSlot: Slot = { state, domain: slot.domain, location, verifiedAtMs: deps.clock.nowMs() };
      return { slots: withSlot(blob.slots, straggler.slot, arrivedSlot) };
    });
    if (outcome !== "changed") deps.discard(blobId, [location]);
  } catch {
    // The commit may have happened, so the copy must stay; if it did not, the copy is an orphan.
    deps.wakeRepair();
  }
}
