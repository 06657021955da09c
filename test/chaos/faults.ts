/** Puts faults in and takes them out again. */
import { change } from "../support/change-cluster.ts";
import type { Seeded } from "../support/seeded.ts";
import type { JobFaults } from "./job-faults.ts";
import { injectInto, type Mend } from "./node-faults.ts";
import { injectIntoRedis } from "./redis-faults.ts";
import type { Fault } from "./schedule.ts";
import type { Site, SiteNode } from "./site.ts";

export type { Mend } from "./node-faults.ts";

/** What faults need beside the site. */
export interface FaultContext {
  readonly site: Site;
  readonly jobs: JobFaults;
  /** What a fault leaves to chance; apart from the schedule, which it must not change. */
  readonly choices: Seeded;
  /** From now on no write of a body can be acknowledged, until the returned function is called. */
  readonly expectNoWrites: () => () => void;
}

export async function inject(context: FaultContext, fault: Fault): Promise<Mend> {
  const { site, choices, jobs } = context;
  switch (fault.kind) {
    case "gateway":
      await site.gateway.kill9();
      return () => site.gateway.start();
    case "domain": {
      const nodes = site.nodes.filter(({ domain }) => domain === site.domains[fault.domain]);
      return together(nodes.map((node) => injectInto(site, node, fault.how, choices)));
    }
    case "domains":
      return cutAll(
        site,
        site.nodes.filter(({ domain }) => site.domains.includes(domain)),
        choices,
      );
    case "all-nodes":
      return noNodeTakesWrites(context);
    case "redis":
      return injectIntoRedis(site, fault.how);
    case "clock":
      await site.shiftClock(fault.byMs);
      return () => site.shiftClock(0);
    case "job":
      return jobs.inject(fault);
    default: {
      const node = site.nodes[fault.node];
      if (node === undefined) throw new RangeError("a fault of a node that there is not");
      return injectInto(site, node, fault.kind, choices);
    }
  }
}

async function together(injected: readonly Promise<Mend>[]): Promise<Mend> {
  const mends = await Promise.all(injected);
  return async () => {
    await Promise.all(mends.map((mend) => mend()));
  };
}

function cutAll(site: Site, nodes: readonly SiteNode[], choices: Seeded): Promise<Mend> {
  return together(nodes.map((node) => injectInto(site, node, "cut", choices)));
}

/** The volumes live in the gateway and cannot be cut off: they are told to take no copies. */
async function noNodeTakesWrites({ site, choices, expectNoWrites }: FaultContext): Promise<Mend> {
  const volumes = (accepts: boolean): Promise<unknown[]> =>
    Promise.all(site.volumes.map((name) => change(site.gateway, `PATCH nodes/${name}`, { accepts_writes: accepts })));
  await volumes(false);
  const mend = await cutAll(site, site.nodes, choices);
  const endExpectation = expectNoWrites();
  return async () => {
    endExpectation();
    await mend();
    await volumes(true);
  };
}
