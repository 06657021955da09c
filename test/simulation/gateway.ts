/**
 * One process of a gateway in the simulation: what src/compose/storage.ts puts together, over the simulated store and
 * network and with times that suit the simulation's. A mutant may replace parts of it.
 */
import { type Catalog, endOtherSessions, openCatalog, readCluster } from "../../src/catalog/catalog.ts";
import { Journal } from "../../src/catalog/journal/journal.ts";
import type { JournalCluster } from "../../src/catalog/journal/journal-nodes.ts";
import type { JournalSettings } from "../../src/catalog/journal/journal-settings.ts";
import { JournaledKv } from "../../src/catalog/journal/journaled-kv.ts";
import { sessionKey } from "../../src/catalog/keys.ts";
import type { Kv, KvStore } from "../../src/catalog/kv.ts";
import { decodeSession, encodeSession } from "../../src/catalog/records/cluster.ts";
import { type NodeSettings, setNode } from "../../src/cluster/change-nodes.ts";
import type { ConfiguredTopology } from "../../src/cluster/configured-topology.ts";
import { LiveTopology } from "../../src/cluster/live-topology.ts";
import type { Members } from "../../src/cluster/members.ts";
import { Membership, type NodeHandle } from "../../src/cluster/membership.ts";
import { applyConfiguration, loadTopology } from "../../src/cluster/topology-store.ts";
import { catchUpWithNodes, journalCluster } from "../../src/compose/journal.ts";
import type { StorageNode } from "../../src/nodes/storage-node.ts";
import { wrapNode } from "../../src/nodes/wrap.ts";
import { BREAKER_LIMITS, type NodeLimits, RETRY_LIMITS } from "../../src/nodes/wrappers/limits.ts";
import { usedShare } from "../../src/nodes/wrappers/room-watch.ts";
import type { ObjectService } from "../../src/objects/api.ts";
import { createObjectService } from "../../src/objects/object-service.ts";
import type { Logger } from "../../src/observability/logger.ts";
import { createPlacement } from "../../src/placement/placement.ts";
import { loadScore } from "../../src/placement/score.ts";
import type { ReplicationPolicy } from "../../src/placement/topology.ts";
import { type BlobStore, createBlobStore } from "../../src/replication/blob-store.ts";
import { createDiscarder, type Discarder } from "../../src/replication/discard.ts";
import { type BlobReader, createBlobReader } from "../../src/replication/read/blob-reader.ts";
import { DyingSweeper } from "../../src/replication/reclaim/dying-sweeper.ts";
import { OpenReads } from "../../src/replication/reclaim/open-reads.ts";
import { OrphanCollector } from "../../src/replication/reclaim/orphan-collector.ts";
import { carryOutPendingDeletes } from "../../src/replication/reclaim/pending-deletes.ts";
import { AbsentNodes } from "../../src/replication/repair/absent-nodes.ts";
import { Repairer } from "../../src/replication/repair/repairer.ts";
import { Scrubbing } from "../../src/replication/scrub/scrubbing.ts";
import { createSlotLedger, type SlotLedger } from "../../src/replication/slot-ledger.ts";
import { Worker } from "../../src/replication/worker.ts";
import type { Checksums } from "../../src/shared/checksums.ts";
import type { Clock } from "../../src/shared/clock.ts";
import { type Id, idSource } from "../../src/shared/ids.ts";
import { KeyedMutex } from "../../src/shared/keyed-mutex.ts";
import type { Random } from "../../src/shared/random.ts";
import { quickHasher } from "../unit/placement/topologies.ts";
import type { CaseConfig } from "./plan.ts";
import { type Life, processClock, type Scheduler } from "./scheduler.ts";

export const GRACE_MS = 5_000;
const WORKER_INTERVAL_MS = 2_000;
const ORPHAN_INTERVAL_MS = 6_000;
/** More than a request may be under way: network.ts, LATE_MS_MAX. */
const ORPHAN_DELAY_MS = 10_000;
const HEALTH_INTERVAL_MS = 4_000;
const NODE_WAIT_MS = 3_000;
const CAPACITY_CACHE_MS = 10_000;
const READ_LIMITS = { hedgeDelayMs: 100, stallTimeoutMs: 1_500 };
export const STRAGGLER_TIMEOUT_MS = 4_000;
const LAG_TIMEOUT_MS = 400;
const JOURNAL_INTERVAL_MS = 5_000;
const JOURNAL: JournalSettings = {
  sync: true,
  collectMs: 30,
  timeoutMs: 3_000,
  snapshotIntervalMs: 20_000,
  snapshotBytes: 100_000,
};
/** A scrub and a comparison begin by themselves after this; a gateway looks for what is due once a minute. */
const SCRUB_INTERVAL_MS = 120_000;
const SCRUB = { enabled: true, intervalMs: SCRUB_INTERVAL_MS, bytesPerSecond: 1e9, copiesPerSecond: 1e6 };
const CLUSTER_KEY = new Uint8Array(32).fill(7);

