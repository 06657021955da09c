/**
 * Works off the record of slots that want repair: makes missing copies, replaces corrupt ones, moves hand-off copies
 * home, checks unverified ones. Those with the fewest good copies come first. What cannot be done now, because the
 * slot's domain has no node to do it on, is left as it is.
 */
import {
  type BlobHome,
  decodeCopyEntry,
  decodeRepairEntry,
  type LocatedBlob,
  locateBlob,
} from "../../catalog/blobs.ts";
import { type Catalog, walk } from "../../catalog/catalog.ts";
import { copyIndexKey, partsOfRepairKey, repairRange } from "../../catalog/keys.ts";
import {
  type Blob,
  isReadable,
  isSamePlace,
  type Location,
  type Slot,
  type SlotState,
  wantsRepair,
} from "../../catalog/records/blob.ts";
import type { Member, Members } from "../../cluster/members.ts";
import { newCopyKey } from "../../nodes/copy-key.ts";
import type { Logger } from "../../observability/logger.ts";
import { compatible, nextCandidate } from "../../placement/constraints.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Id } from "../../shared/ids.ts";
import type { Random } from "../../shared/random.ts";
import { type Pace, paced } from "../jobs/paced.ts";
import { isComplete } from "../jobs/plan-slot.ts";
import { promoteSurplus } from "../promote-surplus.ts";
import type { BlobReader, CopyDamage } from "../read/blob-reader.ts";
import { type SlotLedger, withSlot } from "../slot-ledger.ts";
import { withoutSurplus } from "../surplus.ts";
import { verifyCopy } from "../verify-copy.ts";
import { forEachConcurrently } from "../worker.ts";
import { assembleBlocks } from "../write/block-assembler.ts";
import { isAbsent } from "./absent-nodes.ts";

/** Slots worked on at a time. */
const CONCURRENCY = 4;
/** Wait after the first failure; each further one doubles it. */
const BACKOFF_MIN_MS = 60_000;
const BACKOFF_MAX_MS = 3_600_000;

export interface RepairDeps {
  readonly catalog: Catalog;
  readonly members: () => Members;
  readonly reader: BlobReader;
  readonly ledger: SlotLedger;
  readonly discard: (blobId: Id, copies: readonly Location[]) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Told of each slot that was made good, by the state that it was in. */
  readonly onRestored: (cause: SlotState, bytes: number) => void;
  /** How fast copies may be made; no limit when absent. */
  readonly pace?: Pace;
  /** Whether the copies of a node that is away are made anew without waiting for it. */
  readonly givenUp?: (nodeUuid: Id) => boolean;
}

export interface RepairCounts {
  readonly repaired: number;
  readonly failed: number;
}

export class Repairer {
  readonly #deps: RepairDeps;
  #repaired = 0;
  #failed = 0;
  #nodeCameBack = false;

  constructor(deps: RepairDeps) {
    this.#deps = deps;
  }

  /** Since the process started. */
  get counts(): RepairCounts {
    return { repaired: this.#repaired, failed: this.#failed };
  }

  /** A node is online again: what failed before is tried at once by the next run, whatever its back-off. */
  nodeCameBack(): void {
    this.#nodeCameBack = true;
  }

  /** One run over everything on record whose time has come. */
  async run(signal: AbortSignal): Promise<void> {
    const { catalog, clock } = this.#deps;
    const despiteBackOff = this.#nodeCameBack;
    this.#nodeCameBack = false;
    await forEachConcurrently(walk(catalog.kv, repairRange()), CONCURRENCY, signal, async (entry) => {
      const { home, notBeforeMs, attempts } = decodeRepairEntry(entry.value);
      const failedBefore = attempts > 0;
      if (notBeforeMs > clock.nowMs() && !(failedBefore && despiteBackOff)) return;
      const { blobId, slot } = partsOfRepairKey(entry.key);
      await this.#repair({ blobId, slot, home, attempts }, signal);
    });
  }

  /** Takes a copy that a reader found bad out of service, so that it is replaced. */
  async recordDamage({ blobId, slot: number, location, kind }: CopyDamage): Promise<void> {
    const { catalog, ledger, members, logger } = this.#deps;
    const entry = await catalog.kv.get(copyIndexKey(location.nodeUuid, location.key));
    if (entry === undefined) return;
    const outcome = await ledger.change(blobId, decodeCopyEntry(entry.value).home, ({ blob }) => {
      const slot = blob.slots[number];
      if (slot === undefined || !isReadable(slot) || !isSamePlace(slot.location, location)) return undefined;
      // One more than is wanted is not made anew.
      if (slot.state === "surplus" && isComplete(blob)) return { slots: withoutSurplus(blob.slots, number) };
      // Even a copy that is lost keeps its place until another one stands: the node may only show an old state of its
      // disk, and what no slot points to is deleted.
      const bad: Slot = { state: "corrupt", domain: slot.domain, location };
      return { slots: withSlot(blob.slots, number, bad) };
    });
    if (outcome !== "changed") return;
    const node = members().get(location.nodeUuid)?.spec.name;
    logger.warn({ blobId, slot: number, node, kind }, "a bad copy was taken out of service");
  }

  async #repair(
    target: { blobId: Id; slot: number; home: BlobHome; attempts: number },
    signal: AbortSignal,
  ): Promise<void> {
    const { catalog, logger } = this.#deps;
    const { blobId, slot, home } = target;
    const located = await locateBlob(catalog.kv, blobId, home);
    const current = located?.blob.slots[slot];
    if (located === undefined || current === undefined || !wantsRepair(current)) return;
    try {
      const done =
        current.state === "unverified" && current.location !== undefined && !this.#isGone(current.location.nodeUuid)
          ? await this.#verify(located, slot, current.location, signal)
          : await this.#replace(located, slot, signal);
      if (done) {
        this.#repaired++;
        this.#deps.onRestored(current.state, located.blob.length);
      }
    } catch (error) {
      if (signal.aborted) return;
      this.#failed++;
      logger.warn(
        { err: error, blobId, slot, attempts: target.attempts + 1 },
        "a repair failed and is tried again later",
      );
      await this.#backOff(located, slot, target.attempts + 1);
    }
  }

