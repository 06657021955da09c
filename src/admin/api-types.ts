/**
 * The admin API's answers: what the server sends, what the command line expects, and what /openapi.json describes.
 * Names are in snake case; times are RFC 3339 in UTC; `null` stands for what is not known.
 */
import * as z from "zod";
import type { DiskType } from "../placement/topology.ts";
import { journalSummarySchema } from "./catalog-types.ts";
import { coordinatorSchema } from "./coordinator-view.ts";
import { workerHealthFields } from "./health-types.ts";
import { PROVE_PATHS } from "./prove/prove-types.ts";

/** Paths under the admin port; all of them want `X-API-Key`. */
export const API_PATHS = {
  status: "/api/v1/storage/cluster/status",
  workers: "/api/v1/storage/cluster/workers",
  domains: "/api/v1/storage/cluster/domains",
  replication: "/api/v1/storage/cluster/replication",
  /** Followed by `/{name}`, percent-encoded. */
  nodes: "/api/v1/storage/cluster/nodes",
  events: "/api/v1/storage/cluster/events",
  config: "/api/v1/storage/cluster/config",
  reload: "/api/v1/storage/cluster/config/reload",
  scrub: "/api/v1/storage/cluster/scrub",
  journal: "/api/v1/catalog/journal",
  snapshot: "/api/v1/catalog/snapshot",
  verify: "/api/v1/catalog/verify",
  rebuild: "/api/v1/catalog/rebuild",
  changes: "/api/v1/catalog/changes",
  /** Followed by `/{bucket}/{key}`, both percent-encoded; slashes of the key may stand as they are. */
  objects: "/api/v1/objects",
  ...PROVE_PATHS,
} as const;

export const API_KEY_HEADER = "x-api-key";

const count = (): z.ZodNumber => z.number().int().nonnegative();
const bytes = (): z.ZodNumber => z.number().int().nonnegative();
const time = (): z.ZodISODateTime => z.iso.datetime();

/** An error, as RFC 9457 has it. */
export const problemSchema = z
  .object({
    type: z.string().meta({ description: "`about:blank`, or a URI that names the kind of problem" }),
    title: z.string(),
    status: z.number().int(),
    detail: z.string().optional(),
  })
  .meta({ id: "Problem" });
export type Problem = z.infer<typeof problemSchema>;

/** Answer of /readyz, which wants no key. */
export const readinessSchema = z
  .object({
    status: z.enum(["ok", "degraded", "read-only", "starting", "draining", "no-catalog"]).meta({
      description: "200 with the first three, 503 with the others",
    }),
    reasons: z.array(z.string()).meta({ description: "why it is not `ok`, a sentence each" }),
  })
  .meta({ id: "Readiness" });
export type Readiness = z.infer<typeof readinessSchema>;

export const clusterStatusSchema = z
  .object({
    cluster_healthy: z.boolean().meta({
      description: "all nodes are online, nothing waits to be replicated, and the journal can be written",
    }),
    total_capacity_bytes: bytes().meta({ description: "of the nodes that tell their capacity" }),
    used_bytes: bytes(),
    free_bytes: bytes(),
    utilization_pct: z.number().min(0).max(100),
    master_id: z.string().nullable().meta({ description: "uuid of the designated master node" }),
    worker_count: count().meta({ description: "storage nodes" }),
    workers_healthy: count(),
    workers_degraded: count().meta({ description: "storage nodes that are not online" }),
    pending_replications: count().meta({
      description: "copies that are missing, misplaced, unverified or corrupt, dead letters included",
    }),
    journal: journalSummarySchema.meta({ description: "the catalog's journal on the nodes" }),
    coordinator: coordinatorSchema,
  })
  .meta({ id: "ClusterStatus" });
export type ClusterStatus = z.infer<typeof clusterStatusSchema>;

const DISK_TYPES = ["ssd", "hdd", "nvme", "unknown"] as const satisfies readonly DiskType[];

export const compactionSchema = z
  .object({
    volume: count().nullable().meta({ description: "number of the volume that is being compacted" }),
    progress_pct: z.number().int().min(0).max(100).nullable(),
    moved_bytes: bytes().meta({ description: "appended anew since the node was opened, as all that follows" }),
    removed_bytes: bytes().meta({ description: "of volumes that were removed" }),
    removed_volumes: count(),
    failures: count(),
    damaged_copies: count().meta({
      description: "found not to match their checksums; they stay until they are deleted",
    }),
  })
  .meta({ id: "Compaction", description: "of a volume" });

