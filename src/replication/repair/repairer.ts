/**
 * Works off the record of slots that want repair: makes missing copies, replaces corrupt ones, moves hand-off copies
 * home, checks unverified ones. Those with the fewest good copies come first. What cannot be done now, because the
 * slot's domain has no node to do it on, is left as it is.
 */
import { decodeCopyEntry, decodeRepairEntry, locateBlob, type RepairEntry } from "../../catalog/blobs.ts";
import { copyIndexKey, partsOfRepairKey } from "../../catalog/keys.ts";
import type { KvEntry } from "../../catalog/kv.ts";
import { isReadable, isSamePlace, type Slot, type SlotState, wantsRepair } from "../../catalog/records/blob.ts";
import { NodeError } from "../../nodes/storage-node.ts";
import type { Logger } from "../../observability/logger.ts";
import { isComplete } from "../jobs/plan-slot.ts";
import type { CopyDamage } from "../read/blob-reader.ts";
import { type SlotLedger, withSlot } from "../slot-ledger.ts";
import { withoutSurplus } from "../surplus.ts";
import { forEachConcurrently } from "../worker.ts";
import { type AcquireLease, withLease } from "./lease.ts";
import { RepairQueue } from "./repair-queue.ts";
import { type Attempt, SlotRepair, type SlotRepairDeps } from "./slot-repair.ts";

/** Slots worked on at a time. */
const CONCURRENCY = 4;
/** Wait after the first failure; each further one doubles it. */
const BACKOFF_MIN_MS = 60_000;
const BACKOFF_MAX_MS = 3_600_000;
/** Failed attempts, about six hours of them, after which a slot becomes a dead letter. */
export const ATTEMPTS_MAX = 12;
const BATCH_SIZE = 100;

/** How an attempt to make a slot good ended. */
export type RepairOutcome = "restored" | "failed" | "dead-letter";

export interface RepairDeps extends SlotRepairDeps {
  readonly logger: Logger;
  /**
   * Told of each slot that was made good, by the state that it was in, and, where a copy was made, since when it had been
   * in that state (wall clock).
   */
  readonly onRestored: (cause: SlotState, bytes: number, sinceMs: number | undefined) => void;
  /** For what reads find bad, which every gateway puts on record, leader or not; by default `ledger`. */
  readonly damageLedger?: SlotLedger;
  readonly onAttempt?: (outcome: RepairOutcome) => void;
  /** Always granted when absent. */
  readonly acquireLease?: AcquireLease;
  /** Entries of the record read at a time; 100 when absent. */
  readonly batchSize?: number;
}

export interface RepairCounts {
  readonly repaired: number;
  readonly failed: number;
}

/** Of the run under way, or of the last one. */
export interface RepairRun {
  readonly running: boolean;
  readonly startedAtMs: number;
  /** Absent while it runs. */
  readonly endedAtMs?: number;
  /** Slots that were passed over because no node can take or give a copy now. */
  readonly waiting: number;
}

export class Repairer {
  readonly #deps: RepairDeps;
  readonly #queue: RepairQueue;
  readonly #slots: SlotRepair;
  readonly #underWay = new Set<string>();
  #repaired = 0;
  #failed = 0;
  #nodeCameBack = false;
  #run: RepairRun | undefined;

  constructor(deps: RepairDeps) {
    this.#deps = deps;
    this.#slots = new SlotRepair(deps);
    const { catalog, clock, batchSize = BATCH_SIZE } = deps;
    this.#queue = new RepairQueue({ kv: catalog.kv, clock, batchSize });
  }

  /** Since the process started. */
  get counts(): RepairCounts {
    return { repaired: this.#repaired, failed: this.#failed };
  }

  /** `undefined` before the first run of this process. */
  get lastRun(): RepairRun | undefined {
    return this.#run;
  }

  /** A node is online again: what failed before is tried at once by the next run, whatever its back-off. */
  nodeCameBack(): void {
    this.#nodeCameBack = true;
  }

  /** There is new work: a run under way looks for what has fewer good copies before it goes on. */
  workArrived(): void {
    this.#queue.workArrived();
  }

  /** One run over everything on record whose time has come, unless another gateway is at it. */
  async run(signal: AbortSignal): Promise<void> {
    await withLease(this.#deps.acquireLease, "repair", { signal, run: (held) => this.#workOff(held) });
  }

  async #workOff(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const despiteBackOff = this.#nodeCameBack;
    this.#nodeCameBack = false;
    const startedAtMs = clock.nowMs();
    this.#run = { running: true, startedAtMs, waiting: 0 };
    try {
      await forEachConcurrently(this.#queue.entries(signal), CONCURRENCY, signal, async (entry) => {
        await this.#look(entry, { despiteBackOff, signal });
      });
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.#run = { ...this.#run, running: false, endedAtMs: clock.nowMs() };
    }
  }

  /** Works on what an entry says, if its time has come and there are nodes to do it with. */
  async #look(entry: KvEntry, how: { readonly despiteBackOff: boolean; readonly signal: AbortSignal }): Promise<void> {
    const { catalog, clock } = this.#deps;
    const repair = decodeRepairEntry(entry.value);
    const due = isDue(repair, clock.nowMs());
    if (!due && !(repair.attempts > 0 && how.despiteBackOff)) return;
    if (repair.work !== undefined && this.#hasNoPlace(repair.work)) return this.#passOver();
    const { blobId, slot: number } = partsOfRepairKey(entry.key);
    const place = `${blobId}/${number}`;
    if (this.#underWay.has(place)) return;
    this.#underWay.add(place);
    try {
      const located = await locateBlob(catalog.kv, blobId, repair.home);
      const before = located?.blob.slots[number];
      if (located === undefined || before === undefined || !wantsRepair(before)) return;
      await this.#repair({ located, number, before, entry: repair, signal: how.signal });
    } finally {
      this.#underWay.delete(place);
    }
  }

  /** Known without a look at the blob: a copy is to be made, and its domain has no node that takes it. */
  #hasNoPlace({ state, domain }: { readonly state: SlotState; readonly domain: string }): boolean {
    if (state !== "missing" && state !== "corrupt") return false;
    const members = this.#deps.members();
    return !members.all().some(({ spec }) => spec.domain === domain && members.acceptsWrites(spec.uuid));
  }

