/**
 * One process of a gateway in the simulation: what src/compose/storage.ts puts together, over the simulated store and
 * network and with times that suit the simulation's. A mutant may replace parts of it.
 */
import { type Catalog, endOtherSessions, openCatalog, readCluster } from "../../src/catalog/catalog.ts";
import { Journal } from "../../src/catalog/journal/journal.ts";
import type { JournalSettings } from "../../src/catalog/journal/journal-settings.ts";
import { JournaledKv } from "../../src/catalog/journal/journaled-kv.ts";
import { sessionKey } from "../../src/catalog/keys.ts";
import type { Kv, KvStore } from "../../src/catalog/kv.ts";
import { decodeSession, encodeSession } from "../../src/catalog/records/cluster.ts";
import type { ConfiguredTopology } from "../../src/cluster/configured-topology.ts";
import { topologyEvents } from "../../src/cluster/events/topology-events.ts";
import { LiveTopology } from "../../src/cluster/live-topology.ts";
import type { Members } from "../../src/cluster/members.ts";
import { Membership } from "../../src/cluster/membership.ts";
import { applyConfiguration, loadTopology } from "../../src/cluster/topology-store.ts";
import { openEventLog } from "../../src/compose/health.ts";
import { catchUpWithNodes, journalCluster } from "../../src/compose/journal.ts";
import type { Coordinator } from "../../src/coordination/coordinator.ts";
import type { StorageNode } from "../../src/nodes/storage-node.ts";
import type { ObjectService } from "../../src/objects/api.ts";
import { createObjectService } from "../../src/objects/object-service.ts";
import type { Logger } from "../../src/observability/logger.ts";
import { createPlacement, type Placement } from "../../src/placement/placement.ts";
import type { ReplicationPolicy, Topology } from "../../src/placement/topology.ts";
import { createBlobStore } from "../../src/replication/blob-store.ts";
import type { Leadership } from "../../src/replication/leadership.ts";
import type { Scrubbing } from "../../src/replication/scrub/scrubbing.ts";
import type { Checksums } from "../../src/shared/checksums.ts";
import type { Clock } from "../../src/shared/clock.ts";
import { type Id, idSource } from "../../src/shared/ids.ts";
import { KeyedMutex } from "../../src/shared/keyed-mutex.ts";
import type { Random } from "../../src/shared/random.ts";
import { quickHasher } from "../unit/placement/topologies.ts";
import { HEALTH_INTERVAL_MS, startBackground } from "./background.ts";
import type { Mutation } from "./mutation.ts";
import { SimHandles } from "./node-handles.ts";
import { type Operator, operatorOf } from "./operator.ts";
import type { CaseConfig } from "./plan.ts";
import { type Life, processClock, type Scheduler } from "./scheduler.ts";

const NODE_WAIT_MS = 3_000;
export const STRAGGLER_TIMEOUT_MS = 4_000;
const LAG_TIMEOUT_MS = 400;
const JOURNAL: JournalSettings = {
  sync: true,
  collectMs: 30,
  timeoutMs: 3_000,
  snapshotIntervalMs: 20_000,
  snapshotBytes: 100_000,
};
const CLUSTER_KEY = new Uint8Array(32).fill(7);

export interface GatewayDeps {
  readonly name: string;
  readonly life: Life;
  readonly config: CaseConfig;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly kv: KvStore;
  readonly topology: ConfiguredTopology;
  /** The driver of a node, by its name; `undefined` where there is no such machine. */
  readonly driver: (name: string, clusterId: Id) => StorageNode | undefined;
  readonly coordinator: (clock: Clock) => Coordinator;
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
  /** Simulated. */
  readonly servesSinceMs: number;
  readonly service: ObjectService;
  readonly scrubbing: Scrubbing;
  readonly journal: Journal | undefined;
  readonly leadership: Leadership;
  /** What an operator asks of this gateway. */
  readonly operator: Operator;
}

