/** The commands about background jobs: what can be typed. */
import type { Command } from "commander";
import type { AdminClient } from "./admin-client.ts";
import type { Output } from "./commands.ts";
import {
  changeJob,
  drainDomain,
  drainNode,
  type RebalanceOptions,
  rebalance,
  showFailures,
  showJob,
  showJobs,
  type Watching,
} from "./job-commands.ts";

export interface JobProgram {
  readonly program: Command;
  readonly nodes: Command;
  readonly domains: Command;
  readonly watching: Watching;
  /** Makes a command ask the admin API. */
  readonly asking: (
    command: Command,
    show: (admin: AdminClient, args: readonly string[]) => Promise<Output>,
  ) => Command;
}

export function addJobCommands({ program, nodes, domains, watching, asking }: JobProgram): void {
  const jobs = asking(program.command("jobs").description("background jobs, and how far they are"), showJobs);
  const one = (name: string, description: string, show: (admin: AdminClient, id: string) => Promise<Output>): void => {
    asking(jobs.command(`${name} <id>`).description(description), (admin, [id = ""]) => show(admin, id));
  };
  one("show", "one job", showJob);
  one("failures", "what a job did not succeed with", showFailures);
  one("pause", "have a job wait where it stands", (admin, id) => changeJob(admin, id, "pause"));
  one("resume", "have a paused job go on", (admin, id) => changeJob(admin, id, "resume"));
  one("cancel", "give a job up; what it moved stays moved", (admin, id) => changeJob(admin, id, "cancel"));

  const watched = (command: Command): Watching | undefined =>
    command.opts<{ readonly watch?: boolean }>().watch === true ? watching : undefined;
  const drain = asking(
    nodes
      .command("drain <name>")
      .description("have a node take no copies any more, and move all that it has elsewhere"),
    (admin, [name = ""]) => drainNode(admin, name, watched(drain)),
  );
  drain.option("--watch", "follow it to its end");
  const leave = asking(
    domains.command("drain <name>").description("have a domain take no copies any more, and move all to another one"),
    (admin, [name = ""]) => drainDomain(admin, name, leave.opts<{ readonly to?: string }>(), watched(leave)),
  );
  leave.option("--to <domain>", "domain that takes over the copies").option("--watch", "follow it to its end");
  const balance = asking(program.command("rebalance").description("move copies to where the ring has them"), (admin) =>
    rebalance(admin, balance.opts<RebalanceOptions>()),
  );
  balance
    .option("--node <name>", "only what belongs on this node")
    .option("--domain <name>", "only this domain; every active one by default")
    .option("--status", "only say how far it is")
    .option("--cancel", "give up every rebalance");
}
