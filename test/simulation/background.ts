/**
 * The background work of one gateway process in the simulation, over the parts of src/compose that the product has it put
 * together by: leadership, health, repair, promotion, jobs. Only what ties them to a real clock, to real limits and to
 * metrics is another one.
 */
import type { Catalog } from "../../src/catalog/catalog.ts";
import type { Journal } from "../../src/catalog/journal/journal.ts";
import type { Kv } from "../../src/catalog/kv.ts";
import { setNode } from "../../src/cluster/change-nodes.ts";
import type { EventLog } from "../../src/cluster/events/event.ts";
import type { LiveTopology } from "../../src/cluster/live-topology.ts";
import type { Members } from "../../src/cluster/members.ts";
import type { Membership } from "../../src/cluster/membership.ts";
import { careForHealth } from "../../src/compose/health.ts";
import { createJobs } from "../../src/compose/jobs.ts";
import { keepRedundancy, type Redundancy, type RedundancyDeps, repairOptions } from "../../src/compose/redundancy.ts";
import { termLeases } from "../../src/compose/term-leases.ts";
import { createTriggers } from "../../src/compose/triggers.ts";
import type { Config } from "../../src/config/config.ts";
import type { Coordinator } from "../../src/coordination/coordinator.ts";
import type { Logger } from "../../src/observability/logger.ts";
import type { ReplicationPolicy } from "../../src/placement/topology.ts";
import { createDiscarder } from "../../src/replication/discard.ts";
import type { Jobs } from "../../src/replication/jobs/jobs.ts";
import { Leadership } from "../../src/replication/leadership.ts";
import { type CopyDamage, createBlobReader } from "../../src/replication/read/blob-reader.ts";
import { DyingSweeper } from "../../src/replication/reclaim/dying-sweeper.ts";
import { OpenReads } from "../../src/replication/reclaim/open-reads.ts";
import { OrphanCollector } from "../../src/replication/reclaim/orphan-collector.ts";
import { carryOutPendingDeletes } from "../../src/replication/reclaim/pending-deletes.ts";
import { LostNodes } from "../../src/replication/repair/lost-nodes.ts";
import { Repairer } from "../../src/replication/repair/repairer.ts";
import { Scrubbing } from "../../src/replication/scrub/scrubbing.ts";
import { createSlotLedger, type SlotLedger } from "../../src/replication/slot-ledger.ts";
import { Worker } from "../../src/replication/worker.ts";
import type { Clock } from "../../src/shared/clock.ts";
import type { Cron } from "../../src/shared/cron.ts";
import type { Id, IdSource } from "../../src/shared/ids.ts";
import type { Random } from "../../src/shared/random.ts";
import type { Mutation, Parts } from "./mutation.ts";
import type { CaseConfig } from "./plan.ts";

export const GRACE_MS = 5_000;
export const HEALTH_INTERVAL_MS = 4_000;
const WORKER_INTERVAL_MS = 2_000;
const PROMOTION_INTERVAL_MS = 4_000;
const ORPHAN_INTERVAL_MS = 6_000;
/** More than a request may be under way: network.ts, LATE_MS_MAX. */
const ORPHAN_DELAY_MS = 10_000;
const READ_LIMITS = { hedgeDelayMs: 100, stallTimeoutMs: 1_500 };
const JOURNAL_INTERVAL_MS = 5_000;
const LOCK_TIMEOUT_MS = 20_000;
const CRON_INTERVAL_MS = 120_000;
/** A scrub and a comparison begin by themselves after this; a gateway looks for what is due once a minute. */
const SCRUB_INTERVAL_MS = 120_000;
const SCRUB = { enabled: true, intervalMs: SCRUB_INTERVAL_MS, bytesPerSecond: 1e9, copiesPerSecond: 1e6 };
/** As fast as it goes: how fast is no question of simulated time. */
const UNPACED = {
  object: async (signal: AbortSignal) => signal.throwIfAborted(),
  bytes: async (_amount: number, signal: AbortSignal) => signal.throwIfAborted(),
};

export interface BackgroundDeps {
  readonly name: string;
  readonly config: CaseConfig;
  readonly mutation: Mutation;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
  readonly ids: IdSource;
  readonly kv: Kv;
  readonly catalog: Catalog;
  readonly policy: ReplicationPolicy;
  readonly coordinator: Coordinator;
  readonly membership: Membership;
  readonly liveTopology: LiveTopology;
  readonly journal: Journal | undefined;
  readonly events: EventLog;
  readonly load: (nodeUuid: Id) => { readonly inflight: number; readonly waiting: number } | undefined;
}

