/** S3 nodes over the fake service and over MinIO, for tests of the driver. */
import assert from "node:assert/strict";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { openS3Node } from "../../src/nodes/s3/s3-node.ts";
import type { S3NodeOptions } from "../../src/nodes/s3/s3-options.ts";
import type { CopyKey, ProbeFinding, PutProof, StorageNode } from "../../src/nodes/storage-node.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { idSource } from "../../src/shared/ids.ts";
import { systemRandom } from "../../src/shared/random.ts";
import { CONTRACT_CLUSTER_ID } from "../contract/storage-node-contract.ts";
import { blocksOf, collect, copyKey, headerFor, patternBytes, streamOf } from "./blobs.ts";
import { type FakeS3, type FakeS3Traits, startFakeS3 } from "./fake-s3.ts";
import type { MinioServer, MinioServers, Skip } from "./find-minio.ts";

const random = systemRandom();
const ids = idSource(systemClock, random);

export interface FakeSubject {
  readonly fake: FakeS3;
  readonly node: StorageNode;
}

/** The node's options for its bucket `bucket` at this address. */
export function fakeOptions(endpoint: string, options: Partial<S3NodeOptions> = {}): S3NodeOptions {
  return {
    name: "fake",
    endpoint,
    bucket: "bucket",
    region: "us-east-1",
    accessKey: "access",
    secretKey: "the-secret",
    clusterId: CONTRACT_CLUSTER_ID,
    clock: systemClock,
    random,
    ...options,
  };
}

/** A node over a fake service that has its bucket; both end with the test. */
export async function startFakeNode(
  t: TestContext,
  traits: Partial<FakeS3Traits> = {},
  options: Partial<S3NodeOptions> = {},
): Promise<FakeSubject> {
  const fake = await startFakeS3(traits);
  fake.buckets.set("bucket", new Map());
  const node = openS3Node(fakeOptions(fake.endpoint, options));
  t.after(async () => {
    await node.close();
    await fake[Symbol.asyncDispose]();
  });
  return { fake, node };
}

export interface StoredCopy {
  readonly key: CopyKey;
  readonly bytes: Uint8Array;
  readonly proof: PutProof;
}

/** Puts a new copy of `length` bytes. */
export async function putCopy(node: StorageNode, length: number, streamed = false): Promise<StoredCopy> {
  const key = copyKey(1, random);
  const bytes = patternBytes(length, length);
  const blocks = blocksOf(bytes);
  const header = headerFor(key, length, random, CONTRACT_CLUSTER_ID);
  const { proof } = await node.put({ key, header, blocks: streamed ? streamOf(blocks) : blocks });
  return { key, bytes, proof };
}

export async function readCopy(node: StorageNode, key: CopyKey, start: number, end: number): Promise<Buffer> {
  return collect(await node.get(key, { start, end }));
}

/** The one server that was started, or why there is none. */
export function onlyServer(found: MinioServers | Skip): MinioServer | Skip {
  return "skip" in found ? found : (found.servers[0] ?? { skip: "no server was started" });
}

/** Options of a node with a bucket of its own, so that tests over one server do not meet. */
export function minioOptions(server: MinioServer, options: Partial<S3NodeOptions> = {}): S3NodeOptions {
  return {
    name: "minio",
    endpoint: server.endpoint,
    bucket: `node-${ids.next()}`,
    region: "us-east-1",
    accessKey: server.accessKey,
    secretKey: server.secretKey,
    clusterId: CONTRACT_CLUSTER_ID,
    clock: systemClock,
    random,
    ...(server.ca === undefined ? {} : { ca: server.ca }),
    ...options,
  };
}

/** The names of the checks that did not pass. */
export function failedChecks(findings: readonly ProbeFinding[]): string[] {
  return findings.filter(({ passed }) => !passed).map(({ check }) => check);
}

/**
 * Flips a bit of a copy on MinIO's drive.
 * @param bucketFolder the bucket's folder on the drive
 * @param needle bytes of the copy at the place, long enough to occur once
 */
export async function flipBitOnDrive(bucketFolder: string, key: CopyKey, needle: Uint8Array): Promise<void> {
  const [session = "", name = ""] = key.split("/");
  const folder = join(bucketFolder, ".bulkhead", CONTRACT_CLUSTER_ID, "blobs", session, name.slice(0, 2), name);
  for (const entry of await readdir(folder, { recursive: true })) {
    const path = join(folder, entry);
    if (!(await stat(path)).isFile()) continue;
    // Small objects lie in MinIO's metadata file, larger ones in files of their own.
    const content = await readFile(path);
    const at = content.indexOf(needle);
    if (at < 0) continue;
    content[at] = (content[at] ?? 0) ^ 1;
    await writeFile(path, content);
    return;
  }
  assert.fail("MinIO's file of the copy was not found");
}
