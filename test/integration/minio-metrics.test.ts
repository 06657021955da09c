/** Capacity and load of an S3 node over real MinIO servers with several drives. */
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { NodeFigures } from "../../src/nodes/node-figures.ts";
import { openS3Node, type ScrapedNode } from "../../src/nodes/s3/s3-node.ts";
import type { MetricsPlace } from "../../src/nodes/s3/s3-options.ts";
import { Secret } from "../../src/shared/secret.ts";
import { assertFails } from "../contract/storage-node-contract.ts";
import { eventually } from "../support/eventually.ts";
import { temporaryFolder } from "../support/files.ts";
import { type MinioOptions, type MinioServer, startMinio } from "../support/find-minio.ts";
import { driveBytes, PUBLIC_METRICS, prometheusToken } from "../support/minio-metrics.ts";
import { failedChecks, minioOptions, onlyServer, putCopy, readCopy } from "../support/s3-nodes.ts";
import { smallDisk } from "../support/small-disk.ts";

const MIB = 1_048_576;
const HANG_MS = 120_000;
const NODE_PATH = "/minio/v2/metrics/node";
/** MinIO counts requests every ten seconds and looks at its drives every minute, and answers with what it saw then. */
const MINIO_CACHE_MS = 90_000;

interface Subject {
  readonly server: MinioServer;
  readonly drives: readonly string[];
  /** A node of the server, admitted. */
  node(metrics: MetricsPlace): Promise<ScrapedNode>;
}

/** A server over disks of its own, each of another size, where this machine lets us make them. */
async function overDrives(
  t: TestContext,
  options: Omit<MinioOptions, "count" | "drives"> & { readonly mebibytes: readonly number[] },
  run: (subject: Subject) => Promise<void>,
): Promise<void> {
  const { mebibytes, ...server } = options;
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder());
  const drives = mebibytes.map((_, index) => join(folder.path, `drive${index}`));
  for (const [index, path] of drives.entries()) {
    await mkdir(path);
    const disk = await smallDisk(path, { mebibytes: mebibytes[index] ?? 0 }, t);
    if (disk === undefined) return;
    stack.use(disk);
  }
  const found = await startMinio({ ...server, count: 1, drives });
  const started = onlyServer(found);
  if ("skip" in started) return t.skip(started.skip);
  stack.defer(() => started.close());
  await run({
    server: started,
    drives,
    async node(metrics) {
      const node = openS3Node(minioOptions(started, { metrics }));
      stack.defer(() => node.close());
      assert.deepEqual(failedChecks(await node.probe("admission")), []);
      return node;
    },
  });
}

const SIZES: readonly number[] = [256, 384, 512, 640];

async function sumOf(drives: readonly string[]): Promise<{ totalBytes: number; freeBytes: number }> {
  const all = await Promise.all(drives.map(driveBytes));
  const sum = (of: "totalBytes" | "freeBytes"): number => all.reduce((total, drive) => total + drive[of], 0);
  return { totalBytes: sum("totalBytes"), freeBytes: sum("freeBytes") };
}

/** What the metrics say once MinIO has looked at its drives again. */
async function untilTold(node: ScrapedNode, check: (figures: NodeFigures) => void): Promise<void> {
  await eventually("the metrics tell it", { timeoutMs: MINIO_CACHE_MS }, async () => check(await node.scrape()));
}

test("G15: the capacity of a server is that of all its drives together", { timeout: HANG_MS }, async (t) => {
  await overDrives(t, { mebibytes: SIZES, env: PUBLIC_METRICS }, async ({ node: open, drives, server }) => {
    const node = await open({ path: NODE_PATH });
    const { totalBytes } = await sumOf(drives);
    assert.equal(totalBytes, SIZES.reduce((sum, size) => sum + size) * MIB);
    // With parity it takes up twice as much.
    await putCopy(node, 32 * MIB);
    // It looks at its drives when it starts.
    await server.kill();
    await server.restart();
    await untilTold(node, ({ capacity }) => assert.equal(capacity?.totalBytes, totalBytes));
    const { freeBytes } = await sumOf(drives);
    const capacity = await node.capacity();
    assert.ok(capacity !== undefined && capacity.usedBytes > 60 * MIB, JSON.stringify(capacity));
    // What MinIO writes by itself meanwhile is a few KiB.
    assert.ok(Math.abs(capacity.freeBytes - freeBytes) < 8 * MIB, `${capacity.freeBytes} of ${freeBytes}`);
    assert.equal(capacity.usedBytes, capacity.totalBytes - capacity.freeBytes);
  });
});

