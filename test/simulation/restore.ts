/** What an operator does when the faults are over: what was set for a time is taken back. */
import { isOver } from "../../src/replication/jobs/job-store.ts";
import type { World } from "./world.ts";

/** All nodes and domains take copies again, under the policy that the case began with; what was paused goes on. */
export async function restore(world: World): Promise<void> {
  const { config, watch } = world;
  for (const { name } of watch.decommissioned()) {
    await world.insist(`${name} comes back`, async ({ operator }) => {
      if (watch.decommissioned().some((record) => record.name === name)) await operator.rejoinNode(name);
    });
  }
  for (const { name } of world.machines.filter((machine) => watch.recordOf(machine.name) !== undefined)) {
    await world.insist(`${name} takes copies again`, ({ operator }) =>
      operator.setNode(name, { weight: 100, acceptsWrites: true }),
    );
  }
  const domains =
    watch.shape?.domains.filter(({ role, name }) => role === "active" && watch.nodesAtHome(name) > 0) ?? [];
  for (const domain of domains) {
    await world.insist(`${domain.name} takes copies again`, ({ operator }) =>
      operator.setDomain(domain.name, { acceptsWrites: true }),
    );
  }
  const factor = Math.min(config.factor, domains.length);
  const quorum = Math.min(config.quorum, factor);
  await world.insist("the policy is what it was", ({ operator }) => operator.setPolicy({ factor, quorum }));
  await world.insist("paused jobs go on", async ({ operator: { jobs } }) => {
    for (const { job } of await jobs.list()) if (job.state === "paused") await jobs.resume(job.id);
  });
}

/** Jobs that have still to end, and nodes that have still to be emptied of what they held for another domain. */
export async function stillOpen(world: World): Promise<string[]> {
  const open: string[] = [];
  await world.insist("jobs are listed", async ({ operator: { jobs } }) => {
    open.length = 0;
    for (const { job } of await jobs.list()) {
      if (!isOver(job)) open.push(`the job ${job.kind} of ${job.subject.name} is ${job.state}: ${job.detail ?? ""}`);
    }
  });
  return [
    ...open,
    ...world.watch.demoting().map(({ name, demotedFrom }) => `${name} is still demoted from ${demotedFrom}`),
  ];
}
