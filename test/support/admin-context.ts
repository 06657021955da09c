/** What the admin API looks at, over a gateway in memory. */
import type { CatalogContext } from "../../src/admin/catalog-views.ts";
import type { DirectContext } from "../../src/admin/direct-view.ts";
import type { HealthContext } from "../../src/admin/health-view.ts";
import type { JobsContext } from "../../src/admin/jobs-view.ts";
import type { PromotionContext } from "../../src/admin/promotion-routes.ts";
import type { ProveContext } from "../../src/admin/prove/prove-routes.ts";
import type { RepairContext } from "../../src/admin/repair-view.ts";
import type { ScrubContext } from "../../src/admin/scrub-view.ts";
import type { TopologyContext } from "../../src/admin/topology-views.ts";
import { DurableChanges } from "../../src/catalog/journal/durable-changes.ts";
import { Journal, type JournalSettings } from "../../src/catalog/journal/journal.ts";
import type { JournalCluster } from "../../src/catalog/journal/journal-nodes.ts";
import { Verifier } from "../../src/catalog/journal/verify.ts";
import { memoryKv } from "../../src/catalog/memory/memory-kv.ts";
import { CatalogEventLog } from "../../src/cluster/events/catalog-event-log.ts";
import { rejoinNode } from "../../src/cluster/health/decommissioner.ts";
import { Promoter, type PromoterDeps } from "../../src/cluster/promotion/promoter.ts";
import { silentLogger } from "../../src/observability/logger.ts";
import { RestoreTimes } from "../../src/replication/durability/restore-times.ts";
import { VerifiedAges } from "../../src/replication/durability/verified-ages.ts";
import { Backlog } from "../../src/replication/repair/backlog.ts";
import { DeadLetters } from "../../src/replication/repair/dead-letters.ts";
import { Scrubbing } from "../../src/replication/scrub/scrubbing.ts";
import { directContext } from "./direct.ts";
import type { InMemoryGateway } from "./in-memory-gateway.ts";
import { openJobs } from "./jobs.ts";
import { DAY_MS, NO_LIMITS, scrubDeps } from "./scrub.ts";
import { staticTopologyControl } from "./topology-control.ts";

const JOURNAL_SETTINGS: JournalSettings = {
  sync: true,
  collectMs: 0,
  timeoutMs: 10_000,
  snapshotIntervalMs: DAY_MS,
  snapshotBytes: 1e9,
};

/** The nodes as a journal sees them. */
function journalCluster(gateway: InMemoryGateway): JournalCluster {
  const { members } = gateway;
  return {
    clusterId: gateway.process.catalog.clusterId,
    nodes: () =>
      [...gateway.nodes.values()].map(({ uuid, name, domain, control }) => ({
        uuid,
        name,
        domain,
        node: control,
        active: domain.startsWith("d"),
        takesWrites: () => members.acceptsWrites(uuid),
        servesReads: () => members.servesReads(uuid),
        lost: () => false,
      })),
    domains: () => members.topology.domains.filter(({ role }) => role === "active").map(({ name }) => name),
    quorum: () => members.topology.replication.quorum,
    degraded: () => true,
  };
}

/** The journal is not started: nothing was handed over to it. Nodes of domain d0 are volumes, the others S3 endpoints. */
export function adminContext(
  gateway: InMemoryGateway,
): TopologyContext &
  ScrubContext &
  CatalogContext &
  HealthContext &
  DirectContext &
  ProveContext &
  RepairContext &
  PromotionContext &
  JobsContext {
  const cluster = journalCluster(gateway);
  const { kv, clock, random } = gateway;
  const logger = silentLogger;
  const journal = new Journal({ kv, cluster, settings: JOURNAL_SETTINGS, clock, random, logger });
  const changes = new DurableChanges({ kv, cluster, journal });
  const { catalog } = gateway.process;
  const members = () => gateway.members;
  const durability = {
    annualFailureRate: 0.02,
    restoreTimes: new RestoreTimes({ catalog, clock }),
    verifiedAges: new VerifiedAges({ catalog, members, clock }),
  };
  const scratch = { open: async () => memoryKv(), hasRoom: () => true, remove: async () => {} };
  return {
    ...directContext(gateway),
    jobs: openJobs(gateway).jobs,
    journal,
    requestSnapshot: () => journal.requestSnapshot(),
    changes,
    verifier: new Verifier({ kv, cluster, journal, changes, scratch, clock, logger }),
    catalog,
    members,
    durability,
    orphans: gateway.process.orphans,
    coordination: () => ({ kind: "embedded", available: true, leader: true }),
    promoter: promoterOf(gateway),
    backlog: new Backlog({ kv, clock, cacheMs: 0 }),
    repairer: gateway.process.repairer,
    deadLetters: new DeadLetters(gateway.process),
    runRepair: () => gateway.process.repairer.nodeCameBack(),
    scrubbing: new Scrubbing({
      ...scrubDeps(gateway, []),
      scrub: NO_LIMITS,
      comparison: { enabled: true, intervalMs: DAY_MS },
    }),
    events: new CatalogEventLog({ catalog: gateway.process.catalog, clock, logger, gateway: "test" }),
    rejoinNode: (name) => rejoinNode(gateway.process.catalog, name),
    topologyControl: staticTopologyControl(gateway),
    usageOf: () => undefined,
    figuresOf: () => undefined,
    placeOf: (name) =>
      name.startsWith("d0")
        ? { kind: "volume", endpoint: `/disks/${name}`, locate: (key) => ({ container: `/disks/${name}`, key }) }
        : {
            kind: "s3",
            endpoint: `http://${name}:9000`,
            locate: (key) => ({ container: "bucket", key: `blobs/${key}` }),
          },
  };
}

export const PROMOTION_LIMITS = { hysteresisMs: 60_000, coolDownMs: 300_000, autoDemote: false };

/** Promotes in the catalog; the gateway goes by it when it is started again. */
export function promoterOf(gateway: InMemoryGateway, deps: Partial<PromoterDeps> = {}): Promoter {
  return new Promoter({
    catalog: gateway.process.catalog,
    members: () => gateway.members,
    clock: gateway.clock,
    logger: silentLogger,
    limits: PROMOTION_LIMITS,
    domainsWithWork: async () => new Set(),
    refresh: async () => {},
    ...deps,
  });
}
