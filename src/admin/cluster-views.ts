/**
 * What the admin API tells of the cluster, made from what the gateway knows at the moment.
 */

import { type Catalog, walk } from "../catalog/catalog.ts";
import type { Journal } from "../catalog/journal/journal.ts";
import { copiesRange, dyingRange } from "../catalog/keys.ts";
import type { Kv, KvRange } from "../catalog/kv.ts";
import { isHealthy, type Member, type Members } from "../cluster/members.ts";
import type { CopyKey } from "../nodes/storage-node.ts";
import type { VolumeUsage } from "../nodes/volume/compactor.ts";
import type { OrphanCollector } from "../replication/reclaim/orphan-collector.ts";
import { type Backlog, totalOf } from "../replication/repair/backlog.ts";
import type { Id } from "../shared/ids.ts";
import type { ClusterStatus, Domains, Replication, Worker, Workers } from "./api-types.ts";
import { summaryOf } from "./catalog-views.ts";
import type { CoordinatorState } from "./coordinator-view.ts";
import { capacityOf, type FiguresContext, figuresFields } from "./node-figures.ts";
import { healthFields } from "./worker-health.ts";

/** What the configuration says of a node that the topology does not keep. */
export interface NodePlace {
  readonly kind: "volume" | "s3";
  /** URL of an S3 endpoint, folder of a volume. */
  readonly endpoint: string;
  /** Where a copy is found by looking at the node directly. */
  locate(key: CopyKey): { readonly container: string; readonly key: string };
}

export interface AdminContext extends FiguresContext {
  readonly catalog: Catalog;
  readonly journal: Pick<Journal, "summary">;
  readonly members: () => Members;
  readonly coordination: () => CoordinatorState;
  readonly placeOf: (nodeName: string) => NodePlace;
  /** What a volume's disk is used for; undefined for other nodes, and before it is open. */
  readonly usageOf: (nodeUuid: Id) => VolumeUsage | undefined;
  readonly backlog: Pick<Backlog, "read">;
  readonly orphans: Pick<OrphanCollector, "counts" | "checkedAtMs">;
}

/** What is more than this is not counted: a view of the cluster must not hold up its work. */
const COUNT_MAX = 20_000;

export async function clusterStatus(context: AdminContext): Promise<ClusterStatus> {
  const all = context.members().all();
  const capacities = await Promise.all(all.map((member) => capacityOf(context, member)));
  const known = capacities.filter((capacity) => capacity !== undefined);
  const total = sum(known.map((capacity) => capacity.totalBytes));
  const used = sum(known.map((capacity) => capacity.usedBytes));
  const online = all.filter(isHealthy).length;
  const count = all.length + (await unconfiguredHolders(context)).length;
  const pending = totalOf(await context.backlog.read());
  const journal = summaryOf(context.journal.summary());
  return {
    cluster_healthy: online === count && pending === 0 && journal.failure === null,
    total_capacity_bytes: total,
    used_bytes: used,
    free_bytes: sum(known.map((capacity) => capacity.freeBytes)),
    utilization_pct: total === 0 ? 0 : Math.round((used / total) * 10_000) / 100,
    master_id: null,
    worker_count: count,
    workers_healthy: online,
    workers_degraded: count - online,
    pending_replications: pending,
    journal,
    coordinator: context.coordination(),
  };
}

/** Names of nodes that the configuration does not name any more, though there are copies on record on them. */
export async function unconfiguredHolders({
  catalog,
  members,
}: Pick<AdminContext, "catalog" | "members">): Promise<string[]> {
  const absent = members().topology.nodes.filter(({ uuid }) => members().get(uuid) === undefined);
  const first = await Promise.all(absent.map(({ uuid }) => catalog.kv.list(copiesRange(uuid), { limit: 1 })));
  return absent.flatMap(({ name }, at) => ((first[at]?.length ?? 0) > 0 ? [name] : []));
}

export async function workers(context: AdminContext): Promise<Workers> {
  return {
    workers: await Promise.all(
      context
        .members()
        .all()
        .map((member) => worker(context, member)),
    ),
  };
}

