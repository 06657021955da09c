/**
 * Runs jobs from the record: begins those that wait, a few at a time and the most urgent first, goes on with those that
 * another process left, and ends them as they turn out. Whatever it knows is in the catalog; it may be gone at any moment.
 */
import { type Catalog, SessionEndedError } from "../../catalog/catalog.ts";
import type { Job, JobKind } from "../../catalog/records/job.ts";
import type { Logger } from "../../observability/logger.ts";
import type { Clock } from "../../shared/clock.ts";
import { toError } from "../../shared/errors.ts";
import type { Id } from "../../shared/ids.ts";
import { isOver, JobError, type JobStore, type StoredJob } from "./job-store.ts";
import { type JobObserver, JobStoppedError, type JobView, LiveJob } from "./live-job.ts";

/** Jobs that run at a time; those that only wait for others do not count. */
export const RUNNING_MAX = 3;
/** Times that a job is begun again by one process after something unforeseen ended it. */
const RESTARTS_MAX = 5;
/** Before the first of these; each further one waits as much longer. */
const RESTART_DELAY_MS = 10_000;

/** Lower comes first: what restores redundancy, then what moves copies, then what looks for trouble. */
const URGENCY: Readonly<Record<JobKind, number>> = {
  MIGRATE_FROM_FAILED: 0,
  COPY_TO_PROMOTED: 0,
  RESYNC: 0,
  DRAIN: 1,
  REBALANCE_TO_NEW: 1,
  SCRUB: 2,
};

/** A job cannot succeed, and why: for people. */
export class JobFailedError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "JobFailedError";
  }
}

/** There is nothing left that a job is about, and why: it ends as cancelled. For people. */
export class JobObsoleteError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "JobObsoleteError";
  }
}

/**
 * Works on a job until it is done, from where its cursor stands. What does not succeed is told to the job.
 * @throws JobFailedError, JobObsoleteError, JobStoppedError, the signal's reason; anything else has the job begun again
 */
export type JobWork = (live: LiveJob) => Promise<void>;

export interface JobRunnerDeps {
  readonly catalog: Catalog;
  readonly store: JobStore;
  readonly work: Readonly<Record<JobKind, JobWork>>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: JobObserver;
  /** Told when a job has ended or begins to wait, so that others may begin. Must not throw. */
  readonly onRoom: () => void;
  /** Told when a job was cancelled that had begun, so that what it set going elsewhere is stopped. Must not throw. */
  readonly onCancelled?: (job: Job) => void;
}

interface Running {
  readonly live: LiveJob;
  readonly stop: AbortController;
  readonly ended: Promise<void>;
}

export class JobRunner {
  readonly #deps: JobRunnerDeps;
  readonly #running = new Map<Id, Running>();
  /** Jobs that were interrupted: how often, and when (monotonic) they are begun again. */
  readonly #restarts = new Map<Id, { readonly count: number; readonly notBeforeMs: number }>();

  constructor(deps: JobRunnerDeps) {
    this.#deps = deps;
  }

