/** What the admin API tells of the catalog and its journal, and what it has begun there. */
import type { Catalog } from "../catalog/catalog.ts";
import { readCursors } from "../catalog/journal/cursors.ts";
import { CursorLostError, type DurableChanges } from "../catalog/journal/durable-changes.ts";
import type { Journal } from "../catalog/journal/journal.ts";
import type { JournalSummary } from "../catalog/journal/journal-status.ts";
import type { Finding, Verification } from "../catalog/journal/verification.ts";
import type { Verifier } from "../catalog/journal/verify.ts";
import { orphansHeldKey } from "../catalog/keys.ts";
import { CatalogError, type KvKey } from "../catalog/kv.ts";
import { type TupleElement, unpack } from "../catalog/tuple.ts";
import { COPY_KEY_BYTES, copyKeyFromBytes } from "../nodes/copy-key.ts";
import type {
  CatalogSnapshot,
  ChangesAnswer,
  JournalAnswer,
  RebuildAnswer,
  VerificationAnswer,
} from "./catalog-types.ts";
import { ApiError } from "./problem.ts";

const CHANGES_DEFAULT = 100;
const CHANGES_MAX = 1_000;

export interface CatalogContext {
  readonly catalog: Pick<Catalog, "kv">;
  readonly journal: Pick<Journal, "summary" | "status">;
  /** Whether a snapshot will be made now that would not have been. */
  readonly requestSnapshot: () => boolean;
  readonly changes: Pick<DurableChanges, "after">;
  readonly verifier: Pick<Verifier, "start" | "state">;
}

export async function journal({ catalog, journal }: CatalogContext): Promise<JournalAnswer> {
  const status = journal.status();
  return {
    ...summaryOf(status),
    version: await catalog.kv.version(),
    durable_version: status.durableVersion,
    rebuildable: status.rebuildable ?? null,
    domains: status.domains.map(({ domain, through }) => ({
      domain,
      through: through ?? null,
      lag_commits: through === undefined ? null : Math.max(0, status.durableVersion - through),
    })),
    gaps: [...status.gaps],
    missing_commits: status.missingCommits,
    unlisted_nodes: [...status.unlisted],
    segments: status.segments,
    bytes: status.bytes,
    snapshot: snapshot({ journal }),
    cursors: await readCursors(catalog.kv),
  };
}

export function summaryOf({
  mode,
  lagMs,
  lagCommits,
  failure,
}: JournalSummary): Pick<JournalAnswer, "mode" | "lag_ms" | "lag_commits" | "failure"> {
  return { mode, lag_ms: Math.round(lagMs), lag_commits: lagCommits, failure: failure ?? null };
}

export function snapshot({ journal }: Pick<CatalogContext, "journal">): CatalogSnapshot {
  const { snapshotState, snapshotFailure, snapshot: newest } = journal.status();
  return {
    state: snapshotState,
    failure: snapshotFailure ?? null,
    newest: newest === undefined ? null : { base: newest.base, made_at: time(newest.madeAtMs) },
  };
}

/** @throws ApiError where one is asked for or being made already */
export function requestSnapshot(context: Pick<CatalogContext, "journal" | "requestSnapshot">): CatalogSnapshot {
  if (!context.requestSnapshot()) throw new ApiError(409, "Conflict", "a snapshot is being made already");
  return snapshot(context);
}

/** What the last rebuild left to be decided. @throws CatalogError */
export async function rebuildState({ catalog }: Pick<CatalogContext, "catalog">): Promise<RebuildAnswer> {
  const held = await catalog.kv.get(orphansHeldKey());
  return { orphans_held: held !== undefined, reason: held?.value.toString() ?? null };
}

/** What the rebuild could not see is given up: orphans are collected again. @throws CatalogError */
export async function acceptRebuild(context: Pick<CatalogContext, "catalog">): Promise<RebuildAnswer> {
  await context.catalog.kv.atomic().delete(orphansHeldKey()).commit();
  return rebuildState(context);
}

/** @throws ApiError while one runs */
export function startVerification({ verifier }: Pick<CatalogContext, "verifier">): VerificationAnswer {
  if (!verifier.start()) throw new ApiError(409, "Conflict", "the catalog is being verified already");
  return verification({ verifier });
}

