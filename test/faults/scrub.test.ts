/**
 * Bytes that rot where no client reads, found by the scrub and replaced; and whatever scrub, comparison, repair and the
 * collection of orphans do, nothing happens to objects that somebody else put in the buckets (I11).
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { locate, metric, replicationReport } from "../support/admin.ts";
import { type Cluster, nodeName, startCluster } from "../support/clusters.ts";
import { eventually } from "../support/eventually.ts";
import { patternBytes } from "../support/files.ts";
import { flipOnDisk } from "../support/flip-on-disk.ts";
import { BULKHEAD, type Gateway } from "../support/gateway.ts";
import { read } from "../support/load.ts";
import { blobsOn } from "../support/node-contents.ts";
import { clientOfNode, strictClientOf } from "../support/s3-client.ts";

const PATIENCE = { timeoutMs: 60_000, intervalMs: 200 };
const CONTENT = patternBytes(700_000, 20_261);

interface NodeScrub {
  readonly node: string;
  readonly state: string;
  readonly last_pass: {
    readonly copies_verified: number;
    readonly corrupt: number;
    readonly lost: number;
    readonly ended_at: string;
  } | null;
  readonly comparison: {
    readonly ended_at: string;
    readonly lost: number;
    readonly unknown: number;
    readonly orphans: number;
  } | null;
  readonly foreign: { readonly names: readonly string[]; readonly count: number; readonly more: boolean } | null;
}

/** `bulkhead scrub` as an operator types it. */
async function scrub(gateway: Gateway, ...options: string[]): Promise<NodeScrub[]> {
  const { stdout } = await promisify(execFile)("sh", [BULKHEAD, "scrub", "--json", ...options], {
    env: {
      ...process.env,
      BULKHEAD_ADMIN_URL: gateway.adminUrl,
      BULKHEAD_ADMIN_API_KEY_FILE: join(gateway.dataDir, "keys/admin-api-key"),
    },
  });
  return (JSON.parse(stdout) as { nodes: NodeScrub[] }).nodes;
}

/** Asks for a scrub of every node and waits until all have come to their end. */
async function scrubAll(gateway: Gateway): Promise<NodeScrub[]> {
  const before = new Map((await scrub(gateway, "--start")).map((node) => [node.node, node]));
  return eventually("every node was scrubbed and compared", PATIENCE, async () => {
    const { nodes } = (await gateway.admin("/api/v1/storage/cluster/scrub")) as { nodes: NodeScrub[] };
    for (const { node, state, last_pass, comparison } of nodes) {
      const earlier = before.get(node);
      assert.equal(state, "idle", node);
      assert.ok(last_pass !== null && last_pass.ended_at !== earlier?.last_pass?.ended_at, node);
      assert.ok(comparison !== null && comparison.ended_at !== earlier?.comparison?.ended_at, node);
    }
    return nodes;
  });
}

function reportOf(nodes: readonly NodeScrub[], name: string): NodeScrub {
  return nodes.find(({ node }) => node === name) ?? assert.fail(`no node ${name}`);
}

async function assertRepaired(gateway: Gateway, key: string, badKey: string | undefined): Promise<void> {
  await eventually("the bad copy is replaced", PATIENCE, async () => {
    const copies = (await locate(gateway, "quiet", key)).flat();
    assert.deepEqual(
      copies.map(({ state }) => state),
      ["ok", "ok"],
    );
    assert.ok(copies.every(({ location }) => location?.key !== badKey));
  });
}

async function writeObjects(client: S3Client, keys: readonly string[]): Promise<void> {
  await client.send(new CreateBucketCommand({ Bucket: "quiet" }));
  for (const Key of keys) await client.send(new PutObjectCommand({ Bucket: "quiet", Key, Body: bodyOf(Key) }));
}

function bodyOf(key: string): Buffer {
  return Buffer.concat([Buffer.from(`${key} `), CONTENT]);
}

async function copyOn(gateway: Gateway, key: string, node: string): Promise<string> {
  const copy = (await locate(gateway, "quiet", key)).flat().find((candidate) => candidate.node === node);
  return copy?.location?.key ?? assert.fail(`${key} has no copy on ${node}`);
}

test("a flipped byte in a volume file that nobody reads is found by a scrub and replaced", async () => {
  const cluster = await startCluster("volumes");
  assert.ok(!("skip" in cluster));
  await using scope: Cluster = cluster;
  const { gateway } = scope;
  using client = strictClientOf(gateway);
  await writeObjects(client, ["k"]);
  const bad = await copyOn(gateway, "k", "a1");
  assert.equal(await flipOnDisk(join(gateway.dataDir, "nodes/a1"), CONTENT.subarray(300_000, 300_064)), 1);
  const nodes = await scrubAll(gateway);
  assert.equal(reportOf(nodes, "a1").last_pass?.corrupt, 1);
  assert.equal(reportOf(nodes, "b1").last_pass?.corrupt, 0);
  assert.deepEqual(reportOf(nodes, "a1").foreign?.names, []);
  await assertRepaired(gateway, "k", bad);
  assert.equal(await metric(gateway, "bulkhead_bad_copies_total", { node: "a1", state: "corrupt" }), 1);
  assert.ok((await metric(gateway, "bulkhead_scrub_bytes_total", { node: "b1" })) >= CONTENT.length);
  assert.equal(await metric(gateway, "bulkhead_foreign_objects", { node: "a1" }), 0);
  assert.ok(bodyOf("k").equals(Buffer.from((await read(client, "quiet", "k")) as Uint8Array)));
  assert.equal(reportOf(await scrubAll(gateway), "a1").last_pass?.corrupt, 0);
});

