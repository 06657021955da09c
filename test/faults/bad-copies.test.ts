import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { type Copy, locate, metric, nodeReport } from "../support/admin.ts";
import { nodeName, startCluster } from "../support/clusters.ts";
import { eventually } from "../support/eventually.ts";
import { patternBytes } from "../support/files.ts";
import { flipOnDisk } from "../support/flip-on-disk.ts";
import type { Gateway } from "../support/gateway.ts";
import { Ledger } from "../support/ledger.ts";
import { read, runLoad, verifyAll } from "../support/load.ts";
import { clientOfNode, strictClientOf } from "../support/s3-client.ts";
import { runSeed } from "../support/seeded.ts";

/** Enough that every copy of two is read: the gateway may ask either. */
const READS = 40;
const REPORT_TIMEOUT_MS = 60_000;

/** The copy on a node, of an object of one extent. */
async function copyOn(gateway: Gateway, node: string): Promise<Copy> {
  const extents = await locate(gateway, "flipped", "k");
  const copy = extents[0]?.find((candidate) => candidate.node === node);
  assert.ok(copy !== undefined && extents.length === 1, `one copy on ${node}`);
  return copy;
}

/** The copy is said to be corrupt, or another one has taken its place already; and it was counted. */
async function assertReported(gateway: Gateway, before: Copy): Promise<void> {
  await eventually("the bad copy is reported", { timeoutMs: REPORT_TIMEOUT_MS }, async () => {
    const copies = (await locate(gateway, "flipped", "k")).flat();
    const now = copies.find((copy) => copy.location?.key === before.location?.key);
    assert.ok(now === undefined || now.state === "corrupt", JSON.stringify(copies));
    const counted = await metric(gateway, "bulkhead_bad_copies_total", { node: before.node ?? "", state: "corrupt" });
    assert.ok(counted > 0, "bulkhead_bad_copies_total counts it");
  });
}

const CONTENT = patternBytes(700_000, 20_261);

describe("a flipped byte", () => {
  test("in a volume file is never served and is reported", async () => {
    const cluster = await startCluster("volumes");
    assert.ok(!("skip" in cluster));
    await using scope = cluster;
    const { gateway } = scope;
    using client = strictClientOf(gateway);
    await client.send(new CreateBucketCommand({ Bucket: "flipped" }));
    await client.send(new PutObjectCommand({ Bucket: "flipped", Key: "k", Body: CONTENT }));
    const victim = await copyOn(gateway, "a1");
    // In the second block, so that the first is on its way to the client when the flip is met.
    const needle = CONTENT.subarray(300_000, 300_064);
    assert.equal(await flipOnDisk(join(gateway.dataDir, "nodes/a1"), needle), 1);
    for (let count = 0; count < READS; count++) assert.ok(CONTENT.equals(await bytesOf(client)), `read ${count}`);
    await assertReported(gateway, victim);
  });

  test("on a MinIO server's drive is never served and is reported", async (t) => {
    const cluster = await startCluster("two MinIO servers");
    if ("skip" in cluster) {
      t.skip(cluster.skip);
      return;
    }
    await using scope = cluster;
    const { gateway, minio } = scope;
    using client = strictClientOf(gateway);
    await client.send(new CreateBucketCommand({ Bucket: "flipped" }));
    await client.send(new PutObjectCommand({ Bucket: "flipped", Key: "k", Body: CONTENT }));
    const victim = await copyOn(gateway, nodeName(0));
    const drive = minio[0]?.dataDir;
    assert.ok(drive !== undefined);
    assert.equal(await flipOnDisk(drive, CONTENT.subarray(300_000, 300_064)), 1);
    for (let count = 0; count < READS; count++) assert.ok(CONTENT.equals(await bytesOf(client)), `read ${count}`);
    await assertReported(gateway, victim);
  });

  test("that a MinIO server does not notice itself is never served and is reported", async (t) => {
    const cluster = await startCluster("two MinIO servers");
    if ("skip" in cluster) {
      t.skip(cluster.skip);
      return;
    }
    await using scope = cluster;
    const { gateway, minio } = scope;
    using client = strictClientOf(gateway);
    await client.send(new CreateBucketCommand({ Bucket: "flipped" }));
    await client.send(new PutObjectCommand({ Bucket: "flipped", Key: "k", Body: CONTENT }));
    const victim = await copyOn(gateway, nodeName(0));
    const [server] = minio;
    assert.ok(victim.location !== null && server !== undefined);
    using direct = clientOfNode(server);
    const place = { Bucket: victim.location.container, Key: victim.location.key };
    const { Metadata } = await direct.send(new HeadObjectCommand(place));
    const lie = Buffer.from(CONTENT);
    lie[300_000] = (lie[300_000] ?? 0) ^ 1;
    await direct.send(new PutObjectCommand({ ...place, Body: lie, Metadata }));
    for (let count = 0; count < READS; count++) assert.ok(CONTENT.equals(await bytesOf(client)), `read ${count}`);
    await assertReported(gateway, victim);
  });

  async function bytesOf(client: ReturnType<typeof strictClientOf>): Promise<Buffer> {
    const bytes = await read(client, "flipped", "k");
    assert.ok(bytes !== "absent");
    return Buffer.from(bytes);
  }
});

