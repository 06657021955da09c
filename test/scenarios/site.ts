/** What a scenario runs on: MinIO servers, each a node on a host of its own for all that the gateway knows, and a gateway. */
import { closeAll, startServers } from "../support/clusters.ts";
import type { MinioServer } from "../support/find-minio.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { inParallel } from "../support/in-parallel.ts";
import { seconds } from "./figures.ts";
import { Objects } from "./objects.ts";

export const BUCKET = "measured";
/** What the keys of loaded objects begin with. */
export const LOADED = "loaded/";
const LOAD_WIDTH = 12;
const LOAD_TOLD_EVERY = 10_000;

export interface Scale {
  readonly objects: number;
  /** Bytes of an object. */
  readonly size: number;
  readonly seed: number;
  /** How long the clients are measured before anything happens. */
  readonly quietSeconds: number;
  readonly say: (line: string) => void;
}

export interface SiteNode {
  readonly name: string;
  readonly domain: string;
  readonly server: MinioServer;
}

export interface Site extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly nodes: readonly SiteNode[];
  /** Servers that no configuration names yet. */
  readonly spare: readonly MinioServer[];
  readonly objects: Objects;
  /** The keys of the objects that were loaded; each begins with `LOADED`. */
  readonly loaded: readonly string[];
  node(name: string): SiteNode;
}

export interface Layout {
  /** How many nodes each domain has. Their names are the domain's with a number behind it. */
  readonly domains: Readonly<Record<string, number>>;
  readonly spare?: number;
  /** The rest of the `storage` part of the configuration. */
  readonly storage: object;
}

/** Starts all of it and loads the objects. */
export async function openSite(layout: Layout, scale: Scale): Promise<Site | { readonly skip: string }> {
  const places = Object.entries(layout.domains).flatMap(([domain, count]) =>
    Array.from({ length: count }, (_, index) => ({ name: `${domain}-${index + 1}`, domain })),
  );
  const servers = await startServers(places.length + (layout.spare ?? 0));
  if ("skip" in servers) return servers;
  const stack = new AsyncDisposableStack();
  stack.defer(() => closeAll(servers));
  try {
    const nodes = places.flatMap((place, index): SiteNode[] => {
      const server = servers[index];
      return server === undefined ? [] : [{ ...place, server }];
    });
    const gateway = stack.use(await startGateway({ config: configuration(nodes, layout.storage) }));
    const objects = stack.use(new Objects(gateway, { bucket: BUCKET, bytes: scale.size }));
    const loaded = await load(objects, scale);
    return {
      ...{ gateway, nodes, objects, loaded },
      spare: servers.slice(places.length),
      node(name) {
        const found = nodes.find((node) => node.name === name);
        if (found === undefined) throw new Error(`the site has no node ${name}`);
        return found;
      },
      async [Symbol.asyncDispose]() {
        // As an operator ends it: that has to work too, whatever happened, and a profile of it is written only then.
        await gateway.stop();
        await stack.disposeAsync();
      },
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

function configuration(nodes: readonly SiteNode[], storage: object): object {
  return {
    log: { level: "warn" },
    storage: {
      nodes: nodes.map(({ name, domain, server }) => ({
        ...{ name, endpoint: server.endpoint, faultDomain: domain },
        ...{ accessKey: server.accessKey, secretKey: server.secretKey },
        // By their addresses all nodes would be on one host.
        host: name,
      })),
      ...storage,
    },
  };
}

async function load(objects: Objects, { objects: count, say }: Scale): Promise<string[]> {
  const keys = Array.from({ length: count }, (_, number) => `${LOADED}${String(number).padStart(7, "0")}`);
  await objects.createBucket();
  const beganMs = performance.now();
  let done = 0;
  await inParallel(LOAD_WIDTH, keys, async (key) => {
    await objects.put(key, 1);
    if (++done % LOAD_TOLD_EVERY === 0) say(`${done} objects loaded`);
  });
  const tookMs = performance.now() - beganMs;
  say(`${count} objects of ${objects.bytes} bytes loaded in ${seconds(tookMs)}`);
  return keys;
}
