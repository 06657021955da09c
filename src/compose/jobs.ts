/** Background jobs: what they work with, how fast they may be, and how they are told to metrics. */
import type { Catalog } from "../catalog/catalog.ts";
import { stopDomainWrites } from "../cluster/stop-domain-writes.ts";
import type { Config } from "../config/config.ts";
import { ForegroundMeter } from "../observability/foreground.ts";
import type { Metrics } from "../observability/metrics.ts";
import { isOver, JobStore } from "../replication/jobs/job-store.ts";
import { Jobs, type JobsDeps } from "../replication/jobs/jobs.ts";
import { MoveLimits } from "../replication/jobs/move-limits.ts";
import type { Pace } from "../replication/jobs/paced.ts";
import { RestorePace } from "../replication/jobs/restore-pace.ts";
import { type JobWorkDeps, jobWork } from "../replication/jobs/work.ts";
import type { Scrubbing } from "../replication/scrub/scrubbing.ts";
import type { Clock } from "../shared/clock.ts";
import type { Id, IdSource } from "../shared/ids.ts";
import type { LoadedNodeHandle } from "./nodes.ts";

/** Calls under way from which on clients keep a node busy; background work has fewer. */
const BUSY_INFLIGHT_MIN = 16;

/** How fast copies are made in the background, and what clients feel of it. */
export interface Pacing extends Disposable {
  readonly foreground: ForegroundMeter;
  /** For what restores redundancy. */
  readonly restoring: RestorePace;
  /** For what only moves copies. */
  readonly moving: MoveLimits;
}

export function createPacing({ storage }: Pick<Config, "storage">, clock: Clock): Pacing {
  const { rateLimitPerSecond, bandwidthLimitBytesPerSecond } = storage.repair;
  const foreground = new ForegroundMeter();
  const restoring = new RestorePace({
    clock,
    rates: { copiesPerSecond: rateLimitPerSecond, bytesPerSecond: bandwidthLimitBytesPerSecond },
    foreground: () => foreground.take(),
  });
  const { rebalance } = storage;
  const moving = new MoveLimits({
    copiesPerSecond: rebalance.rateLimitPerSecond,
    bytesPerSecond: rebalance.bandwidthLimitBytesPerSecond,
  });
  return {
    foreground,
    restoring,
    moving,
    [Symbol.dispose]() {
      restoring[Symbol.dispose]();
      moving[Symbol.dispose]();
    },
  };
}

export function createJobs(
  deps: Omit<JobWorkDeps, "limits" | "busy" | "cleanupSource"> &
    Pick<JobsDeps, "logger" | "closeNode"> & {
      /** As it is configured now. */
      readonly rebalance: () => Config["storage"]["rebalance"];
      readonly scrubbing: Pick<Scrubbing, "cancel">;
      /** What acts of operators, and what becomes of jobs, are committed by; `catalog` is what the work is. */
      readonly ownCatalog: Catalog;
      readonly handles: { get(uuid: Id): Pick<LoadedNodeHandle, "load"> | undefined };
      readonly isLeader: () => boolean;
      readonly pacing: { readonly moving: Pace };
      readonly metrics: Pick<Metrics, "jobMoved" | "jobFailed" | "watchJobs">;
      readonly ids: IdSource;
      /** Resolves when this process goes by the topology in the catalog. */
      readonly refreshTopology: () => Promise<void>;
    },
): Jobs {
  const { rebalance, handles, pacing, metrics, ownCatalog, scrubbing } = deps;
  const work = jobWork({
    ...deps,
    limits: pacing.moving,
    cleanupSource: () => rebalance().cleanupSource,
    busy(nodeUuid) {
      const load = handles.get(nodeUuid)?.load();
      return load !== undefined && (load.waiting > 0 || load.inflight >= BUSY_INFLIGHT_MIN);
    },
  });
  const jobs = new Jobs({
    ...deps,
    store: new JobStore({ ...deps, catalog: ownCatalog }),
    work,
    rebalanceEnabled: () => rebalance().enabled,
    onCancelled: ({ kind, subject }) => kind === "SCRUB" && scrubbing.cancel(subject.key),
    observer: {
      moved: (kind, bytes) => metrics.jobMoved(kind, bytes),
      failed: (kind) => metrics.jobFailed(kind),
    },
    async closeDomain(name, successor) {
      await stopDomainWrites(ownCatalog, name, successor);
      await deps.refreshTopology();
    },
  });
  metrics.watchJobs(async () => (await jobs.list()).map(({ job }) => job).filter((job) => !isOver(job)));
  return jobs;
}
