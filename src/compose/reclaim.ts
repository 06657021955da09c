/** What takes away the bytes that nothing refers to any more, put together: one gateway does it for all. */
import type { Catalog } from "../catalog/catalog.ts";
import type { Members } from "../cluster/members.ts";
import type { Config } from "../config/config.ts";
import type { Logger } from "../observability/logger.ts";
import { DyingSweeper } from "../replication/reclaim/dying-sweeper.ts";
import { OpenReads } from "../replication/reclaim/open-reads.ts";
import { OrphanCollector } from "../replication/reclaim/orphan-collector.ts";
import { carryOutPendingDeletes } from "../replication/reclaim/pending-deletes.ts";
import type { SlotLedger } from "../replication/slot-ledger.ts";
import type { Worker } from "../replication/worker.ts";
import type { Clock } from "../shared/clock.ts";

const SWEEP_INTERVAL_MS = 10_000;
const PENDING_DELETES_INTERVAL_MS = 10_000;
const ORPHAN_INTERVAL_MS = 60_000;

export interface ReclaimDeps {
  readonly config: Config;
  /** What background work commits by. */
  readonly leaders: {
    readonly catalog: Catalog;
    readonly ledger: SlotLedger;
    readonly members: () => Members;
    readonly clock: Clock;
    readonly logger: Logger;
  };
  /** Makes a worker that runs while this gateway leads, still to be started. */
  readonly leaderWorker: (name: string, intervalMs: number, run: (signal: AbortSignal) => Promise<void>) => Worker;
}

export interface Reclaim {
  readonly openReads: OpenReads;
  readonly orphans: OrphanCollector;
  readonly sweep: Worker;
  readonly pendingDeletes: Worker;
  readonly collect: Worker;
}

export function createReclaim({ config, leaders, leaderWorker }: ReclaimDeps): Reclaim {
  const openReads = new OpenReads(leaders.clock);
  const sweeper = new DyingSweeper({ ...leaders, openReads, graceMs: config.storage.delete.graceMs });
  const orphans = new OrphanCollector(leaders);
  return {
    openReads,
    orphans,
    sweep: leaderWorker("sweep", SWEEP_INTERVAL_MS, (signal) => sweeper.run(signal)),
    pendingDeletes: leaderWorker("pending-deletes", PENDING_DELETES_INTERVAL_MS, (signal) =>
      carryOutPendingDeletes(leaders, signal),
    ),
    collect: leaderWorker("orphans", ORPHAN_INTERVAL_MS, (signal) => orphans.run(signal)),
  };
}
