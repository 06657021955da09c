/**
 * Puts the storage side together: catalog, nodes, cluster, replication and the object service over them.
 */
import type { NodePlace } from "../admin/cluster-views.ts";
import type { TopologyControl } from "../admin/topology-control.ts";
import type { Catalog } from "../catalog/catalog.ts";
import type { Journal } from "../catalog/journal/journal.ts";
import { setNode } from "../cluster/change-nodes.ts";
import type { EventLog } from "../cluster/events/event.ts";
import { topologyEvents } from "../cluster/events/topology-events.ts";
import { rejoinNode } from "../cluster/health/decommissioner.ts";
import type { IsolationGuard } from "../cluster/health/isolation-guard.ts";
import { LiveTopology } from "../cluster/live-topology.ts";
import type { Members } from "../cluster/members.ts";
import { Membership } from "../cluster/membership.ts";
import { applyConfiguration, loadTopology } from "../cluster/topology-store.ts";
import type { Config, Secrets } from "../config/config.ts";
import type { LoadedConfig } from "../config/load-config.ts";
import type { NodeFiguresView } from "../nodes/node-figures.ts";
import type { VolumeUsage } from "../nodes/volume/compactor.ts";
import type { ObjectService, Principal } from "../objects/api.ts";
import type { ForegroundMeter } from "../observability/foreground.ts";
import type { Loggers } from "../observability/logger.ts";
import type { Metrics } from "../observability/metrics.ts";
import { createHasher } from "../placement/hasher.ts";
import { createPlacement, type Placement } from "../placement/placement.ts";
import type { Topology } from "../placement/topology.ts";
import { createDiscarder } from "../replication/discard.ts";
import type { Jobs } from "../replication/jobs/jobs.ts";
import { type CopyDamage, createBlobReader } from "../replication/read/blob-reader.ts";
import type { OrphanCollector } from "../replication/reclaim/orphan-collector.ts";
import { LostNodes } from "../replication/repair/lost-nodes.ts";
import { Repairer } from "../replication/repair/repairer.ts";
import type { Scrubbing } from "../replication/scrub/scrubbing.ts";
import { createSlotLedger } from "../replication/slot-ledger.ts";
import { Worker } from "../replication/worker.ts";
import type { Clock } from "../shared/clock.ts";
import { type Id, idSource } from "../shared/ids.ts";
import type { Random } from "../shared/random.ts";
import { type CatalogCare, careForCatalog } from "./catalog-care.ts";
import { type Coordination, comparedByLeader, openCoordination } from "./coordination.ts";
import { type Durability, measureDurability } from "./durability.ts";
import { careForHealth, openEventLog } from "./health.ts";
import { createJobs, createPacing } from "./jobs.ts";
import { WorkLimitsInForce } from "./live-limits.ts";
import { NodeHandles, type Way } from "./node-handles.ts";
import { openObjects } from "./objects.ts";
import { openJournaledCatalog, openKv } from "./open-catalog.ts";
import { createReclaim } from "./reclaim.ts";
import { keepRedundancy, type Redundancy, type RedundancyDeps, repairOptions } from "./redundancy.ts";
import { removeLeftScratch } from "./scratch-store.ts";
import { type ScrubRequests, scrubRequests } from "./scrub-requests.ts";
import { createScrubbing } from "./scrubbing.ts";
import { configuredTopology } from "./topology.ts";
import { topologyControl } from "./topology-control.ts";
import { createTriggers } from "./triggers.ts";

/**
 * How long the start waits for the first check of nodes that do not answer at all. Those that answer, or refuse, take a
 * moment; a volume whose index is made anew may take longer than this, and is `joining` meanwhile.
 */
const NODE_WAIT_MS = 10_000;
const REPAIR_INTERVAL_MS = 10_000;
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
  /** Reads the configuration again; absent where it cannot be. */
  readonly reread?: (() => LoadedConfig) | undefined;
}

export interface Storage extends AsyncDisposable {
  readonly catalog: Catalog;
  readonly members: () => Members;
  readonly objects: ObjectService;
  readonly repairer: Repairer;
  readonly redundancy: Redundancy;
  readonly orphans: OrphanCollector;
  readonly scrubRequests: ScrubRequests;
  readonly journal: Journal;
  readonly care: CatalogCare;
  readonly durability: Durability;
  readonly coordination: Coordination;
  /** Whether this gateway may be cut off itself. */
  readonly isolation: IsolationGuard;
  readonly events: EventLog;
  /** Resolves when this process goes by it. @throws TopologyChangeError; CatalogError */
  readonly rejoinNode: (name: string) => Promise<void>;
  readonly topologyControl: TopologyControl;
  readonly placeOf: (nodeName: string) => NodePlace;
  /** How a node is reached now; undefined for one that is not in use. */
  readonly wayTo: (nodeUuid: Id) => Way | undefined;
  readonly jobs: Jobs;
  readonly foreground: ForegroundMeter;
  /** What a volume's disk is used for; undefined for other nodes, and before it is open. */
  readonly usageOf: (nodeUuid: Id) => VolumeUsage | undefined;
  /** How full and how busy a node is; undefined for one that is not configured. */
  readonly figuresOf: (nodeUuid: Id) => NodeFiguresView | undefined;
}

