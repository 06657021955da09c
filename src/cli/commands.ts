/** What each command that asks the admin API prints. */
import {
  API_PATHS,
  type Copy,
  type Domains,
  domainsSchema,
  type ObjectVersion,
  objectLocationSchema,
  type Worker,
  type Workers,
  workersSchema,
} from "../admin/api-types.ts";
import type { AdminClient } from "./admin-client.ts";
import { formatBytes, formatFields, formatTable } from "./text.ts";

/** An answer as the server gave it, and as people read it. */
export interface Output {
  readonly json: unknown;
  readonly text: string;
  /** The command did what it was to, and what it found is not as it should be. */
  readonly failed?: boolean;
  /** The command has printed it already, bit by bit. */
  readonly printed?: boolean;
}

export async function showNodes(admin: AdminClient): Promise<Output> {
  const answer = await admin.get(API_PATHS.workers, workersSchema);
  return { json: answer, text: formatNodes(answer) };
}

export function formatNodes({ workers }: Workers): string {
  const rows = workers.map((node) => [
    node.name,
    node.domain === node.home_domain ? node.domain : `${node.domain} (home: ${node.home_domain})`,
    [node.state, ...node.conditions].join(", "),
    node.accepts_writes ? "yes" : "no",
    String(node.weight),
    formatUsed(node),
    formatBytes(node.total_bytes),
    formatDead(node),
    node.load_score.toFixed(2),
    node.endpoint,
    node.reason ?? "",
  ]);
  const head = ["NAME", "DOMAIN", "STATE", "WRITES", "WEIGHT", "USED", "TOTAL", "DEAD", "LOAD", "ENDPOINT", "REASON"];
  return formatTable(head, rows);
}

/** Used bytes, by whomever, and their share of the total. */
function formatUsed({ total_bytes, used_bytes }: Worker): string {
  if (total_bytes === null || used_bytes === null || total_bytes === 0) return formatBytes(used_bytes);
  return `${formatBytes(used_bytes)} (${((100 * used_bytes) / total_bytes).toFixed(0)} %)`;
}

/** Bytes that compaction may give back, and how far it is with the volume that it is at. */
function formatDead({ dead_bytes, compaction }: Worker): string {
  const progress = compaction?.progress_pct ?? null;
  return progress === null ? formatBytes(dead_bytes) : `${formatBytes(dead_bytes)} (${progress} %)`;
}

export async function showDomains(admin: AdminClient): Promise<Output> {
  const answer = await admin.get(API_PATHS.domains, domainsSchema);
  return { json: answer, text: formatDomains(answer) };
}

export function formatDomains(answer: Domains): string {
  const rows = answer.domains.map((domain) => [
    domain.name,
    domain.role,
    domain.accepts_writes ? "yes" : "no",
    `${domain.nodes_online}/${domain.node_count}`,
    String(domain.min_nodes),
    String(domain.replica_count),
    formatBytes(domain.used_bytes),
    formatBytes(domain.total_bytes),
  ]);
  const head = ["NAME", "ROLE", "WRITES", "ONLINE", "MIN NODES", "COPIES", "USED", "TOTAL"];
  const replication = `Replication: factor ${answer.replication_factor}, quorum ${answer.write_quorum}\n`;
  return replication + formatTable(head, rows);
}

export async function locateObject(admin: AdminClient, bucket: string, key: string): Promise<Output> {
  const path = `${API_PATHS.objects}/${encodeURIComponent(bucket)}/${encodeURIComponent(key)}`;
  const answer = await admin.get(path, objectLocationSchema);
  return { json: answer, text: answer.versions.map(formatVersion).join("\n") };
}

function formatVersion(version: ObjectVersion): string {
  const fields = formatFields([
    ["Version", `${version.version_id}${version.is_latest ? " (latest)" : ""}`],
    ["Modified", version.last_modified],
    ...(version.delete_marker
      ? ([["Kind", "delete marker"]] as const)
      : ([
          ["Size", `${version.size} B`],
          ["ETag", version.etag],
        ] as const)),
  ]);
  if (version.extents.length === 0) return fields;
  const rows = version.extents.flatMap(({ blob_id, offset, length, copies }) =>
    copies.map((copy, index) => [
      ...(index === 0 ? [String(offset), String(length), blob_id] : ["", "", ""]),
      String(copy.slot),
      copy.domain,
      copy.state,
      formatNode(copy),
      copy.location === null ? "-" : `${copy.location.container}/${copy.location.key}`,
      copy.verified_at ?? "-",
    ]),
  );
  const head = ["OFFSET", "LENGTH", "BLOB", "SLOT", "DOMAIN", "STATE", "NODE", "LOCATION", "VERIFIED"];
  const more = version.next_offset === null ? "" : `More extents begin at offset ${version.next_offset}.\n`;
  return fields + formatTable(head, rows) + more;
}

function formatNode({ node, node_id, node_domain, domain }: Copy): string {
  const name = node ?? node_id;
  if (name === null) return "-";
  return node_domain === null || node_domain === domain ? name : `${name} (${node_domain})`;
}