export function verification({ verifier: { state } }: Pick<CatalogContext, "verifier">): VerificationAnswer {
  return {
    status: state === undefined ? "none" : statusOf(state),
    started_at: time(state?.startedAtMs),
    ended_at: time(state?.endedAtMs),
    step: state?.step ?? null,
    done: state?.done ?? 0,
    total: state?.total ?? null,
    durable_version: state?.durableVersion ?? null,
    pieces: state?.pieces ?? 0,
    entries: state?.entries ?? 0,
    domains: [...(state?.domains ?? [])],
    nodes: [...(state?.nodes ?? [])],
    not_asked: [...(state?.notAsked ?? [])],
    findings: (state?.findings ?? []).map((finding) => ({ kind: finding.kind, message: messageOf(finding) })),
    finding_count: state?.findingCount ?? 0,
    failure: state?.failure ?? null,
  };
}

function statusOf({ endedAtMs, failure, findingCount }: Verification): VerificationAnswer["status"] {
  if (endedAtMs === undefined) return "running";
  if (failure !== undefined) return "failed";
  return findingCount === 0 ? "ok" : "findings";
}

function messageOf(finding: Finding): string {
  switch (finding.kind) {
    case "entry-differs":
      return `${readableKey(finding.key).join(" ")}: ${DIFFERENCES[finding.what]}`;
    case "bad-piece":
      return `${finding.piece} on ${finding.node}: ${finding.reason}`;
    case "not-rebuildable": {
      const more = finding.gapUntil === undefined ? "" : `; it goes on at commit ${finding.gapUntil}`;
      return `the journal on the nodes ends at commit ${finding.version}${more}`;
    }
    case "domains-insufficient":
      return `a rebuild from ${finding.domains.join(", ")} alone would not have every commit`;
    case "copies-missing":
      return `${finding.node} does not hold ${finding.lost} copies on record; nothing is known of ${finding.failed}`;
  }
}

const DIFFERENCES = {
  missing: "the journal has it, the catalog has not",
  extra: "the catalog has it, the journal has not",
  other: "the catalog holds something else than the journal",
} as const;

/** @param query of the request: `after` and `limit`. @throws ApiError; CatalogError */
export async function changes(
  { changes, journal }: Pick<CatalogContext, "changes" | "journal">,
  query: Readonly<Record<string, unknown>>,
): Promise<ChangesAnswer> {
  const after = integerOf(query, "after", { fallback: 0, min: 0, max: Number.MAX_SAFE_INTEGER });
  const limit = integerOf(query, "limit", { fallback: CHANGES_DEFAULT, min: 1, max: CHANGES_MAX });
  try {
    const page = await changes.after(after, limit);
    return {
      durable_version: journal.summary().durableVersion,
      next: page.next,
      changes: page.changes.map(({ version, writes }) => ({
        version,
        writes: writes.map(({ key, value }) => {
          const [kind = "", ...rest] = readableKey(key);
          return { kind: String(kind), key: rest, deleted: value === null };
        }),
      })),
    };
  } catch (error) {
    if (error instanceof CursorLostError) {
      const detail = `changes are kept from commit ${error.firstVersion} on: after=${error.firstVersion - 1}`;
      throw new ApiError(410, "Gone", detail, { cause: error });
    }
    if (error instanceof RangeError) throw new ApiError(400, "Bad Request", "after is no commit yet", { cause: error });
    if (error instanceof CatalogError && error.kind === "unavailable") {
      throw new ApiError(503, "Service Unavailable", error.message, { cause: error });
    }
    throw error;
  }
}

function integerOf(
  query: Readonly<Record<string, unknown>>,
  name: string,
  { fallback, min, max }: { readonly fallback: number; readonly min: number; readonly max: number },
): number {
  const given = query[name];
  if (given === undefined) return fallback;
  const value = typeof given === "string" && /^\d{1,16}$/.test(given) ? Number(given) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new ApiError(400, "Bad Request", `${name} is a number from ${min} to ${max}`);
}

/** The elements of a key. One that is no tuple is none of ours: its bytes. */
function readableKey(key: KvKey): (string | number)[] {
  try {
    return unpack(key).map(readable);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return ["unknown", Buffer.from(key).toString("hex")];
  }
}

function readable(element: TupleElement): string | number {
  if (!(element instanceof Uint8Array)) return element;
  return element.length === COPY_KEY_BYTES ? copyKeyFromBytes(element) : Buffer.from(element).toString("hex");
}

function time(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}
