/**
 * Jobs in the catalog. Every change of one is a compare-and-set on its record: two processes never have an effect on it
 * twice, and one that was deposed none at all.
 */
import { type Catalog, COMMIT_ATTEMPTS_MAX, walk } from "../../catalog/catalog.ts";
import { jobFailureKey, jobFailuresRange, jobKey, jobsRange, queuedJobKey } from "../../catalog/keys.ts";
import { CatalogError, type KvAtomic } from "../../catalog/kv.ts";
import {
  decodeJob,
  decodeJobFailure,
  encodeJob,
  encodeJobFailure,
  type Job,
  type JobFailure,
  type JobState,
  type JobSubject,
  NO_JOB_COUNTS,
} from "../../catalog/records/job.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Id, IdSource } from "../../shared/ids.ts";

/** Jobs that are over and still on record; older ones are forgotten with their failures. */
export const JOBS_KEPT_MAX = 200;
/** Failures of a job that are kept one by one; all are counted. */
export const FAILURES_KEPT_MAX = 1_000;
/** Jobs that are not over. One more is refused: nobody will ever wait for it. */
export const JOBS_OPEN_MAX = 1_000;

const FINAL: ReadonlySet<JobState> = new Set(["done", "done-with-failures", "failed", "cancelled"]);

/** Whether nothing more will come of a job. */
export function isOver({ state }: Pick<Job, "state">): boolean {
  return FINAL.has(state);
}

/** A job as it was read, with what a change of it checks. */
export interface StoredJob {
  readonly job: Job;
  readonly version: number;
}

export interface JobRequest extends Pick<Job, "kind" | "cause" | "askedBy"> {
  readonly subject: JobSubject;
  readonly toDomain?: string;
}

/** What was asked of a job cannot be done with it as it is; the message says why, for an operator. */
export class JobError extends Error {
  readonly kind: "unknown" | "refused";
  constructor(kind: "unknown" | "refused", message: string) {
    super(message);
    this.name = "JobError";
    this.kind = kind;
  }
}

export interface JobStoreDeps {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly ids: IdSource;
}

export class JobStore {
  readonly #deps: JobStoreDeps;

  constructor(deps: JobStoreDeps) {
    this.#deps = deps;
  }

  /**
   * Queues a job. One of the same kind and subject that has still to begin is joined instead.
   * @returns the job, and whether it was there already
   * @throws JobError when there are too many; CatalogError
   */
  async submit(request: JobRequest): Promise<{ readonly job: Job; readonly joined: boolean }> {
    const { catalog, clock, ids } = this.#deps;
    const queuedKey = queuedKeyOf(request);
    for (let attempt = 0; attempt < COMMIT_ATTEMPTS_MAX; attempt++) {
      const queued = await this.#queued(queuedKey);
      if (queued !== undefined && queued.toDomain === request.toDomain) return { job: queued, joined: true };
      if (queued !== undefined) throw new JobError("refused", "such a job waits already, with another target domain");
      await this.#forgetOld();
      const job: Job = {
        ...request,
        id: ids.next(),
        state: "queued",
        createdAtMs: clock.nowMs(),
        session: catalog.session,
        counts: NO_JOB_COUNTS,
      };
      const atomic = catalog
        .begin()
        .check(queuedKey, null)
        .set(queuedKey, Buffer.from(job.id, "hex"))
        .check(jobKey(job.id), null)
        .set(jobKey(job.id), encodeJob(job));
      if ((await catalog.commit(atomic)).committed) return { job, joined: false };
    }
    throw new CatalogError("unavailable", "jobs kept being queued while another was to be");
  }

  /** @throws CatalogError, RecordError */
  async load(id: Id): Promise<StoredJob | undefined> {
    const entry = await this.#deps.catalog.kv.get(jobKey(id));
    return entry && { job: decodeJob(entry.value), version: entry.version };
  }

