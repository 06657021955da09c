/**
 * Brings a store to what the journal says: one that is a little behind, or an empty one.
 */

import { SESSION_MAX } from "../../nodes/copy-key.ts";
import { lastSession } from "../catalog.ts";
import { sessionFloorKey } from "../keys.ts";
import type { KvKey, KvStore } from "../kv.ts";
import { restoredBy } from "../kv-change.ts";
import { encodeFloor } from "../records/cluster.ts";
import type { JournalReader } from "./journal-reader.ts";
import type { Segment, Snapshot } from "./pieces.ts";

/** The journal on the nodes says more than can be replayed onto the store: commits in between are missing. */
export class JournalGapError extends Error {
  constructor(after: number, nextKnown: number) {
    super(
      `the catalog ends at commit ${after}, and the journal on the nodes goes on at commit ${nextKnown}: what lies between is not there`,
    );
    this.name = "JournalGapError";
  }
}

/**
 * Session numbers that are left out when a store was brought up to the journal. What was committed last may be on nodes
 * that did not answer, under sessions that nobody else knows of; were their numbers given out again, two histories
 * would have pieces of the same names.
 */
const UNSEEN_SESSIONS_MAX = 65_536;

/** Writes what only this store is to know, without a commit: its number may be taken in the journal. */
export async function noteLocally(kv: KvStore, key: KvKey, value: Uint8Array): Promise<void> {
  const version = await kv.version();
  await kv.restore([{ key, value, version }], version);
}

async function leaveOutSessions(kv: KvStore, reader: JournalReader): Promise<void> {
  const last = Math.max(await lastSession(kv), reader.lastSession);
  const floor = Math.min(last + UNSEEN_SESSIONS_MAX, SESSION_MAX - UNSEEN_SESSIONS_MAX);
  await noteLocally(kv, sessionFloorKey(), encodeFloor(Math.max(floor, last)));
}

/** Writes what a segment says. */
export async function applySegment(kv: KvStore, segment: Segment): Promise<void> {
  await kv.restore(restoredBy(segment.changes), segment.through);
}

/**
 * Replays what the journal has and the store does not: a store that was put back from a backup is then as it was.
 * @returns how many commits that were
 * @throws JournalGapError when there is more that cannot be reached; CatalogError
 */
export async function catchUp(kv: KvStore, reader: JournalReader, signal?: AbortSignal): Promise<number> {
  const before = await kv.version();
  for await (const segment of reader.segments(before, signal)) await applySegment(kv, segment);
  const version = await kv.version();
  const nextKnown = reader.chain.nextAfter(version);
  if (nextKnown !== undefined) throw new JournalGapError(version, nextKnown);
  if (version > before) await leaveOutSessions(kv, reader);
  return version - before;
}

export interface ReplayProgress {
  readonly snapshot?: { readonly chunk: number; readonly chunks: number };
  /** The last commit that was replayed. */
  readonly version: number;
  /** The last one that the nodes that answer know of. */
  readonly last: number;
}

/** Nothing on the nodes, or nothing whole, from which a catalog could be made. */
export class NothingToReplayError extends Error {
  constructor() {
    super("the nodes hold neither a whole snapshot of the catalog nor its journal from the first commit on");
    this.name = "NothingToReplayError";
  }
}

export interface Replayed {
  readonly kv: KvStore;
  /** The last commit that was replayed. */
  readonly version: number;
  /** When the process wrote it, by its own wall clock. */
  readonly lastWrittenAtMs?: number;
  readonly snapshot?: Snapshot;
  /** There is more of the journal behind a gap, from this commit on. It was left out. */
  readonly gapUntil?: number;
}

/**
 * Makes a catalog from the newest snapshot that is whole and the journal behind it, up to the first gap.
 * @param openEmpty opens an empty store; called once more for each snapshot that turned out not to be whole, after its
 *   store was closed
 * @throws NothingToReplayError; CatalogError
 */
export async function replay(
  reader: JournalReader,
  openEmpty: () => Promise<KvStore>,
  { onProgress, signal }: { onProgress?: (progress: ReplayProgress) => void; signal?: AbortSignal } = {},
): Promise<Replayed> {
  for await (const snapshot of reader.snapshots(signal)) {
    const kv = await openEmpty();
    if (await loadSnapshot(kv, reader, { snapshot, onProgress, signal })) {
      const replayed = await replaySegments(kv, reader, { after: snapshot.base, onProgress, signal });
      if (replayed.version >= snapshot.through) return { ...replayed, snapshot };
    }
    await kv.close();
  }
  if (reader.chain.holding(1).length === 0) throw new NothingToReplayError();
  return replaySegments(await openEmpty(), reader, { after: 0, onProgress, signal });
}

interface Replaying {
  readonly onProgress: ((progress: ReplayProgress) => void) | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Whether all of its chunks were good. */
async function loadSnapshot(
  kv: KvStore,
  reader: JournalReader,
  { snapshot, onProgress, signal }: Replaying & { readonly snapshot: Snapshot },
): Promise<boolean> {
  const { base, through, chunks } = snapshot;
  for (let chunk = 0; chunk < chunks; chunk++) {
    const entries = await reader.chunk(snapshot, chunk, signal);
    if (entries === undefined) return false;
    await kv.restore(entries, through);
    onProgress?.({ snapshot: { chunk: chunk + 1, chunks }, version: base, last: reader.chain.last });
  }
  return true;
}

async function replaySegments(
  kv: KvStore,
  reader: JournalReader,
  { after, onProgress, signal }: Replaying & { readonly after: number },
): Promise<Replayed> {
  let version = after;
  let lastWrittenAtMs: number | undefined;
  const floor = await kv.version();
  for await (const segment of reader.segments(after, signal)) {
    await applySegment(kv, { ...segment, through: Math.max(segment.through, floor) });
    version = segment.through;
    lastWrittenAtMs = segment.madeAtMs;
    onProgress?.({ version, last: reader.chain.last });
  }
  const gapUntil = reader.chain.nextAfter(version);
  // What was left out is never to be taken for what comes next: new commits are numbered behind it.
  if (gapUntil !== undefined) await kv.restore([], Math.max(reader.chain.last, floor));
  await leaveOutSessions(kv, reader);
  return {
    kv,
    version,
    ...(lastWrittenAtMs === undefined ? {} : { lastWrittenAtMs }),
    ...(gapUntil === undefined ? {} : { gapUntil }),
  };
}
