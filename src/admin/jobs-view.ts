/** What the admin API tells of background jobs, and what can be asked of them. */
import * as z from "zod";
import type { JobKind } from "../catalog/records/job.ts";
import type { Members } from "../cluster/members.ts";
import { TopologyChangeError } from "../cluster/topology-change-error.ts";
import { progress } from "../replication/jobs/estimate.ts";
import { isOver, JobError } from "../replication/jobs/job-store.ts";
import type { Jobs, JobWish } from "../replication/jobs/jobs.ts";
import type { JobView } from "../replication/jobs/live-job.ts";
import { isId } from "../shared/ids.ts";
import {
  type JobAnswer,
  type JobFailuresAnswer,
  type JobsAnswer,
  jobRequestSchema,
  type RebalanceAnswer,
  rebalanceRequestSchema,
} from "./job-types.ts";
import { ApiError } from "./problem.ts";

export interface JobsContext {
  readonly members: () => Members;
  readonly jobs: Pick<Jobs, "submit" | "list" | "get" | "failures" | "pause" | "resume" | "cancel">;
}

/** Who asked, as long as the API has one key for all. */
const ASKED_BY = "operator";
const REBALANCE: JobKind = "REBALANCE_TO_NEW";

export async function listJobs({ jobs }: JobsContext): Promise<JobsAnswer> {
  return { jobs: (await jobs.list()).map(answerOf) };
}

/** @throws ApiError when there is no such job */
export async function showJob({ jobs }: JobsContext, id: string): Promise<JobAnswer> {
  return answerOf(await refusing(() => jobs.get(known(id))));
}

/** @throws ApiError when there is no such job */
export async function jobFailures({ jobs }: JobsContext, id: string): Promise<JobFailuresAnswer> {
  const failures = await refusing(() => jobs.failures(known(id)));
  return {
    job: answerOf(await jobs.get(id)),
    failures: failures.map(({ blobId, slot, reason, atMs }) => ({ blob_id: blobId, slot, reason, at: time(atMs) })),
  };
}

/** Queues a job, or joins one that waits. @throws ApiError when it makes no sense */
export async function submitJob(context: JobsContext, body: unknown): Promise<JobAnswer> {
  const { kind, node, domain = "", to_domain: toDomain, cause } = parsed(jobRequestSchema, body);
  return submit(context, {
    kind,
    subject: node === undefined ? { domain } : { node },
    ...(toDomain === undefined ? {} : { toDomain }),
    cause: cause ?? "asked for",
  });
}

/** @param call what an operator may have a job do */
export async function changeJob(
  { jobs }: JobsContext,
  id: string,
  call: "pause" | "resume" | "cancel",
): Promise<JobAnswer> {
  return answerOf(await refusing(() => jobs[call](known(id))));
}

/** Drains a node. @throws ApiError */
export function drainNode(context: JobsContext, node: string): Promise<JobAnswer> {
  return submit(context, { kind: "DRAIN", subject: { node }, cause: "asked for" });
}

/** Drains a domain into another one. @throws ApiError */
export function drainDomain(context: JobsContext, domain: string, to: unknown): Promise<JobAnswer> {
  if (typeof to !== "string" || to === "") {
    throw new ApiError(400, "Bad Request", "say by ?to= which domain takes over the copies");
  }
  return submit(context, { kind: "DRAIN", subject: { domain }, toDomain: to, cause: "asked for" });
}

export async function rebalanceState({ jobs }: JobsContext): Promise<RebalanceAnswer> {
  const all = (await jobs.list()).filter(({ job }) => job.kind === REBALANCE);
  const open = all.filter(({ job }) => !isOver(job));
  const states = new Set(open.map(({ job }) => job.state));
  const last = all.find(({ job }) => isOver(job));
  return {
    status: statusOf(states),
    jobs: [...open, ...(last === undefined ? [] : [last])].map(answerOf),
  };
}

/** Queues a rebalance of a node, a domain or all active domains. @throws ApiError */
export async function startRebalance(context: JobsContext, body: unknown): Promise<RebalanceAnswer> {
  const { node, domain, cause = "asked for" } = parsed(rebalanceRequestSchema, body ?? {});
  if (node !== undefined) await submit(context, { kind: REBALANCE, subject: { node }, cause });
  const { domains } = context.members().topology;
  const active = domains.filter(({ role }) => role === "active").map(({ name }) => name);
  const asked = domain === undefined ? active : [domain];
  if (node === undefined) {
    for (const name of asked) await submit(context, { kind: REBALANCE, subject: { domain: name }, cause });
  }
  return rebalanceState(context);
}

/** Cancels every rebalance that is not over. */
export async function cancelRebalance(context: JobsContext): Promise<RebalanceAnswer> {
  for (const { job } of await context.jobs.list()) {
    if (job.kind !== REBALANCE || isOver(job)) continue;
    try {
      await context.jobs.cancel(job.id);
    } catch (error) {
      // It came to its end a moment ago.
      if (!(error instanceof JobError)) throw error;
    }
  }
  return rebalanceState(context);
}

function statusOf(states: ReadonlySet<string>): RebalanceAnswer["status"] {
  if (states.has("running") || states.has("cancelling")) return "running";
  if (states.has("queued")) return "queued";
  return states.has("paused") ? "paused" : "idle";
}

async function submit({ jobs }: JobsContext, wish: Omit<JobWish, "askedBy">): Promise<JobAnswer> {
  const { view } = await refusing(() => jobs.submit({ ...wish, askedBy: ASKED_BY }));
  return answerOf(view);
}

async function refusing<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof JobError || error instanceof TopologyChangeError)) throw error;
    if (error.kind === "unknown") throw new ApiError(404, "Not Found", error.message);
    throw new ApiError(409, "Conflict", error.message);
  }
}

function known(id: string): string {
  if (isId(id)) return id;
  throw new ApiError(404, "Not Found", `there is no job ${id}`);
}

function parsed<T>(schema: z.ZodType<T>, body: unknown): T {
  const request = schema.safeParse(body);
  if (!request.success) throw new ApiError(400, "Bad Request", z.prettifyError(request.error));
  return request.data;
}

export function answerOf({ job, remainingMs }: JobView): JobAnswer {
  const { counts, total } = job;
  const share = isOver(job) && job.state === "done" ? 1 : progress(counts.considered, total);
  return {
    id: job.id,
    kind: job.kind,
    subject: { kind: job.subject.kind, name: job.subject.name },
    to_domain: job.toDomain ?? null,
    state: job.state,
    detail: job.detail ?? null,
    cause: job.cause,
    asked_by: job.askedBy,
    created_at: time(job.createdAtMs),
    started_at: job.startedAtMs === undefined ? null : time(job.startedAtMs),
    ended_at: job.endedAtMs === undefined ? null : time(job.endedAtMs),
    progress_pct: share === undefined ? null : Math.floor(share * 1000) / 10,
    eta_seconds: remainingMs === undefined ? null : Math.ceil(remainingMs / 1000),
    objects_total: total ?? null,
    objects_considered: counts.considered,
    objects_moved: counts.moved,
    objects_skipped: counts.skipped,
    objects_failed: counts.failed,
    bytes_moved: counts.bytes,
  };
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
