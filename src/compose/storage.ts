/**
 * Puts the storage side together: catalog, nodes, cluster, replication and the object service over them.
 */
import { type Catalog, endOtherSessions, openCatalog, readCluster } from "../catalog/catalog.ts";
import { Journal } from "../catalog/journal/journal.ts";
import { JournaledKv } from "../catalog/journal/journaled-kv.ts";
import type { KvStore } from "../catalog/kv.ts";
import { openLmdbKv } from "../catalog/lmdb/lmdb-kv.ts";
import { memoryKv } from "../catalog/memory/memory-kv.ts";
import { type NodeSettings, setNode } from "../cluster/change-topology.ts";
import { LiveTopology } from "../cluster/live-topology.ts";
import type { Members } from "../cluster/members.ts";
import { Membership } from "../cluster/membership.ts";
import type { NodeRecord } from "../cluster/topology-records.ts";
import { applyConfiguration, loadTopology } from "../cluster/topology-store.ts";
import type { CatalogConfig, Config, Secrets } from "../config/config.ts";
import type { VolumeUsage } from "../nodes/volume/compactor.ts";
import type { ObjectService, Principal } from "../objects/api.ts";
import { createObjectService } from "../objects/object-service.ts";
import type { ForegroundMeter } from "../observability/foreground.ts";
import type { Loggers } from "../observability/logger.ts";
import type { Metrics } from "../observability/metrics.ts";
import { createHasher } from "../placement/hasher.ts";
import { createPlacement, type Placement } from "../placement/placement.ts";
import type { Topology } from "../placement/topology.ts";
import { createBlobStore } from "../replication/blob-store.ts";
import { createDiscarder } from "../replication/discard.ts";
import type { Jobs } from "../replication/jobs/jobs.ts";
import { type CopyDamage, createBlobReader } from "../replication/read/blob-reader.ts";
import { DyingSweeper } from "../replication/reclaim/dying-sweeper.ts";
import { OpenReads } from "../replication/reclaim/open-reads.ts";
import { OrphanCollector } from "../replication/reclaim/orphan-collector.ts";
import { carryOutPendingDeletes } from "../replication/reclaim/pending-deletes.ts";
import { AbsentNodes } from "../replication/repair/absent-nodes.ts";
import { Repairer } from "../replication/repair/repairer.ts";
import type { Scrubbing } from "../replication/scrub/scrubbing.ts";
import { createSlotLedger } from "../replication/slot-ledger.ts";
import { Worker } from "../replication/worker.ts";
import { loadChecksums } from "../shared/checksums.ts";
import type { Clock } from "../shared/clock.ts";
import { type Id, idSource } from "../shared/ids.ts";
import { KeyedMutex } from "../shared/keyed-mutex.ts";
import type { Random } from "../shared/random.ts";
import { type CatalogCare, careForCatalog } from "./catalog-care.ts";
import { createJobs, createPacing } from "./jobs.ts";
import { catchUpWithNodes, journalCluster, journalSettings } from "./journal.ts";
import { type LoadedNodeHandle, openNodeHandle } from "./nodes.ts";
import { removeLeftScratch } from "./scratch-store.ts";
import { createScrubbing } from "./scrubbing.ts";
import { configuredTopology } from "./topology.ts";

/**
 * How long the start waits for the first check of nodes that do not answer at all. Those that answer, or refuse, take a
 * moment; a volume whose index is made anew may take longer than this, and is `joining` meanwhile.
 */
const NODE_WAIT_MS = 10_000;
const REPAIR_INTERVAL_MS = 10_000;
const SWEEP_INTERVAL_MS = 10_000;
const PENDING_DELETES_INTERVAL_MS = 10_000;
const ABSENT_INTERVAL_MS = 10_000;
const ORPHAN_INTERVAL_MS = 60_000;
const JOURNAL_INTERVAL_MS = 10_000;
/** Requests that a process sent before it died may still be on their way to a node. */
const ORPHAN_DELAY_MS = 10_000;

export interface StorageDeps {
  readonly config: Config;
  readonly secrets: Secrets;
  readonly clusterKey: Uint8Array;
  readonly principalOf: (owner: string) => Principal;
  readonly host: string;
  readonly pid: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly loggers: Loggers;
  readonly metrics: Metrics;
}