export const workerSchema = z
  .object({
    worker_id: z.string().meta({ description: "the node's uuid" }),
    name: z.string(),
    domain: z.string().meta({ description: "the fault domain that it serves" }),
    home_domain: z.string().meta({ description: "the fault domain that it lives in" }),
    promoted: z.boolean().meta({ description: "it is a standby node that serves another domain now" }),
    kind: z.enum(["volume", "s3"]),
    endpoint: z.string().meta({ description: "URL of an S3 endpoint, or the folder of a volume" }),
    ...workerHealthFields,
    since: time().meta({ description: "when it came to its state" }),
    accepts_writes: z.boolean(),
    weight: count(),
    host: z.string(),
    rack: z.string().nullable(),
    physical_storage_id: z.string(),
    disk_type: z.enum(DISK_TYPES),
    total_bytes: bytes().nullable(),
    used_bytes: bytes().nullable(),
    free_bytes: bytes().nullable(),
    load_score: z.number().min(0).max(1),
    inflight: count().meta({ description: "requests under way: the larger of this gateway's and what the node tells" }),
    waiting: count().meta({ description: "requests that wait for their turn, likewise" }),
    capacity_source: z.enum(["statfs", "scraped"]).nullable().meta({
      description: "a volume's file system, or the metrics of a server; null while the capacity is not known",
    }),
    io_utilization: z
      .number()
      .min(0)
      .max(1)
      .nullable()
      .meta({ description: "share of the time in which the disk was busy lately; volumes on Linux only" }),
    scraped_at: time().nullable().meta({ description: "when the metrics of its server were last read" }),
    scrape_error: z.string().nullable().meta({ description: "why the last attempt to read them failed" }),
    live_bytes: bytes()
      .nullable()
      .meta({ description: "of copies that are kept, with what belongs to them; volumes only" }),
    dead_bytes: bytes().nullable().meta({ description: "that compaction may give back; volumes only" }),
    compaction: compactionSchema.nullable(),
  })
  .meta({ id: "Worker" });
export type Worker = z.infer<typeof workerSchema>;

export const workersSchema = z.object({ workers: z.array(workerSchema) }).meta({ id: "Workers" });
export type Workers = z.infer<typeof workersSchema>;

export const domainSchema = z
  .object({
    name: z.string(),
    role: z.enum(["active", "standby"]),
    priority: count().nullable().meta({ description: "0 comes first; null on standby" }),
    accepts_writes: z.boolean(),
    min_nodes: count(),
    replica_count: count(),
    node_count: count(),
    nodes_online: count(),
    total_bytes: bytes(),
    used_bytes: bytes(),
    free_bytes: bytes(),
  })
  .meta({ id: "Domain" });
export type Domain = z.infer<typeof domainSchema>;

export const domainsSchema = z
  .object({
    replication_factor: count(),
    write_quorum: count(),
    domains: z.array(domainSchema).meta({ description: "in order of priority, standby last" }),
  })
  .meta({ id: "Domains" });
export type Domains = z.infer<typeof domainsSchema>;

export const replicationSchema = z
  .object({
    missing: count().meta({ description: "copies that are to be made" }),
    handoff: count().meta({ description: "copies that are to be moved home" }),
    unverified: count().meta({ description: "copies that are to be checked, as their node was away" }),
    corrupt: count().meta({ description: "copies that are to be replaced" }),
    dying_blobs: count().meta({ description: "blobs without references, whose copies are still to be removed" }),
    orphans: count().meta({ description: "blobs on nodes that nothing refers to, found and not yet removed" }),
    orphans_removed: count().meta({ description: "since the gateway started" }),
    orphans_checked_at: time().nullable().meta({ description: "when the last search for orphans ended" }),
    dead_letters: count().meta({ description: "copies whose repair was given up" }),
    oldest_missing_since: time().nullable(),
    more: z.boolean().meta({ description: "more waits for repair than was counted" }),
  })
  .meta({ id: "Replication" });
export type Replication = z.infer<typeof replicationSchema>;

export const scrubPassSchema = z
  .object({
    started_at: time(),
    requested: z.boolean().meta({ description: "an operator asked for it: nothing is skipped, and it is not spread" }),
    copies_total: count().meta({ description: "copies on record when it began" }),
    copies_seen: count().meta({ description: "copies that it is done with, read or not" }),
    copies_verified: count().meta({ description: "copies that were read whole and found right" }),
    bytes_verified: bytes(),
    corrupt: count().meta({ description: "copies that were found corrupt" }),
    lost: count().meta({ description: "copies that the node is certain not to hold" }),
    failed: count().meta({ description: "copies of which nothing is known: the node gave an error" }),
  })
  .meta({ id: "ScrubPass" });