  #passOver(): void {
    if (this.#run !== undefined) this.#run = { ...this.#run, waiting: this.#run.waiting + 1 };
  }

  /** Takes a copy that a reader found bad out of service, so that it is replaced. */
  async recordDamage({ blobId, slot: number, location, kind }: CopyDamage): Promise<void> {
    const { catalog, ledger, damageLedger = ledger, members, logger } = this.#deps;
    const entry = await catalog.kv.get(copyIndexKey(location.nodeUuid, location.key));
    if (entry === undefined) return;
    const outcome = await damageLedger.change(blobId, decodeCopyEntry(entry.value).home, ({ blob }) => {
      const slot = blob.slots[number];
      if (slot === undefined || !isReadable(slot) || !isSamePlace(slot.location, location)) return undefined;
      // One more than is wanted is not made anew; while another is not known to be good it may yet have blocks to give.
      if (slot.state === "surplus") {
        const complete = isComplete(blob, (uuid) => members().servesReads(uuid));
        return complete ? { slots: withoutSurplus(blob.slots, number) } : undefined;
      }
      // Even a copy that is lost keeps its place until another one stands: the node may only show an old state of its
      // disk, and what no slot points to is deleted.
      const bad: Slot = { state: "corrupt", domain: slot.domain, location };
      return { slots: withSlot(blob.slots, number, bad) };
    });
    if (outcome !== "changed") return;
    this.#queue.workArrived();
    const node = members().get(location.nodeUuid)?.spec.name;
    logger.warn({ blobId, slot: number, node, kind }, "a bad copy was taken out of service");
  }

  async #repair(attempt: Attempt): Promise<void> {
    const { logger, onAttempt } = this.#deps;
    const { located, number, before } = attempt;
    try {
      const done = await this.#slots.run(attempt);
      if (done === "waits") this.#passOver();
      if (done !== "made" && done !== "checked") return;
      this.#repaired++;
      onAttempt?.("restored");
      this.#deps.onRestored(before.state, located.blob.length, done === "made" ? attempt.entry.sinceMs : undefined);
    } catch (error) {
      if (attempt.signal.aborted) return;
      this.#failed++;
      onAttempt?.("failed");
      const facts = { blobId: located.blob.blobId, slot: number, node: attempt.node };
      // One that was made before its time, because a node came back, costs nothing: else a node that comes and goes
      // would use up the attempts of everything in minutes.
      const counts = isDue(attempt.entry, this.#deps.clock.nowMs());
      const attempts = attempt.entry.attempts + (counts ? 1 : 0);
      logger.warn({ err: error, ...facts, attempts }, "a repair failed and is tried again later");
      if (counts) await this.#postpone(attempt, error);
    }
  }

  /** Puts a failed attempt on record: it is made again later, or, after so many, given up. */
  async #postpone({ located, number, before, node }: Attempt, error: unknown): Promise<void> {
    const { clock, ledger, logger, onAttempt } = this.#deps;
    const { blobId } = located.blob;
    let givenUp = false;
    const outcome = await ledger.change(blobId, located.home, ({ blob, repairs }) => {
      const slot = blob.slots[number];
      const entry = repairs.get(number);
      givenUp = false;
      if (entry === undefined || slot?.state !== before.state || !isSamePlace(slot.location, before.location))
        return undefined;
      const attempts = entry.attempts + 1;
      if (attempts < ATTEMPTS_MAX) {
        const postponed = new Map([[number, { notBeforeMs: clock.nowMs() + backOffMs(attempts), attempts }]]);
        return { slots: blob.slots, postponed };
      }
      givenUp = true;
      const letter = { sinceMs: entry.sinceMs, givenUpAtMs: clock.nowMs(), attempts, ...told(error) };
      return { slots: blob.slots, givenUp: new Map([[number, node === undefined ? letter : { ...letter, node }]]) };
    });
    if (outcome !== "changed" || !givenUp) return;
    onAttempt?.("dead-letter");
    logger.error({ err: error, blobId, slot: number, node }, "a repair was given up: it is a dead letter now");
  }
}

/** How long the next attempt waits after so many that failed. */
function backOffMs(attempts: number): number {
  return Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** (attempts - 1));
}

/** Whether its time has come. One that would still wait for longer than it was told to is due: the clock was set back. */
function isDue({ sinceMs, notBeforeMs, attempts }: RepairEntry, nowMs: number): boolean {
  const toldMs = attempts === 0 ? notBeforeMs - sinceMs : backOffMs(attempts);
  return notBeforeMs <= nowMs || notBeforeMs - nowMs > toldMs;
}

/** What a dead letter says of an error. */
function told(error: unknown): { errorKind: string; errorMessage: string } {
  if (error instanceof NodeError) return { errorKind: error.kind, errorMessage: error.message };
  if (error instanceof Error) return { errorKind: error.name, errorMessage: error.message };
  return { errorKind: "unknown", errorMessage: String(error) };
}
