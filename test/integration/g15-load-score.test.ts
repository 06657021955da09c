/**
 * G15: the load score always 0.5, only the first series of a metric read. A gateway as a process, over real MinIO servers
 * with two drives each.
 */
import assert from "node:assert/strict";
import { mkdir, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { CreateBucketCommand, GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from "@aws-sdk/client-s3";
import { eventually } from "../support/eventually.ts";
import { temporaryFolder } from "../support/files.ts";
import { type MinioServer, startMinio } from "../support/find-minio.ts";
import { BULKHEAD, type Gateway, startGateway } from "../support/gateway.ts";
import { PUBLIC_METRICS, prometheusToken } from "../support/minio-metrics.ts";
import { runProgram } from "../support/programs.ts";
import { clientOf, clientOfNode } from "../support/s3-client.ts";
import { onlyServer } from "../support/s3-nodes.ts";
import { smallDisk } from "../support/small-disk.ts";

const MIB = 1_048_576;
const HANG_MS = 180_000;
const SOON = { timeoutMs: 60_000 };

interface Worker {
  readonly name: string;
  readonly state: string;
  readonly accepts_writes: boolean;
  readonly total_bytes: number | null;
  readonly used_bytes: number | null;
  readonly load_score: number;
  readonly capacity_source: string | null;
  readonly scraped_at: string | null;
  readonly scrape_error: string | null;
}

interface Node {
  readonly name: string;
  readonly domain: string;
  readonly server: MinioServer;
  readonly drives: readonly string[];
  readonly metricsToken?: string;
}

interface ServerSettings {
  readonly domain: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Of each drive. */
  readonly mebibytes: readonly number[];
  readonly metricsToken?: (server: MinioServer) => string;
}

/** Servers over disks of memory, each a node named `node0`, `node1` and so on; nothing where such disks cannot be made. */
async function startNodes(
  t: TestContext,
  stack: AsyncDisposableStack,
  all: readonly ServerSettings[],
): Promise<Node[] | undefined> {
  const folder = stack.use(await temporaryFolder());
  const nodes: Node[] = [];
  for (const [index, { domain, env, mebibytes, metricsToken }] of all.entries()) {
    const drives = mebibytes.map((_, drive) => join(folder.path, `node${index}-drive${drive}`));
    for (const [drive, path] of drives.entries()) {
      await mkdir(path);
      const disk = await smallDisk(path, { mebibytes: mebibytes[drive] ?? 0 }, t);
      if (disk === undefined) return undefined;
      stack.use(disk);
    }
    const server = onlyServer(await startMinio({ count: 1, drives, ...(env === undefined ? {} : { env }) }));
    if ("skip" in server) {
      t.skip(server.skip);
      return undefined;
    }
    stack.defer(() => server.close());
    const token = metricsToken === undefined ? {} : { metricsToken: metricsToken(server) };
    nodes.push({ name: `node${index}`, domain, server, drives, ...token });
  }
  return nodes;
}

function startOver(nodes: readonly Node[]): Promise<Gateway> {
  const storage = {
    delete: { grace: "1s" },
    health: { "interval-seconds": 1 },
    metrics: { "cache-seconds": 1 },
    "active-domains": [...new Set(nodes.map(({ domain }) => domain))],
    nodes: nodes.map(({ name, domain, server, metricsToken }) => ({
      name,
      endpoint: server.endpoint,
      accessKey: server.accessKey,
      secretKey: server.secretKey,
      faultDomain: domain,
      ...(metricsToken === undefined ? {} : { metricsToken }),
    })),
  };
  return startGateway({ config: { storage } });
}

async function workersOf(gateway: Gateway): Promise<ReadonlyMap<string, Worker>> {
  const { workers } = (await gateway.admin("/api/v1/storage/cluster/workers")) as { readonly workers: Worker[] };
  return new Map(workers.map((worker) => [worker.name, worker]));
}

function named(workers: ReadonlyMap<string, Worker>, name: string): Worker {
  return workers.get(name) ?? assert.fail(`there is no ${name}`);
}

test("G15: a server's drives are summed and its score is its own; a token, none and a refusal", {
  timeout: HANG_MS,
}, async (t) => {
  await using stack = new AsyncDisposableStack();
  const nodes = await startNodes(t, stack, [
    { domain: "a", mebibytes: [256, 512], env: PUBLIC_METRICS },
    { domain: "b", mebibytes: [384, 640], metricsToken: prometheusToken },
    { domain: "c", mebibytes: [256, 256] },
  ]);
  if (nodes === undefined) return;
  const gateway = stack.use(await startOver(nodes));
  const workers = await eventually("two of the nodes told of themselves", SOON, async () => {
    const found = await workersOf(gateway);
    assert.equal(named(found, "node0").total_bytes, 768 * MIB);
    assert.equal(named(found, "node1").total_bytes, 1_024 * MIB);
    assert.notEqual(named(found, "node2").scrape_error, null);
    return found;
  });
  for (const name of ["node0", "node1"]) {
    const { capacity_source, load_score, scraped_at, scrape_error } = named(workers, name);
    assert.deepEqual([capacity_source, scrape_error], ["scraped", null]);
    assert.notEqual(scraped_at, null);
    assert.ok(load_score < 0.1, `${name}: ${load_score}`);
  }
  const refused = named(workers, "node2");
  assert.equal(refused.scrape_error, "the node does not tell its metrics without a token (403)");
  assert.deepEqual([refused.state, refused.accepts_writes, refused.total_bytes], ["online", true, null]);
  const said = gateway.output.split("\n").filter((line) => line.includes("metrics cannot be read"));
  assert.equal(said.length, 1, said.join("\n"));

  const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  assert.match(
    metrics,
    new RegExp(`^s3_node_capacity_bytes\\{node="node0",domain="a",kind="total"\\} ${768 * MIB}$`, "m"),
  );
  assert.match(metrics, /^s3_node_scrape_failures_total\{node="node2"\} [1-9]/m);
  assert.doesNotMatch(metrics, /^s3_node_capacity_bytes\{node="node2"/m);
  const { stdout } = await runProgram("sh", [BULKHEAD, "nodes"], {
    env: {
      BULKHEAD_ADMIN_URL: gateway.adminUrl,
      BULKHEAD_ADMIN_API_KEY_FILE: join(gateway.dataDir, "keys/admin-api-key"),
    },
  });
  assert.match(stdout, /^node0 .* \(0 %\) +768\.0 MiB/m);
});

test("a server that is nearly full takes no new copies, and what it holds is still read", {
  timeout: HANG_MS,
}, async (t) => {
  await using stack = new AsyncDisposableStack();
  const nodes = await startNodes(t, stack, [
    { domain: "a", mebibytes: [256, 256], env: PUBLIC_METRICS },
    { domain: "a", mebibytes: [256, 256], env: PUBLIC_METRICS },
    { domain: "b", mebibytes: [512, 512], env: PUBLIC_METRICS },
  ]);
  const [filled] = nodes ?? [];
  if (nodes === undefined || filled === undefined) return;
  const gateway = stack.use(await startOver(nodes));
  using client = clientOf(gateway);
  using onFilled = clientOfNode(filled.server);
  const copiesOnFilled = async (): Promise<number> =>
    (await onFilled.send(new ListObjectsV2Command({ Bucket: filled.name }))).Contents?.filter(({ Key = "" }) =>
      /\/blobs\/(?!0{8})/.test(Key),
    ).length ?? 0;
  const write = async (from: number, to: number): Promise<void> => {
    for (let i = from; i < to; i++) {
      await client.send(new PutObjectCommand({ Bucket: "box", Key: `k${i}`, Body: Buffer.alloc(20_000, i) }));
    }
  };
  await client.send(new CreateBucketCommand({ Bucket: "box" }));
  await write(0, 30);
  const before = await copiesOnFilled();
  assert.ok(before > 0, "the node takes copies while it has room");

  for (const drive of filled.drives) {
    const { bsize, blocks, bavail } = await statfs(drive);
    const leave = Math.round(0.03 * blocks);
    await writeFile(join(drive, "somebody-elses"), Buffer.alloc((bavail - leave) * bsize));
  }
  // It looks at its drives every minute, and when it starts.
  await filled.server.kill();
  await filled.server.restart();
  await eventually("the node is known to be full", SOON, async () => {
    const worker = named(await workersOf(gateway), filled.name);
    assert.equal(worker.state, "online");
    assert.ok((worker.used_bytes ?? 0) > 0.95 * (worker.total_bytes ?? 1));
    assert.equal(worker.accepts_writes, false);
    assert.ok(worker.load_score > 0.35, `${worker.load_score}`);
  });
  assert.match(gateway.output, /a node's capacity changed/);
  const full = await copiesOnFilled();
  await write(30, 60);
  assert.equal(await copiesOnFilled(), full, "it was given no more");
  for (let i = 0; i < 60; i++) {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: "box", Key: `k${i}` }));
    assert.deepEqual(Buffer.from((await Body?.transformToByteArray()) ?? []), Buffer.alloc(20_000, i));
  }
});
