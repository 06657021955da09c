/**
 * A gateway over MinIO servers that the tests of a file share: each test has a cluster of its own, whose nodes are buckets
 * of its own on those servers. Black-box: nothing here imports src/.
 */
import assert from "node:assert/strict";
import { after, before, type TestContext, test } from "node:test";
import {
  CreateBucketCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  paginateListObjectsV2,
} from "@aws-sdk/client-s3";
import { type Copy, locate } from "./admin.ts";
import { closeAll, startServers } from "./clusters.ts";
import { patternBytes } from "./files.ts";
import type { MinioServer } from "./find-minio.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import { read } from "./load.ts";
import { clientOfNode, type DisposableClient, strictClientOf } from "./s3-client.ts";
import { TcpProxy } from "./tcp-proxy.ts";

/** For what a gateway reaches by itself: a bound against hanging, not an expectation. */
export const PATIENCE = { timeoutMs: 90_000, intervalMs: 100 };
export const BUCKET = "box";
/** The catalog's journal. */
const JOURNAL = "/blobs/00000000/";

export interface SiteNode {
  readonly name: string;
  readonly domain: string;
  readonly bucket: string;
  readonly server: MinioServer;
  /** What the gateway reaches it by. */
  readonly proxy: TcpProxy;
  /** As it is named in a configuration or added by command. */
  readonly settings: Readonly<Record<string, unknown>>;
}

export interface SitePlan {
  /** Node i is on server i. The domain named `standby` is the standby domain, the others are active. */
  readonly nodes: readonly (readonly [domain: string, name: string])[];
  /** Added to the `storage` part of the configuration. */
  readonly storage?: object;
  readonly env?: Readonly<Record<string, string>>;
  /** Whether others know each server by another name than the gateway's proxy, `localhost`. */
  readonly external?: boolean;
  /** Names of nodes that the configuration leaves out; their servers and proxies are there. */
  readonly later?: readonly string[];
}

export class Site implements AsyncDisposable {
  readonly gateway: Gateway;
  readonly client: DisposableClient;
  /** What was put and not deleted, by key. */
  readonly contents = new Map<string, Buffer>();
  readonly #nodes: ReadonlyMap<string, SiteNode>;
  readonly #killed = new Set<MinioServer>();
  readonly #frozen = new Set<MinioServer>();

  private constructor(gateway: Gateway, nodes: readonly SiteNode[]) {
    this.gateway = gateway;
    this.client = strictClientOf(gateway);
    this.#nodes = new Map(nodes.map((node) => [node.name, node]));
  }

  /** @param prefix of the nodes' buckets, another one for each cluster */
  static async open(servers: readonly MinioServer[], prefix: string, plan: SitePlan): Promise<Site> {
    const nodes: SiteNode[] = [];
    for (const [index, [domain, name]] of plan.nodes.entries()) {
      const server = servers[index] ?? assert.fail(`there is no server for ${name}`);
      const proxy = await TcpProxy.start(server.endpoint);
      const bucket = `${prefix}-${name}`;
      const { accessKey, secretKey } = server;
      // By their addresses all nodes would be on one host.
      const settings = {
        ...{ name, bucket, endpoint: proxy.url, accessKey, secretKey, host: name },
        ...(plan.external === true ? { externalEndpoint: server.endpoint.replace("127.0.0.1", "localhost") } : {}),
      };
      nodes.push({ name, domain, bucket, server, proxy, settings });
    }
    const gateway = await startGateway({
      config: { storage: storageOf(nodes, plan) },
      ...(plan.env === undefined ? {} : { env: plan.env }),
    });
    const site = new Site(gateway, nodes);
    await site.client.send(new CreateBucketCommand({ Bucket: BUCKET }));
    return site;
  }

