/** Makes the configuration of settings that passed all checks. Durations and sizes get their units here. */
import { join } from "node:path";
import { resolveQuorum } from "../placement/quorum.ts";
import { Secret } from "../shared/secret.ts";
import type {
  CatalogConfig,
  Config,
  EventsConfig,
  JournalConfig,
  Secrets,
  ServerConfig,
  StorageConfig,
} from "./config.ts";
import { resolveCoordinator, resolveCoordinatorSecrets } from "./coordinator.ts";
import { resolveDomains } from "./domains.ts";
import { resolveExternalEndpoints, resolveNodeSecrets, resolveNodes } from "./resolve-nodes.ts";
import type { EventSettings } from "./schema/event-settings.ts";
import type { ServerSettings } from "./schema/server-settings.ts";
import type { CatalogUrl, Settings } from "./schema/settings.ts";
import type { StorageSettings } from "./schema/storage-settings.ts";

const MIB_BYTES = 2 ** 20;

export function resolveConfig(settings: Settings): Config {
  const { server } = settings;
  const storage = resolveStorage(settings.storage, server.dataDir);
  return {
    server: resolveServer(server),
    catalog: resolveCatalog(settings.catalog.url, server.dataDir),
    journal: resolveJournal(settings.catalog, storage),
    coordinator: resolveCoordinator(settings.coordinator),
    storage,
    events: resolveEvents(settings.events),
    log: settings.log,
  };
}

export function resolveSecrets({ server, coordinator, storage, events }: Settings): Secrets {
  const { accessKey, secretKey } = server.rootKey;
  const { apiKey } = server.admin;
  return {
    ...(accessKey !== undefined && secretKey !== undefined
      ? { rootKey: { accessKey, secretKey: new Secret(secretKey) } }
      : {}),
    ...(apiKey === undefined ? {} : { adminApiKey: new Secret(apiKey) }),
    coordinator: resolveCoordinatorSecrets(coordinator),
    ...(events.webhook.secret === undefined ? {} : { webhookSecret: new Secret(events.webhook.secret) }),
    nodes: resolveNodeSecrets(storage),
  };
}

function resolveEvents({ webhook: { url, timeout } }: EventSettings): EventsConfig {
  return url === undefined ? {} : { webhook: { url, timeoutMs: timeout } };
}

function resolveCatalog(url: CatalogUrl, dataDir: string): CatalogConfig {
  return url.kind === "memory" ? { kind: "memory" } : { kind: "lmdb", path: url.path ?? join(dataDir, "catalog") };
}

function resolveJournal(
  { journal, journalTimeout, snapshotInterval, snapshotAfter }: Settings["catalog"],
  { nodes, domains }: StorageConfig,
): JournalConfig {
  const active = new Set(domains.filter(({ role }) => role === "active").map(({ name }) => name));
  const onVolumes = nodes.every(({ kind, domain }) => kind === "volume" || !active.has(domain));
  return {
    sync: journal === "sync" || (journal === "auto" && onVolumes),
    timeoutMs: journalTimeout,
    snapshotIntervalMs: snapshotInterval,
    snapshotBytes: snapshotAfter,
  };
}

function resolveServer({ dataDir, s3, admin, workers, limits }: ServerSettings): ServerConfig {
  return {
    dataDir,
    s3: {
      listen: s3.listen,
      ...(s3.publicUrl === undefined ? {} : { publicUrl: s3.publicUrl }),
      ...(s3.domain === undefined ? {} : { domain: s3.domain }),
      region: s3.region,
    },
    admin: { listen: admin.listen },
    workers,
    limits: {
      connectionsMax: limits.maxConnections,
      requestsMax: limits.maxRequests,
      headerBytesMax: limits.headerBytes,
      headersTimeoutMs: limits.headersTimeout,
      stallTimeoutMs: limits.stallTimeout,
      keepAliveTimeoutMs: limits.keepAliveTimeout,
      drainTimeoutMs: limits.drainTimeout,
    },
  };
}

function resolveStorage(storage: StorageSettings, dataDir: string): StorageConfig {
  const { replication, degradedWrite, write, read, rebalance, repair, compaction, scrub } = storage;
  const domains = resolveDomains(storage);
  const writable = domains.filter(({ role, acceptsWrites }) => role === "active" && acceptsWrites).length;
  const factor = replication.factor ?? writable;
  const consistency = storage.consistency.repair;
  return {
    domains,
    nodes: resolveNodes(storage, dataDir),
    externalEndpoints: resolveExternalEndpoints(storage),
    virtualNodesPerNode: storage.virtualNodesPerNode,
    replication: {
      factor,
      quorum: resolveQuorum(replication.quorum, factor),
      domainChoice: replication.domainChoice,
      degradedWrite: {
        enabled: degradedWrite.enabled,
        minReplicas: degradedWrite.minReplicas,
        handoff: degradedWrite.handoff,
      },
    },
    write: {
      segmentBytes: write.segmentSize,
      stallTimeoutMs: write.stallTimeout,
      stragglerTimeoutMs: write.stragglerTimeout,
      bufferBytes: write.buffer,
      lagTimeoutMs: write.lagTimeout,
    },
    read: { hedgeDelayMs: read.hedgeDelayMs, stallTimeoutMs: read.stallTimeout },
    delete: { graceMs: storage.delete.grace },
    rebalance: {
      enabled: rebalance.enabled,
      automatic: rebalance.automatic,
      rateLimitPerSecond: rebalance.rateLimitPerSecond,
      ...(rebalance.bandwidthLimitMib === "none"
        ? {}
        : { bandwidthLimitBytesPerSecond: rebalance.bandwidthLimitMib * MIB_BYTES }),
      cleanupSource: rebalance.cleanupSource,
    },
    repair: {
      rateLimitPerSecond: repair.rateLimitPerSecond,
      bandwidthLimitBytesPerSecond: repair.bandwidthLimitMib === "auto" ? "auto" : repair.bandwidthLimitMib * MIB_BYTES,
    },
    compaction: {
      enabled: compaction.enabled,
      deadPercent: compaction.deadPercent,
      bytesPerSecond: compaction.bandwidthLimitMib * MIB_BYTES,
    },
    scrub: {
      enabled: scrub.enabled,
      intervalMs: scrub.interval,
      bytesPerSecond: scrub.bandwidthLimitMib * MIB_BYTES,
      copiesPerSecond: scrub.rateLimitPerSecond,
    },
    durability: storage.durability,
    consistencyRepair: {
      enabled: consistency.enabled,
      cron: consistency.cron,
      batchSize: consistency.batchSize,
      lockTimeoutMs: consistency.lockTimeoutSeconds * 1000,
    },
    health: { intervalMs: storage.health.intervalSeconds * 1000, decommission: storage.health.decommission },
    promotion: {
      intervalMs: storage.promotion.intervalSeconds * 1000,
      hysteresisMs: storage.promotion.hysteresisSeconds * 1000,
      coolDownMs: storage.promotion.coolDownSeconds * 1000,
      autoDemote: storage.promotion.autoDemote,
    },
    metrics: { cacheMs: storage.metrics.cacheSeconds * 1000 },
  };
}
