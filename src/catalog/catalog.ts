/**
 * The catalog as one gateway process uses it: the store, the cluster's name, and the session under which every
 * commit of the process is made.
 */

import { SESSION_MAX } from "../nodes/copy-key.ts";
import type { Clock } from "../shared/clock.ts";
import type { Id, IdSource } from "../shared/ids.ts";
import { clusterKey, sessionFloorKey, sessionKey, sessionsRange } from "./keys.ts";
import {
  CatalogError,
  type Kv,
  type KvAtomic,
  type KvCommitResult,
  type KvEntry,
  type KvKey,
  type KvRange,
} from "./kv.ts";
import {
  type Cluster,
  decodeCluster,
  decodeFloor,
  decodeSession,
  encodeCluster,
  encodeSession,
  type Session,
} from "./records/cluster.ts";
import { unpack } from "./tuple.ts";

/** Entries that a walk reads at a time. */
const WALK_PAGE = 500;
/** How often a commit is tried again after another one came first, before the caller is told to try later. */
export const COMMIT_ATTEMPTS_MAX = 32;

export interface Catalog {
  readonly kv: Kv;
  readonly clusterId: Id;
  /** Number of this process's session; part of the key of every copy that it writes. */
  readonly session: number;
  /** The commit that began the session. */
  readonly sessionVersion: number;
  /** The last commit that survives the loss of the store, as the journal has it. What it does not have may be undone. */
  journaledVersion(): number;
  /** Begins a commit of this session. */
  begin(): KvAtomic;
  /**
   * Commits what `begin` began.
   * @throws SessionEndedError when another process ended our session; CatalogError
   */
  commit(atomic: KvAtomic): Promise<KvCommitResult>;
}

/** Another process took this one for dead and ended its session. It can commit nothing more and has to stop. */
export class SessionEndedError extends Error {
  constructor() {
    super("the session of this process was ended by another");
    this.name = "SessionEndedError";
  }
}

/**
 * Opens a session on the store, creating the cluster's records in an empty one.
 * @throws CatalogError
 */
export async function openCatalog(
  kv: Kv,
  deps: {
    readonly clock: Clock;
    readonly ids: IdSource;
    readonly host: string;
    readonly pid: number;
    /** Without one, every commit counts as journaled. */
    readonly journaledVersion?: () => number;
  },
): Promise<Catalog> {
  const cluster = await readOrCreateCluster(kv, deps);
  const { session, version } = await startSession(kv, deps);
  const ownKey = sessionKey(session);
  return {
    kv,
    clusterId: cluster.clusterId,
    session,
    sessionVersion: version,
    journaledVersion: deps.journaledVersion ?? (() => Number.POSITIVE_INFINITY),
    begin: () => kv.atomic().check(ownKey, version),
    async commit(atomic) {
      const result = await atomic.commit();
      if (!result.committed && Buffer.compare(result.failed, ownKey) === 0) throw new SessionEndedError();
      return result;
    },
  };
}

/**
 * Ends every session but our own, which is right only for a store that one process uses at a time. Whatever those
 * processes were about to commit can no longer be committed, and what they left on nodes is orphaned.
 */
export async function endOtherSessions(catalog: Catalog): Promise<void> {
  for await (const entry of walk(catalog.kv, sessionsRange())) {
    const session = decodeSession(entry.value);
    if (session.state === "ended" || sessionOfKey(entry.key) === catalog.session) continue;
    const ended = encodeSession({ ...session, state: "ended" });
    await catalog.commit(catalog.begin().check(entry.key, entry.version).set(entry.key, ended));
  }
}

/** Sessions that were ended for good and whose orphans are still to be collected, oldest first. */
export async function endedSessions({ kv, journaledVersion }: Catalog): Promise<number[]> {
  const ended: number[] = [];
  for await (const entry of walk(kv, sessionsRange())) {
    const isEnded = decodeSession(entry.value).state === "ended";
    if (isEnded && entry.version <= journaledVersion()) ended.push(sessionOfKey(entry.key));
  }
  return ended;
}

