/**
 * Makes one slot good: checks the copy that it has, or makes a new one where it belongs and points the record to it.
 */
import type { LocatedBlob, RepairEntry } from "../../catalog/blobs.ts";
import type { Catalog } from "../../catalog/catalog.ts";
import { type Blob, isSamePlace, type Location, nodesOfOthers, type Slot } from "../../catalog/records/blob.ts";
import type { Member, Members } from "../../cluster/members.ts";
import { compatible, nextCandidate } from "../../placement/constraints.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Id } from "../../shared/ids.ts";
import { type CopyBlobDeps, copyBlob } from "../copy-blob.ts";
import { promoteSurplus } from "../promote-surplus.ts";
import { type SlotLedger, withSlot } from "../slot-ledger.ts";
import { withoutSurplus } from "../surplus.ts";
import { verifyCopy } from "../verify-copy.ts";
import { isAbsent } from "./absent-nodes.ts";

/** Limits of repair: copies and bytes that it restores a second. */
export interface RepairThrottle {
  /** Resolves when so much may be restored. @throws the signal's reason */
  take(copies: number, bytes: number, signal: AbortSignal): Promise<void>;
}

export interface SlotRepairDeps extends CopyBlobDeps {
  readonly catalog: Catalog;
  readonly members: () => Members;
  readonly ledger: SlotLedger;
  readonly clock: Clock;
  /** Whether a node's copies are to be made anew; by default those of nodes that are gone or were replaced. */
  readonly isLost?: (nodeUuid: Id) => boolean;
  /** No limit when absent. */
  readonly throttle?: RepairThrottle;
}

/** One slot that is worked on. */
export interface Attempt {
  readonly located: LocatedBlob;
  readonly number: number;
  readonly before: Slot;
  readonly entry: RepairEntry;
  readonly signal: AbortSignal;
  /** Name of the node that it is at. */
  node?: string;
}

/**
 * `made` a copy, or `checked` the one that is there, and the record says so; `unchanged`: somebody else was first;
 * `waits`: no node can take or give the copy now, and nothing was tried.
 */
export type AttemptResult = "made" | "checked" | "unchanged" | "waits";

export class SlotRepair {
  readonly #deps: SlotRepairDeps;

  constructor(deps: SlotRepairDeps) {
    this.#deps = deps;
  }

  /** @throws what a node or the catalog failed with; nothing is left of the attempt then */
  run(attempt: Attempt): Promise<AttemptResult> {
    return this.#isToBeChecked(attempt) ? this.#verify(attempt) : this.#replace(attempt);
  }

  /** Whether the slot has a copy where it belongs that only wants to be looked at, on a node that is not given up. */
  #isToBeChecked({ located, number, before }: Attempt): boolean {
    const { members } = this.#deps;
    const { location } = before;
    if (location === undefined || this.#isLost(location.nodeUuid)) return false;
    if (before.state === "unverified") return true;
    // Its node serves the slot's domain by now: it was promoted.
    const isHome = members().get(location.nodeUuid)?.spec.domain === before.domain;
    if (before.state !== "handoff" || !isHome) return false;
    return compatible(members().placement.index, nodesOfOthers(located.blob, number), location.nodeUuid);
  }

