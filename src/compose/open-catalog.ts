/** Opens the catalog of this gateway: its store, what the nodes know beyond it, its journal, and a session on it. */
import { type Catalog, endOtherSessions, openCatalog, readCluster } from "../catalog/catalog.ts";
import { Journal } from "../catalog/journal/journal.ts";
import type { JournalCluster } from "../catalog/journal/journal-nodes.ts";
import { JournaledKv } from "../catalog/journal/journaled-kv.ts";
import type { KvStore } from "../catalog/kv.ts";
import { openLmdbKv } from "../catalog/lmdb/lmdb-kv.ts";
import { memoryKv } from "../catalog/memory/memory-kv.ts";
import type { Members } from "../cluster/members.ts";
import { loadTopology } from "../cluster/topology-store.ts";
import type { CatalogConfig, Config } from "../config/config.ts";
import type { Logger } from "../observability/logger.ts";
import type { Clock } from "../shared/clock.ts";
import type { IdSource } from "../shared/ids.ts";
import type { Random } from "../shared/random.ts";
import { catchUpWithNodes, journalCluster, journalSettings } from "./journal.ts";
import type { NodeHandles } from "./node-handles.ts";

export interface OpenCatalogDeps {
  readonly store: KvStore;
  readonly handles: NodeHandles;
  /** Not asked for before the catalog is open. */
  readonly members: () => Members;
  readonly config: Pick<Config, "journal">;
  readonly host: string;
  readonly pid: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly ids: IdSource;
  readonly logger: Logger;
}

export interface OpenedCatalog {
  readonly catalog: Catalog;
  /** Still to be started, when the nodes were looked at. */
  readonly journal: Journal;
  /** The nodes as the journal sees them. */
  readonly journaled: JournalCluster;
}

/** @throws CatalogError where the store is too far behind what the nodes know, or cannot be used */
export async function openJournaledCatalog(deps: OpenCatalogDeps): Promise<OpenedCatalog> {
  const { store, handles, clock, random, ids, logger } = deps;
  const cluster = await readCluster(store);
  if (cluster !== undefined) {
    const known = (await loadTopology(store))?.records ?? new Map();
    await handles.of(cluster.clusterId, new Map([...known].filter(([, { admitted }]) => admitted)));
  }
  const holdings = await catchUpWithNodes(store, handles.open, {
    clusterId: cluster?.clusterId ?? "",
    clock,
    logger,
  });
  const journaled = journalCluster(deps.members, () => catalog.clusterId);
  const journal = new Journal({
    kv: store,
    cluster: journaled,
    holdings,
    settings: journalSettings(deps.config.journal),
    clock,
    random,
    logger,
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
  return { catalog, journal, journaled };
}

export function openKv(config: CatalogConfig): Promise<KvStore> {
  return config.kind === "lmdb" ? openLmdbKv({ folder: config.path }) : Promise.resolve(memoryKv());
}