test("every path under which MinIO serves metrics is understood", { timeout: HANG_MS }, async (t) => {
  await overDrives(t, { mebibytes: SIZES, env: PUBLIC_METRICS }, async ({ node: open, drives }) => {
    const raw = (await sumOf(drives)).totalBytes;
    const totals = new Map<string, number | undefined>();
    for (const path of ["/minio/v2/metrics/node", "/minio/metrics/v3/system/drive", "/minio/v2/metrics/resource"]) {
      const node = await open({ path });
      await untilTold(node, ({ capacity }) => assert.equal(capacity?.totalBytes, raw, path));
    }
    for (const path of ["/minio/v2/metrics/cluster", "/minio/metrics/v3/cluster/health", "/minio/metrics/v3"]) {
      const node = await open({ path });
      await untilTold(node, ({ capacity }) => assert.ok(capacity !== undefined, path));
      totals.set(path, (await node.capacity())?.totalBytes);
    }
    // What is usable of a set of drives is less than they hold, and is told alike everywhere.
    assert.equal(new Set(totals.values()).size, 1, JSON.stringify([...totals]));
    for (const total of totals.values()) assert.ok(total !== undefined && total < raw);
  });
});

test("requests under way are counted, whoever sent them", { timeout: HANG_MS }, async (t) => {
  await overDrives(t, { mebibytes: SIZES, env: PUBLIC_METRICS }, async ({ node: open }) => {
    const node = await open({ path: NODE_PATH });
    assert.deepEqual((await node.scrape()).waiting, 0);
    // More than the buffers take between a server in a container and here: it would be done, and nothing under way.
    const copies = await Promise.all([1, 2, 3].map(() => putCopy(node, 64 * MIB)));
    const reads = await Promise.all(copies.map(({ key, bytes }) => node.get(key, { start: 0, end: bytes.length })));
    // Read as far as its first chunk, each keeps its request under way until it is let go.
    const iterators = reads.map((read) => read[Symbol.asyncIterator]());
    for (const iterator of iterators) await iterator.next();
    await untilTold(node, ({ inflight }) => assert.ok((inflight ?? 0) >= 3, `${inflight}`));
    for (const iterator of iterators) await iterator.return?.();
    await untilTold(node, ({ inflight }) => assert.equal(inflight, 0));
  });
});

test("a server that wants a token tells nothing without it, and all with it", { timeout: HANG_MS }, async (t) => {
  await overDrives(t, { mebibytes: SIZES, tls: true }, async ({ node: open, server, drives }) => {
    const { totalBytes } = await sumOf(drives);
    const right = await open({ path: NODE_PATH, token: new Secret(prometheusToken(server)) });
    await untilTold(right, ({ capacity }) => assert.equal(capacity?.totalBytes, totalBytes));
    const wrong = new Secret(prometheusToken({ ...server, secretKey: "another secret" }));
    for (const place of [{ path: NODE_PATH }, { path: NODE_PATH, token: wrong }]) {
      const node = await open(place);
      await assertFails(node.scrape(), "access-denied");
      assert.equal(await node.capacity(), undefined);
      const { key, bytes } = await putCopy(node, 100);
      assert.deepEqual(await readCopy(node, key, 0, 100), Buffer.from(bytes));
    }
  });
});

test("where there are no metrics, the node cannot tell its capacity and serves as before", {
  timeout: HANG_MS,
}, async (t) => {
  await overDrives(t, { mebibytes: SIZES, env: PUBLIC_METRICS }, async ({ node: open }) => {
    for (const path of ["/minio/v2/metrics/nothing", "/minio/health/live", "/minio/v2/metrics/bucket"]) {
      const node = await open({ path });
      await assert.rejects(node.scrape(), path);
      assert.equal(await node.capacity(), undefined, path);
      await putCopy(node, 100);
    }
  });
});