/**
 * Puts a session that was collected and forgotten back among those that have ended: copies of it turned up again, on an old
 * disk say. Nothing for one that has a record, and for what is not known to have been one: it is later than our own, or no
 * number (what merely looks like a copy).
 * @throws SessionEndedError; CatalogError
 */
export async function recallSession(catalog: Catalog, session: number): Promise<void> {
  if (!(session > 0 && session < catalog.session)) return;
  const key = sessionKey(session);
  const ended = encodeSession({ startedAtMs: 0, host: "", pid: 0, state: "ended" });
  await catalog.commit(catalog.begin().check(key, null).set(key, ended));
}

/** Reads a range from its start to its end, a page at a time; each page is consistent, the walk is not. */
export async function* walk(kv: Kv, range: KvRange, pageSize = WALK_PAGE): AsyncGenerator<KvEntry, void, undefined> {
  for await (const page of walkPages(kv, range, pageSize)) yield* page;
}

/** The pages of such a walk. */
export async function* walkPages(
  kv: Kv,
  range: KvRange,
  pageSize: number,
): AsyncGenerator<readonly KvEntry[], void, undefined> {
  let start = range.start;
  for (;;) {
    const page = await kv.list({ start, end: range.end }, { limit: pageSize });
    yield page;
    const last = page.at(-1);
    if (last === undefined || page.length < pageSize) return;
    start = Buffer.concat([last.key, Buffer.of(0)]);
  }
}

function sessionOfKey(key: KvKey): number {
  const session = unpack(key)[1];
  if (typeof session !== "number") throw new TypeError("not a session key");
  return session;
}

/** The cluster's record, `undefined` in an empty store. @throws CatalogError */
export async function readCluster(kv: Kv): Promise<Cluster | undefined> {
  const entry = await kv.get(clusterKey());
  return entry && decodeCluster(entry.value);
}

async function readOrCreateCluster(kv: Kv, deps: { clock: Clock; ids: IdSource }): Promise<Cluster> {
  for (let attempt = 0; attempt < COMMIT_ATTEMPTS_MAX; attempt++) {
    const existing = await readCluster(kv);
    if (existing !== undefined) return existing;
    const cluster = { clusterId: deps.ids.next(), createdAtMs: deps.clock.nowMs() };
    const result = await kv.atomic().check(clusterKey(), null).set(clusterKey(), encodeCluster(cluster)).commit();
    if (result.committed) return cluster;
  }
  throw new CatalogError("unavailable", "the cluster's record could not be created");
}

/** The highest session number that was given out, or is not to be; 0 when none was. @throws CatalogError */
export async function lastSession(kv: Kv): Promise<number> {
  const [last] = await kv.list(sessionsRange(), { limit: 1, reverse: true });
  const floor = await kv.get(sessionFloorKey());
  return Math.max(last === undefined ? 0 : sessionOfKey(last.key), floor === undefined ? 0 : decodeFloor(floor.value));
}

async function startSession(
  kv: Kv,
  deps: { clock: Clock; host: string; pid: number },
): Promise<{ session: number; version: number }> {
  const record: Session = { startedAtMs: deps.clock.nowMs(), host: deps.host, pid: deps.pid, state: "live" };
  for (let attempt = 0; attempt < COMMIT_ATTEMPTS_MAX; attempt++) {
    // The last session is always kept, ended or not, so that its number is never given out again.
    const session = (await lastSession(kv)) + 1;
    if (session > SESSION_MAX) throw new CatalogError("unavailable", "all session numbers are used up");
    const key = sessionKey(session);
    const result = await kv.atomic().check(key, null).set(key, encodeSession(record)).commit();
    if (result.committed) return { session, version: result.version };
  }
  throw new CatalogError("unavailable", "no session could be started");
}
