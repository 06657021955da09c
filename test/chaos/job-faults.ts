/**
 * Jobs in the course of a run: each is asked for as an operator does, is disturbed while it runs, has to come to an end all
 * the same, and to have done then what it says.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { change } from "../support/change-cluster.ts";
import { eventually } from "../support/eventually.ts";
import { type JobReport, jobOver, jobReport } from "../support/job-client.ts";
import { hasBacklog } from "./condition.ts";
import type { Mend } from "./node-faults.ts";
import { takeLease } from "./redis-faults.ts";
import type { Fault, JobKind } from "./schedule.ts";
import type { Site, SiteNode } from "./site.ts";
import { blobsOn, namedCopies } from "./unnamed-copies.ts";

type JobFault = Extract<Fault, { kind: "job" }>;

const JOB_TIMEOUT_MS = 240_000;
const RUNNING = { timeoutMs: 30_000, intervalMs: 25 };
/** Until the copies of a node that is away are work for repair: after more than five probes. */
const MISSED = { timeoutMs: 20_000, intervalMs: 50 };

export interface JobFaultsOptions {
  readonly site: Site;
  readonly log: (line: string) => void;
  readonly violation: (what: string) => void;
}

/** A job that there is, and what is to be put back when it is over. */
interface Begun {
  readonly job: JobReport;
  /** When the disturbance is over, before the job can end. */
  readonly resume: Mend;
  readonly putBack: Mend;
}

/** All nodes may be up while they run. */
const GO_ON: ReadonlySet<JobKind> = new Set(["DRAIN", "REBALANCE_TO_NEW", "SCRUB", "RESYNC"]);

const nothing: Mend = async () => {};

export class JobFaults {
  readonly #options: JobFaultsOptions;
  /** How jobs ended, by kind and state. */
  readonly ended = new Map<string, number>();
  /** Jobs that go on while other faults come. */
  #open: { readonly job: JobReport; readonly node: SiteNode; readonly putBack: Mend }[] = [];

  constructor(options: JobFaultsOptions) {
    this.#options = options;
  }

  /**
   * The mend ends the disturbance. A job that needs its node away is waited for then; the others go on while other faults
   * come, until `settleAll`, or the next job.
   */
  async inject(fault: JobFault): Promise<Mend> {
    await this.settleAll();
    const { site } = this.#options;
    const { gateway } = site;
    const node = site.nodes[fault.node];
    if (node === undefined) throw new RangeError("a job about a node that there is not");
    const { job, resume, putBack } = await this.#begin(fault.job, node);
    const begun = await eventually("the job runs", RUNNING, async () => {
      const report = await jobReport(gateway, job.id);
      if (report.state === "queued") throw new Error("it is queued");
      return report;
    });
    await sleep(fault.afterMs);
    const { state } = await jobReport(gateway, job.id);
    this.#options.log(`${fault.job} is ${begun.state}, and ${state} when it is disturbed`);
    const undisturb = await this.#disturb(fault);
    return async () => {
      await undisturb();
      await resume();
      this.#open.push({ job, node, putBack });
      if (!GO_ON.has(fault.job)) await this.settleAll();
    };
  }

  /** Waits until every job is over, looks at what it did, and puts things back as they were. */
  async settleAll(): Promise<void> {
    for (const { job, node, putBack } of this.#open.splice(0)) {
      await this.#settle(job, node);
      await putBack();
    }
  }

  /** Drains a node to its end with nobody in the way, has a look at it, and takes it back. */
  async drainAndReturn(node: SiteNode): Promise<void> {
    const { job, putBack } = await this.#begin("DRAIN", node);
    await this.#settle(job, node, "done");
    await putBack();
  }