export interface Background {
  readonly parts: Parts;
  /** For what this process writes on account of clients. */
  readonly ownLedger: SlotLedger;
  readonly leadership: Leadership;
  readonly scrubbing: Scrubbing;
  readonly redundancy: Redundancy;
  readonly jobs: Jobs;
  readonly wakeRepair: () => void;
  /** After a node was taken out. */
  readonly onRemoved: () => void;
}

export function startBackground(deps: BackgroundDeps): Background {
  const { name, config, mutation, logger, clock, random, ids, kv, catalog, policy, membership, journal } = deps;
  const { liveTopology, coordinator, events } = deps;
  const { cluster } = config;
  const members = (): Members => membership.members;
  const refresh = (): Promise<void> => liveTopology.refresh();
  const leadership = new Leadership({ coordinator, catalog, host: name, clock, logger });
  const leading = mutation.leadership?.(leadership, catalog) ?? leadership;
  const whileLeading: Leadership["whileLeading"] = (run) => leading.whileLeading(run);
  const healthCatalog = mutation.healthCatalog?.(catalog) ?? catalog;
  const { isolation } = careForHealth({
    config: { events: {}, storage: { health: { intervalMs: HEALTH_INTERVAL_MS, decommission: cluster.decommission } } },
    secrets: {},
    catalog: healthCatalog,
    leadership: {
      catalog: leading.catalog,
      get isLeader() {
        return leadership.isLeader;
      },
    },
    members,
    events,
    refresh,
    clock,
    logger,
  });

  const discarder = createDiscarder({ catalog, members, clock, logger });
  const { discard } = discarder;
  const ownLedger = createSlotLedger({ catalog, clock, ids });
  const ledger = createSlotLedger({ catalog: leading.catalog, clock, ids });
  const leaders = { catalog: leading.catalog, ledger, members, clock, logger };
  const reader = createBlobReader({
    members,
    clock,
    random,
    limits: READ_LIMITS,
    onDamage: (damage) => {
      recordDamage(damage).catch((error: unknown) => logger.error({ err: error }, "a bad copy could not be recorded"));
    },
  });
  const openReads = new OpenReads(clock);
  const parts: Parts = {
    ...{ kv, catalog, leaders: leading.catalog, clock, random, policy, ledger, reader, discarder, openReads, members },
  };
  const redundancyDeps: RedundancyDeps = {
    config: {
      storage: {
        consistencyRepair: {
          enabled: true,
          cron: `every ${CRON_INTERVAL_MS} ms`,
          batchSize: 100,
          lockTimeoutMs: LOCK_TIMEOUT_MS,
        },
        promotion: { intervalMs: PROMOTION_INTERVAL_MS, ...cluster.promotion },
      },
    },
    catalog,
    ledger: ownLedger,
    leaders,
    whileLeading,
    members: mutation.promotionMembers?.(members) ?? members,
    clock,
    loggers: { named: () => logger },
    metrics: { watchRepair() {}, repairAttempted() {} },
    refreshTopology: refresh,
    acquireLease: (lease) => termLeases(coordinator, leadership)(lease, LOCK_TIMEOUT_MS),
    holdsBack: () => isolation.holdsBack(),
    onPromoted: () => triggers.wake(),
    onRestored: () => {},
    pace: UNPACED,
    isGivenUp: (uuid) => jobs.isGivenUp(uuid),
    cron: cronOf(clock),
  };
  const lost = new LostNodes(members, () => isolation.holdsBack());
  const repairer = new Repairer({
    ...leaders,
    ledger: mutation.repairLedger?.(parts) ?? ledger,
    reader: mutation.repairReader?.(parts) ?? reader,
    damageLedger: ownLedger,
    discard,
    random,
    ...repairOptions(redundancyDeps, lost),
  });
  const sweeping = mutation.sweep?.(parts) ?? { graceMs: GRACE_MS, openReads };
  const sweeper = new DyingSweeper({ ...leaders, ...sweeping });
  const orphans = new OrphanCollector({ ...leaders, catalog: mutation.orphanCatalog?.(parts) ?? leading.catalog });

  const worker = (job: string, run: (signal: AbortSignal) => Promise<void>, intervalMs = WORKER_INTERVAL_MS): Worker =>
    new Worker({ name: job, intervalMs, clock, logger, run });
  const repair = worker(
    "repair",
    whileLeading((signal) => repairer.run(signal)),
  );
  const sweep = worker(
    "sweep",
    whileLeading((signal) => sweeper.run(signal)),
  );
  const pendingDeletes = worker(
    "pending-deletes",
    whileLeading((signal) => carryOutPendingDeletes(leaders, signal)),
  );
  const collect = worker(
    "orphans",
    whileLeading((signal) => orphans.run(signal)),
    ORPHAN_INTERVAL_MS,
  );
  const keepJournal = worker(
    "journal",
    async (signal) => {
      await journal?.keep(signal);
      if (!signal.aborted) await journal?.snapshot(signal);
    },
    JOURNAL_INTERVAL_MS,
  );
  const recordDamage = (damage: CopyDamage): Promise<void> => {
    if (damage.kind === "corrupt") membership.badBlockFound(damage.location.nodeUuid);
    return repairer.recordDamage(damage).then(() => repair.wake());
  };
  const scrubbing = new Scrubbing({
    ...leaders,
    recordDamage: (damage) => (mutation.scrubForgets === true ? Promise.resolve() : recordDamage(damage)),
    whileLeading,
    busy: () => false,
    scrub: SCRUB,
    comparison: { enabled: true, intervalMs: SCRUB_INTERVAL_MS },
    observer: { verified() {}, bad() {} },
  });
  const wakeRepair = (): void => {
    repairer.workArrived();
    repair.wake();
  };
  const redundancy = keepRedundancy(redundancyDeps, { lost, repairer, wakeRepair, scrubbing });
  const jobLeaders = {
    ...leaders,
    catalog: mutation.jobCatalog?.(leading.catalog) ?? leading.catalog,
    ledger: mutation.jobLedger?.(parts) ?? ledger,
    members: mutation.jobMembers?.(parts) ?? members,
  };
  const rebalance = (): Config["storage"]["rebalance"] => ({
    ...{ enabled: true, automatic: true, rateLimitPerSecond: 0 },
    cleanupSource: cluster.cleanupSource,
  });
  const jobs: Jobs = createJobs({
    ...{ ...jobLeaders, reader, discard, random, ids, scrubbing },
    rebalance,
    handles: {
      get(uuid) {
        const load = deps.load(uuid);
        return load === undefined ? undefined : { load: () => load };
      },
    },
    pacing: { moving: UNPACED },
    metrics: { jobMoved() {}, jobFailed() {}, watchJobs() {} },
    ownCatalog: catalog,
    isLeader: () => leadership.isLeader,
    async closeNode(node) {
      await setNode(catalog, node, { acceptsWrites: false });
      await refresh();
    },
    refreshTopology: refresh,
    wakeRepair(nodeCameBack) {
      if (nodeCameBack) repairer.nodeCameBack();
      repair.wake();
    },
  });
  const triggers = createTriggers({
    rebalance,
    leadership: leading,
    members: jobLeaders.members,
    // How full a node is is no question of the simulation.
    handles: { get: () => undefined },
    events,
    wakeJobs: () => jobs.wake(),
    ...{ clock, ids, logger },
  });
  members().onOnline(() => {
    repairer.nodeCameBack();
    repair.wake();
    pendingDeletes.wake();
    keepJournal.wake();
  });
  if (journal !== undefined) keepJournal.start(JOURNAL_INTERVAL_MS);
  repairer.nodeCameBack();
  repair.start();
  sweep.start();
  pendingDeletes.start();
  collect.start(mutation.orphanDelayMs ?? ORPHAN_DELAY_MS);
  scrubbing.start();
  leadership.onChange((leads) => {
    jobs.wake();
    if (!leads) return;
    for (const work of [repair, sweep, pendingDeletes, triggers]) work.wake();
    redundancy.wakeAbsent();
    collect.start(mutation.orphanDelayMs ?? ORPHAN_DELAY_MS);
  });
  jobs.start();
  triggers.start();
  leadership.start();
  return {
    ...{ parts, ownLedger, leadership, scrubbing, redundancy, jobs, wakeRepair },
    onRemoved() {
      redundancy.wakeAbsent();
      if (journal !== undefined) keepJournal.wake();
    },
  };
}

/** A schedule by the simulated clock, whatever the pattern says. */
function cronOf(clock: Clock): Cron {
  return (_pattern, task) => {
    let stopped = false;
    const again = (): void => {
      clock.startTimer(CRON_INTERVAL_MS, () => {
        if (stopped) return;
        void task();
        again();
      });
    };
    again();
    return {
      stop() {
        stopped = true;
      },
    };
  };
}
