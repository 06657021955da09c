/** What the commands print that ask for jobs or look at them. */
import {
  JOB_PATHS,
  type JobAnswer,
  jobFailuresSchema,
  jobSchema,
  jobsSchema,
  rebalanceSchema,
} from "../admin/job-types.ts";
import { type Clock, keepAlive, sleep } from "../shared/clock.ts";
import type { AdminClient } from "./admin-client.ts";
import type { Output } from "./commands.ts";
import { CliError, EXIT } from "./errors.ts";
import { formatBytes, formatFields, formatTable } from "./text.ts";

const WATCH_MS = 1_000;
const BAR_CHARS = 24;
const OVER: ReadonlySet<JobAnswer["state"]> = new Set(["done", "done-with-failures", "failed", "cancelled"]);
const WELL: ReadonlySet<JobAnswer["state"]> = new Set(["done", "cancelled"]);

/** How a command goes on looking, and where it tells what it sees meanwhile. */
export interface Watching {
  readonly clock: Clock;
  readonly tell: (text: string) => void;
  /** Whether what is told replaces the line before. */
  readonly terminal: boolean;
}

export async function showJobs(admin: AdminClient): Promise<Output> {
  const answer = await admin.get(JOB_PATHS.jobs, jobsSchema);
  return { json: answer, text: answer.jobs.length === 0 ? "There are no jobs.\n" : formatJobs(answer.jobs) };
}

export async function showJob(admin: AdminClient, id: string): Promise<Output> {
  const job = await admin.get(pathOf(id), jobSchema);
  return { json: job, text: formatJob(job) };
}

export async function showFailures(admin: AdminClient, id: string): Promise<Output> {
  const answer = await admin.get(`${pathOf(id)}/failures`, jobFailuresSchema);
  const rows = answer.failures.map(({ blob_id, slot, reason, at }) => [blob_id, String(slot), at, reason]);
  const text = rows.length === 0 ? "It has no failures.\n" : formatTable(["BLOB", "SLOT", "AT", "REASON"], rows);
  return { json: answer, text };
}

export async function changeJob(admin: AdminClient, id: string, call: "pause" | "resume" | "cancel"): Promise<Output> {
  const job =
    call === "cancel"
      ? await admin.delete(pathOf(id), jobSchema)
      : await admin.post(`${pathOf(id)}/${call}`, jobSchema, {});
  return { json: job, text: formatJob(job) };
}

/** @param watching follows the job to its end; without it the command ends when the job is queued */
export async function drainNode(admin: AdminClient, name: string, watching?: Watching): Promise<Output> {
  const job = await admin.post(`${JOB_PATHS.nodes}/${encodeURIComponent(name)}/drain`, jobSchema, {});
  return shown(admin, job, watching);
}

export async function drainDomain(
  admin: AdminClient,
  name: string,
  { to }: { readonly to?: string },
  watching?: Watching,
): Promise<Output> {
  if (to === undefined) throw new CliError(EXIT.usage, "say which domain takes over the copies: --to");
  const path = `${JOB_PATHS.domains}/${encodeURIComponent(name)}/drain?to=${encodeURIComponent(to)}`;
  return shown(admin, await admin.post(path, jobSchema, {}), watching);
}

export interface RebalanceOptions {
  readonly node?: string;
  readonly domain?: string;
  readonly status?: boolean;
  readonly cancel?: boolean;
}

export async function rebalance(admin: AdminClient, options: RebalanceOptions): Promise<Output> {
  const { node, domain, status, cancel } = options;
  const path = JOB_PATHS.rebalance;
  const wanted = { ...(node === undefined ? {} : { node }), ...(domain === undefined ? {} : { domain }) };
  const answer =
    status === true
      ? await admin.get(path, rebalanceSchema)
      : cancel === true
        ? await admin.delete(path, rebalanceSchema)
        : await admin.post(path, rebalanceSchema, wanted);
  const table = answer.jobs.length === 0 ? "" : formatJobs(answer.jobs);
  return { json: answer, text: `Rebalance: ${answer.status}\n${table}` };
}

async function shown(admin: AdminClient, job: JobAnswer, watching: Watching | undefined): Promise<Output> {
  if (watching === undefined) return { json: job, text: formatJob(job) };
  using _waiting = keepAlive();
  const { clock, tell, terminal } = watching;
  let last = "";
  for (let now = job; ; now = await admin.get(pathOf(job.id), jobSchema)) {
    const line = formatLine(now);
    if (line !== last) tell(terminal ? `\r\u001b[K${line}` : `${line}\n`);
    last = line;
    if (OVER.has(now.state) || now.state === "paused") {
      if (terminal) tell("\n");
      return { json: now, text: formatJob(now), failed: !WELL.has(now.state) };
    }
    await sleep(clock, WATCH_MS);
  }
}

function pathOf(id: string): string {
  return `${JOB_PATHS.jobs}/${encodeURIComponent(id)}`;
}

function formatJobs(jobs: readonly JobAnswer[]): string {
  const rows = jobs.map((job) => [
    job.id,
    job.kind,
    subjectOf(job),
    job.state,
    bar(job),
    `${job.objects_moved} (${formatBytes(job.bytes_moved)})`,
    String(job.objects_failed),
    OVER.has(job.state) ? "-" : formatEta(job.eta_seconds),
    job.detail ?? "",
  ]);
  return formatTable(["ID", "KIND", "SUBJECT", "STATE", "PROGRESS", "MOVED", "FAILED", "ETA", "DETAIL"], rows);
}

function formatJob(job: JobAnswer): string {
  return formatFields([
    ["Job", job.id],
    ["Kind", job.kind],
    ["Subject", subjectOf(job)],
    ["State", job.detail === null ? job.state : `${job.state}: ${job.detail}`],
    ["Cause", `${job.cause} (${job.asked_by})`],
    ["Progress", bar(job)],
    ["Copies", `${job.objects_considered} of ${job.objects_total ?? "-"} considered`],
    ["Moved", `${job.objects_moved} (${formatBytes(job.bytes_moved)})`],
    ["Skipped", String(job.objects_skipped)],
    ["Failed", String(job.objects_failed)],
    ["ETA", OVER.has(job.state) ? "-" : formatEta(job.eta_seconds)],
    ["Created", job.created_at],
    ["Started", job.started_at ?? "-"],
    ["Ended", job.ended_at ?? "-"],
  ]);
}

function formatLine(job: JobAnswer): string {
  const detail = job.detail === null ? "" : `, ${job.detail}`;
  const failed = job.objects_failed === 0 ? "" : `, ${job.objects_failed} failed`;
  return `${bar(job)} ${job.state}${detail}: ${job.objects_moved} moved (${formatBytes(job.bytes_moved)})${failed}`;
}

function subjectOf({ subject, to_domain: to }: JobAnswer): string {
  const name = subject.kind === "node" ? subject.name : `domain ${subject.name}`;
  return to === null ? name : `${name} to ${to}`;
}

function bar({ progress_pct: percent }: JobAnswer): string {
  if (percent === null) return "-";
  const filled = Math.round((percent / 100) * BAR_CHARS);
  return `[${"#".repeat(filled)}${".".repeat(BAR_CHARS - filled)}] ${Math.floor(percent)} %`;
}

/** `1h 02m`, `3m 20s`, `15s`. */
function formatEta(seconds: number | null): string {
  if (seconds === null) return "-";
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  const two = (value: number): string => String(value).padStart(2, "0");
  if (hours > 0) return `${hours}h ${two(minutes)}m`;
  return minutes > 0 ? `${minutes}m ${two(seconds % 60)}s` : `${seconds}s`;
}