  /** Begins what is to run now. Returns before it ends. @throws CatalogError, SessionEndedError, RecordError */
  async run(signal: AbortSignal): Promise<void> {
    const { store } = this.#deps;
    const all = await store.list();
    for (const stored of all) {
      if (signal.aborted) return;
      if (stored.job.state === "cancelling" && !this.#running.has(stored.job.id)) await this.#cancelled(stored);
    }
    // What another process left comes before what has still to begin, and takes no more room.
    for (const stored of [...this.#leftOf(all), ...inOrder(all, "queued")]) {
      if (signal.aborted || this.#busy >= RUNNING_MAX) return;
      if (!this.#hasTwin(stored.job)) await this.#begin(stored, signal);
    }
  }

  /** The jobs of this process that run, as they are now. */
  views(): ReadonlyMap<Id, JobView> {
    return new Map([...this.#running].map(([id, { live }]) => [id, live.view()]));
  }

  /** Has a job of this process stop soon; what its record says is for others to say. */
  stop(id: Id): void {
    this.#running.get(id)?.stop.abort(new JobStoppedError());
  }

  /** Stops what runs, to be gone on with by the next process. Resolves when nothing runs any more. */
  async stopAll(): Promise<void> {
    const all = [...this.#running.values()];
    for (const { stop } of all) stop.abort(new JobStoppedError());
    await Promise.all(all.map(({ ended }) => ended));
  }

  get #busy(): number {
    return [...this.#running.values()].filter(({ live }) => !live.waiting).length;
  }

  #mayBegin(id: Id): boolean {
    return (this.#restarts.get(id)?.notBeforeMs ?? 0) <= this.#deps.clock.monotonicMs();
  }

  /** Jobs that are on record as running, and that this process does not work on. */
  #leftOf(all: readonly StoredJob[]): StoredJob[] {
    return inOrder(all, "running").filter(({ job: { id } }) => !this.#running.has(id) && this.#mayBegin(id));
  }

  /** Whether a job of the same kind runs for the same subject: it may be past what this one was asked for. */
  #hasTwin({ kind, subject }: Job): boolean {
    return [...this.#running.values()].some(
      ({ live: { record } }) => record.kind === kind && record.subject.key === subject.key,
    );
  }

  async #cancelled(stored: StoredJob): Promise<void> {
    const { store, clock, onCancelled } = this.#deps;
    const ended = await store.replace(stored, { ...stored.job, state: "cancelled", endedAtMs: clock.nowMs() });
    if (ended !== undefined) onCancelled?.(stored.job);
  }

  async #begin(stored: StoredJob, signal: AbortSignal): Promise<void> {
    const { catalog, store, clock, observer, logger } = this.#deps;
    const job: Job = {
      ...stored.job,
      state: "running",
      session: catalog.session,
      startedAtMs: stored.job.startedAtMs ?? clock.nowMs(),
    };
    const version = await store.replace(stored, job);
    if (version === undefined) return;
    const stop = new AbortController();
    const live = new LiveJob({ store, clock, observer }, { job, version }, AbortSignal.any([signal, stop.signal]));
    logger.info({ job: job.id, kind: job.kind, subject: job.subject.name, cursor: job.cursor }, "a job begins");
    const ended = this.#work(live).finally(() => {
      this.#running.delete(job.id);
      if (!signal.aborted) this.#deps.onRoom();
    });
    this.#running.set(job.id, { live, stop, ended });
  }

  async #work(live: LiveJob): Promise<void> {
    const { work, logger } = this.#deps;
    const { id, kind } = live.record;
    try {
      // Not before it is among those that run.
      await Promise.resolve();
      await work[kind](live);
      this.#restarts.delete(id);
      await this.#end(live, live.failedCount > 0 ? "done-with-failures" : "done");
    } catch (error) {
      await this.#fail(live, toError(error)).catch((failure: unknown) => {
        // Its record stays as it was saved last, and somebody goes on from there.
        if (!(failure instanceof JobStoppedError))
          logger.warn({ err: failure, job: id }, "a job's end was not recorded");
      });
    }
  }

  async #fail(live: LiveJob, error: Error): Promise<void> {
    const { clock, logger } = this.#deps;
    const { id, kind } = live.record;
    if (error instanceof SessionEndedError) throw error;
    if (live.signal.aborted || error instanceof JobStoppedError) {
      await live.save();
      if (live.record.state === "cancelling") await this.#end(live, "cancelled");
      return;
    }
    if (error instanceof JobObsoleteError) {
      this.#restarts.delete(id);
      live.describe(error.message);
      return await live.save({ state: "cancelled", endedAtMs: clock.nowMs() });
    }
    const count = (this.#restarts.get(id)?.count ?? 0) + 1;
    this.#restarts.set(id, { count, notBeforeMs: clock.monotonicMs() + count * RESTART_DELAY_MS });
    logger.warn({ err: error, job: id, kind, restarts: count }, "a job was interrupted");
    if (!(error instanceof JobFailedError) && count <= RESTARTS_MAX) return live.save();
    this.#restarts.delete(id);
    live.describe(error instanceof JobFailedError ? error.message : "it failed again and again; the log says why");
    await this.#end(live, "failed");
  }

  async #end(live: LiveJob, state: Job["state"]): Promise<void> {
    const { clock, logger } = this.#deps;
    if (state === "cancelled") {
      // Its record says `cancelling`, which a save keeps; this one ends it.
      const stored = await this.#deps.store.load(live.record.id);
      if (stored !== undefined && !isOver(stored.job)) await this.#cancelled(stored);
    } else await live.save({ state, endedAtMs: clock.nowMs() });
    const { id, kind, subject, counts } = live.record;
    logger.info({ job: id, kind, subject: subject.name, state, ...counts }, "a job has ended");
  }
}

/** Those in a state, the most urgent first, then the oldest. */
function inOrder(all: readonly StoredJob[], state: Job["state"]): StoredJob[] {
  return all
    .filter(({ job }) => job.state === state)
    .sort((a, b) => URGENCY[a.job.kind] - URGENCY[b.job.kind] || a.job.createdAtMs - b.job.createdAtMs);
}

/** The record of a job that is to pause. @throws JobError */
export function paused(job: Job): Job {
  if (job.state === "paused") return job;
  if (job.state === "running" || job.state === "queued") return { ...job, state: "paused" };
  throw new JobError("refused", `a job that is ${job.state} cannot be paused`);
}

/** The record of a job that is to go on. @throws JobError */
export function resumed(job: Job): Job {
  if (job.state === "running" || job.state === "queued") return job;
  if (job.state === "paused") return { ...job, state: "queued" };
  throw new JobError("refused", `a job that is ${job.state} cannot go on`);
}

/** The record of a job that is given up; one that runs is ended by whoever works on it. @throws JobError */
export function cancelled(job: Job, nowMs: number): Job {
  if (job.state === "cancelling") return job;
  if (job.state === "running") return { ...job, state: "cancelling" };
  if (job.state === "queued" || job.state === "paused") return { ...job, state: "cancelled", endedAtMs: nowMs };
  throw new JobError("refused", `a job that is ${job.state} cannot be cancelled`);
}
