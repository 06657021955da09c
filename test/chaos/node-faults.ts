/** Puts faults in on one node and takes them out again. */
import { cp, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { change } from "../support/change-cluster.ts";
import { eventually } from "../support/eventually.ts";
import { clientOfNode } from "../support/s3-client.ts";
import type { Seeded } from "../support/seeded.ts";
import type { ProxyFaults } from "../support/tcp-proxy.ts";
import { Meddler, type Meddling } from "./meddler.ts";
import type { NodeFault } from "./schedule.ts";
import type { Site, SiteNode } from "./site.ts";

/** Takes the fault out again. */
export type Mend = () => Promise<void>;

const ON_THE_WIRE: Readonly<Partial<Record<NodeFault, ProxyFaults>>> = {
  slow: { spikes: { share: 0.3, latencyMs: 2_000, moreMs: 1_000 } },
  half: { breakAfterBytes: 100_000 },
  "half-put": { breakUpAfterBytes: 100_000 },
  corrupt: { corruptShare: 0.2 },
  overtake: { unevenMs: 300 },
  deny: { answer: { methods: /./, status: "403 Forbidden", code: "AccessDenied" } },
  full: { answer: { methods: /^(PUT|POST)$/, status: "507 Insufficient Storage", code: "XMinioStorageFull" } },
};
const LISTED = { timeoutMs: 10_000, intervalMs: 50 };

export async function injectInto(site: Site, node: SiteNode, fault: NodeFault, choices: Seeded): Promise<Mend> {
  const { server, proxy } = node;
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
    case "loss":
      if (site.network === undefined) throw new Error("packets cannot be dropped here");
      return site.network.lose(Number(new URL(server.endpoint).port));
    case "reorder":
    case "repeat":
      return (await meddle(site, node, fault)).mend;
    case "old-listing":
      return oldListing(site, node);
    case "forge":
      return forge(site, node, choices);
    case "lie":
      await swapTwoBlobs(server.dataDir ?? "", choices);
      return async () => {};
    case "stale":
    case "wipe":
      return otherDisk(node, fault);
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

async function meddle({ random }: Site, { server, proxy }: SiteNode, how: Meddling) {
  const meddler = await Meddler.start(server.endpoint, how, random);
  proxy.target = meddler.url;
  proxy.reset();
  const mend = async (): Promise<void> => {
    proxy.target = server.endpoint;
    proxy.reset();
    await meddler[Symbol.asyncDispose]();
  };
  return { meddler, mend };
}

/** The node is compared with the catalog by a listing that is kept, and again by that listing when it is an old one. */
async function oldListing(site: Site, node: SiteNode): Promise<Mend> {
  const { meddler, mend } = await meddle(site, node, "old-listing");
  const compare = (): Promise<unknown> => change(site.gateway, "POST scrub", { node: node.name }).catch(() => {});
  await compare();
  // While another fault is under way it may not come to a listing.
  await eventually("a listing", LISTED, () => {
    if (meddler.listings === 0) throw new Error("none yet");
  }).catch(() => {});
  meddler.growOld();
  return async () => {
    await compare();
    await eventually("it has listed again", LISTED, async () => {
      if (!(await isCompared(site, node))) throw new Error("not yet");
    }).catch(() => {});
    await mend();
  };
}

async function isCompared({ gateway }: Site, { name }: SiteNode): Promise<boolean> {
  const { nodes } = (await gateway.admin("/api/v1/storage/cluster/scrub")) as {
    nodes: { node: string; state: string }[];
  };
  return nodes.some(({ node, state }) => node === name && state === "idle");
}

const IDENTITY = ".bulkhead/identity";

/** Its identity document becomes another cluster's, another node's, one that nobody signed, or none at all. */
async function forge({ nodes }: Site, node: SiteNode, choices: Seeded): Promise<Mend> {
  const right = await identityOf(node);
  const document = JSON.parse(right.toString()) as { clusterId: string; signature: string };
  const otherId = document.clusterId.replaceAll(/[0-9a-f]/g, (digit) => (15 - Number.parseInt(digit, 16)).toString(16));
  const other = nodes.find(({ name }) => name !== node.name) ?? node;
  const forged = choices.pick([
    () => JSON.stringify({ ...document, clusterId: otherId }),
    () => JSON.stringify({ ...document, signature: "00".repeat(document.signature.length / 2) }),
    () => "not one\n",
    async () => (await identityOf(other)).toString(),
  ]);
  await writeIdentity(node, Buffer.from(await forged()));
  return () => writeIdentity(node, right);
}

async function identityOf({ server, name }: SiteNode): Promise<Buffer> {
  using client = clientOfNode(server);
  const { Body } = await client.send(new GetObjectCommand({ Bucket: name, Key: IDENTITY }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

async function writeIdentity({ server, name }: SiteNode, document: Buffer): Promise<void> {
  using client = clientOfNode(server);
  await client.send(new PutObjectCommand({ Bucket: name, Key: IDENTITY, Body: document }));
}

/** It is started on a disk as it was, or on an empty one; at the end the first one is put back as it was. */
async function otherDisk({ server }: SiteNode, fault: "stale" | "wipe"): Promise<Mend> {
  const { dataDir = "" } = server;
  const aside = `${dataDir}.aside`;
  await server.kill();
  await cp(dataDir, aside, { recursive: true });
  if (fault === "wipe") await server.wipe();
  await server.restart();
  return async () => {
    await server.kill();
    await server.wipe();
    for (const entry of await readdir(aside)) await rename(join(aside, entry), join(dataDir, entry));
    await rm(aside, { recursive: true });
    await server.restart();
  };
}

/** As each blob has a folder of its own, the server then hands out the bytes of the one under the name of the other. */
async function swapTwoBlobs(dataDir: string, choices: Seeded): Promise<void> {
  const names = await readdir(dataDir, { recursive: true });
  const blobs = names
    .filter((name) => /\/blobs\/(?!0{8})[0-9a-f]{8}\/[^/]+\/[^/]+\/xl\.meta$/.test(name))
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
