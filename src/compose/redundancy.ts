/**
 * What keeps the copies of every object as many as they are to be, beside repair itself: the nodes that are lost, those
 * that were demoted, standby promotion, the schedule of repair, and what is told of all that.
 */
import type { Catalog } from "../catalog/catalog.ts";
import { forgetLeftNodes } from "../cluster/change-nodes.ts";
import type { Members } from "../cluster/members.ts";
import { Promoter } from "../cluster/promotion/promoter.ts";
import type { StorageConfig } from "../config/config.ts";
import type { Loggers } from "../observability/logger.ts";
import type { Metrics } from "../observability/metrics.ts";
import type { Pace } from "../replication/jobs/paced.ts";
import type { Leadership } from "../replication/leadership.ts";
import { AbsentNodes } from "../replication/repair/absent-nodes.ts";
import { Backlog } from "../replication/repair/backlog.ts";
import { DeadLetters } from "../replication/repair/dead-letters.ts";
import { DemotedNodes } from "../replication/repair/demoted-nodes.ts";
import { type AcquireLease, withLease } from "../replication/repair/lease.ts";
import type { LostNodes } from "../replication/repair/lost-nodes.ts";
import type { RepairDeps, Repairer } from "../replication/repair/repairer.ts";
import type { Scrubbing } from "../replication/scrub/scrubbing.ts";
import type { SlotLedger } from "../replication/slot-ledger.ts";
import { Worker } from "../replication/worker.ts";
import type { Clock } from "../shared/clock.ts";
import { type Cron, systemCron } from "../shared/cron.ts";
import type { Id } from "../shared/ids.ts";

const ABSENT_INTERVAL_MS = 10_000;
const DEMOTED_INTERVAL_MS = 30_000;
/** How long what was counted of the backlog is told again. */
const BACKLOG_CACHE_MS = 5_000;

export interface RedundancyDeps {
  readonly config: {
    readonly storage: Pick<StorageConfig, "consistencyRepair" | "promotion">;
  };
  /** What operators' acts are committed by; each carries what it was decided on. */
  readonly catalog: Catalog;
  readonly ledger: SlotLedger;
  /** What background work commits by. */
  readonly leaders: { readonly catalog: Catalog; readonly ledger: SlotLedger };
  readonly whileLeading: Leadership["whileLeading"];
  readonly members: () => Members;
  readonly clock: Clock;
  readonly loggers: Loggers;
  readonly metrics: Pick<Metrics, "watchRepair" | "repairAttempted">;
  /** Resolves when this process goes by what the catalog says of the topology. */
  readonly refreshTopology: () => Promise<void>;
  /** Always granted when absent. */
  readonly acquireLease?: AcquireLease;
  /** Whether this gateway may be cut off itself, see cluster/health/isolation.ts. */
  readonly holdsBack?: () => boolean;
  readonly onPromoted?: (node: Id, domain: string) => void;
  /** Told of each slot that was made good, see RepairDeps. */
  readonly onRestored: RepairDeps["onRestored"];
  /** How fast copies may be made. */
  readonly pace: Pace;
  /** Whether a job has a node's copies made anew without waiting for it. */
  readonly isGivenUp: (nodeUuid: Id) => boolean;
  readonly cron?: Cron;
}

/** What repair works with, of the configuration and of the nodes' state. */
export function repairOptions(
  { config, metrics, members, pace, isGivenUp, acquireLease, onRestored }: RedundancyDeps,
  lost: LostNodes,
): Pick<RepairDeps, "isLost" | "throttle" | "acquireLease" | "batchSize" | "onRestored" | "onAttempt"> {
  return {
    isLost: (uuid) => lost.isLost(uuid) || (isGivenUp(uuid) && !members().servesReads(uuid)),
    throttle: {
      async take(copies, bytes, signal) {
        for (let copy = 0; copy < copies; copy++) await pace.object(signal);
        await pace.bytes(bytes, signal);
      },
    },
    ...(acquireLease === undefined ? {} : { acquireLease }),
    batchSize: config.storage.consistencyRepair.batchSize,
    onRestored,
    onAttempt: (outcome) => metrics.repairAttempted(outcome),
  };
}

