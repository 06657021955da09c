/** What looks after the catalog while the gateway runs: its changes, its verification, its journal's metrics. */
import type { Catalog } from "../catalog/catalog.ts";
import { DurableChanges } from "../catalog/journal/durable-changes.ts";
import { ChangeFeed } from "../catalog/journal/feed.ts";
import type { Journal } from "../catalog/journal/journal.ts";
import type { JournalCluster } from "../catalog/journal/journal-nodes.ts";
import { Verifier, type VerifierDeps } from "../catalog/journal/verify.ts";
import type { KvStore } from "../catalog/kv.ts";
import type { CatalogConfig } from "../config/config.ts";
import type { Logger } from "../observability/logger.ts";
import type { Metrics } from "../observability/metrics.ts";
import type { Clock } from "../shared/clock.ts";
import type { Random } from "../shared/random.ts";
import { scratchStore } from "./scratch-store.ts";

export interface CatalogCare {
  /** Whether a snapshot will be made now that would not have been. */
  readonly requestSnapshot: () => boolean;
  readonly changes: DurableChanges;
  readonly feed: ChangeFeed;
  /** To be disposed of before the journal and the store. */
  readonly verifier: Verifier;
}

export function careForCatalog(deps: {
  readonly config: CatalogConfig;
  readonly store: KvStore;
  readonly catalog: Catalog;
  readonly cluster: JournalCluster;
  readonly journal: Journal;
  readonly compareNode: NonNullable<VerifierDeps["compareNode"]>;
  readonly wakeJournal: () => void;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}): CatalogCare {
  const { config, store: kv, catalog, cluster, journal, compareNode, wakeJournal, clock, random, logger } = deps;
  const changes = new DurableChanges({ kv, cluster, journal });
  const scratch = scratchStore(config, random);
  deps.metrics.watchJournal(() => {
    const status = journal.status();
    const madeAtMs = status.snapshot?.madeAtMs;
    return {
      ...status,
      ...(madeAtMs === undefined ? {} : { snapshotAgeMs: Math.max(0, clock.nowMs() - madeAtMs) }),
      domains: status.domains.flatMap(({ domain, through }) =>
        through === undefined ? [] : [{ domain, lagCommits: Math.max(0, status.durableVersion - through) }],
      ),
    };
  });
  return {
    requestSnapshot() {
      const requested = journal.requestSnapshot();
      if (requested) wakeJournal();
      return requested;
    },
    changes,
    feed: new ChangeFeed({ catalog, changes }),
    verifier: new Verifier({ kv, cluster, journal, changes, scratch, compareNode, clock, logger }),
  };
}
