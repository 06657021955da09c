/** What each kind of job does. */
import type { JobKind } from "../../catalog/records/job.ts";
import type { JobWork } from "./job-runner.ts";
import { drain } from "./kinds/drain.ts";
import { type RebalanceDeps, rebalance } from "./kinds/rebalance.ts";
import { copyToPromoted, migrateFromFailed, type RestoringDeps, resync } from "./kinds/restoring.ts";
import { type ScrubJobDeps, scrub } from "./kinds/scrub.ts";

export type JobWorkDeps = RebalanceDeps & RestoringDeps & ScrubJobDeps;

export function jobWork(deps: JobWorkDeps): Readonly<Record<JobKind, JobWork>> {
  return {
    MIGRATE_FROM_FAILED: (live) => migrateFromFailed(deps, live),
    COPY_TO_PROMOTED: (live) => copyToPromoted(deps, live),
    RESYNC: (live) => resync(deps, live),
    REBALANCE_TO_NEW: (live) => rebalance(deps, live),
    DRAIN: (live) => drain(deps, live),
    SCRUB: (live) => scrub(deps, live),
  };
}