const NODE_LIMITS: NodeLimits = {
  timeout: {
    reachMs: 1_000,
    admissionMs: 3_000,
    metadataMs: 2_000,
    listMs: 2_000,
    firstByteMs: 1_300,
    readStallMs: 1_300,
    putStallMs: 1_500,
    putBlockMs: 100,
    finishMs: 2_000,
  },
  retry: RETRY_LIMITS,
  concurrency: { inflightMax: 32, waitingMax: 256, waitMs: 1_000 },
  breaker: BREAKER_LIMITS,
};

/** What the parts of a process are made of, and a mutant may replace. */
export interface Parts {
  readonly kv: Kv;
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly random: Random;
  readonly policy: ReplicationPolicy;
  readonly ledger: SlotLedger;
  readonly reader: BlobReader;
  readonly discarder: Discarder;
  readonly openReads: OpenReads;
  readonly members: () => Members;
}

/** Deliberate bugs, by the part that they replace. */
export interface Mutation {
  readonly machine?: { readonly acknowledgesEarly: true };
  readonly newStore?: (store: KvStore) => KvStore;
  readonly journalCluster?: (cluster: JournalCluster) => JournalCluster;
  readonly journalSync?: boolean;
  /** The seam that shows only what the journal has. */
  readonly journaledKv?: (kv: Kv, store: KvStore) => Kv;
  readonly journaledVersion?: (journal: Journal) => number;
  /** What the scrub and the comparison of nodes find is not put on record. */
  readonly scrubForgets?: true;
  readonly kv?: (kv: Kv) => Kv;
  readonly random?: (random: Random) => Random;
  readonly catalog?: (catalog: Catalog, kv: Kv) => Catalog;
  readonly policy?: (policy: ReplicationPolicy) => ReplicationPolicy;
  readonly sweep?: (parts: Parts) => { readonly graceMs: number; readonly openReads: OpenReads };
  readonly repairReader?: (parts: Parts) => BlobReader;
  readonly repairLedger?: (parts: Parts) => SlotLedger;
  readonly orphanCatalog?: (parts: Parts) => Catalog;
  readonly orphanDelayMs?: number;
  readonly blobs?: (blobs: BlobStore, parts: Parts) => BlobStore;
  readonly service?: (service: ObjectService, parts: Parts) => ObjectService;
}

export interface GatewayDeps {
  readonly name: string;
  readonly life: Life;
  readonly config: CaseConfig;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly kv: KvStore;
  readonly topology: ConfiguredTopology;
  /** The driver of a node, by its configured name. */
  readonly driver: (name: string, clusterId: Id) => StorageNode;
  readonly checksums: Checksums;
  readonly logger: Logger;
  readonly skewMs: number;
  /** Sessions to end at the start: those of all others, or of these. */
  readonly ends: "others" | readonly number[];
  readonly mutation: Mutation;
  /** Told the uuids of the nodes by name before any of them is called. */
  readonly onTopology: (uuids: ReadonlyMap<string, Id>) => void;
}

export interface SimGateway {
  readonly name: string;
  readonly life: Life;
  readonly session: number;
  readonly service: ObjectService;
  readonly scrubbing: Scrubbing;
  readonly journal: Journal | undefined;
  readonly setNode: (name: string, settings: NodeSettings) => Promise<void>;
}