export async function openStorage(deps: StorageDeps): Promise<Storage> {
  const { config, clock, random, loggers, metrics } = deps;
  await using stack = new AsyncDisposableStack();
  /** There once all nodes were looked at, which a bad disk may not wait for. */
  const late: { scrubbing?: Scrubbing; triggers?: Worker } = {};
  const ids = idSource(clock, random);

  const store = await openKv(config.catalog);
  stack.defer(() => store.close());
  await removeLeftScratch(config.catalog);
  const lookForJobs = (): void => late.triggers?.wake();
  const handles = stack.use(
    new NodeHandles({ ...deps, kv: store, logger: loggers.named("nodes"), onCapacityChanged: lookForJobs }),
  );
  const journalLogger = loggers.named("catalog");
  const { catalog, journal, journaled } = await openJournaledCatalog({
    ...{ ...deps, store, handles, ids, logger: journalLogger },
    members: () => membership.members,
  });

  const events = stack.use(
    await openEventLog({
      catalog,
      clock,
      logger: loggers.named("cluster"),
      host: deps.host,
      onRecorded: (kind) => metrics.eventRecorded(kind),
    }),
  );
  const topologyBefore = await loadTopology(catalog.kv);
  const { topology, records } = await applyConfiguration(catalog, configuredTopology(config.storage), ids, clock);
  for (const event of topologyEvents(topologyBefore, { topology, records })) events.record(event);
  const opened = await handles.of(catalog.clusterId, records);
  const admitted = new Set([...records.values()].filter((record) => record.admitted).map((record) => record.uuid));
  const hasher = await createHasher();
  const placementOf = (shape: Topology): Placement => createPlacement(shape, hasher);
  const members = () => membership.members;
  const coordination = await openCoordination(deps, { catalog, ids, stack });
  const { leadership } = coordination;
  const scrubNode = (uuid: Id): void => {
    const name = members().get(uuid)?.spec.name;
    if (name !== undefined) late.scrubbing?.request(name);
  };
  const corruptBefore = new Set<Id>();
  const membership = new Membership(
    {
      catalog,
      clusterKey: deps.clusterKey,
      clock,
      logger: loggers.named("cluster"),
      intervalMs: config.storage.health.intervalMs,
      onStateChanged: (node, state) => metrics.nodeStateChanged(node, state),
      recordEvent: (event) => events.record(event),
      onCorrupt: (uuid) => (late.scrubbing === undefined ? void corruptBefore.add(uuid) : scrubNode(uuid)),
    },
    { topology, placement: placementOf(topology), handles: opened, admitted },
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
      handlesOf: (known) => handles.of(catalog.clusterId, known),
      clock,
      logger: loggers.named("cluster"),
      intervalMs: config.storage.health.intervalMs,
      initial: { topology, records },
      onChanged: (before, after) => {
        scrubbing.follow();
        lookForJobs();
        if (leadership.isLeader) for (const event of topologyEvents(before, after)) events.record(event);
      },
    }),
  );

  const { isolation } = stack.use(
    careForHealth({
      config,
      secrets: deps.secrets,
      catalog,
      leadership,
      members,
      events,
      refresh: () => liveTopology.refresh(),
      clock,
      logger: loggers.named("cluster"),
    }),
  );

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
  const { annualFailureRate } = config.storage.durability;
  const durability = stack.use(
    measureDurability({ annualFailureRate, metrics, catalog: leadership.catalog, leadership, members, clock, logger }),
  );
  const leaderLedger = createSlotLedger({ catalog: leadership.catalog, clock, ids });
  /** What background work commits by. */
  const leaders = { catalog: leadership.catalog, ledger: leaderLedger, members, clock, logger };
  const pacing = stack.use(createPacing(config, clock));
  const redundancyDeps: RedundancyDeps = {
    pace: pacing.restoring,
    isGivenUp: (uuid) => jobs.isGivenUp(uuid),
    holdsBack: () => isolation.holdsBack(),
    ...{ config, catalog, leaders, members, ledger, clock, loggers, metrics },
    whileLeading: (run) => leadership.whileLeading(run),
    acquireLease: (name) => coordination.acquire(name, config.storage.consistencyRepair.lockTimeoutMs),
    refreshTopology: () => liveTopology.refresh(),
    onPromoted: lookForJobs,
    onRestored(cause, bytes, sinceMs) {
      metrics.copyRestored(cause, bytes);
      durability.restoreTimes.restored(cause, sinceMs);
    },
  };
  const lost = new LostNodes(members, () => isolation.holdsBack());
  const repairLimits = repairOptions(redundancyDeps, lost);
  const repairer = new Repairer({ ...leaders, damageLedger: ledger, reader, discard, random, ...repairLimits });
  const worker = (name: string, intervalMs: number, run: (signal: AbortSignal) => Promise<void>): Worker =>
    stack.use(new Worker({ name, intervalMs, clock, logger, run }));
  const leaderWorker = (name: string, intervalMs: number, run: (signal: AbortSignal) => Promise<void>): Worker =>
    worker(name, intervalMs, leadership.whileLeading(run));
  const repair = leaderWorker("repair", REPAIR_INTERVAL_MS, (signal) => repairer.run(signal));
  const { openReads, orphans, sweep, pendingDeletes, collect } = createReclaim({ config, leaders, leaderWorker });
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
    compareNode: (uuid, signal) => comparedByLeader(leadership, signal, (ends) => scrubbing.compare(uuid, ends)),
    wakeJournal: () => keepJournal.wake(),
    metrics,
    clock,
    random,
    logger: journalLogger,
  });
  stack.use(care.verifier);
  const recordDamage = (damage: CopyDamage): Promise<void> => {
    if (damage.kind === "corrupt") membership.badBlockFound(damage.location.nodeUuid);
    return repairer.recordDamage(damage).then(() => repair.wake());
  };
  const scrubbing = stack.use(
    createScrubbing({
      ...leaders,
      config,
      handles,
      metrics,
      recordDamage,
      whileLeading: (run) => leadership.whileLeading(run),
    }),
  );
  late.scrubbing = scrubbing;
  for (const uuid of corruptBefore) scrubNode(uuid);
  const wakeRepair = (): void => {
    repairer.workArrived();
    repair.wake();
  };
  const limits = new WorkLimitsInForce(catalog.kv, config.storage, { ...pacing, scrubbing });
  await limits.refresh();
  const redundancy = stack.use(keepRedundancy(redundancyDeps, { lost, repairer, wakeRepair, scrubbing }));
  const jobs = stack.use(
    createJobs({
      ...{ ...leaders, reader, discard, random, handles, metrics, pacing, ids, scrubbing },
      rebalance: () => limits.rebalance,
      ownCatalog: catalog,
      isLeader: () => leadership.isLeader,
      async closeNode(name) {
        await setNode(catalog, name, { acceptsWrites: false });
        await liveTopology.refresh();
      },
      refreshTopology: () => liveTopology.refresh(),
      wakeRepair(nodeCameBack) {
        if (nodeCameBack) repairer.nodeCameBack();
        repair.wake();
      },
    }),
  );
  const triggers = stack.use(
    createTriggers({
      ...{ leadership, members, handles, events, clock, ids, logger },
      rebalance: () => limits.rebalance,
      wakeJobs: () => jobs.wake(),
    }),
  );
  late.triggers = triggers;
  members().onOnline(() => {
    lookForJobs();
    repairer.nodeCameBack();
    repair.wake();
    pendingDeletes.wake();
    keepJournal.wake();
  });
  keepJournal.start(JOURNAL_INTERVAL_MS);
  // The nodes were online before anybody listened.
  repairer.nodeCameBack();
  repair.start();
  sweep.start();
  pendingDeletes.start();
  collect.start(ORPHAN_DELAY_MS);
  scrubbing.start();
  durability.start();
  leadership.onChange((leading) => {
    jobs.wake();
    if (!leading) return;
    for (const work of [repair, sweep, pendingDeletes, triggers]) work.wake();
    redundancy.wakeAbsent();
    collect.start(ORPHAN_DELAY_MS);
  });
  jobs.start();
  triggers.start();
  const { intervalMs } = config.storage.health;
  worker("live-limits", intervalMs, () => limits.refresh()).start(intervalMs);
  leadership.start();
  liveTopology.start();

  const objects = await openObjects({
    ...{ ...deps, catalog, members, reader, ledger, ids, discard, openReads, wakeRepair },
    refreshNodes: () => liveTopology.refresh(),
  });
  const whole = stack.move();
  return {
    catalog,
    members,
    objects,
    repairer,
    redundancy,
    orphans,
    scrubRequests: scrubRequests({ scrubbing, isLeader: () => leadership.isLeader, jobs, members }),
    journal,
    care,
    durability,
    coordination,
    isolation,
    events,
    rejoinNode: async (name) => {
      await rejoinNode(catalog, name);
      await liveTopology.refresh();
    },
    topologyControl: topologyControl({
      catalog,
      handles,
      limits,
      live: liveTopology,
      members,
      clock,
      ids,
      logger: loggers.named("cluster"),
      started: deps,
      reread: deps.reread,
      onRemoved() {
        redundancy.wakeAbsent();
        keepJournal.wake();
      },
    }),
    placeOf: (name) => handles.placeOf(name),
    wayTo: (uuid) => handles.wayTo(uuid),
    figuresOf: (uuid) => handles.get(uuid)?.figures(),
    jobs,
    foreground: pacing.foreground,
    usageOf: (uuid) => handles.get(uuid)?.usage(),
    [Symbol.asyncDispose]: () => whole.disposeAsync(),
  };
}