describe("a MinIO server whose drive was emptied", () => {
  test("is replaced, not healthy; nothing is lost; foreign objects in the buckets stay as they are", async (t) => {
    const cluster = await startCluster("two MinIO servers");
    if ("skip" in cluster) {
      t.skip(cluster.skip);
      return;
    }
    await using scope = cluster;
    const { gateway, minio } = scope;
    const [kept, wiped] = minio;
    assert.ok(kept !== undefined && wiped !== undefined);
    using client = strictClientOf(gateway);
    using keptClient = clientOfNode(kept);
    const foreign = { Bucket: nodeName(0), Key: "somebody else's/object" };
    await keptClient.send(new PutObjectCommand({ ...foreign, Body: "foreign" }));
    const target = { client, bucket: "wiped", ledger: new Ledger() };
    await client.send(new CreateBucketCommand({ Bucket: target.bucket }));
    const load = {
      ...target,
      writers: 4,
      keysPerWriter: 20,
      mix: { put: 5, delete: 1, multipart: 1 },
      operations: 150,
    };
    await runLoad({ ...load, seed: runSeed() });

    await wiped.kill();
    await wiped.wipe();
    await wiped.restart();
    // The bucket is there again, with something in it that nobody told the gateway about.
    using wipedClient = clientOfNode(wiped);
    await wipedClient.send(new CreateBucketCommand({ Bucket: nodeName(1) })).catch(() => undefined);
    const newer = { Bucket: nodeName(1), Key: "newer/object" };
    await wipedClient.send(new PutObjectCommand({ ...newer, Body: "newer" }));
    await eventually("the node is known as replaced", { timeoutMs: REPORT_TIMEOUT_MS }, async () => {
      assert.equal((await nodeReport(gateway, nodeName(1))).state, "replaced");
    });
    await verifyAll(target);
    await runLoad({ ...load, seed: runSeed() + 1 });
    await verifyAll(target);

    for (const [direct, place, text] of [
      [keptClient, foreign, "foreign"],
      [wipedClient, newer, "newer"],
    ] as const) {
      const { Body } = await direct.send(new GetObjectCommand(place));
      assert.equal(await Body?.transformToString(), text);
    }
    const listed = await keptClient.send(new ListObjectsV2Command({ Bucket: nodeName(0), Delimiter: "/" }));
    assert.deepEqual(
      listed.CommonPrefixes?.map((item) => item.Prefix),
      [".bulkhead/", "somebody else's/"],
    );
  });
});
