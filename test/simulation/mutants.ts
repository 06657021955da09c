/**
 * Deliberate bugs, each put into the gateways from outside, by replacing one of the parts that the simulation composes.
 * The simulation must find each within the operations that are stated: a check that has never failed checks nothing.
 */
import type { JournalCluster } from "../../src/catalog/journal/journal-nodes.ts";
import { sessionsRange } from "../../src/catalog/keys.ts";
import {
  CatalogError,
  type Kv,
  type KvEntry,
  type KvListOptions,
  type KvRange,
  type KvStore,
} from "../../src/catalog/kv.ts";
import { collectAtomic, type KvCommitRequest, replayRequest } from "../../src/catalog/kv-atomic.ts";
import { type Blob, isReadable } from "../../src/catalog/records/blob.ts";
import { decodeSession, encodeSession } from "../../src/catalog/records/cluster.ts";
import { pack } from "../../src/catalog/tuple.ts";
import type { ByteRange } from "../../src/nodes/storage-node.ts";
import type { ListResult } from "../../src/objects/api.ts";
import { ObjectError } from "../../src/objects/api.ts";
import { OpenReads } from "../../src/replication/reclaim/open-reads.ts";
import type { Random } from "../../src/shared/random.ts";
import { CLUSTER_MUTANTS, sourceFirst } from "./cluster-mutants.ts";
import type { Mutant, Parts } from "./mutation.ts";

