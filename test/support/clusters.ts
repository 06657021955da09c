/** Gateways with the nodes under them, in the layouts that the black-box suites run over. */
import { after, before, describe, test } from "node:test";
import { type MinioServer, startMinio } from "./find-minio.ts";
import { type Gateway, startGateway } from "./gateway.ts";

/** `volumes` is what `npm start` gives: two domains on this machine. The others have one MinIO server a domain. */
export type Layout = "volumes" | "two MinIO servers" | "three MinIO servers";

export const LAYOUTS: readonly Layout[] = ["volumes", "two MinIO servers", "three MinIO servers"];

const MINIO_SERVERS: Readonly<Record<Layout, number>> = {
  volumes: 0,
  "two MinIO servers": 2,
  "three MinIO servers": 3,
};

export interface Cluster extends AsyncDisposable {
  readonly gateway: Gateway;
  /** Server i is node `node-a`, `node-b`, ... in the domain `domain-a`, `domain-b`, ... */
  readonly minio: readonly MinioServer[];
}

export interface Unavailable {
  readonly skip: string;
}

export interface ClusterSettings {
  /** Added to the `storage` part of the configuration. */
  readonly storage?: object;
  /** What node i is reached by instead of its server's own address: a proxy in front of it. */
  readonly endpoints?: ReadonlyMap<number, string>;
}

/** Starts the layout's servers and a gateway over them; a sentence for a skip where there are no such servers. */
export async function startCluster(layout: Layout, settings: ClusterSettings = {}): Promise<Cluster | Unavailable> {
  const servers = await startServers(MINIO_SERVERS[layout]);
  if ("skip" in servers) return servers;
  try {
    const gateway = await startGateway({ config: { storage: storageOver(servers, settings) } });
    return {
      gateway,
      minio: servers,
      async [Symbol.asyncDispose]() {
        await gateway[Symbol.asyncDispose]();
        await closeAll(servers);
      },
    };
  } catch (error) {
    await closeAll(servers);
    throw error;
  }
}

/** Real MinIO servers, ready; none for a count of 0. */
export async function startServers(count: number): Promise<readonly MinioServer[] | Unavailable> {
  if (count === 0) return [];
  const started = await startMinio({ count });
  return "skip" in started ? started : started.servers;
}

export async function closeAll(servers: readonly MinioServer[]): Promise<void> {
  for (const server of servers) await server.close();
}

export function nodeName(index: number): string {
  return `node-${letter(index)}`;
}

export function domainName(index: number): string {
  return `domain-${letter(index)}`;
}

/** The `storage` part of a configuration with one server a domain; without servers the embedded defaults. */
export function storageOver(servers: readonly MinioServer[], settings: ClusterSettings = {}): object {
  // Tests do not wait as long as operators do for a lost node to be missed and for deleted bytes to go.
  const pace = { delete: { grace: "1s" }, health: { "interval-seconds": 1, decommission: false } };
  if (servers.length === 0) return { ...pace, ...settings.storage };
  return {
    ...pace,
    "active-domains": servers.map((_, index) => domainName(index)),
    nodes: servers.map((server, index) => ({
      name: nodeName(index),
      endpoint: settings.endpoints?.get(index) ?? server.endpoint,
      accessKey: server.accessKey,
      secretKey: server.secretKey,
      faultDomain: domainName(index),
    })),
    ...settings.storage,
  };
}

/** One test of a suite that runs over every layout. */
export type ClusterTest = (name: string, run: (cluster: Cluster) => Promise<void>) => void;

/**
 * Declares the same tests for every layout, each with a cluster of its own for all of them. They are skipped with
 * the sentence `missing` where there is one, and where the layout's servers are not there.
 */
export function overEveryLayout(
  title: string,
  missing: string | undefined,
  declare: (check: ClusterTest) => void,
): void {
  for (const layout of LAYOUTS) {
    describe(`${title}, over ${layout}`, () => {
      let cluster: Cluster | Unavailable = { skip: missing ?? "the servers did not start" };
      before(async () => {
        if (missing === undefined) cluster = await startCluster(layout);
      });
      after(async () => {
        if (!("skip" in cluster)) await cluster[Symbol.asyncDispose]();
      });
      declare((name, run) => {
        test(name, async (t) => {
          if ("skip" in cluster) t.skip(cluster.skip);
          else await run(cluster);
        });
      });
    });
  }
}

function letter(index: number): string {
  return String.fromCharCode("a".charCodeAt(0) + index);
}
