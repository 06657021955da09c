/**
 * Background jobs as the catalog keeps them: what is to be done, for whom, how far it is, and what did not succeed. The
 * intent and the cursor are here and nowhere else, so that a job goes on after whoever worked on it is gone.
 */
import { type Id, idBytes } from "../../shared/ids.ts";
import { decodeRecord, encodeRecord, type Field, type RecordReader } from "./codec.ts";

/**
 * - `MIGRATE_FROM_FAILED`: the copies that a failed node held are made anew elsewhere.
 * - `COPY_TO_PROMOTED`: the copies that a domain lacks are made on the node that was promoted into it.
 * - `RESYNC`: the copies of a node that came back are checked.
 * - `REBALANCE_TO_NEW`: what the ring assigns to a node, or to the nodes of a domain, moves there.
 * - `DRAIN`: every copy leaves a node, or a domain.
 * - `SCRUB`: every copy on a node is read and compared.
 */
export const JOB_KINDS = [
  "MIGRATE_FROM_FAILED",
  "COPY_TO_PROMOTED",
  "RESYNC",
  "REBALANCE_TO_NEW",
  "DRAIN",
  "SCRUB",
] as const;
export type JobKind = (typeof JOB_KINDS)[number];

/** `cancelling`: to be given up by whoever works on it. The last four are final. */
export const JOB_STATES = [
  "queued",
  "running",
  "paused",
  "cancelling",
  "done",
  "done-with-failures",
  "failed",
  "cancelled",
] as const;
export type JobState = (typeof JOB_STATES)[number];

export interface JobSubject {
  readonly kind: "node" | "domain";
  /** What tells it from others for good: the uuid of a node, the name of a domain. */
  readonly key: string;
  /** For people. */
  readonly name: string;
}

export interface JobCounts {
  /** Copies that were come to and settled: moved (or restored, or checked), skipped or failed. */
  readonly considered: number;
  readonly moved: number;
  readonly skipped: number;
  readonly failed: number;
  /** Of the copies that were moved. */
  readonly bytes: number;
}

export const NO_JOB_COUNTS: JobCounts = { considered: 0, moved: 0, skipped: 0, failed: 0, bytes: 0 };

export interface Job {
  readonly id: Id;
  readonly kind: JobKind;
  readonly subject: JobSubject;
  /** For a drained domain: the domain that takes over its copies. */
  readonly toDomain?: string;
  readonly state: JobState;
  /** Why there is such a job, and who asked for it: for people. */
  readonly cause: string;
  readonly askedBy: string;
  /** Wall clock, as all times here. */
  readonly createdAtMs: number;
  readonly startedAtMs?: number;
  readonly endedAtMs?: number;
  /** The session that works on it, or did last. */
  readonly session: number;
  /** What it is doing, or how it ended: for people. */
  readonly detail?: string;
  /** Copies on record when the pass under way began. */
  readonly total?: number;
  /** Everything up to here is settled. Its meaning is the kind's own. */
  readonly cursor?: string;
  readonly counts: JobCounts;
}

const JOB_FORMAT = 1;

export function encodeJob(job: Job): Buffer {
  const { kind, subject, counts } = job;
  return encodeRecord(JOB_FORMAT, [
    idBytes(job.id),
    JOB_KINDS.indexOf(kind),
    [subject.kind, subject.key, subject.name],
    job.toDomain ?? null,
    JOB_STATES.indexOf(job.state),
    job.cause,
    job.askedBy,
    job.createdAtMs,
    job.startedAtMs ?? null,
    job.endedAtMs ?? null,
    job.session,
    job.detail ?? null,
    job.total ?? null,
    job.cursor ?? null,
    countFields(counts),
  ]);
}

const SUBJECT_KINDS = ["node", "domain"] as const;

/** @throws RecordError */
export function decodeJob(value: Uint8Array): Job {
  const reader = decodeRecord("job", value, JOB_FORMAT);
  const id = reader.id();
  const kind = reader.indexOf(JOB_KINDS);
  const of = reader.nested();
  const subject = { kind: of.oneOf(SUBJECT_KINDS), key: of.string(), name: of.string() };
  const toDomain = reader.optionalString();
  const state = reader.indexOf(JOB_STATES);
  const [cause, askedBy, createdAtMs] = [reader.string(), reader.string(), reader.int()];
  const [startedAtMs, endedAtMs, session] = [reader.optionalInt(), reader.optionalInt(), reader.int()];
  const [detail, total, cursor] = [reader.optionalString(), reader.optionalInt(), reader.optionalString()];
  const counts = readCounts(reader.nested());
  return {
    ...{ id, kind, subject, state, cause, askedBy, createdAtMs, session, counts },
    ...(toDomain === undefined ? {} : { toDomain }),
    ...(startedAtMs === undefined ? {} : { startedAtMs }),
    ...(endedAtMs === undefined ? {} : { endedAtMs }),
    ...(detail === undefined ? {} : { detail }),
    ...(total === undefined ? {} : { total }),
    ...(cursor === undefined ? {} : { cursor }),
  };
}

function countFields({ considered, moved, skipped, failed, bytes }: JobCounts): Field[] {
  return [considered, moved, skipped, failed, bytes];
}

function readCounts(reader: RecordReader): JobCounts {
  return {
    considered: reader.int(),
    moved: reader.int(),
    skipped: reader.int(),
    failed: reader.int(),
    bytes: reader.int(),
  };
}

/** A copy with which a job did not succeed. */
export interface JobFailure {
  readonly blobId: Id;
  readonly slot: number;
  /** For people. */
  readonly reason: string;
  readonly atMs: number;
}

const JOB_FAILURE_FORMAT = 1;

export function encodeJobFailure({ blobId, slot, reason, atMs }: JobFailure): Buffer {
  return encodeRecord(JOB_FAILURE_FORMAT, [idBytes(blobId), slot, reason, atMs]);
}

/** @throws RecordError */
export function decodeJobFailure(value: Uint8Array): JobFailure {
  const reader = decodeRecord("job failure", value, JOB_FAILURE_FORMAT);
  return { blobId: reader.id(), slot: reader.int(), reason: reader.string(), atMs: reader.int() };
}