export interface Storage extends AsyncDisposable {
  readonly catalog: Catalog;
  readonly members: () => Members;
  readonly objects: ObjectService;
  readonly repairer: Repairer;
  readonly orphans: OrphanCollector;
  readonly scrubbing: Scrubbing;
  readonly journal: Journal;
  readonly care: CatalogCare;
  /** Resolves when this process goes by it. @throws TopologyChangeError; CatalogError */
  readonly setNode: (name: string, settings: NodeSettings) => Promise<void>;
  readonly jobs: Jobs;
  readonly foreground: ForegroundMeter;
  /** What a volume's disk is used for; undefined for other nodes, and before it is open. */
  readonly usageOf: (nodeUuid: Id) => VolumeUsage | undefined;
}

export async function openStorage(deps: StorageDeps): Promise<Storage> {
  const { config, clock, random, loggers, metrics } = deps;
  await using stack = new AsyncDisposableStack();
  const ids = idSource(clock, random);

  const store = await openKv(config.catalog);
  stack.defer(() => store.close());
  await removeLeftScratch(config.catalog);
  const handles = new Map<Id, LoadedNodeHandle>();
  const openHandle = (clusterId: Id, { uuid, name, admitted }: NodeRecord): void => {
    const node = config.storage.nodes.find((candidate) => candidate.name === name);
    if (node === undefined || handles.has(uuid)) return;
    const handle = openNodeHandle({ ...deps, clusterId, logger: loggers.named("nodes") }, node, admitted);
    stack.defer(() => handle.node.close());
    handles.set(uuid, handle);
  };
  const journalLogger = loggers.named("catalog");
  const cluster = await readCluster(store);
  if (cluster !== undefined) {
    for (const record of (await loadTopology(store))?.records.values() ?? []) {
      if (record.admitted) openHandle(cluster.clusterId, record);
    }
  }
  const holdings = await catchUpWithNodes(store, handles, {
    clusterId: cluster?.clusterId ?? "",
    clock,
    logger: journalLogger,
  });
  const journaled = journalCluster(
    () => membership.members,
    () => catalog.clusterId,
  );
  const journal = new Journal({
    kv: store,
    cluster: journaled,
    holdings,
    settings: journalSettings(config.journal),
    clock,
    random,
    logger: journalLogger,
  });
  const catalog = await openCatalog(new JournaledKv(store, journal), {
    clock,
    ids,
    host: deps.host,
    pid: deps.pid,
    journaledVersion: () => journal.shippedThrough,
  });
  // The folder of the catalog is ours alone, so whoever had a session on it is gone.
  await endOtherSessions(catalog);

  const { topology, records } = await applyConfiguration(catalog, configuredTopology(config.storage), ids);
  for (const spec of topology.nodes) {
    const record = records.get(spec.uuid);
    if (record !== undefined) openHandle(catalog.clusterId, record);
  }
  const admitted = new Set([...records.values()].filter((record) => record.admitted).map((record) => record.uuid));
  const hasher = await createHasher();
  const placementOf = (shape: Topology): Placement => createPlacement(shape, hasher);
  const membership = new Membership(
    {
      catalog,
      clusterKey: deps.clusterKey,
      clock,
      logger: loggers.named("cluster"),
      intervalMs: config.storage.health.intervalMs,
      onStateChanged: (node, state) => metrics.nodeStateChanged(node, state),
    },
    { topology, placement: placementOf(topology), handles, admitted },
  );
  stack.use(membership);
  await membership.start(NODE_WAIT_MS);
  stack.use(journal);
  await journal.start({ number: catalog.session, version: catalog.sessionVersion });

  const liveTopology = stack.use(
    new LiveTopology({
      kv: catalog.kv,
      membership,
      placementOf,
      handlesOf: () => handles,
      clock,
      logger: loggers.named("cluster"),
      intervalMs: config.storage.health.intervalMs,
    }),
  );
  liveTopology.start();

  const members = () => membership.members;
  const changeNode = async (name: string, settings: NodeSettings): Promise<void> => {
    await setNode(catalog, name, settings);
    await liveTopology.refresh();
  };
  const logger = loggers.named("replication");
  const discarder = createDiscarder({ catalog, members, clock, logger });
  stack.defer(() => discarder.idle());
  const ledger = createSlotLedger({ catalog, clock, ids });
  const reader = createBlobReader({
    members,
    clock,
    random,
    limits: config.storage.read,
    onDamage: (damage) => {
      const node = members().get(damage.location.nodeUuid)?.spec.name ?? "unknown";
      metrics.badCopyFound(node, damage.kind === "lost" ? "missing" : "corrupt");
      recordDamage(damage).catch((error: unknown) => logger.error({ err: error }, "a bad copy could not be recorded"));
    },
  });
  const discard = discarder.discard;
  const onRestored = (cause: string, bytes: number): void => metrics.copyRestored(cause, bytes);
  const pacing = stack.use(createPacing(config, clock));
  const moving = { catalog, members, reader, ledger, discard, clock, random, logger };
  const givenUp = (uuid: Id): boolean => jobs.isGivenUp(uuid);
  const repairer = new Repairer({ ...moving, onRestored, pace: pacing.restoring, givenUp });
  const openReads = new OpenReads(clock);
  const sweeper = new DyingSweeper({ catalog, members, openReads, clock, graceMs: config.storage.delete.graceMs });
  const orphans = new OrphanCollector({ catalog, members, clock, logger });

  const worker = (name: string, intervalMs: number, run: (signal: AbortSignal) => Promise<void>): Worker =>
    stack.use(new Worker({ name, intervalMs, clock, logger, run }));
  const repair = worker("repair", REPAIR_INTERVAL_MS, (signal) => repairer.run(signal));
  const sweep = worker("sweep", SWEEP_INTERVAL_MS, (signal) => sweeper.run(signal));
  const pendingDeletes = worker("pending-deletes", PENDING_DELETES_INTERVAL_MS, (signal) =>
    carryOutPendingDeletes({ catalog, members }, signal),
  );
  const absentNodes = new AbsentNodes({ catalog, members, ledger, clock, logger });
  const absent = worker("absent-nodes", ABSENT_INTERVAL_MS, async (signal) => {
    if ((await absentNodes.run(signal)) > 0) repair.wake();
  });
  const keepJournal = worker("journal", JOURNAL_INTERVAL_MS, async (signal) => {
    await journal.keep(signal);
    if (!signal.aborted) await journal.snapshot(signal);
  });
  const care = careForCatalog({
    config: config.catalog,
    store,
    catalog,
    cluster: journaled,
    journal,
    compareNode: (uuid, signal) => scrubbing.compare(uuid, signal),
    wakeJournal: () => keepJournal.wake(),
    metrics,
    clock,
    random,
    logger: journalLogger,
  });
  stack.use(care.verifier);
  const collect = worker("orphans", ORPHAN_INTERVAL_MS, (signal) => orphans.run(signal));
  const recordDamage = (damage: CopyDamage): Promise<void> => repairer.recordDamage(damage).then(() => repair.wake());
  const scrubbing = stack.use(
    createScrubbing({ config, handles, metrics, catalog, members, ledger, recordDamage, clock, logger }),
  );
  const jobs = stack.use(
    createJobs({
      ...{ ...moving, config, handles, metrics, pacing, ids, scrubbing },
      closeNode: (name) => changeNode(name, { acceptsWrites: false }),
      refreshTopology: () => liveTopology.refresh(),
      wakeRepair(nodeCameBack) {
        if (nodeCameBack) repairer.nodeCameBack();
        repair.wake();
      },
    }),
  );
  members().onOnline(() => {
    repairer.nodeCameBack();
    repair.wake();
    pendingDeletes.wake();
    keepJournal.wake();
  });
  keepJournal.start(JOURNAL_INTERVAL_MS);
  // The nodes were online before anybody listened.
  repairer.nodeCameBack();
  repair.start();
  absent.start();
  sweep.start();
  pendingDeletes.start();
  collect.start(ORPHAN_DELAY_MS);
  scrubbing.start();
  jobs.start();

  const { write } = config.storage;
  const blobs = createBlobStore({
    write: {
      members,
      reader,
      clusterId: catalog.clusterId,
      session: catalog.session,
      clock,
      random,
      ids,
      limits: write,
      discard,
    },
    members,
    reader,
    ledger,
    clock,
    wakeRepair: () => repair.wake(),
    refreshNodes: () => liveTopology.refresh(),
    onDecided: (outcome) => metrics.writeDecided(outcome),
  });
  const objects = createObjectService({
    catalog,
    blobs,
    checksums: await loadChecksums(),
    clock,
    ids,
    openReads,
    commits: new KeyedMutex(),
    principalOf: deps.principalOf,
    segmentBytes: write.segmentBytes,
  });
  const opened = stack.move();
  return {
    catalog,
    members,
    objects,
    repairer,
    orphans,
    scrubbing,
    journal,
    care,
    setNode: changeNode,
    jobs,
    foreground: pacing.foreground,
    usageOf: (uuid) => handles.get(uuid)?.usage(),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

function openKv(config: CatalogConfig): Promise<KvStore> {
  return config.kind === "lmdb" ? openLmdbKv({ folder: config.path }) : Promise.resolve(memoryKv());
}