export interface Redundancy extends AsyncDisposable {
  readonly backlog: Backlog;
  readonly deadLetters: DeadLetters;
  readonly promoter: Promoter;
  /** Has repair run now, whatever failed a moment ago included. */
  readonly runRepair: () => void;
  /** Looks at once for nodes whose copies are to be made anew. */
  readonly wakeAbsent: () => void;
}

/** Starts it all; it ends when it is disposed of. */
export function keepRedundancy(
  deps: RedundancyDeps,
  parts: {
    readonly lost: LostNodes;
    readonly repairer: Repairer;
    readonly wakeRepair: () => void;
    readonly scrubbing: Pick<Scrubbing, "requestComparison">;
  },
): Redundancy {
  const { config, catalog, leaders, whileLeading, members, ledger, clock, loggers, metrics, acquireLease } = deps;
  const { promotion, consistencyRepair } = config.storage;
  const { lost, repairer, wakeRepair, scrubbing } = parts;
  const logger = loggers.named("replication");
  const stack = new AsyncDisposableStack();
  const worker = (name: string, intervalMs: number, run: (signal: AbortSignal) => Promise<void>): Worker =>
    stack.use(new Worker({ name, intervalMs, clock, logger, run }));
  /** Work that one gateway does for all. */
  const leased = (name: string, intervalMs: number, run: (signal: AbortSignal) => Promise<void>): Worker =>
    worker(
      name,
      intervalMs,
      whileLeading((signal) => withLease(acquireLease, name, { signal, run })),
    );
  const runRepair = (): void => {
    repairer.nodeCameBack();
    repairer.workArrived();
    wakeRepair();
  };

  const absentNodes = new AbsentNodes({
    ...leaders,
    members,
    isLost: (uuid) => lost.isLost(uuid),
    clock,
    logger,
  });
  const absent = worker("absent-nodes", ABSENT_INTERVAL_MS, async (signal) => {
    // By each gateway, so that the next one to do the work knows as much.
    lost.observe();
    const mark = async (held: AbortSignal): Promise<void> => {
      if ((await absentNodes.run(held)) > 0) wakeRepair();
      await forgetLeftNodes(leaders.catalog);
    };
    const task = (ends: AbortSignal): Promise<void> =>
      withLease(acquireLease, "absent-nodes", { signal: ends, run: mark });
    await whileLeading(task)(signal);
  });
  const demotedNodes = new DemotedNodes({ ...leaders, logger });
  const demoted = leased("demoted-nodes", DEMOTED_INTERVAL_MS, async (signal) => {
    if ((await demotedNodes.run(signal)) > 0) wakeRepair();
  });
  const backlog = new Backlog({ kv: catalog.kv, clock, cacheMs: BACKLOG_CACHE_MS });
  const promoter = new Promoter({
    catalog,
    members,
    clock,
    logger: loggers.named("cluster"),
    limits: promotion,
    domainsWithWork: async () => {
      const { domains, deadLetters, more } = await backlog.read();
      return more || deadLetters > 0 ? undefined : domains;
    },
    refresh: deps.refreshTopology,
    ...(deps.holdsBack === undefined ? {} : { holdsBack: deps.holdsBack }),
    onPromoted(node, domain) {
      absent.wake();
      runRepair();
      deps.onPromoted?.(node, domain);
    },
    onDemoted: () => demoted.wake(),
  });
  const promote = leased("promotion", promotion.intervalMs, (signal) => promoter.run(signal));
  stack.defer(
    members().onOnline((uuid) => {
      // Its copies are on record as good and it may have lost some; those that were made anew are checked by repair.
      if (lost.wasAway(uuid)) scrubbing.requestComparison(uuid);
    }),
  );
  if (consistencyRepair.enabled) {
    const job = (deps.cron ?? systemCron)(consistencyRepair.cron, async () => {
      absent.wake();
      wakeRepair();
    });
    stack.defer(() => job.stop());
  }
  metrics.watchRepair(async () => {
    const { oldestMissingSinceMs } = await backlog.read();
    const oldestMissingMs = oldestMissingSinceMs === undefined ? 0 : Math.max(0, clock.nowMs() - oldestMissingSinceMs);
    return { oldestMissingMs, waiting: repairer.lastRun?.waiting ?? 0 };
  });
  absent.start();
  demoted.start();
  promote.start();
  return {
    backlog,
    deadLetters: new DeadLetters({ catalog, ledger }),
    promoter,
    runRepair,
    wakeAbsent: () => absent.wake(),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