/** @throws CatalogError; NoJournalError */
export async function startGateway(deps: GatewayDeps): Promise<SimGateway> {
  const { name, life, config, scheduler, logger, mutation } = deps;
  const clock = processClock(scheduler, life, deps.skewMs);
  const random = mutation.random?.(deps.random) ?? deps.random;
  const ids = idSource(clock, random);
  let clusterId: Id = "";
  const driver = (node: string): StorageNode | undefined => deps.driver(node, clusterId);
  const handles = new SimHandles({ clock, random, driver, onOpened: deps.onTopology });
  const members = (): Members => membership.members;
  let journal: Journal | undefined;
  if (config.journal !== "off") {
    clusterId = (await readCluster(deps.kv))?.clusterId ?? "";
    journal = await openJournal(deps, { clock, random, handles, members, clusterId: () => clusterId });
  }
  const journaled = journal === undefined ? deps.kv : journaledKv(deps, journal);
  const kv = mutation.kv?.(journaled) ?? journaled;
  const opened = await openCatalog(kv, {
    clock,
    ids,
    host: name,
    pid: 1,
    ...(journal === undefined ? {} : { journaledVersion: shownVersion(journal, mutation) }),
  });
  clusterId = opened.clusterId;
  const catalog = mutation.catalog?.(opened, kv) ?? opened;
  if (deps.ends === "others") await endOtherSessions(opened);
  else for (const session of deps.ends) await endSession(opened, session);

  const events = await openEventLog({ catalog, clock, logger, host: name, onRecorded: () => {} });
  const initial = await applyConfiguration(opened, deps.topology, ids, clock);
  const policyOf = (policy: ReplicationPolicy): ReplicationPolicy => mutation.policy?.(policy) ?? policy;
  const policy = policyOf(initial.topology.replication);
  const topology = { ...initial.topology, replication: policy };
  const admitted = new Set([...initial.records.values()].flatMap((record) => (record.admitted ? [record.uuid] : [])));
  const placementOf = (shape: Topology): Placement =>
    createPlacement({ ...shape, replication: policyOf(shape.replication) }, quickHasher);
  const membership: Membership = new Membership(
    {
      catalog,
      clusterKey: CLUSTER_KEY,
      clock,
      logger,
      intervalMs: HEALTH_INTERVAL_MS,
      onStateChanged: () => {},
      recordEvent: (event) => events.record(event),
      onCorrupt(uuid) {
        const node = members().get(uuid)?.spec.name;
        if (node !== undefined) late.scrubbing?.request(node);
      },
    },
    { topology, placement: placementOf(topology), handles: handles.of(initial.records), admitted },
  );
  const late: { scrubbing?: Scrubbing; leadership?: Leadership } = {};
  await membership.start(NODE_WAIT_MS);
  await journal?.start({ number: opened.session, version: opened.sessionVersion });
  const liveTopology = new LiveTopology({
    kv,
    membership,
    placementOf,
    handlesOf: (records) => handles.of(records),
    clock,
    logger,
    intervalMs: HEALTH_INTERVAL_MS,
    initial,
    onChanged: (before, after) => {
      late.scrubbing?.follow();
      if (late.leadership?.isLeader === true) for (const event of topologyEvents(before, after)) events.record(event);
    },
  });
  const background = startBackground({
    ...{ name, config, mutation, logger, clock, random, ids, kv, catalog, policy, membership, liveTopology, journal },
    events,
    coordinator: deps.coordinator(clock),
    load: (uuid) => handles.get(uuid)?.load(),
  });
  const { parts, scrubbing, leadership } = background;
  late.scrubbing = scrubbing;
  late.leadership = leadership;
  liveTopology.start();

  const created = createBlobStore({
    write: {
      members,
      reader: parts.reader,
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
      discard: parts.discarder.discard,
    },
    members,
    reader: parts.reader,
    ledger: background.ownLedger,
    clock,
    wakeRepair: background.wakeRepair,
    refreshNodes: () => liveTopology.refresh(),
    onDecided: () => {},
  });
  const service = createObjectService({
    catalog,
    blobs: mutation.blobs?.(created, parts) ?? created,
    checksums: deps.checksums,
    clock,
    ids,
    openReads: parts.openReads,
    commits: new KeyedMutex(),
    principalOf: (owner) => ({ id: owner, displayName: owner }),
    segmentBytes: config.segmentBytes,
  });
  return {
    name,
    life,
    session: catalog.session,
    servesSinceMs: scheduler.nowMs,
    service: mutation.service?.(service, parts) ?? service,
    scrubbing,
    journal,
    leadership,
    operator: operatorOf({ ...background, catalog, liveTopology, clock, ids, mutation }),
  };
}

function shownVersion(journal: Journal, mutation: Mutation): () => number {
  return () => mutation.journaledVersion?.(journal) ?? journal.shippedThrough;
}

/** Brings the store up to what the nodes know, over those that were members before. */
async function openJournal(
  deps: GatewayDeps,
  parts: {
    readonly clock: Clock;
    readonly random: Random;
    readonly handles: SimHandles;
    readonly members: () => Members;
    readonly clusterId: () => Id;
  },
): Promise<Journal> {
  const { kv, mutation, logger, config } = deps;
  const { clock, random, handles, members, clusterId } = parts;
  const known = (await loadTopology(kv))?.records ?? new Map();
  const named = new Set(deps.topology.nodes.map((node) => node.name));
  handles.of(new Map([...known].filter(([, { admitted, name }]) => admitted && named.has(name))));
  const holdings = await catchUpWithNodes(kv, handles.open, { clusterId: clusterId(), clock, logger });
  const all = journalCluster(members, clusterId);
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