  async #disturb({ disturbed }: JobFault): Promise<Mend> {
    const { site } = this.#options;
    if (disturbed === "lease") return takeLease(site);
    await site.gateway.kill9();
    return () => site.gateway.start();
  }

  async #begin(kind: JobKind, { name, server, domain }: SiteNode): Promise<Begun> {
    const { gateway } = this.#options.site;
    const submit = async (body: object = { node: name }): Promise<JobReport> =>
      (await change(gateway, "POST jobs", { kind, cause: "the fault run", ...body })) as JobReport;
    const set = (settings: object): Promise<unknown> => change(gateway, `PATCH nodes/${name}`, settings);
    const restart = (): Promise<void> => server.restart();
    switch (kind) {
      case "DRAIN":
        return {
          job: await submit(),
          resume: nothing,
          putBack: async () => void (await set({ accepts_writes: true })),
        };
      case "REBALANCE_TO_NEW":
        await set({ weight: 400 });
        return {
          job: await submit({ domain }),
          resume: nothing,
          putBack: async () => void (await set({ weight: 100 })),
        };
      case "SCRUB":
        return { job: await submit(), resume: nothing, putBack: nothing };
      case "RESYNC":
        await server.kill();
        await this.#untilMissed();
        return { job: await submit(), resume: restart, putBack: nothing };
      case "MIGRATE_FROM_FAILED":
        await server.kill();
        await this.#untilMissed();
        return { job: await submit(), resume: nothing, putBack: restart };
      case "COPY_TO_PROMOTED": {
        const standby = await this.#promote(domain);
        await server.kill();
        await this.#untilMissed();
        const putBack = async (): Promise<void> => {
          await server.restart();
          await this.#demote(standby);
        };
        return { job: await submit({ node: standby }), resume: nothing, putBack };
      }
    }
  }

  async #untilMissed(): Promise<void> {
    const { gateway } = this.#options.site;
    await eventually("its copies are missed", MISSED, async () => {
      if (!(await hasBacklog(gateway))) throw new Error("not yet");
      // They may be made anew between two looks.
    }).catch(() => {});
  }

  /** @returns the name of the node that serves the domain now */
  async #promote(domain: string): Promise<string> {
    const { gateway, nodes, domains } = this.#options.site;
    const standby = nodes.find((node) => !domains.includes(node.domain));
    if (standby === undefined) throw new Error("there is no standby node");
    await change(gateway, `POST domains/${domain}/promote`, { node: standby.name });
    return standby.name;
  }

  async #demote(name: string): Promise<void> {
    const { gateway } = this.#options.site;
    await change(gateway, `POST nodes/${name}/demote`);
    await eventually("the node is demoted", { timeoutMs: JOB_TIMEOUT_MS, intervalMs: 250 }, async () => {
      const { nodes } = (await gateway.admin("/api/v1/storage/cluster/promotions")) as Promotions;
      const [state] = nodes.filter(({ node }) => node === name).map((found) => found.state);
      if (state !== "standby") throw new Error(`it is ${state}`);
    });
  }

  /** Waits until a job is over. It is done, or says why it is not; a node that was drained has no copy on record any more. */
  async #settle({ id, kind }: JobReport, node: SiteNode, wanted?: string): Promise<void> {
    const { site, violation, log } = this.#options;
    const over = await jobOver(site.gateway, id, JOB_TIMEOUT_MS).catch((error: unknown) => error);
    if (over instanceof Error) return violation(`${kind} of ${node.name} does not end: ${String(over.cause)}`);
    const { state, detail, objects_moved, objects_failed } = over as JobReport;
    const name = `${kind} ${state}`;
    this.ended.set(name, (this.ended.get(name) ?? 0) + 1);
    log(`${name}: ${objects_moved} moved, ${objects_failed} failed${detail === null ? "" : `, ${detail}`}`);
    const path = `/api/v1/storage/cluster/jobs/${id}/failures`;
    const { failures } = (await site.gateway.admin(path)) as { failures: unknown[] };
    if (state === "done" ? objects_failed > 0 : detail === null && failures.length === 0) {
      violation(`${kind} of ${node.name} is ${state} with ${objects_failed} failures, and says nothing of why`);
    }
    if (wanted !== undefined && state !== wanted) violation(`${kind} of ${node.name} is ${state}: ${detail}`);
    if (kind === "DRAIN" && state === "done") await this.#requireEmpty(node);
  }

  async #requireEmpty(node: SiteNode): Promise<void> {
    const { site, violation } = this.#options;
    const named = (await namedCopies(site.gateway)).get(node.name) ?? new Set();
    const left = [...(await blobsOn(node))].filter((key) => named.has(key));
    if (left.length > 0) violation(`${node.name} was drained, and has ${left.length} copies on record`);
  }
}

interface Promotions {
  readonly nodes: readonly { readonly node: string; readonly state: string }[];
}
