/**
 * The admin API's answers: what the server sends, what the command line expects, and what /openapi.json describes.
 * Names are in snake case; times are RFC 3339 in UTC; `null` stands for what is not known.
 */
import * as z from "zod";
import type { NodeState } from "../cluster/members.ts";
import type { DiskType } from "../placement/topology.ts";

/** Paths under the admin port; all of them want `X-API-Key`. */
export const API_PATHS = {
  status: "/api/v1/storage/cluster/status",
  workers: "/api/v1/storage/cluster/workers",
  domains: "/api/v1/storage/cluster/domains",
  replication: "/api/v1/storage/cluster/replication",
  /** Followed by `/{bucket}/{key}`, both percent-encoded; slashes of the key may stand as they are. */
  objects: "/api/v1/objects",
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
    cluster_healthy: z.boolean().meta({ description: "all nodes are online and nothing waits to be replicated" }),
    total_capacity_bytes: bytes().meta({ description: "of the nodes that tell their capacity" }),
    used_bytes: bytes(),
    free_bytes: bytes(),
    utilization_pct: z.number().min(0).max(100),
    master_id: z.string().nullable().meta({ description: "uuid of the designated master node" }),
    worker_count: count().meta({ description: "storage nodes" }),
    workers_healthy: count(),
    workers_degraded: count().meta({ description: "storage nodes that are not online" }),
    pending_replications: count().meta({ description: "copies that are missing, misplaced or unverified" }),
  })
  .meta({ id: "ClusterStatus" });
export type ClusterStatus = z.infer<typeof clusterStatusSchema>;

const NODE_STATES = [
  "joining",
  "online",
  "offline",
  "access-denied",
  "replaced",
  "refused",
] as const satisfies readonly NodeState[];
const DISK_TYPES = ["ssd", "hdd", "nvme", "unknown"] as const satisfies readonly DiskType[];

export const workerSchema = z
  .object({
    worker_id: z.string().meta({ description: "the node's uuid" }),
    name: z.string(),
    domain: z.string().meta({ description: "the fault domain that it serves" }),
    home_domain: z.string().meta({ description: "the fault domain that it lives in" }),
    kind: z.enum(["volume", "s3"]),
    endpoint: z.string().meta({ description: "URL of an S3 endpoint, or the folder of a volume" }),
    state: z.enum(NODE_STATES),
    reason: z.string().nullable().meta({ description: "why it is not online" }),
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
  })
  .meta({ id: "Replication" });
export type Replication = z.infer<typeof replicationSchema>;

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
