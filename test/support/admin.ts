/** The admin API as a user sees it in /openapi.json, as far as the black-box suites read it. */
import type { Gateway } from "./gateway.ts";

export interface Copy {
  readonly state: string;
  readonly domain: string;
  readonly node: string | null;
  readonly location: { readonly container: string; readonly key: string } | null;
}

interface ObjectLocation {
  readonly versions: readonly { readonly extents: readonly { readonly copies: readonly Copy[] }[] }[];
}

/** The copies of each extent of an object's only version, in order; none for an empty object. */
export async function locate(gateway: Gateway, bucket: string, key: string): Promise<(readonly Copy[])[]> {
  const path = key.split("/").map(encodeURIComponent).join("/");
  const { versions } = (await gateway.admin(`/api/v1/objects/${bucket}/${path}`)) as ObjectLocation;
  const [only, ...others] = versions;
  if (only === undefined || others.length > 0) throw new Error(`${key} has ${versions.length} versions`);
  return only.extents.map((extent) => extent.copies);
}

export interface NodeReport {
  readonly name: string;
  readonly state: string;
  readonly reason: string | null;
}

export async function nodeReport(gateway: Gateway, name: string): Promise<NodeReport> {
  const { workers } = (await gateway.admin("/api/v1/storage/cluster/workers")) as { workers: readonly NodeReport[] };
  const node = workers.find((worker) => worker.name === name);
  if (node === undefined) throw new Error(`no node ${name} among ${workers.map((worker) => worker.name).join(", ")}`);
  return node;
}

export interface ReplicationReport {
  readonly missing: number;
  readonly handoff: number;
  readonly corrupt: number;
  readonly orphans: number;
  readonly orphans_removed: number;
  /** When the last search for orphans ended; null before the first. */
  readonly orphans_checked_at: string | null;
}

export async function replicationReport(gateway: Gateway): Promise<ReplicationReport> {
  return (await gateway.admin("/api/v1/storage/cluster/replication")) as ReplicationReport;
}

/** Sum of a counter's series in /metrics whose labels hold all of these. */
export async function metric(
  gateway: Gateway,
  name: string,
  labels: Readonly<Record<string, string>>,
): Promise<number> {
  const answer = await fetch(`${gateway.adminUrl}/metrics`);
  const lines = (await answer.text()).split("\n").filter((line) => line.startsWith(`${name}{`));
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return lines
    .filter((line) => wanted.every((label) => line.includes(label)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}