/** @throws CatalogError; NoJournalError */
export async function startGateway(deps: GatewayDeps): Promise<SimGateway> {
  const { name, life, config, scheduler, logger, mutation } = deps;
  const clock = processClock(scheduler, life, deps.skewMs);
  const random = mutation.random?.(deps.random) ?? deps.random;
  const ids = idSource(clock, random);
  const handles = new Map<Id, NodeHandle>();
  const journal =
    config.journal === "off"
      ? undefined
      : await openJournal(deps, {
          clock,
          random,
          handles,
          members: () => membership.members,
          clusterId: () => opened.clusterId,
        });
  const journaled = journal === undefined ? deps.kv : journaledKv(deps, journal);
  const kv = mutation.kv?.(journaled) ?? journaled;
  const opened = await openCatalog(kv, {
    clock,
    ids,
    host: name,
    pid: 1,
    ...(journal === undefined
      ? {}
      : { journaledVersion: () => mutation.journaledVersion?.(journal) ?? journal.shippedThrough }),
  });
  const catalog = mutation.catalog?.(opened, kv) ?? opened;
  if (deps.ends === "others") await endOtherSessions(opened);
  else for (const session of deps.ends) await endSession(opened, session);

  const { topology: stored, records } = await applyConfiguration(opened, deps.topology, ids);
  const policy = mutation.policy?.(stored.replication) ?? stored.replication;
  const topology = { ...stored, replication: policy };
  deps.onTopology(new Map(topology.nodes.map(({ name: node, uuid }) => [node, uuid])));
  for (const spec of topology.nodes) {
    if (handles.has(spec.uuid) || !deps.topology.nodes.some((node) => node.name === spec.name)) continue;
    handles.set(spec.uuid, openHandle(deps.driver(spec.name, catalog.clusterId), clock, random));
  }
  const admitted = new Set([...records.values()].flatMap(({ uuid, admitted }) => (admitted ? [uuid] : [])));
  const membership = new Membership(
    {
      catalog,
      clusterKey: CLUSTER_KEY,
      clock,
      logger,
      intervalMs: HEALTH_INTERVAL_MS,
      onStateChanged: () => {},
    },
    { topology, placement: createPlacement(topology, quickHasher), handles, admitted },
  );
  await membership.start(NODE_WAIT_MS);
  await journal?.start({ number: opened.session, version: opened.sessionVersion });

  const members = (): Members => membership.members;
  const liveTopology = new LiveTopology({
    kv,
    membership,
    placementOf: (shape) => createPlacement({ ...shape, replication: policy }, quickHasher),
    handlesOf: () => handles,
    clock,
    logger,
    intervalMs: HEALTH_INTERVAL_MS,
  });
  liveTopology.start();
  const discarder = createDiscarder({ catalog, members, clock, logger });
  const ledger = createSlotLedger({ catalog, clock, ids });
  const reader = createBlobReader({
    members,
    clock,
    random,
    limits: READ_LIMITS,
    onDamage: (damage) => {
      repairer.recordDamage(damage).then(
        () => repair.wake(),
        (error: unknown) => logger.error({ err: error }, "a bad copy could not be recorded"),
      );
    },
  });
  const openReads = new OpenReads(clock);
  const { discard } = discarder;
  const parts: Parts = { kv, catalog, clock, random, policy, ledger, reader, discarder, openReads, members };
  const repairer = new Repairer({
    catalog,
    members,
    reader: mutation.repairReader?.(parts) ?? reader,
    ledger: mutation.repairLedger?.(parts) ?? ledger,
    discard,
    clock,
    random,
    logger,
    onRestored: () => {},
  });
  const sweeping = mutation.sweep?.(parts) ?? { graceMs: GRACE_MS, openReads };
  const sweeper = new DyingSweeper({ catalog, members, clock, ...sweeping });
  const orphans = new OrphanCollector({ catalog: mutation.orphanCatalog?.(parts) ?? catalog, members, clock, logger });
  const absentNodes = new AbsentNodes({ catalog, members, ledger, clock, logger });

  const worker = (job: string, run: (signal: AbortSignal) => Promise<void>, intervalMs = WORKER_INTERVAL_MS): Worker =>
    new Worker({ name: job, intervalMs, clock, logger, run });
  const repair = worker("repair", (signal) => repairer.run(signal));
  const sweep = worker("sweep", (signal) => sweeper.run(signal));
  const pendingDeletes = worker("pending-deletes", (signal) => carryOutPendingDeletes({ catalog, members }, signal));
  const absent = worker("absent-nodes", async (signal) => {
    if ((await absentNodes.run(signal)) > 0) repair.wake();
  });
  const collect = worker("orphans", (signal) => orphans.run(signal), ORPHAN_INTERVAL_MS);
  const keepJournal = worker(
    "journal",
    async (signal) => {
      await journal?.keep(signal);
      if (!signal.aborted) await journal?.snapshot(signal);
    },
    JOURNAL_INTERVAL_MS,
  );
  const scrubbing = new Scrubbing({
    catalog,
    members,
    ledger,
    recordDamage: async (damage) => {
      if (mutation.scrubForgets === true) return;
      await repairer.recordDamage(damage);
      repair.wake();
    },
    busy: () => false,
    clock,
    logger,
    scrub: SCRUB,
    comparison: { enabled: true, intervalMs: SCRUB_INTERVAL_MS },
    observer: { verified() {}, bad() {} },
  });
  members().onOnline(() => {
    repairer.nodeCameBack();
    repair.wake();
    pendingDeletes.wake();
    keepJournal.wake();
  });
  if (journal !== undefined) keepJournal.start(JOURNAL_INTERVAL_MS);
  scrubbing.start();
  repairer.nodeCameBack();
  repair.start();
  absent.start();
  sweep.start();
  pendingDeletes.start();
  collect.start(mutation.orphanDelayMs ?? ORPHAN_DELAY_MS);

  const created = createBlobStore({
    write: {
      members,
      reader,
      clusterId: catalog.clusterId,
      session: catalog.session,
      clock,
      random,
      ids,
      limits: {
        bufferBytes: config.bufferBytes,
        lagTimeoutMs: LAG_TIMEOUT_MS,
        stragglerTimeoutMs: STRAGGLER_TIMEOUT_MS,
      },
      discard,
    },
    members,
    reader,
    ledger,
    clock,
    wakeRepair: () => repair.wake(),
    refreshNodes: () => liveTopology.refresh(),
    onDecided: () => {},
  });
  const service = createObjectService({
    catalog,
    blobs: mutation.blobs?.(created, parts) ?? created,
    checksums: deps.checksums,
    clock,
    ids,
    openReads,
    commits: new KeyedMutex(),
    principalOf: (owner) => ({ id: owner, displayName: owner }),
    segmentBytes: config.segmentBytes,
  });
  return {
    name,
    life,
    session: catalog.session,
    service: mutation.service?.(service, parts) ?? service,
    scrubbing,
    journal,
    setNode: async (node, settings) => {
      await setNode(catalog, node, settings);
      await liveTopology.refresh();
    },
  };
}