  #isLost(nodeUuid: Id): boolean {
    return this.#deps.isLost?.(nodeUuid) ?? isAbsent(this.#deps.members(), nodeUuid);
  }

  async #verify(attempt: Attempt): Promise<AttemptResult> {
    const { members, ledger, clock, throttle } = this.#deps;
    const { located, number, before, signal } = attempt;
    const { location } = before;
    const member = location && members().get(location.nodeUuid);
    if (location === undefined || member === undefined || !members().servesReads(location.nodeUuid)) return "waits";
    attempt.node = member.spec.name;
    await throttle?.take(1, located.blob.length, signal);
    const verdict = await verifyCopy(member.node, located.blob, { key: location.key, signal });
    const outcome = await ledger.change(located.blob.blobId, located.home, ({ blob }) => {
      const slot = blob.slots[number];
      if (slot?.state !== before.state || !isSamePlace(slot.location, location)) return undefined;
      const { domain } = slot;
      const checked: Slot =
        verdict === "good"
          ? { state: "ok", domain, location, verifiedAtMs: clock.nowMs() }
          : { state: "corrupt", domain, location };
      return { slots: withSlot(blob.slots, number, checked) };
    });
    return outcome === "changed" ? "checked" : "unchanged";
  }

  /** Makes a copy where the slot belongs and points the record to it; the copy that was there, if any, is dropped. */
  async #replace(attempt: Attempt): Promise<AttemptResult> {
    const { ledger, discard, clock, throttle } = this.#deps;
    const { located, number, before } = attempt;
    const surplus = await promoteSurplus(this.#deps, located, number, attempt.signal);
    if (surplus === "promoted") return "made";
    const badSurplus = surplus === "none" ? undefined : surplus.bad;
    const target = this.#targetFor(attempt, badSurplus);
    // Without a node to read from there is nothing to try: no attempt, and no dead letter however long it lasts.
    if (target === undefined || !this.#hasSource(located.blob)) return "waits";
    attempt.node = target.spec.name;
    const { writeGeneration } = target.spec;
    await throttle?.take(1, located.blob.length, attempt.signal);
    const location = await copyBlob(this.#deps, located.blob, target, { signal: attempt.signal });
    const outcome = await ledger.change(located.blob.blobId, located.home, ({ blob }) => {
      const slot = blob.slots[number];
      // Somebody else, a straggler say, was first.
      if (slot === undefined || slot.state !== before.state || !isSamePlace(slot.location, before.location))
        return undefined;
      // Another slot of the blob, repaired at the same time, may have got its copy there meanwhile; or the node serves
      // another domain by now.
      const members = this.#deps.members();
      if (members.get(location.nodeUuid)?.spec.domain !== slot.domain) return undefined;
      const slots = withoutBadSurplus(blob, target.spec.uuid, badSurplus);
      const left = { ...blob, slots };
      if (!compatible(members.placement.index, nodesOfOthers(left, number), location.nodeUuid)) return undefined;
      const repaired: Slot = { state: "ok", domain: slot.domain, location, verifiedAtMs: clock.nowMs() };
      return {
        slots: withSlot(slots, number, repaired),
        placedOn: { nodeUuid: location.nodeUuid, writeGeneration },
      };
    });
    if (outcome !== "changed") discard(located.blob.blobId, [location]);
    return outcome === "changed" ? "made" : "unchanged";
  }

  #hasSource({ slots }: Blob): boolean {
    const members = this.#deps.members();
    return slots.some(({ location }) => location !== undefined && members.servesReads(location.nodeUuid));
  }

  /**
   * A node of the domain that may hold a copy beside those that the other slots have; another one at each attempt.
   * @param badSurplus a copy that one on its node may take the place of
   */
  #targetFor({ located, number, before, entry }: Attempt, badSurplus: Location | undefined): Member | undefined {
    const members = this.#deps.members();
    const chosen = nodesOfOthers(located.blob, number).filter((uuid) => uuid !== badSurplus?.nodeUuid);
    const candidates = members
      .all()
      .filter(({ spec }) => spec.domain === before.domain && members.acceptsWrites(spec.uuid))
      .sort((a, b) => a.loadScore() - b.loadScore())
      .map(({ spec }) => spec.uuid)
      .filter((uuid) => compatible(members.placement.index, chosen, uuid));
    const first = candidates.length === 0 ? 0 : entry.attempts % candidates.length;
    const inTurn = [...candidates.slice(first), ...candidates.slice(0, first)];
    const uuid = entry.attempts === 0 ? nextCandidate(members.placement.index, chosen, candidates) : inTurn[0];
    return uuid === undefined ? undefined : members.get(uuid);
  }
}

/** The slots without a bad surplus copy on the node that gets a good one. */
function withoutBadSurplus({ slots }: Blob, target: Id, badSurplus: Location | undefined): readonly Slot[] {
  if (badSurplus === undefined || badSurplus.nodeUuid !== target) return slots;
  const at = slots.findIndex(({ state, location }) => state === "surplus" && isSamePlace(location, badSurplus));
  return at < 0 ? slots : withoutSurplus(slots, at);
}