  /** All jobs on record, the oldest first. @throws CatalogError, RecordError */
  async list(): Promise<StoredJob[]> {
    const jobs: StoredJob[] = [];
    for await (const entry of walk(this.#deps.catalog.kv, jobsRange())) {
      jobs.push({ job: decodeJob(entry.value), version: entry.version });
    }
    return jobs.sort((a, b) => a.job.createdAtMs - b.job.createdAtMs || (a.job.id < b.job.id ? -1 : 1));
  }

  /**
   * Replaces a job's record, provided that it is as it was read. Takes care that a job is found as queued exactly as
   * long as it has still to begin.
   * @returns the record's new version; `undefined` when another commit came first
   * @throws CatalogError
   */
  async replace(before: StoredJob, job: Job): Promise<number | undefined> {
    const { catalog } = this.#deps;
    const atomic = catalog.begin().check(jobKey(job.id), before.version).set(jobKey(job.id), encodeJob(job));
    await this.#keepQueued(atomic, before.job, job);
    const result = await catalog.commit(atomic);
    return result.committed ? result.version : undefined;
  }

  /**
   * Changes a job from what it is now. `change` runs again whenever another commit came first.
   * @throws JobError when there is no such job, and what `change` throws; CatalogError
   */
  async change(id: Id, change: (job: Job) => Job): Promise<Job> {
    for (let attempt = 0; attempt < COMMIT_ATTEMPTS_MAX; attempt++) {
      const stored = await this.load(id);
      if (stored === undefined) throw new JobError("unknown", `there is no job ${id}`);
      const changed = change(stored.job);
      if (changed === stored.job) return changed;
      if ((await this.replace(stored, changed)) !== undefined) return changed;
    }
    throw new CatalogError("unavailable", "a job kept changing while it was to be changed");
  }

  /** Puts a failure on record beside those that a job has, as long as they are few. */
  async addFailure(id: Id, failure: JobFailure, known: number): Promise<void> {
    if (known >= FAILURES_KEPT_MAX) return;
    const { catalog } = this.#deps;
    const key = jobFailureKey(id, failure.blobId, failure.slot);
    await catalog.commit(catalog.begin().set(key, encodeJobFailure(failure)));
  }

  /** A job's failures that are kept, in no order that means anything. @throws CatalogError, RecordError */
  async failures(id: Id): Promise<JobFailure[]> {
    const failures: JobFailure[] = [];
    for await (const { value } of walk(this.#deps.catalog.kv, jobFailuresRange(id))) {
      failures.push(decodeJobFailure(value));
    }
    return failures;
  }

  /** Forgets a job's failures: it goes through its copies once more. */
  async clearFailures(id: Id): Promise<void> {
    const { catalog } = this.#deps;
    const atomic = catalog.begin();
    let any = false;
    for await (const { key } of walk(catalog.kv, jobFailuresRange(id))) {
      atomic.delete(key);
      any = true;
    }
    if (any) await catalog.commit(atomic);
  }

  async #queued(key: Uint8Array): Promise<Job | undefined> {
    const entry = await this.#deps.catalog.kv.get(key);
    return entry && (await this.load(entry.value.toString("hex")))?.job;
  }

  async #keepQueued(atomic: KvAtomic, before: Job, after: Job): Promise<void> {
    const waited = before.state === "queued";
    const waits = after.state === "queued";
    if (waited === waits) return;
    const key = queuedKeyOf(after);
    const entry = await this.#deps.catalog.kv.get(key);
    const own = Buffer.from(after.id, "hex");
    if (waits && entry === undefined) atomic.check(key, null).set(key, own);
    if (waited && entry?.value.equals(own) === true) atomic.check(key, entry.version).delete(key);
  }

  /** @throws JobError when too many jobs are not over */
  async #forgetOld(): Promise<void> {
    const { catalog } = this.#deps;
    const all = await this.list();
    const over = all.filter(({ job }) => isOver(job));
    if (all.length - over.length >= JOBS_OPEN_MAX) throw new JobError("refused", "too many jobs wait already");
    for (const { job, version } of over.slice(0, Math.max(0, over.length - JOBS_KEPT_MAX + 1))) {
      await this.clearFailures(job.id);
      await catalog.commit(catalog.begin().check(jobKey(job.id), version).delete(jobKey(job.id)));
    }
  }
}

function queuedKeyOf({ kind, subject }: Pick<Job, "kind" | "subject">): Uint8Array {
  return queuedJobKey(kind, `${subject.kind}/${subject.key}`);
}