/** Brings the store up to what the nodes know, over those that were members before. */
async function openJournal(
  deps: GatewayDeps,
  parts: {
    readonly clock: Clock;
    readonly random: Random;
    readonly handles: Map<Id, NodeHandle>;
    readonly members: () => Members;
    readonly clusterId: () => Id;
  },
): Promise<Journal> {
  const { kv, mutation, logger, config } = deps;
  const { clock, random, handles, members } = parts;
  const cluster = await readCluster(kv);
  const clusterId = cluster?.clusterId ?? "";
  for (const { uuid, name, admitted } of (await loadTopology(kv))?.records.values() ?? []) {
    if (!admitted || !deps.topology.nodes.some((node) => node.name === name)) continue;
    handles.set(uuid, openHandle(deps.driver(name, clusterId), clock, random));
  }
  deps.onTopology(new Map([...handles].map(([uuid, { node }]) => [node.name, uuid])));
  const holdings = await catchUpWithNodes(kv, handles, { clusterId, clock, logger });
  const all = journalCluster(members, parts.clusterId);
  return new Journal({
    kv,
    cluster: mutation.journalCluster?.(all) ?? all,
    holdings,
    settings: { ...JOURNAL, sync: mutation.journalSync ?? config.journal === "sync" },
    clock,
    random,
    logger,
  });
}

function journaledKv({ kv, mutation }: GatewayDeps, journal: Journal): Kv {
  const journaled = new JournaledKv(kv, journal);
  return mutation.journaledKv?.(journaled, kv) ?? journaled;
}

/** What whoever watches over several gateways does when one of them is taken for dead. */
async function endSession(catalog: Catalog, session: number): Promise<void> {
  const entry = await catalog.kv.get(sessionKey(session));
  if (entry === undefined) return;
  const ended = encodeSession({ ...decodeSession(entry.value), state: "ended" });
  await catalog.commit(catalog.begin().check(entry.key, entry.version).set(entry.key, ended));
}

function openHandle(driver: StorageNode, clock: Clock, random: Random): NodeHandle {
  const wrapped = wrapNode(driver, {
    clock,
    random,
    limits: NODE_LIMITS,
    observer: { started() {}, finished() {} },
    capacityCacheMs: CAPACITY_CACHE_MS,
  });
  return {
    node: wrapped.node,
    available: () => wrapped.available(),
    hasRoom: () => wrapped.hasRoom(),
    onUnavailable: (listener) => wrapped.onUnavailable(() => listener()),
    loadScore() {
      const capacity = wrapped.lastCapacity();
      return loadScore({ ...wrapped.load(), diskUsage: capacity && usedShare(capacity) });
    },
  };
}