async function worker(context: AdminContext, member: Member): Promise<Worker> {
  const { spec } = member;
  const { kind, endpoint } = context.placeOf(spec.name);
  const capacity = await capacityOf(context, member);
  return {
    worker_id: spec.uuid,
    name: spec.name,
    domain: spec.domain,
    home_domain: spec.homeDomain,
    promoted: spec.domain !== spec.homeDomain,
    kind,
    endpoint,
    ...healthFields(member),
    since: new Date(member.sinceMs).toISOString(),
    accepts_writes: context.members().acceptsWrites(spec.uuid),
    weight: spec.weight,
    host: spec.host,
    rack: spec.rack ?? null,
    physical_storage_id: spec.physicalStorageId,
    total_bytes: capacity?.totalBytes ?? null,
    used_bytes: capacity?.usedBytes ?? null,
    free_bytes: capacity?.freeBytes ?? null,
    load_score: member.loadScore(),
    ...figuresFields(context, member, capacity),
    ...volumeFields(context.usageOf(spec.uuid)),
  };
}

function volumeFields(usage: VolumeUsage | undefined): Pick<Worker, "live_bytes" | "dead_bytes" | "compaction"> {
  if (usage === undefined) return { live_bytes: null, dead_bytes: null, compaction: null };
  const { liveBytes, deadBytes, compaction } = usage;
  const { running } = compaction;
  return {
    live_bytes: liveBytes,
    dead_bytes: deadBytes,
    compaction: {
      volume: running?.volume ?? null,
      progress_pct:
        running === undefined ? null : Math.floor((100 * running.doneBytes) / Math.max(1, running.totalBytes)),
      moved_bytes: compaction.movedBytes,
      removed_bytes: compaction.removedBytes,
      removed_volumes: compaction.removedVolumes,
      failures: compaction.failures,
      damaged_copies: compaction.damagedRecords,
    },
  };
}

export async function domains(context: AdminContext): Promise<Domains> {
  const { topology } = context.members();
  const all = await Promise.all(
    context
      .members()
      .all()
      .map(async (member) => ({ member, capacity: await capacityOf(context, member) })),
  );
  return {
    replication_factor: topology.replication.factor,
    write_quorum: topology.replication.quorum,
    domains: topology.domains.map((domain, index) => {
      const own = all.filter(({ member }) => member.spec.domain === domain.name);
      const capacities = own.flatMap(({ capacity }) => (capacity === undefined ? [] : [capacity]));
      return {
        name: domain.name,
        role: domain.role,
        priority: domain.role === "active" ? index : null,
        accepts_writes: domain.acceptsWrites,
        min_nodes: domain.minNodes,
        replica_count: domain.replicaCount,
        node_count: own.length,
        nodes_online: own.filter(({ member }) => isHealthy(member)).length,
        total_bytes: sum(capacities.map((capacity) => capacity.totalBytes)),
        used_bytes: sum(capacities.map((capacity) => capacity.usedBytes)),
        free_bytes: sum(capacities.map((capacity) => capacity.freeBytes)),
      };
    }),
  };
}

export async function replication(context: AdminContext): Promise<Replication> {
  const { missing, handoff, unverified, corrupt, ...backlog } = await context.backlog.read();
  const { deadLetters, oldestMissingSinceMs, more } = backlog;
  const { found, removed } = context.orphans.counts;
  const { checkedAtMs } = context.orphans;
  return {
    missing,
    handoff,
    unverified,
    corrupt,
    dying_blobs: await countEntries(context.catalog.kv, dyingRange()),
    orphans: found - removed,
    orphans_removed: removed,
    orphans_checked_at: checkedAtMs === undefined ? null : new Date(checkedAtMs).toISOString(),
    dead_letters: deadLetters,
    oldest_missing_since: oldestMissingSinceMs === undefined ? null : new Date(oldestMissingSinceMs).toISOString(),
    more,
  };
}

async function countEntries(kv: Kv, range: KvRange): Promise<number> {
  let count = 0;
  for await (const _ of walk(kv, range, 5_000)) if (++count >= COUNT_MAX) break;
  return count;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