export const MUTANTS: readonly Mutant[] = [
  {
    name: "commit-before-quorum",
    what: "a write is acknowledged and committed with one copy (I2)",
    operationsMax: 5_000,
    mutation: { policy: (policy) => ({ ...policy, quorum: 1 }) },
  },
  {
    name: "no-fsync",
    what: "nodes answer before what they took is durable, and the power goes (I1, I2)",
    operationsMax: 10_000,
    mutation: { machine: { acknowledgesEarly: true } },
  },
  {
    name: "no-session-check",
    what: "a process whose session was ended goes on committing; its copies were collected meanwhile (I3)",
    operationsMax: 150_000,
    mutation: { catalog: (catalog, kv) => ({ ...catalog, begin: () => kv.atomic() }) },
  },
  {
    name: "reference-count",
    what: "whoever lets go of a shared blob takes it for the last reference (I1)",
    operationsMax: 1_000,
    mutation: { kv: (kv) => withLists(kv, onlyOneReference) },
  },
  {
    name: "reused-copy-key",
    what: "a copy may get the key of another one (I4)",
    operationsMax: 1_000,
    mutation: { random: repeatedKeys },
  },
  {
    name: "no-grace",
    what: "what died is deleted at once, also under reads that began before (I1)",
    operationsMax: 130_000,
    mutation: { sweep: ({ clock }) => ({ graceMs: 0, openReads: new OpenReads(clock) }) },
  },
  {
    name: "unverified-read",
    what: "bytes are forwarded as a node sends them (I1)",
    operationsMax: 5_000,
    mutation: { blobs: (blobs, parts) => ({ ...blobs, read: (blob, range) => readUnverified(parts, blob, range) }) },
  },
  {
    name: "if-none-match-before-commit",
    what: "If-None-Match is decided before the commit, not in it (I7)",
    operationsMax: 30_000,
    mutation: {
      service: (service) => ({
        ...service,
        async putObject(request) {
          if (request.conditions.ifNoneMatch === undefined) return service.putObject(request);
          const { bucket, key } = request;
          const there = await service.headObject({ bucket, key, conditions: {} }).then(
            () => true,
            () => false,
          );
          if (there) throw new ObjectError("precondition-failed", "there is one");
          return service.putObject({ ...request, conditions: {} });
        },
      }),
    },
  },
  {
    name: "no-compare-and-set",
    what: "commits replace whatever is there by now (I7, I8)",
    operationsMax: 1_000,
    mutation: { kv: withoutVersionChecks },
  },
  {
    name: "bucket-not-checked-empty",
    what: "a bucket that just got an object is deleted (I7)",
    operationsMax: 5_000,
    mutation: { kv: (kv) => withCommits(kv, ({ checks }) => checks.filter(({ kind }) => kind !== "empty")) },
  },
  {
    name: "repair-from-unverified-copy",
    what: "repair copies what a node sends without checking it (I6)",
    operationsMax: 150_000,
    mutation: {
      repairReader: (parts) => ({ read: (blob, range) => readUnverified(parts, blob, range) }),
    },
  },
  {
    name: "source-removed-first",
    what: "the copy that a repair replaces is deleted before the record points to the new one (I6)",
    operationsMax: 50_000,
    mutation: {
      repairLedger: sourceFirst,
    },
  },
  {
    name: "orphans-of-live-sessions",
    what: "the collector takes copies of writes that are under way for orphans (I1)",
    operationsMax: 1_000,
    mutation: {
      orphanCatalog: ({ leaders }) => ({ ...leaders, kv: withLists(leaders.kv, allSessionsEnded) }),
      orphanDelayMs: 100,
    },
  },
  {
    name: "late-put-after-collection",
    what: "orphans are collected before the requests of the dead have arrived, and never again (I3)",
    operationsMax: 20_000,
    mutation: { orphanDelayMs: 0 },
  },
  {
    name: "orphans-not-collected",
    what: "what dead processes left on nodes stays (I3)",
    operationsMax: 10_000,
    mutation: {
      orphanCatalog: ({ leaders }) => ({
        ...leaders,
        kv: {
          ...plain(leaders.kv),
          list: async (range, how) => (same(range, sessionsRange()) ? [] : leaders.kv.list(range, how)),
        },
      }),
    },
  },
  {
    name: "stale-listing",
    what: "a listing shows the catalog of a moment ago (I8)",
    operationsMax: 10_000,
    mutation: {
      service: (service, { clock }) => {
        const seen = new Map<string, { atMs: number; result: Promise<ListResult> }>();
        return {
          ...service,
          listObjects(request) {
            const name = JSON.stringify(request);
            const before = seen.get(name);
            if (before !== undefined && clock.monotonicMs() < before.atMs + STALE_MS) return before.result;
            const result = service.listObjects(request);
            seen.set(name, { atMs: clock.monotonicMs(), result });
            return result;
          },
        };
      },
    },
  },
  {
    name: "stale-read",
    what: "a read looks versions up in what it saw a moment ago (I8)",
    operationsMax: 30_000,
    mutation: { service: (service, parts) => ({ ...service, headObject: cachedHead(service.headObject, parts) }) },
  },
  {
    name: "unknown-outcome-as-failure",
    what: "a commit whose answer was lost is taken for failed and its blobs are discarded (I1)",
    operationsMax: 10_000,
    mutation: {
      kv: (kv) => withFailures(kv, (error) => (error.kind === "unknown-outcome" ? "unavailable" : error.kind)),
    },
  },
  {
    name: "acknowledged-when-unavailable",
    what: "a commit that failed is acknowledged (I1)",
    operationsMax: 5_000,
    mutation: {
      service: (service) => ({
        ...service,
        deleteObject: (request) =>
          service.deleteObject(request).catch((error: unknown) => {
            if (!(error instanceof ObjectError) || error.code !== "unavailable") throw error;
          }),
      }),
    },
  },
  {
    name: "repair-not-on-record",
    what: "what wants repair is not put on record (I5)",
    operationsMax: 1_000,
    mutation: {
      kv: (kv) =>
        withCommits(kv, undefined, ({ mutations }) => mutations.filter(({ key }) => !startsWith(key, REPAIR))),
    },
  },
  {
    name: "pending-delete-not-on-record",
    what: "copies on nodes that are away when they are to be deleted stay (I3)",
    operationsMax: 10_000,
    mutation: {
      kv: (kv) =>
        withCommits(kv, undefined, ({ mutations }) =>
          mutations.filter(({ kind, key }) => kind !== "set" || !startsWith(key, PENDING_DELETE)),
        ),
    },
  },
  {
    name: "journal-before-quorum",
    what: "a commit is answered when one domain has it in its journal, and the catalog is lost (I10)",
    operationsMax: 20_000,
    seed: 18,
    mutation: { journalCluster: inOneDomain },
  },
  {
    name: "answered-before-journal",
    what: "a commit is answered before the journal has it, and the catalog is lost (I10)",
    operationsMax: 40_000,
    mutation: { journalSync: false },
  },
  {
    name: "shown-before-journal",
    what: "reads show what the journal does not have yet, and the catalog is lost (I7)",
    operationsMax: 30_000,
    seed: 12,
    mutation: { journaledKv: readPast },
  },
  {
    name: "deleted-before-journal",
    what: "copies are deleted on account of a commit that the journal does not have, and the catalog is lost (I1)",
    operationsMax: 30_000,
    mutation: { journaledVersion: () => Number.POSITIVE_INFINITY },
  },
  {
    name: "rebuild-forgets-deletions",
    what: "a catalog that is made again keeps what was deleted (I10)",
    operationsMax: 30_000,
    mutation: { newStore: withoutRestoredDeletions },
  },
  {
    name: "scrub-forgets",
    what: "what the scrub finds is not put on record (I3)",
    operationsMax: 10_000,
    mutation: { scrubForgets: true },
  },
  ...CLUSTER_MUTANTS,
];

function inOneDomain(cluster: JournalCluster): JournalCluster {
  return {
    get clusterId() {
      return cluster.clusterId;
    },
    nodes: () => cluster.nodes(),
    domains: () => cluster.domains(),
    quorum: () => 1,
    degraded: () => cluster.degraded(),
  };
}

/** Commits through the journal, and reads past it. */
function readPast(journaled: Kv, store: Kv): Kv {
  return {
    get: (key) => store.get(key),
    getMany: (keys) => store.getMany(keys),
    list: (range, options) => store.list(range, options),
    version: () => store.version(),
    atomic: () => journaled.atomic(),
    close: () => journaled.close(),
  };
}

