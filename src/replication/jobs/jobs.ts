/**
 * Background jobs as the rest of the gateway uses them: asked for by an operator or by an event, looked at, paused,
 * cancelled. What is asked for is queued and never dropped.
 */
import type { Job, JobFailure, JobKind, JobSubject } from "../../catalog/records/job.ts";
import type { Members } from "../../cluster/members.ts";
import type { Id } from "../../shared/ids.ts";
import { Worker } from "../worker.ts";
import { cancelled, JobRunner, type JobRunnerDeps, paused, resumed } from "./job-runner.ts";
import { isOver, JobError, type JobStore } from "./job-store.ts";
import type { JobView } from "./live-job.ts";

/** How often it is looked for jobs that another gateway took in, or left. */
const LOOK_MS = 5_000;

export interface JobsDeps extends Omit<JobRunnerDeps, "onRoom"> {
  readonly store: JobStore;
  readonly members: () => Members;
  /** Whether jobs are run by this gateway; by default they are. */
  readonly isLeader?: () => boolean;
  /** Whether copies may be moved for balance at all. */
  readonly rebalanceEnabled: () => boolean;
  /** Has a node take no copies any more; resolves when this process goes by it. */
  readonly closeNode: (name: string) => Promise<void>;
  /** Has a domain take no copies any more, in favour of another; likewise. */
  readonly closeDomain: (name: string, successor: string) => Promise<void>;
}

export interface JobWish {
  readonly kind: JobKind;
  readonly subject: { readonly node: string } | { readonly domain: string };
  /** For a domain that is drained: where its copies go. */
  readonly toDomain?: string;
  readonly cause: string;
  readonly askedBy: string;
}

export class Jobs implements AsyncDisposable {
  readonly #deps: JobsDeps;
  readonly #runner: JobRunner;
  readonly #worker: Worker;

  constructor(deps: JobsDeps) {
    this.#deps = deps;
    this.#runner = new JobRunner({ ...deps, onRoom: () => this.#worker.wake() });
    const { clock, logger } = deps;
    const run = (signal: AbortSignal): Promise<void> =>
      deps.isLeader?.() === false ? this.#runner.stopAll() : this.#runner.run(signal);
    this.#worker = new Worker({ name: "jobs", intervalMs: LOOK_MS, clock, logger, run });
  }

  /** Begins to run jobs, those first that a process before this one left. */
  start(delayMs = 0): void {
    this.#worker.start(delayMs);
  }

  /** Looks at once for what is to run: who leads may be another one. */
  wake(): void {
    this.#worker.wake();
  }

  /**
   * Queues a job; one of the same kind and subject that waits already is joined.
   * @throws JobError when it makes no sense; TopologyChangeError; CatalogError
   */
  async submit(wish: JobWish): Promise<{ readonly view: JobView; readonly joined: boolean }> {
    const { store, closeNode, closeDomain, rebalanceEnabled } = this.#deps;
    const { kind, cause, askedBy, toDomain } = wish;
    const subject = this.#subjectOf(wish);
    if (kind === "REBALANCE_TO_NEW" && !rebalanceEnabled()) {
      throw new JobError("refused", "rebalance.enabled is false: copies are not moved for balance");
    }
    if (kind === "DRAIN" && subject.kind === "node") {
      this.#requireOthers(subject);
      await closeNode(subject.name);
    }
    if (kind === "DRAIN" && subject.kind === "domain" && toDomain !== undefined) {
      await closeDomain(subject.name, toDomain);
    }
    const request = { kind, subject, cause, askedBy, ...(toDomain === undefined ? {} : { toDomain }) };
    const { job, joined } = await store.submit(request);
    this.#worker.wake();
    return { view: { job, remainingMs: undefined }, joined };
  }

  /** All jobs on record, the newest first; those that run here as they are now. @throws CatalogError, RecordError */
  async list(): Promise<JobView[]> {
    const live = this.#runner.views();
    const all = await this.#deps.store.list();
    return all.map(({ job }) => viewOf(job, live)).reverse();
  }

  /** @throws JobError when there is no such job; CatalogError, RecordError */
  async get(id: Id): Promise<JobView> {
    const stored = await this.#deps.store.load(id);
    if (stored === undefined) throw new JobError("unknown", `there is no job ${id}`);
    return viewOf(stored.job, this.#runner.views());
  }

  /** What a job did not succeed with, as far as it is kept. @throws as `get` */
  async failures(id: Id): Promise<JobFailure[]> {
    await this.get(id);
    return await this.#deps.store.failures(id);
  }

  /** @throws JobError when the job cannot be paused; CatalogError */
  pause(id: Id): Promise<JobView> {
    return this.#change(id, paused);
  }

  /** @throws JobError when the job cannot go on; CatalogError */
  resume(id: Id): Promise<JobView> {
    return this.#change(id, resumed);
  }

  /** Gives a job up; what it moved stays moved. @throws JobError when it is over; CatalogError */
  cancel(id: Id): Promise<JobView> {
    return this.#change(id, (job) => cancelled(job, this.#deps.clock.nowMs()));
  }

  /** Whether a job has the copies of a node made anew elsewhere, without waiting for it to come back. */
  isGivenUp(nodeUuid: Id): boolean {
    return [...this.#runner.views().values()].some(
      ({ job: { kind, subject } }) => kind === "MIGRATE_FROM_FAILED" && subject.key === nodeUuid,
    );
  }

  /** Stops what runs, to be gone on with by the next process. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker[Symbol.asyncDispose]();
    await this.#runner.stopAll();
  }

  async #change(id: Id, change: (job: Job) => Job): Promise<JobView> {
    const job = await this.#deps.store.change(id, change);
    if (job.state === "paused" || job.state === "cancelling") this.#runner.stop(id);
    this.#worker.wake();
    return { job, remainingMs: undefined };
  }

  #subjectOf({ kind, subject, toDomain }: JobWish): JobSubject {
    const { topology } = this.#deps.members();
    if ("node" in subject) {
      if (toDomain !== undefined) throw new JobError("refused", "only a domain is drained into another one");
      const node = topology.nodes.find(({ name }) => name === subject.node);
      if (node === undefined) throw new JobError("unknown", `there is no node ${subject.node}`);
      return { kind: "node", key: node.uuid, name: node.name };
    }
    if (kind !== "DRAIN" && kind !== "REBALANCE_TO_NEW") throw new JobError("refused", `${kind} is for a node`);
    if (kind === "DRAIN" && toDomain === undefined) {
      throw new JobError("refused", "say which domain takes over the copies of the one that is drained");
    }
    if (kind !== "DRAIN" && toDomain !== undefined) throw new JobError("refused", `${kind} has no target domain`);
    const domain = topology.domains.find(({ name }) => name === subject.domain);
    if (domain === undefined) throw new JobError("unknown", `there is no domain ${subject.domain}`);
    return { kind: "domain", key: domain.name, name: domain.name };
  }

  #requireOthers(subject: JobSubject): void {
    const others = this.#deps
      .members()
      .all()
      .filter(({ spec }) => spec.uuid !== subject.key);
    if (others.some(({ spec }) => spec.acceptsWrites)) return;
    throw new JobError("refused", `no other node takes copies: ${subject.name} cannot be drained`);
  }
}

function viewOf(job: Job, live: ReadonlyMap<Id, JobView>): JobView {
  const view = live.get(job.id);
  // Its state is on record; what is counted is known where it runs.
  if (view === undefined || isOver(job)) return { job, remainingMs: undefined };
  return { ...view, job: { ...view.job, state: job.state } };
}
