/** What the admin API tells of repair and its dead letters, and how both are set going. */
import * as z from "zod";
import type { Backlog } from "../replication/repair/backlog.ts";
import type { DeadLetterReport, DeadLetters, SlotName } from "../replication/repair/dead-letters.ts";
import type { Repairer } from "../replication/repair/repairer.ts";
import { ApiError } from "./problem.ts";
import {
  type DeadLetterAnswer,
  type DeadLettersAnswer,
  deadLettersQuerySchema,
  type RepairStatus,
  type ReplayAnswer,
  replayRequestSchema,
} from "./repair-types.ts";

export interface RepairContext {
  readonly repairer: Pick<Repairer, "counts" | "lastRun">;
  readonly deadLetters: Pick<DeadLetters, "list" | "get" | "replay" | "replayAll">;
  readonly backlog: Pick<Backlog, "read">;
  /** Has repair run now: everything whose time has come, and what failed before whatever its back-off. */
  readonly runRepair: () => void;
}

export async function repairStatus({ repairer, backlog }: RepairContext): Promise<RepairStatus> {
  const { missing, handoff, unverified, corrupt, deadLetters, more, oldestMissingSinceMs } = await backlog.read();
  const run = repairer.lastRun;
  return {
    running: run?.running === true,
    started_at: timeOf(run?.startedAtMs),
    ended_at: timeOf(run?.endedAtMs),
    waiting: run?.waiting ?? 0,
    restored: repairer.counts.repaired,
    failed: repairer.counts.failed,
    missing,
    handoff,
    unverified,
    corrupt,
    dead_letters: deadLetters,
    more,
    oldest_missing_since: timeOf(oldestMissingSinceMs),
  };
}

/** @throws ApiError when the query is malformed */
export async function listDeadLetters({ deadLetters }: RepairContext, query: unknown): Promise<DeadLettersAnswer> {
  const { after, limit } = parsed(deadLettersQuerySchema, query);
  const page = await deadLetters.list({ limit, after: after === undefined ? undefined : nameOf(after) });
  const next = page.next === undefined ? null : `${page.next.blobId}/${page.next.slot}`;
  return { dead_letters: page.letters.map(answerOf), next };
}

/** @throws ApiError when there is no such dead letter */
export async function showDeadLetter(
  { deadLetters }: RepairContext,
  blobId: string,
  slot: string,
): Promise<DeadLetterAnswer> {
  const path = `${blobId}/${slot}`;
  const name = deadLettersQuerySchema.safeParse({ after: path });
  const report = name.success ? await deadLetters.get(nameOf(path)) : undefined;
  if (report === undefined) throw new ApiError(404, "Not Found", `there is no dead letter ${path}`);
  return answerOf(report);
}

/** @throws ApiError when the request is malformed or names no dead letter */
export async function replayDeadLetters(
  { deadLetters, runRepair }: RepairContext,
  body: unknown,
  signal: AbortSignal,
): Promise<ReplayAnswer> {
  const { blob_id: blobId, slot } = parsed(replayRequestSchema, body ?? {});
  if (blobId === undefined || slot === undefined) {
    const done = await deadLetters.replayAll(signal);
    runRepair();
    return done;
  }
  if (!(await deadLetters.replay({ blobId, slot }))) {
    throw new ApiError(404, "Not Found", `there is no dead letter ${blobId}/${slot}`);
  }
  runRepair();
  return { replayed: 1, more: false };
}

function parsed<T>(schema: z.ZodType<T>, given: unknown): T {
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  throw new ApiError(400, "Bad Request", z.prettifyError(result.error));
}

function nameOf(path: string): SlotName {
  const [blobId = "", slot = ""] = path.split("/");
  return { blobId, slot: Number(slot) };
}

function answerOf({ blobId, slot, state, domain, letter }: DeadLetterReport): DeadLetterAnswer {
  const { home } = letter;
  return {
    blob_id: blobId,
    slot,
    state,
    domain,
    since: new Date(letter.sinceMs).toISOString(),
    given_up_at: new Date(letter.givenUpAtMs).toISOString(),
    attempts: letter.attempts,
    error_kind: letter.errorKind,
    error: letter.errorMessage,
    node: letter.node ?? null,
    bucket_id: home.kind === "inline" ? home.bucketId : null,
    key: home.kind === "inline" ? home.key : null,
  };
}

function timeOf(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}