function withoutRestoredDeletions(store: KvStore): KvStore {
  const { restore } = store;
  store.restore = (entries, version) =>
    restore.call(
      store,
      entries.filter(({ value }) => value !== null),
      version,
    );
  return store;
}

const STALE_MS = 1_000;
const REFERENCE = pack(["ref"]);
const REPAIR = pack(["repair"]);
const PENDING_DELETE = pack(["pending-delete"]);

/** Keys of this many bytes are those of copies: see copy-key.ts. */
const COPY_KEY_BYTES = 16;

function repeatedKeys(random: Random): Random {
  let last: Uint8Array | undefined;
  return {
    float: () => random.float(),
    bytes(length) {
      if (length !== COPY_KEY_BYTES) return random.bytes(length);
      if (last === undefined || random.float() < 0.7) last = random.bytes(length);
      return last;
    },
  };
}

/** Only what is asked for the last time. */
async function onlyOneReference(kv: Kv, range: KvRange, how: KvListOptions): Promise<KvEntry[]> {
  const found = await kv.list(range, how);
  return startsWith(range.start, REFERENCE) ? found.slice(0, 0) : found;
}

async function allSessionsEnded(kv: Kv, range: KvRange, how: KvListOptions): Promise<KvEntry[]> {
  const found = await kv.list(range, how);
  if (!same(range, sessionsRange())) return found;
  return found.map((entry) => ({ ...entry, value: encodeSession({ ...decodeSession(entry.value), state: "ended" }) }));
}

function cachedHead<A extends { bucket: string; key: string }, R>(
  head: (request: A) => Promise<R>,
  { clock }: Parts,
): (request: A) => Promise<R> {
  const seen = new Map<string, { atMs: number; result: Promise<R> }>();
  return (request) => {
    const name = `${request.bucket}/${request.key}`;
    const before = seen.get(name);
    if (before !== undefined && clock.monotonicMs() < before.atMs + STALE_MS) return before.result;
    const result = head(request);
    seen.set(name, { atMs: clock.monotonicMs(), result });
    return result;
  };
}

async function* readUnverified({ members }: Parts, blob: Blob, { start, end }: ByteRange): AsyncGenerator<Uint8Array> {
  for (const slot of blob.slots) {
    const node = slot.location && members().get(slot.location.nodeUuid)?.node;
    if (!isReadable(slot) || node === undefined) continue;
    try {
      const bytes = await Array.fromAsync(await node.get(slot.location.key, { start, end }));
      yield Buffer.concat(bytes);
      return;
    } catch {
      // The next one.
    }
  }
  throw new ObjectError("unavailable", "no copy answers");
}

// --- Stores that do something else ------------------------------------------------------------------------------

/** The store's calls as an object whose methods can be replaced one by one. */
function plain(kv: Kv): Kv {
  return {
    get: (key) => kv.get(key),
    getMany: (keys) => kv.getMany(keys),
    list: (range, how) => kv.list(range, how),
    atomic: () => kv.atomic(),
    version: () => kv.version(),
    close: () => kv.close(),
  };
}

function withLists(kv: Kv, list: (kv: Kv, range: KvRange, how: KvListOptions) => Promise<KvEntry[]>): Kv {
  return { ...plain(kv), list: (range, how) => list(kv, range, how) };
}

/** Commits with other checks, or other mutations, than were asked for. */
function withCommits(
  kv: Kv,
  checksOf: (request: KvCommitRequest) => KvCommitRequest["checks"] = ({ checks }) => checks,
  mutationsOf: (request: KvCommitRequest) => KvCommitRequest["mutations"] = ({ mutations }) => mutations,
): Kv {
  return {
    ...plain(kv),
    atomic: () =>
      collectAtomic((request) =>
        replayRequest(kv.atomic(), { checks: checksOf(request), mutations: mutationsOf(request) }).commit(),
      ),
  };
}

/** Sessions are still checked: those are another mutant's. */
function withoutVersionChecks(kv: Kv): Kv {
  return withCommits(kv, ({ checks }) =>
    checks.filter((check) => check.kind === "empty" || startsWith(check.key, sessionsRange().start)),
  );
}

function withFailures(kv: Kv, kindOf: (error: CatalogError) => CatalogError["kind"]): Kv {
  return {
    ...plain(kv),
    atomic: () =>
      collectAtomic(async (request) => {
        try {
          return await replayRequest(kv.atomic(), request).commit();
        } catch (error) {
          if (!(error instanceof CatalogError)) throw error;
          throw new CatalogError(kindOf(error), error.message);
        }
      }),
  };
}

function startsWith(key: Uint8Array, prefix: Uint8Array): boolean {
  return prefix.every((byte, at) => key[at] === byte);
}

function same(a: KvRange, b: KvRange): boolean {
  return Buffer.compare(a.start, b.start) === 0;
}
