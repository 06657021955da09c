/** Background jobs over a gateway in memory, with limits that only count. */
import assert from "node:assert/strict";
import type { Catalog } from "../../src/catalog/catalog.ts";
import type { Job, JobKind } from "../../src/catalog/records/job.ts";
import { silentLogger } from "../../src/observability/logger.ts";
import type { JobWork } from "../../src/replication/jobs/job-runner.ts";
import { isOver, JobStore } from "../../src/replication/jobs/job-store.ts";
import { Jobs, type JobWish } from "../../src/replication/jobs/jobs.ts";
import { type JobWorkDeps, jobWork } from "../../src/replication/jobs/work.ts";
import { createBlobReader } from "../../src/replication/read/blob-reader.ts";
import { idSource } from "../../src/shared/ids.ts";
import { type InMemoryGateway, turns } from "./in-memory-gateway.ts";

export interface JobsBox extends AsyncDisposable {
  readonly jobs: Jobs;
  readonly store: JobStore;
  /** What the limits were asked for. */
  readonly asked: { objects: number; bytes: number };
  /** Submits a job and lets time pass until it is over. */
  run(wish: Partial<JobWish> & Pick<JobWish, "kind" | "subject">): Promise<Job>;
  /** Lets time pass until a job is as asked. */
  until(id: string, what: (job: Job) => boolean): Promise<Job>;
}

export interface JobsBoxOptions {
  readonly cleanupSource?: boolean;
  readonly rebalanceEnabled?: boolean;
  readonly catalog?: Catalog;
  readonly work?: Partial<Record<JobKind, JobWork>>;
  readonly deps?: Partial<JobWorkDeps>;
  readonly onCancelled?: (job: Job) => void;
  /** Runs after each step of time. */
  readonly meanwhile?: () => Promise<void>;
}

const STEP_MS = 5_000;
const STEPS_MAX = 5_000;

/** Jobs of the gateway's present process; they begin to run at once. */
export function openJobs(gateway: InMemoryGateway, options: JobsBoxOptions = {}): JobsBox {
  const { clock, random, process } = gateway;
  const { members, ledger, repairer, discarder } = process;
  const catalog = options.catalog ?? process.catalog;
  const asked = { objects: 0, bytes: 0 };
  const limits = {
    async object(signal: AbortSignal) {
      signal.throwIfAborted();
      asked.objects += 1;
    },
    async bytes(amount: number, signal: AbortSignal) {
      signal.throwIfAborted();
      asked.bytes += amount;
    },
  };
  const reader = createBlobReader({
    members: () => members,
    clock,
    random,
    limits: { hedgeDelayMs: 250, stallTimeoutMs: 10_000 },
    onDamage: () => {},
  });
  const deps: JobWorkDeps = {
    ...{ catalog, ledger, clock, random, reader, limits },
    members: () => gateway.members,
    discard: discarder.discard,
    cleanupSource: () => options.cleanupSource ?? true,
    busy: () => false,
    scrubbing: { request: () => false, report: async () => [] },
    wakeRepair(cameBack) {
      if (cameBack) repairer.nodeCameBack();
      gateway.repairsWanted += 1;
    },
    ...options.deps,
  };
  const store = new JobStore({ catalog, clock, ids: idSource(clock, random) });
  const jobs = new Jobs({
    ...deps,
    store,
    work: { ...jobWork(deps), ...options.work },
    ...(options.onCancelled === undefined ? {} : { onCancelled: options.onCancelled }),
    logger: silentLogger,
    observer: { moved: () => {}, failed: () => {} },
    rebalanceEnabled: () => options.rebalanceEnabled ?? true,
    closeNode: async (name) => closeNode(gateway, name),
    closeDomain: async (domain) => {
      for (const node of gateway.nodes.values()) if (node.domain === domain) closeNode(gateway, node.name);
    },
  });
  const until = async (id: string, what: (job: Job) => boolean): Promise<Job> => {
    for (let step = 0; step < STEPS_MAX; step++) {
      await turns(20);
      const { job } = await jobs.get(id);
      if (what(job)) return job;
      await options.meanwhile?.();
      clock.advance(STEP_MS);
    }
    return assert.fail(`the job does not get there: ${JSON.stringify((await jobs.get(id)).job)}`);
  };
  jobs.start();
  clock.advance(0);
  return {
    jobs,
    store,
    asked,
    until,
    async run(wish) {
      const { view } = await jobs.submit({ cause: "a test", askedBy: "test", ...wish });
      return until(view.job.id, isOver);
    },
    [Symbol.asyncDispose]: () => jobs[Symbol.asyncDispose](),
  };
}

/** What a commit of the topology would bring to the members. */
export function closeNode(gateway: InMemoryGateway, name: string): void {
  setAccepting(gateway, name, false);
}

export function setAccepting(gateway: InMemoryGateway, name: string, acceptsWrites: boolean): void {
  gateway.members.setSpec(gateway.node(name).uuid, { acceptsWrites });
}

/** How many copies of live blobs are on record on each node. */
export function heldBy(gateway: InMemoryGateway, name: string): number {
  return gateway.node(name).store.blobs.size;
}
