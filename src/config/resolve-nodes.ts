/** The nodes that follow from settings without contradictions. */
import { isIP } from "node:net";
import { join } from "node:path";
import { Secret } from "../shared/secret.ts";
import type { ExternalEndpoints, NodeConfig, NodeSecrets } from "./config.ts";
import { activeDomainNames } from "./domains.ts";
import type { Endpoint, NodeSettings } from "./schema/node-settings.ts";
import type { StorageSettings } from "./schema/storage-settings.ts";

/** The host of volumes and of endpoints on loopback addresses. */
export const THIS_MACHINE = "localhost";

/** The host of an endpoint's URL, in lower case; THIS_MACHINE for loopback addresses. */
export function endpointHost(url: string): string {
  const host = new URL(url).hostname.toLowerCase();
  const loopback = host === "[::1]" || (isIP(host) === 4 && host.startsWith("127."));
  return loopback ? THIS_MACHINE : host;
}

/**
 * The configured nodes; where none are, an embedded node for each active domain.
 *
 * @param dataDir where embedded nodes lie
 */
export function resolveNodes(storage: StorageSettings, dataDir: string): NodeConfig[] {
  return storage.nodes === undefined
    ? activeDomainNames(storage).map((domain) => embeddedNode(`${domain}1`, domain, dataDir))
    : storage.nodes.map((node) => resolveNode(node, storage));
}

function embeddedNode(name: string, domain: string, dataDir: string): NodeConfig {
  return {
    kind: "volume",
    name,
    domain,
    path: join(dataDir, "nodes", name),
    weight: 100,
    enabled: true,
    physicalStorageId: name,
    host: THIS_MACHINE,
    diskType: "unknown",
  };
}

function resolveNode(node: NodeSettings, storage: StorageSettings): NodeConfig {
  const { name, endpoint, faultDomain } = required(node);
  const base = {
    name,
    ...(node.formerName === undefined ? {} : { formerName: node.formerName }),
    domain: faultDomain,
    weight: node.weight,
    enabled: node.enabled,
    physicalStorageId: node.physicalStorageId ?? name,
    host: node.host ?? (endpoint.kind === "volume" ? THIS_MACHINE : endpointHost(endpoint.url)),
    ...(node.rack === undefined ? {} : { rack: node.rack }),
    diskType: node.diskType,
  };
  if (endpoint.kind === "volume") {
    const indexPath = node.indexPath === undefined ? {} : { indexPath: node.indexPath };
    return { kind: "volume", ...base, path: endpoint.path, ...indexPath };
  }
  const domain = storage.domains.find((candidate) => candidate.name === faultDomain);
  const externalEndpoint = node.externalEndpoint ?? domain?.externalEndpoint ?? storage.externalEndpoint;
  return {
    kind: "s3",
    ...base,
    endpoint: endpoint.url,
    bucket: node.bucket ?? name,
    region: node.region,
    ...(node.caFile === undefined ? {} : { caFile: node.caFile }),
    ...(externalEndpoint === undefined ? {} : { externalEndpoint }),
    metricsPath: node.metricsPath,
  };
}

export function resolveExternalEndpoints({ externalEndpoint, domains }: StorageSettings): ExternalEndpoints {
  const ofDomains = domains.flatMap(({ name, externalEndpoint: own }): [string, string][] =>
    name === undefined || own === undefined ? [] : [[name, own]],
  );
  return { ...(externalEndpoint === undefined ? {} : { everywhere: externalEndpoint }), ofDomains: new Map(ofDomains) };
}

/** The keys of every S3 node, by its name. */
export function resolveNodeSecrets(storage: StorageSettings): Map<string, NodeSecrets> {
  const secrets = new Map<string, NodeSecrets>();
  for (const node of storage.nodes ?? []) {
    const { name, endpoint } = required(node);
    if (endpoint.kind !== "s3") continue;
    const { accessKey, secretKey } = node.accessKey === undefined ? storage : node;
    if (accessKey === undefined || secretKey === undefined) throw unchecked(name);
    secrets.set(name, {
      accessKey,
      secretKey: new Secret(secretKey),
      ...(node.metricsToken === undefined ? {} : { metricsToken: new Secret(node.metricsToken) }),
    });
  }
  return secrets;
}

function required(node: NodeSettings): { name: string; endpoint: Endpoint; faultDomain: string } {
  const { name, endpoint, faultDomain } = node;
  if (name === undefined || endpoint === undefined || faultDomain === undefined) throw unchecked(name ?? "?");
  return { name, endpoint, faultDomain };
}

function unchecked(name: string): Error {
  return new Error(`the settings of node ${name} were resolved though they did not pass their checks`);
}
