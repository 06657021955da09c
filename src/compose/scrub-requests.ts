/**
 * Scrubs that operators ask for, on whichever gateway: the one that leads begins at once, another one leaves a job in the
 * catalog, which the leader takes up, and which outlives both.
 */
import type { Members } from "../cluster/members.ts";
import type { Jobs } from "../replication/jobs/jobs.ts";
import type { Scrubbing } from "../replication/scrub/scrubbing.ts";

export interface ScrubRequests extends Pick<Scrubbing, "report"> {
  /**
   * Has a node, or all of them, compared with the catalog and read whole. @returns whether there is such a node
   * @throws JobError when too many jobs wait; CatalogError
   */
  request(name?: string): Promise<boolean>;
}

export function scrubRequests(deps: {
  readonly scrubbing: Pick<Scrubbing, "report" | "request">;
  readonly isLeader: () => boolean;
  readonly jobs: Pick<Jobs, "submit">;
  readonly members: () => Pick<Members, "all">;
}): ScrubRequests {
  const { scrubbing, isLeader, jobs, members } = deps;
  return {
    report: () => scrubbing.report(),
    async request(name) {
      if (isLeader()) return scrubbing.request(name);
      const nodes = members()
        .all()
        .map(({ spec }) => spec.name)
        .filter((node) => name === undefined || node === name);
      for (const node of nodes) {
        await jobs.submit({ kind: "SCRUB", subject: { node }, cause: "asked for", askedBy: "operator" });
      }
      return name === undefined || nodes.length > 0;
    },
  };
}
