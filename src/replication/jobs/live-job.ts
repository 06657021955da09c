/** A job that is being worked on: how far it is, in memory and, now and then, in its record. */
import type { Job, JobCounts } from "../../catalog/records/job.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Id } from "../../shared/ids.ts";
import { remainingMs, type Sample, withSample } from "./estimate.ts";
import { isOver, type JobStore, type StoredJob } from "./job-store.ts";

/** A cursor is saved no more often. */
const SAVE_INTERVAL_MS = 2_000;
const SAVE_ATTEMPTS_MAX = 8;

/** The job is not this process's any more, or was told to stop: whoever works on it leaves it as it is. */
export class JobStoppedError extends Error {
  constructor() {
    super("the job was stopped, or taken over by another process");
    this.name = "JobStoppedError";
  }
}

export interface JobObserver {
  moved(kind: string, bytes: number): void;
  failed(kind: string): void;
}

/** A job as somebody sees it who asks now. */
export interface JobView {
  readonly job: Job;
  readonly remainingMs: number | undefined;
}

/** What a kind of job is told of the one that it works on, and tells of it. */
export class LiveJob {
  readonly signal: AbortSignal;
  /** It waits for others and does nothing itself: another job may run in its place. */
  waiting = false;
  readonly #deps: { readonly store: JobStore; readonly clock: Clock; readonly observer: JobObserver };
  #stored: StoredJob;
  #moved: number;
  #bytes: number;
  #skipped: number;
  #failed: number;
  /** As they were at the cursor: what follows it is gone through again by whoever goes on from there. */
  #atCursor: { readonly skipped: number; readonly failed: number };
  #cursor: string | undefined;
  #total: number | undefined;
  #detail: string | undefined;
  #savedAtMs: number;
  #samples: readonly Sample[] = [];

  constructor(
    deps: { readonly store: JobStore; readonly clock: Clock; readonly observer: JobObserver },
    stored: StoredJob,
    signal: AbortSignal,
  ) {
    this.#deps = deps;
    this.#stored = stored;
    this.signal = signal;
    const { counts, cursor, total, detail } = stored.job;
    this.#moved = counts.moved;
    this.#bytes = counts.bytes;
    this.#skipped = counts.skipped;
    this.#failed = counts.failed;
    this.#atCursor = counts;
    this.#cursor = cursor;
    this.#total = total;
    this.#detail = detail;
    this.#savedAtMs = deps.clock.monotonicMs();
  }

  /** Its record as this process saved it last. */
  get record(): Job {
    return this.#stored.job;
  }

  get cursor(): string | undefined {
    return this.#cursor;
  }

  get total(): number | undefined {
    return this.#total;
  }

  get failedCount(): number {
    return this.#failed;
  }

  get movedCount(): number {
    return this.#moved;
  }

  /** As it is at this moment. */
  view(): JobView {
    const counts = this.#countsNow();
    const total = this.#total;
    const job: Job = {
      ...this.#stored.job,
      counts,
      ...(total === undefined ? {} : { total: Math.max(total, counts.considered) }),
      ...(this.#detail === undefined ? {} : { detail: this.#detail }),
    };
    return { job, remainingMs: remainingMs(counts.considered, total, this.#samples) };
  }

  moved(bytes: number): void {
    this.#moved += 1;
    this.#bytes += bytes;
    this.#deps.observer.moved(this.record.kind, bytes);
    this.#sample();
  }

  skipped(): void {
    this.#skipped += 1;
    this.#sample();
  }

  /** @throws CatalogError */
  async failed(blobId: Id, slot: number, reason: string): Promise<void> {
    const { store, clock, observer } = this.#deps;
    const known = this.#failed;
    this.#failed += 1;
    observer.failed(this.record.kind);
    this.#sample();
    await store.addFailure(this.record.id, { blobId, slot, reason, atMs: clock.nowMs() }, known);
  }

  /** Others have done so much of it by now. */
  restored(copies: number, bytes: number): void {
    const more = Math.max(0, copies - this.#moved);
    this.#moved = Math.max(this.#moved, copies);
    this.#bytes += bytes;
    if (more > 0) this.#deps.observer.moved(this.record.kind, bytes);
    this.#sample();
  }

  describe(detail: string): void {
    this.#detail = detail;
  }

  /**
   * Goes through its copies once more: failures of the pass before are forgotten, what was moved stays counted.
   * @param total of all copies, those that were moved included; as it was when absent
   * @throws JobStoppedError; CatalogError
   */
  async beginPass(cursor: string | undefined, total = this.#total): Promise<void> {
    if (this.#failed > 0) await this.#deps.store.clearFailures(this.record.id);
    this.#skipped = 0;
    this.#failed = 0;
    this.#total = total;
    await this.reached(cursor, { save: true });
  }

  /**
   * All that precedes the cursor is settled. Saved now and then, or now.
   * @throws JobStoppedError; CatalogError
   */
  async reached(cursor: string | undefined, { save = false, total = this.#total } = {}): Promise<void> {
    this.#cursor = cursor;
    this.#total = total;
    this.#atCursor = { skipped: this.#skipped, failed: this.#failed };
    if (!save && this.#deps.clock.monotonicMs() - this.#savedAtMs < SAVE_INTERVAL_MS) return;
    await this.save();
    // Another gateway may have been asked to pause or to cancel it.
    if (this.record.state !== "running") throw new JobStoppedError();
  }

  /**
   * Writes how far it is, with other changes of its record.
   * @throws JobStoppedError when the job is another's, or over; CatalogError
   */
  async save(change: Partial<Pick<Job, "state" | "endedAtMs">> = {}): Promise<void> {
    const { store, clock } = this.#deps;
    const own = this.#stored.job.session;
    for (let attempt = 0; attempt < SAVE_ATTEMPTS_MAX; attempt++) {
      // At its end nothing is gone through again.
      const ended = change.state === undefined ? {} : { counts: this.#countsNow() };
      const next = { ...this.#progressed(), ...ended, ...change };
      const version = await store.replace(this.#stored, next);
      this.#savedAtMs = clock.monotonicMs();
      if (version !== undefined) {
        this.#stored = { job: next, version };
        return;
      }
      const now = await store.load(next.id);
      if (now === undefined || isOver(now.job) || now.job.session !== own) throw new JobStoppedError();
      this.#stored = now;
      // It was told to stop, which is kept; where it stands is still to be saved.
      if (change.state !== undefined && now.job.state !== "running") throw new JobStoppedError();
    }
    throw new JobStoppedError();
  }

  #progressed(): Job {
    const { cursor: _cursor, total: _total, detail: _detail, ...rest } = this.#stored.job;
    return {
      ...rest,
      counts: this.#countsWith(this.#atCursor),
      ...(this.#cursor === undefined ? {} : { cursor: this.#cursor }),
      ...(this.#total === undefined ? {} : { total: this.#total }),
      ...(this.#detail === undefined ? {} : { detail: this.#detail }),
    };
  }

  #countsNow(): JobCounts {
    return this.#countsWith({ skipped: this.#skipped, failed: this.#failed });
  }

  #countsWith({ skipped, failed }: { readonly skipped: number; readonly failed: number }): JobCounts {
    const [moved, bytes] = [this.#moved, this.#bytes];
    return { considered: moved + skipped + failed, moved, skipped, failed, bytes };
  }

  #sample(): void {
    const { considered } = this.#countsNow();
    this.#samples = withSample(this.#samples, { atMs: this.#deps.clock.monotonicMs(), done: considered });
  }
}
