/** What a run is made on: a gateway over MinIO servers behind proxies, and a volume in each domain. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { closeAll, startServers } from "../support/clusters.ts";
import { temporaryFolder } from "../support/files.ts";
import type { MinioServer } from "../support/find-minio.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { strictClientOf } from "../support/s3-client.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { BUCKET } from "./clients.ts";

const ACTIVE = ["domain-a", "domain-b"] as const;
/** The domain of each MinIO server. */
const DOMAIN_OF_SERVER = [...ACTIVE, ...ACTIVE, "standby"];

export interface SiteNode {
  readonly name: string;
  readonly domain: string;
  readonly server: MinioServer;
  readonly proxy: TcpProxy;
}

export interface Site extends AsyncDisposable {
  readonly gateway: Gateway;
  /** Those that faults act on; the volumes live in the gateway and die with it. */
  readonly nodes: readonly SiteNode[];
  /** Names of the active domains. */
  readonly domains: readonly string[];
}

/** @param random what the proxies leave to chance */
export async function startSite(random: () => number): Promise<Site | { readonly skip: string }> {
  const servers = await startServers(DOMAIN_OF_SERVER.length);
  if ("skip" in servers) return servers;
  const folder = await temporaryFolder();
  const proxies: TcpProxy[] = [];
  const close = async (gateway?: Gateway): Promise<void> => {
    await gateway?.[Symbol.asyncDispose]();
    for (const proxy of proxies) await proxy[Symbol.asyncDispose]();
    await closeAll(servers);
    await rm(folder.path, { recursive: true, force: true });
  };
  try {
    const nodes: SiteNode[] = [];
    for (const [index, server] of servers.entries()) {
      const proxy = await TcpProxy.start(server.endpoint, random);
      proxies.push(proxy);
      nodes.push({ name: `node-${index}`, domain: DOMAIN_OF_SERVER[index] ?? "", server, proxy });
    }
    const gateway = await startGateway({
      config: configuration(nodes, folder.path),
      dataDir: join(folder.path, "data"),
    });
    using client = strictClientOf(gateway);
    await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
    return { gateway, nodes, domains: ACTIVE, [Symbol.asyncDispose]: () => close(gateway) };
  } catch (error) {
    await close();
    throw error;
  }
}

function configuration(nodes: readonly SiteNode[], folder: string): object {
  return {
    log: { level: "warn" },
    storage: {
      "active-domains": ACTIVE,
      "standby-domain": "standby",
      // Nobody watches a test for as long as an operator watches a store.
      health: { "interval-seconds": 1, decommission: false },
      delete: { grace: "2s" },
      read: { "stall-timeout": "3s" },
      write: { "stall-timeout": "3s" },
      nodes: [
        ...nodes.map(({ name, domain, server, proxy }) => ({
          name,
          endpoint: proxy.url,
          accessKey: server.accessKey,
          secretKey: server.secretKey,
          faultDomain: domain,
          // By their addresses all nodes would be on one host.
          host: name,
        })),
        ...ACTIVE.map((domain) => ({
          name: `volume-${domain}`,
          endpoint: `volume:${join(folder, domain)}`,
          faultDomain: domain,
          host: `volume-${domain}`,
        })),
      ],
    },
  };
}