test("bytes that rot on MinIO are found and replaced, and what others keep there stays as it is", async (t) => {
  const cluster = await startCluster("two MinIO servers");
  if ("skip" in cluster) return t.skip(cluster.skip);
  await using scope: Cluster = cluster;
  const { gateway, minio } = scope;
  const [server] = minio;
  assert.ok(server !== undefined);
  const Bucket = nodeName(0);
  using client = strictClientOf(gateway);
  using direct = clientOfNode(server);
  await writeObjects(client, ["flipped", "overwritten", "removed", "good"]);

  const identity = await direct.send(new GetObjectCommand({ Bucket, Key: ".bulkhead/identity" }));
  const { clusterId } = JSON.parse((await identity.Body?.transformToString()) ?? "") as { clusterId: string };
  const foreign = new Map(
    [
      "photos/1.jpg",
      "photos/2.jpg",
      "ü %&?#",
      ".bulkheads",
      `.bulkhead/${clusterId}x`,
      `.bulkhead/${clusterId}y/blobs/00000001/00/${"0".repeat(32)}`,
      `.bulkhead/${"0".repeat(32)}/blobs/00000001/00/${"0".repeat(32)}`,
      ".bulkhead/identity.bak",
    ].map((Key, at) => [Key, patternBytes(1_000 + at, at)]),
  );
  for (const [Key, Body] of foreign) await direct.send(new PutObjectCommand({ Bucket, Key, Body }));
  const dates = await datesOf(direct, Bucket, foreign);

  // Three copies go bad in three ways. MinIO itself notices only the first.
  const bad = new Map<string, string>();
  for (const key of ["flipped", "overwritten", "removed"]) bad.set(key, await copyOn(gateway, key, Bucket));
  const drive = server.dataDir ?? assert.fail("the server's drive is not on this machine");
  assert.equal(await flipOnDisk(join(drive, Bucket, bad.get("flipped") ?? ""), CONTENT.subarray(300_000, 300_064)), 1);
  const place = { Bucket, Key: bad.get("overwritten") ?? "" };
  const { Metadata } = await direct.send(new HeadObjectCommand(place));
  const lie = bodyOf("overwritten").fill(7, 300_000, 300_001);
  await direct.send(new PutObjectCommand({ ...place, Body: lie, Metadata }));
  await direct.send(new DeleteObjectCommand({ Bucket, Key: bad.get("removed") ?? "" }));
  // Copies of the session that ends with the kill, which nothing names.
  const orphan = (await copyOn(gateway, "good", Bucket)).replace(/..\/[0-9a-f]{32}$/, `ff/${"f".repeat(32)}`);
  await direct.send(new PutObjectCommand({ Bucket, Key: orphan, Body: "orphan", Metadata }));
  await gateway.kill9();
  await gateway.start();

  const nodes = await scrubAll(gateway);
  const { last_pass: pass, comparison, foreign: found } = reportOf(nodes, Bucket);
  assert.equal(pass?.corrupt, 2);
  assert.ok((pass?.lost ?? 0) + (comparison?.lost ?? 0) >= 1, "either of the two finds the removed one, or both do");
  assert.deepEqual([found?.count, found?.more], [7, false]);
  assert.deepEqual(
    [...(found?.names ?? [])].sort(),
    [
      ".bulkhead/00000000000000000000000000000000/",
      `.bulkhead/${clusterId}x`,
      `.bulkhead/${clusterId}y/`,
      ".bulkhead/identity.bak",
      ".bulkheads",
      "photos/",
      "ü %&?#",
    ].sort(),
  );
  assert.equal(await metric(gateway, "bulkhead_foreign_objects", { node: Bucket }), 7);
  for (const [key, badKey] of bad) await assertRepaired(gateway, key, badKey);
  await eventually("the orphan is collected", PATIENCE, async () => {
    assert.ok((await replicationReport(gateway)).orphans_removed >= 1);
    assert.ok(!(await blobsOn(server, 0)).has(orphan));
  });
  for (const key of ["flipped", "overwritten", "removed", "good"]) {
    assert.ok(bodyOf(key).equals(Buffer.from((await read(client, "quiet", key)) as Uint8Array)), key);
  }
  const { last_pass: next } = reportOf(await scrubAll(gateway), Bucket);
  assert.deepEqual([next?.corrupt, next?.lost], [0, 0]);

  for (const [Key, bytes] of foreign) {
    const { Body } = await direct.send(new GetObjectCommand({ Bucket, Key }));
    assert.ok(bytes.equals(Buffer.from((await Body?.transformToByteArray()) ?? [])), Key);
  }
  assert.deepEqual(await datesOf(direct, Bucket, foreign), dates, "a foreign object was written again");
});

async function datesOf(client: S3Client, Bucket: string, keys: ReadonlyMap<string, unknown>): Promise<unknown[]> {
  const heads = [...keys.keys()].map((Key) => client.send(new HeadObjectCommand({ Bucket, Key })));
  return (await Promise.all(heads)).map(({ LastModified, ETag }) => [LastModified, ETag]);
}
