/**
 * What a run is made on: a gateway over MinIO servers behind proxies, and a volume in each domain, with Redis as its
 * coordinator. What this machine has not is left out, and said.
 */
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { closeAll } from "../support/clusters.ts";
import { temporaryFolder } from "../support/files.ts";
import { type MinioServer, startMinio } from "../support/find-minio.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { missingRedis, type RedisServer, startRedis } from "../support/redis-server.ts";
import { strictClientOf } from "../support/s3-client.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { BUCKET } from "./clients.ts";
import { LossyNetwork } from "./lossy-network.ts";

const ACTIVE = ["domain-a", "domain-b"] as const;
/** The domain of each MinIO server. */
const DOMAIN_OF_SERVER = [...ACTIVE, ...ACTIVE, "standby"];
const CLOCK = join(import.meta.dirname, "shifted-clock.ts");

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
  /** The names of the nodes that are volumes. */
  readonly volumes: readonly string[];
  /** Names of the active domains. */
  readonly domains: readonly string[];
  /** The coordinator; the gateway's own where there is none. */
  readonly redis: RedisServer | undefined;
  /** That the servers are in, where this machine allows it. */
  readonly network: LossyNetwork | undefined;
  /** What is left out, and why. */
  readonly leftOut: readonly string[];
  /** What the proxies leave to chance. */
  readonly random: () => number;
  /** How far the gateway's wall clock is off from now on, also after a restart. */
  shiftClock(byMs: number): Promise<void>;
}

/** @param random what the proxies leave to chance */
export async function startSite(random: () => number): Promise<Site | { readonly skip: string }> {
  await using stack = new AsyncDisposableStack();
  const leftOut: string[] = [];
  const opened = await LossyNetwork.open();
  const network = "skip" in opened ? undefined : stack.use(opened);
  if ("skip" in opened) leftOut.push(`packet loss: ${opened.skip}`);
  const count = DOMAIN_OF_SERVER.length;
  const started = await startMinio(network === undefined ? { count } : { count, network });
  if ("skip" in started) return started;
  const { servers } = started;
  stack.defer(() => closeAll(servers));
  const folder = await temporaryFolder();
  stack.defer(() => rm(folder.path, { recursive: true, force: true }));
  const nodes: SiteNode[] = [];
  for (const [index, server] of servers.entries()) {
    const proxy = stack.use(await TcpProxy.start(server.endpoint, random));
    nodes.push({ name: `node-${index}`, domain: DOMAIN_OF_SERVER[index] ?? "", server, proxy });
  }
  const noRedis = missingRedis();
  if (noRedis !== undefined) leftOut.push(`faults of Redis and of leases: ${noRedis}`);
  const redis = noRedis === undefined ? stack.use(await startRedis()) : undefined;
  const clockFile = join(folder.path, "clock");
  const gateway = stack.use(
    await startGateway({
      config: configuration(nodes, { folder: folder.path, redis }),
      dataDir: join(folder.path, "data"),
      env: { NODE_OPTIONS: `--import=${CLOCK}`, CLOCK_SHIFT_FILE: clockFile },
    }),
  );
  using client = strictClientOf(gateway);
  await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
  const kept = stack.move();
  return {
    ...{ gateway, nodes, redis, network, leftOut, random },
    domains: ACTIVE,
    volumes: ACTIVE.map(volumeOf),
    shiftClock: (byMs) => writeFile(clockFile, String(byMs)),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function volumeOf(domain: string): string {
  return `volume-${domain}`;
}

function configuration(
  nodes: readonly SiteNode[],
  { folder, redis }: { readonly folder: string; readonly redis: RedisServer | undefined },
): object {
  return {
    log: { level: "warn" },
    ...(redis === undefined ? {} : { coordinator: { url: `redis://127.0.0.1:${redis.port}` } }),
    storage: {
      "active-domains": ACTIVE,
      "standby-domain": "standby",
      // Nobody watches a test for as long as an operator watches a store.
      health: { "interval-seconds": 1, decommission: false },
      consistency: { repair: { "lock-timeout-seconds": 10 } },
      // A job is to be at work when it is disturbed, and over before long.
      rebalance: { "rate-limit-per-second": 20 },
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
          name: volumeOf(domain),
          endpoint: `volume:${join(folder, domain)}`,
          faultDomain: domain,
          host: volumeOf(domain),
        })),
      ],
    },
  };
}