  get nodes(): readonly SiteNode[] {
    return [...this.#nodes.values()];
  }

  node(name: string): SiteNode {
    return this.#nodes.get(name) ?? assert.fail(`there is no node ${name}`);
  }

  async kill(name: string): Promise<void> {
    const { server } = this.node(name);
    this.#killed.add(server);
    await server.kill();
  }

  async restart(name: string): Promise<void> {
    const { server } = this.node(name);
    await server.restart();
    this.#killed.delete(server);
  }

  async freeze(name: string): Promise<void> {
    const { server } = this.node(name);
    this.#frozen.add(server);
    await server.freeze();
  }

  async thaw(name: string): Promise<void> {
    const { server } = this.node(name);
    await server.thaw();
    this.#frozen.delete(server);
  }

  /** Puts an object of so many bytes that look random. */
  async put(key: string, length: number, more: Partial<PutObjectCommandInput> = {}): Promise<void> {
    const body = patternBytes(length, this.contents.size);
    await this.client.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: body, ...more }));
    this.contents.set(key, body);
  }

  async putMany(count: number, length: number, prefix = "k"): Promise<void> {
    const keys = Array.from({ length: count }, (_, at) => `${prefix}${at}`);
    const writer = async (): Promise<void> => {
      for (let key = keys.pop(); key !== undefined; key = keys.pop()) await this.put(key, length);
    };
    await Promise.all([writer(), writer(), writer(), writer()]);
  }

  /** Reads every object, and compares it. */
  async readAll(): Promise<void> {
    for (const [key, bytes] of this.contents) {
      const got = await read(this.client, BUCKET, key);
      assert.ok(got !== "absent" && bytes.equals(got), `${key} is not what was put`);
    }
  }

  /** The copies of each object's only extent, on record. */
  async copies(): Promise<Map<string, readonly Copy[]>> {
    const found = new Map<string, readonly Copy[]>();
    for (const key of this.contents.keys()) found.set(key, (await locate(this.gateway, BUCKET, key)).flat());
    return found;
  }

  /** Every object's copies are good, one in each of so many domains, and nothing else is on any node. */
  async assertExact(domains: number, away: readonly string[] = []): Promise<void> {
    const wanted = new Map(this.nodes.map(({ name }) => [name, new Set<string>()]));
    for (const [key, copies] of await this.copies()) {
      assert.deepEqual(new Set(copies.map(({ state }) => state)), new Set(["ok"]), `${key}: ${JSON.stringify(copies)}`);
      assert.deepEqual([copies.length, new Set(copies.map(({ domain }) => domain)).size], [domains, domains], key);
      for (const { node, location } of copies) wanted.get(node ?? "")?.add(location?.key ?? "");
    }
    for (const { name } of this.nodes) {
      if (away.includes(name)) assert.equal(wanted.get(name)?.size, 0, `copies are on record on ${name}`);
      else assert.deepEqual([...(await this.blobsOn(name))].sort(), [...(wanted.get(name) ?? [])].sort(), name);
    }
  }

  /** The keys of all blobs that lie on a node, seen past the gateway. */
  async blobsOn(name: string): Promise<Set<string>> {
    const { server, bucket } = this.node(name);
    using client = clientOfNode(server);
    const held = new Set<string>();
    for await (const page of paginateListObjectsV2({ client }, { Bucket: bucket, Prefix: ".bulkhead/" })) {
      for (const { Key } of page.Contents ?? []) if (Key?.includes("/blobs/") && !Key.includes(JOURNAL)) held.add(Key);
    }
    return held;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.destroy();
    await this.gateway[Symbol.asyncDispose]();
    for (const { proxy } of this.nodes) await proxy[Symbol.asyncDispose]();
    // The next test finds all of them running.
    for (const server of this.#frozen) await server.thaw();
    for (const server of this.#killed) await server.restart();
  }
}

function storageOf(nodes: readonly SiteNode[], { storage = {}, later = [] }: SitePlan): object {
  const present = nodes.filter(({ name }) => !later.includes(name));
  const domains = [...new Set(present.map(({ domain }) => domain))];
  return {
    // Tests do not wait as long as operators do for a lost node to be missed and for deleted bytes to go.
    delete: { grace: "1s" },
    health: { "interval-seconds": 1, decommission: false },
    "active-domains": domains.filter((domain) => domain !== "standby"),
    ...(domains.includes("standby") ? { "standby-domain": "standby" } : {}),
    nodes: present.map(({ settings, domain }) => ({ ...settings, faultDomain: domain })),
    ...storage,
  };
}

/** Declares tests over `count` shared servers, all of which run when a test begins. */
export function overSharedServers(count: number) {
  let servers: Awaited<ReturnType<typeof startServers>> = { skip: "the servers did not start" };
  let clusters = 0;
  before(async () => {
    servers = await startServers(count);
  });
  after(async () => {
    if (!("skip" in servers)) await closeAll(servers);
  });
  return (name: string, plan: SitePlan, run: (site: Site, t: TestContext) => Promise<void>): void => {
    test(name, { timeout: 240_000 }, async (t) => {
      if ("skip" in servers) return t.skip(servers.skip);
      if (!servers.every(({ controllable }) => controllable)) return t.skip("no MinIO servers that can be controlled");
      await using site = await Site.open(servers, `c${clusters++}`, plan);
      try {
        await run(site, t);
      } catch (error) {
        throw new Error(`the gateway's last words:\n${site.gateway.output.slice(-4000)}`, { cause: error });
      }
    });
  };
}
