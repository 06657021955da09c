/** What the admin API looks at, over a gateway in memory. */
import type { CatalogContext } from "../../src/admin/catalog-views.ts";
import type { JobsContext } from "../../src/admin/jobs-view.ts";
import type { NodesContext } from "../../src/admin/nodes-view.ts";
import type { ScrubContext } from "../../src/admin/scrub-view.ts";
import { DurableChanges } from "../../src/catalog/journal/durable-changes.ts";
import { Journal, type JournalSettings } from "../../src/catalog/journal/journal.ts";
import type { JournalCluster } from "../../src/catalog/journal/journal-nodes.ts";
import { Verifier } from "../../src/catalog/journal/verify.ts";
import { memoryKv } from "../../src/catalog/memory/memory-kv.ts";
import { setNode } from "../../src/cluster/change-topology.ts";
import { silentLogger } from "../../src/observability/logger.ts";
import { Scrubbing } from "../../src/replication/scrub/scrubbing.ts";
import type { InMemoryGateway } from "./in-memory-gateway.ts";
import { openJobs } from "./jobs.ts";
import { DAY_MS, NO_LIMITS, scrubDeps } from "./scrub.ts";

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
export function adminContext(gateway: InMemoryGateway): NodesContext & ScrubContext & CatalogContext & JobsContext {
  const cluster = journalCluster(gateway);
  const { kv, clock, random } = gateway;
  const logger = silentLogger;
  const journal = new Journal({ kv, cluster, settings: JOURNAL_SETTINGS, clock, random, logger });
  const changes = new DurableChanges({ kv, cluster, journal });
  const scratch = { open: async () => memoryKv(), hasRoom: () => true, remove: async () => {} };
  return {
    jobs: openJobs(gateway).jobs,
    journal,
    requestSnapshot: () => journal.requestSnapshot(),
    changes,
    verifier: new Verifier({ kv, cluster, journal, changes, scratch, clock, logger }),
    catalog: gateway.process.catalog,
    members: () => gateway.members,
    orphans: gateway.process.orphans,
    scrubbing: new Scrubbing({
      ...scrubDeps(gateway, []),
      scrub: NO_LIMITS,
      comparison: { enabled: true, intervalMs: DAY_MS },
    }),
    setNode: (name, settings) => setNode(gateway.process.catalog, name, settings),
    usageOf: () => undefined,
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