export type ScrubPassAnswer = z.infer<typeof scrubPassSchema>;

export const nodeScrubSchema = z
  .object({
    node: z.string(),
    node_id: z.string(),
    state: z.enum(["idle", "starting", "running", "waiting"]).meta({
      description: "`waiting`: a pass is under way or was asked for, and the node cannot be asked now",
    }),
    pass: scrubPassSchema.nullable().meta({ description: "the pass under way" }),
    last_pass: scrubPassSchema
      .extend({ ended_at: time() })
      .meta({ id: "EndedScrubPass" })
      .nullable()
      .meta({ description: "the last pass that came to its end" }),
    next_pass_at: time().nullable().meta({ description: "when the next pass begins by itself" }),
    comparison: z
      .object({
        started_at: time(),
        ended_at: time(),
        copies_listed: count().meta({ description: "copies that the node listed" }),
        lost: count().meta({ description: "copies on record that the node is certain not to hold" }),
        orphans: count().meta({ description: "copies of ended sessions that nothing names; they are collected" }),
        unknown: count().meta({ description: "other copies that nothing names, writes under way among them" }),
        failed: count().meta({ description: "copies of which nothing is known: the node gave an error" }),
      })
      .nullable()
      .meta({ description: "the last comparison of the node with the catalog" }),
    foreign: z
      .object({
        names: z
          .array(z.string())
          .meta({ description: "up to ten of them; a tree is one name, on S3 ending in a slash" }),
        count: count().meta({ description: "names, up to 1,000" }),
        more: z.boolean().meta({ description: "there may be more than were counted" }),
        checked_at: time(),
      })
      .nullable()
      .meta({ description: "what is in the node's bucket or folder and is not Bulkhead's; never touched" }),
  })
  .meta({ id: "NodeScrub" });
export type NodeScrub = z.infer<typeof nodeScrubSchema>;

export const scrubsSchema = z.object({ nodes: z.array(nodeScrubSchema) }).meta({ id: "Scrubs" });
export type Scrubs = z.infer<typeof scrubsSchema>;

export const scrubRequestSchema = z
  .strictObject({ node: z.string().optional().meta({ description: "name of the node; all of them when absent" }) })
  .meta({ id: "ScrubRequest" });

export const COPY_STATES = ["ok", "missing", "handoff", "unverified", "corrupt", "surplus", "deleting"] as const;

export const copySchema = z
  .object({
    slot: count(),
    state: z.enum(COPY_STATES),
    domain: z.string().meta({ description: "the fault domain that the copy belongs to" }),
    node: z.string().nullable().meta({ description: "name of the node that has it; null while it is missing" }),
    node_id: z.string().nullable(),
    node_domain: z.string().nullable().meta({ description: "the fault domain of that node" }),
    location: z
      .object({
        container: z.string().meta({ description: "bucket on an S3 endpoint, folder of a volume" }),
        key: z.string().meta({ description: "key in that bucket, or of the volume's record" }),
      })
      .nullable(),
    verified_at: time().nullable(),
  })
  .meta({ id: "Copy" });
export type Copy = z.infer<typeof copySchema>;

export const extentSchema = z
  .object({
    blob_id: z.string(),
    offset: bytes().meta({ description: "of its first byte in the object" }),
    length: bytes(),
    copies: z.array(copySchema),
  })
  .meta({ id: "Extent" });
export type Extent = z.infer<typeof extentSchema>;

export const objectVersionSchema = z
  .object({
    version_id: z.string(),
    is_latest: z.boolean(),
    delete_marker: z.boolean(),
    size: bytes(),
    etag: z.string(),
    last_modified: time(),
    storage_class: z.string(),
    layout: z.enum(["empty", "replicas"]),
    extents: z.array(extentSchema).meta({ description: "in order; at most 1,000" }),
    next_offset: bytes().nullable().meta({ description: "`?offset=` for the extents after these, if there are more" }),
  })
  .meta({ id: "ObjectVersion" });
export type ObjectVersion = z.infer<typeof objectVersionSchema>;

export const objectLocationSchema = z
  .object({
    bucket: z.string(),
    key: z.string(),
    versions: z.array(objectVersionSchema).meta({ description: "the latest first" }),
  })
  .meta({ id: "ObjectLocation" });
export type ObjectLocation = z.infer<typeof objectLocationSchema>;
