/** What the admin API tells of the scrub of nodes, and how one is asked for. */
import * as z from "zod";
import type { Members } from "../cluster/members.ts";
import type { ScrubPass } from "../replication/scrub/scrub-state.ts";
import type { NodeScrubReport, Scrubbing } from "../replication/scrub/scrubbing.ts";
import { type NodeScrub, type ScrubPassAnswer, type Scrubs, scrubRequestSchema } from "./api-types.ts";
import { ApiError } from "./problem.ts";

export interface ScrubContext {
  readonly members: () => Members;
  readonly scrubbing: Pick<Scrubbing, "report"> & {
    /** Whether there is such a node; done by whichever gateway leads. */
    request(name?: string): boolean | Promise<boolean>;
  };
}

export async function scrubs({ members, scrubbing }: ScrubContext): Promise<Scrubs> {
  const reports = await scrubbing.report();
  return { nodes: reports.map((report) => nodeScrub(report, members().servesReads(report.nodeUuid))) };
}

/** @throws ApiError when the request is malformed or names no node */
export async function requestScrub({ scrubbing }: Pick<ScrubContext, "scrubbing">, body: unknown): Promise<void> {
  const request = scrubRequestSchema.safeParse(body ?? {});
  if (!request.success) throw new ApiError(400, "Bad Request", z.prettifyError(request.error));
  const { node } = request.data;
  if (!(await scrubbing.request(node))) throw new ApiError(404, "Not Found", `there is no node ${node}`);
}

function nodeScrub(report: NodeScrubReport, reachable: boolean): NodeScrub {
  const { scrub, comparison, requested, nextAtMs } = report;
  return {
    node: report.node,
    node_id: report.nodeUuid,
    state: stateOf(report, reachable),
    pass: scrub.pass === undefined ? null : passOf(scrub.pass),
    last_pass: scrub.last === undefined ? null : { ...passOf(scrub.last), ended_at: time(scrub.last.endedAtMs) },
    next_pass_at: requested || nextAtMs === undefined ? null : time(nextAtMs),
    comparison: comparison.last === undefined ? null : comparisonOf(comparison.last),
    foreign: comparison.foreign === undefined ? null : foreignOf(comparison.foreign),
  };
}

function stateOf({ scrub, requested }: NodeScrubReport, reachable: boolean): NodeScrub["state"] {
  if (!requested && scrub.pass === undefined) return "idle";
  if (!reachable) return "waiting";
  return scrub.pass === undefined ? "starting" : "running";
}

function passOf(pass: ScrubPass): ScrubPassAnswer {
  return {
    started_at: time(pass.startedAtMs),
    requested: pass.requested,
    copies_total: pass.total,
    copies_seen: pass.seen,
    copies_verified: pass.verified,
    bytes_verified: pass.verifiedBytes,
    corrupt: pass.corrupt,
    lost: pass.lost,
    failed: pass.failed,
  };
}

function comparisonOf(last: NonNullable<NodeScrubReport["comparison"]["last"]>): NonNullable<NodeScrub["comparison"]> {
  const { startedAtMs, endedAtMs, listed, lost, orphans, unknown, failed } = last;
  return {
    started_at: time(startedAtMs),
    ended_at: time(endedAtMs),
    copies_listed: listed,
    lost,
    orphans,
    unknown,
    failed,
  };
}

function foreignOf(foreign: NonNullable<NodeScrubReport["comparison"]["foreign"]>): NonNullable<NodeScrub["foreign"]> {
  const { names, count, more, checkedAtMs } = foreign;
  return { names: [...names], count, more, checked_at: time(checkedAtMs) };
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
