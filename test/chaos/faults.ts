/** Puts faults in and takes them out again. */
import { cp, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Seeded } from "../support/seeded.ts";
import type { ProxyFaults } from "../support/tcp-proxy.ts";
import type { Fault, NodeFault } from "./schedule.ts";
import type { Site, SiteNode } from "./site.ts";

/** Takes the fault out again. */
export type Mend = () => Promise<void>;

const SLOW: ProxyFaults = { spikes: { share: 0.3, latencyMs: 2_500 } };
const ON_THE_WIRE: Readonly<Partial<Record<NodeFault, ProxyFaults>>> = {
  slow: SLOW,
  half: { breakAfterBytes: 100_000 },
  corrupt: { corruptShare: 0.2 },
  overtake: { unevenMs: 300 },
  deny: { answer: { methods: /./, status: "403 Forbidden", code: "AccessDenied" } },
  full: { answer: { methods: /^(PUT|POST)$/, status: "507 Insufficient Storage", code: "XMinioStorageFull" } },
};

export async function inject(site: Site, fault: Fault, choices: Seeded): Promise<Mend> {
  switch (fault.kind) {
    case "gateway":
      await site.gateway.kill9();
      return () => site.gateway.start();
    case "domain": {
      const nodes = site.nodes.filter(({ domain }) => domain === site.domains[fault.domain]);
      return together(nodes.map((node) => injectInto(node, fault.how, choices)));
    }
    case "domains": {
      const nodes = site.nodes.filter(({ domain }) => site.domains.includes(domain));
      return together(nodes.map((node) => injectInto(node, "cut", choices)));
    }
    default: {
      const node = site.nodes[fault.node];
      if (node === undefined) throw new RangeError("a fault of a node that there is not");
      return injectInto(node, fault.kind, choices);
    }
  }
}

async function together(injected: readonly Promise<Mend>[]): Promise<Mend> {
  const mends = await Promise.all(injected);
  return async () => {
    await Promise.all(mends.map((mend) => mend()));
  };
}

async function injectInto({ server, proxy }: SiteNode, fault: NodeFault, choices: Seeded): Promise<Mend> {
  const { dataDir = "" } = server;
  const aside = `${dataDir}.aside`;
  switch (fault) {
    case "kill":
      await server.kill();
      return () => server.restart();
    case "freeze":
      await server.freeze();
      return () => server.thaw();
    case "cut":
      proxy.cut();
      return async () => proxy.mend();
    case "lie":
      await swapTwoBlobs(dataDir, choices);
      return async () => {};
    case "stale":
      await server.kill();
      await cp(dataDir, aside, { recursive: true });
      await server.restart();
      return async () => {
        await server.kill();
        await server.wipe();
        await putBack(aside, dataDir);
        await server.restart();
      };
    case "wipe":
      await server.kill();
      await cp(dataDir, aside, { recursive: true });
      await server.wipe();
      await server.restart();
      return async () => {
        await server.kill();
        await server.wipe();
        await putBack(aside, dataDir);
        await server.restart();
      };
    default:
      proxy.faults = ON_THE_WIRE[fault] ?? {};
      // Connections that are kept alive would go on as they were.
      proxy.reset();
      return async () => {
        proxy.faults = {};
        proxy.reset();
      };
  }
}

async function putBack(aside: string, dataDir: string): Promise<void> {
  for (const entry of await readdir(aside)) await rename(join(aside, entry), join(dataDir, entry));
  await rm(aside, { recursive: true });
}

/** As each blob has a folder of its own, the server then hands out the bytes of the one under the name of the other. */
async function swapTwoBlobs(dataDir: string, choices: Seeded): Promise<void> {
  const names = await readdir(dataDir, { recursive: true });
  const blobs = names
    .filter((name) => /\/blobs\/(?!0{8})[0-9a-f]{8}\/[^/]+\/xl\.meta$/.test(name))
    .map((name) => join(dataDir, name, ".."))
    .sort();
  if (blobs.length < 2) return;
  const first = choices.pick(blobs);
  const second = choices.pick(blobs.filter((blob) => blob !== first));
  // A client may delete one of them just now.
  const moves = [
    [first, `${first}.lie`],
    [second, first],
    [`${first}.lie`, second],
  ] as const;
  for (const [from, to] of moves) await rename(from, to).catch(() => {});
}