  #isGone(nodeUuid: Id): boolean {
    const members = this.#deps.members();
    if (isAbsent(members, nodeUuid)) return true;
    return !members.servesReads(nodeUuid) && this.#deps.givenUp?.(nodeUuid) === true;
  }

  async #verify(located: LocatedBlob, number: number, location: Location, signal: AbortSignal): Promise<boolean> {
    const { members, ledger, clock } = this.#deps;
    const member = members().get(location.nodeUuid);
    if (member === undefined || !members().servesReads(location.nodeUuid)) return false;
    const verdict = await verifyCopy(member.node, located.blob, { key: location.key, signal });
    const outcome = await ledger.change(located.blob.blobId, located.home, ({ blob }) => {
      const slot = blob.slots[number];
      if (slot?.state !== "unverified" || !isSamePlace(slot.location, location)) return undefined;
      const { domain } = slot;
      const checked: Slot =
        verdict === "good"
          ? { state: "ok", domain, location, verifiedAtMs: clock.nowMs() }
          : { state: "corrupt", domain, location };
      return { slots: withSlot(blob.slots, number, checked) };
    });
    return outcome === "changed";
  }

  /** Makes a copy where the slot belongs and points the record to it; the copy that was there, if any, is dropped. */
  async #replace(located: LocatedBlob, number: number, signal: AbortSignal): Promise<boolean> {
    const { ledger, discard, clock } = this.#deps;
    if (await promoteSurplus(this.#deps, located, number, signal)) return true;
    const before = located.blob.slots[number];
    const target = before && this.#targetFor(located.blob, number, before.domain);
    if (before === undefined || target === undefined) return false;
    const location = await this.#copyTo(target, located.blob, signal);
    const outcome = await ledger.change(located.blob.blobId, located.home, ({ blob }) => {
      const slot = blob.slots[number];
      // Somebody else, a straggler say, was first.
      if (slot === undefined || slot.state !== before.state || !isSamePlace(slot.location, before.location))
        return undefined;
      // Another slot of the blob, repaired at the same time, may have got its copy there meanwhile.
      const others = nodesOfOthers(blob, number);
      if (!compatible(this.#deps.members().placement.index, others, location.nodeUuid)) return undefined;
      const repaired: Slot = { state: "ok", domain: slot.domain, location, verifiedAtMs: clock.nowMs() };
      return { slots: withSlot(blob.slots, number, repaired) };
    });
    if (outcome !== "changed") discard(located.blob.blobId, [location]);
    return outcome === "changed";
  }

  /** A node of the domain that may hold a copy beside those that the other slots have. */
  #targetFor(blob: Blob, number: number, domain: string): Member | undefined {
    const members = this.#deps.members();
    const chosen = nodesOfOthers(blob, number);
    const candidates = members
      .all()
      .filter(({ spec }) => spec.domain === domain && members.acceptsWrites(spec.uuid))
      .sort((a, b) => a.loadScore() - b.loadScore())
      .map(({ spec }) => spec.uuid);
    const uuid = nextCandidate(members.placement.index, chosen, candidates);
    return uuid === undefined ? undefined : members.get(uuid);
  }

  async #copyTo(target: Member, blob: Blob, signal: AbortSignal): Promise<Location> {
    const { catalog, reader, random, discard, pace } = this.#deps;
    const { session, clusterId } = catalog;
    await pace?.object(signal);
    const blocks = assembleBlocks(reader.read(blob, { start: 0, end: blob.length }, signal));
    const location = { nodeUuid: target.spec.uuid, key: newCopyKey(session, random) };
    try {
      await target.node.put({
        key: location.key,
        header: { clusterId, blobId: blob.blobId, session, length: blob.length },
        blocks: pace === undefined ? blocks : paced(blocks, pace, signal),
        signal,
      });
      return location;
    } catch (error) {
      discard(blob.blobId, [location]);
      throw error;
    }
  }

  async #backOff(located: LocatedBlob, number: number, attempts: number): Promise<void> {
    const { clock, ledger } = this.#deps;
    const waitMs = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** (attempts - 1));
    await ledger.change(located.blob.blobId, located.home, ({ blob }) => ({
      slots: blob.slots,
      postponed: new Map([[number, { notBeforeMs: clock.nowMs() + waitMs, attempts }]]),
    }));
  }
}

/** The nodes that hold copies of a blob's other slots. */
function nodesOfOthers({ slots }: Blob, number: number): Id[] {
  return slots.flatMap(({ location }, at) => (at === number || location === undefined ? [] : [location.nodeUuid]));
}
