/** Contradictions in and between the nodes, and between them and their domains. */
import { resolve } from "node:path";
import { degradedWriteProblems, populationProblems } from "../placement/topology-rules.ts";
import { domainNames, resolveDomains } from "./domains.ts";
import type { PropertyPath } from "./properties.ts";
import { endpointHost } from "./resolve-nodes.ts";
import { type NodeSettings, validBucketName } from "./schema/node-settings.ts";
import type { StorageSettings } from "./schema/storage-settings.ts";
import type { Finding, Uncertain } from "./written.ts";

const NODES: PropertyPath = ["storage", "nodes"];

export function checkNodes(storage: StorageSettings, uncertain: Uncertain): Finding[] {
  const findings: Finding[] = [...checkSharedKeys(storage, uncertain)];
  const names = new Map<string, number>();
  const places = new Map<string, number>();
  for (const [index, node] of (storage.nodes ?? []).entries()) {
    const find = (key: keyof NodeSettings, reason: string): void => {
      if (!uncertain([...NODES, index, key])) findings.push({ path: [...NODES, index, key], reason });
    };
    checkRequired(node, find);
    checkDomain(node, storage, uncertain, find);
    checkEndpoint(node, find);
    checkKeys(node, storage, uncertain, find);
    checkFormerName(node, storage, find);
    const { name } = node;
    if (name !== undefined && takenBefore(names, name, index) !== undefined) find("name", "is the name of two nodes");
    const place = placeOf(node);
    const earlier = place === undefined ? undefined : takenBefore(places, place, index);
    if (earlier !== undefined) {
      find(
        "endpoint",
        `is the place of ${propertyOf(earlier)} as well: the same endpoint and bucket, or the same folder`,
      );
    }
  }
  return [...findings, ...checkPopulation(storage, uncertain)];
}

type Find = (key: keyof NodeSettings, reason: string) => void;

function checkRequired(node: NodeSettings, find: Find): void {
  if (node.name === undefined) find("name", "must be given");
  if (node.endpoint === undefined) find("endpoint", "must be given");
  if (node.faultDomain === undefined) find("faultDomain", "must be given");
}

function checkDomain(node: NodeSettings, storage: StorageSettings, uncertain: Uncertain, find: Find): void {
  const known = domainNames(storage);
  if (node.faultDomain === undefined || known.includes(node.faultDomain)) return;
  // Without active domains every domain would be unknown: that they are missing is said once, elsewhere.
  if (storage.activeDomains === undefined) return;
  if (uncertain(["storage", "activeDomains"]) || uncertain(["storage", "standbyDomain"])) return;
  find("faultDomain", `must be an active domain or the standby domain: ${known.join(", ")}`);
}

function checkEndpoint(node: NodeSettings, find: Find): void {
  const { endpoint, name, bucket } = node;
  if (endpoint?.kind !== "s3") return;
  if (node.caFile !== undefined && !endpoint.url.startsWith("https:")) {
    find("caFile", "has no use unless the endpoint begins with https://");
  }
  if (node.indexPath !== undefined) find("indexPath", "has no use unless the endpoint is volume:PATH");
  if (bucket === undefined && name !== undefined && !validBucketName(name)) {
    find("bucket", `must be given, because the node's name ${name} is no valid bucket name`);
  }
}

function checkFormerName(
  { name, formerName, endpoint, bucket }: NodeSettings,
  storage: StorageSettings,
  find: Find,
): void {
  if (formerName === undefined) return;
  const others = (storage.nodes ?? []).filter((other) => other.name === formerName || other.formerName === formerName);
  if (formerName === name) find("formerName", "is its name now");
  else if (others.length > 1 || others.some((other) => other.name === formerName)) {
    find("formerName", "is a name that another node has, or had");
  }
  // The default is the node's name, and its copies are in the bucket of the name before.
  if (endpoint?.kind === "s3" && bucket === undefined) {
    find("bucket", `must be given together with formerName, as the copies lie in it: ${formerName} if none was given`);
  }
}

function checkKeys(node: NodeSettings, storage: StorageSettings, uncertain: Uncertain, find: Find): void {
  if (node.endpoint?.kind !== "s3") return;
  const own = node.accessKey !== undefined || node.secretKey !== undefined;
  for (const [key, other] of [
    ["accessKey", "secretKey"],
    ["secretKey", "accessKey"],
  ] as const) {
    if (node[key] !== undefined) continue;
    if (own) find(key, `must be given together with ${other}`);
    else if (storage.accessKey === undefined && storage.secretKey === undefined) {
      if (uncertain(["storage", key]) || uncertain(["storage", other])) continue;
      find(key, `must be given here or for all nodes, as storage.${key}`);
    }
  }
}

function checkSharedKeys({ accessKey, secretKey }: StorageSettings, uncertain: Uncertain): Finding[] {
  if ((accessKey === undefined) === (secretKey === undefined)) return [];
  const [missing, other] = accessKey === undefined ? ["accessKey", "secretKey"] : ["secretKey", "accessKey"];
  if (uncertain(["storage", missing])) return [];
  return [{ path: ["storage", missing], reason: `must be given together with storage.${other}` }];
}

/** What two nodes must not have in common; absent while it is not known. */
function placeOf({ name, endpoint, bucket = name }: NodeSettings): string | undefined {
  if (endpoint?.kind === "volume") return `volume:${resolve(endpoint.path)}`;
  if (endpoint === undefined || bucket === undefined) return undefined;
  return `${endpointHost(endpoint.url)}:${new URL(endpoint.url).port}/${bucket}`;
}

/** The index that the key was first seen with, if it was. */
function takenBefore(seen: Map<string, number>, key: string, index: number): number | undefined {
  const earlier = seen.get(key);
  if (earlier === undefined) seen.set(key, index);
  return earlier;
}

function propertyOf(index: number): string {
  return `storage.nodes[${index}]`;
}

/** Nodes that a domain must have. */
function checkPopulation(storage: StorageSettings, uncertain: Uncertain): Finding[] {
  const { nodes } = storage;
  if (nodes === undefined || uncertain(["storage", "activeDomains"])) return [];
  const unplaced = nodes.some((_, index) => uncertain([...NODES, index, "faultDomain"]));
  if (unplaced || nodes.some(({ faultDomain }) => faultDomain === undefined)) return [];
  const domains = resolveDomains(storage);
  const members = nodes.map(({ name = "", faultDomain = "", physicalStorageId = name }) => ({
    domain: faultDomain,
    physicalStorageId,
  }));
  const findings = populationProblems(domains, members).flatMap(({ domain, setting, reason }): Finding[] => {
    if (setting === undefined) {
      return [{ path: ["storage", "activeDomains", domains.findIndex(({ name }) => name === domain)], reason }];
    }
    const index = storage.domains.findIndex(({ name }) => name === domain);
    return index < 0 ? [] : [{ path: ["storage", "domains", index, setting], reason }];
  });
  for (const reason of degradedWriteProblems(storage.degradedWrite.minReplicas, nodes.length)) {
    findings.push({ path: ["storage", "degradedWrite", "minReplicas"], reason });
  }
  return findings;
}
