import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { test } from "node:test";
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { type Cluster, closeAll, startServers, storageOver } from "../support/clusters.ts";
import { patternBytes } from "../support/files.ts";
import { startGateway } from "../support/gateway.ts";
import { inParallel } from "../support/in-parallel.ts";
import { watchMemory } from "../support/memory.ts";
import { strictClientOf } from "../support/s3-client.ts";
import { MIB } from "../support/sizes.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";

/** The promise: all gateway processes together, whatever the clients and the slowest node do. */
const ANONYMOUS_BYTES_MAX = 512 * MIB;
const SLOW_BYTES_PER_SECOND = 5e6;
const PIECE = patternBytes(MIB, 77);

/** A body made as it is read, so that the test itself holds none of it. */
function body(bytes: number): Readable {
  return Readable.from(
    (function* () {
      for (let sent = 0; sent < bytes; sent += PIECE.length)
        yield PIECE.subarray(0, Math.min(PIECE.length, bytes - sent));
    })(),
    { objectMode: false },
  );
}

function digestOfBody(bytes: number): string {
  const hash = createHash("sha256");
  for (let done = 0; done < bytes; done += PIECE.length) hash.update(PIECE);
  return hash.digest("hex");
}

async function upload(client: S3Client, Key: string, ContentLength: number): Promise<void> {
  await client.send(new PutObjectCommand({ Bucket: "large", Key, Body: body(ContentLength), ContentLength }));
}

async function download(client: S3Client, Key: string): Promise<string> {
  const { Body } = await client.send(new GetObjectCommand({ Bucket: "large", Key }));
  const hash = createHash("sha256");
  for await (const piece of Body as Readable) hash.update(piece as Uint8Array);
  return hash.digest("hex");
}

interface Case {
  readonly servers: number;
  readonly transfers: number;
  readonly bytes: number;
}

/** The cluster with node 0 behind a proxy that lets 5 MB/s through. */
async function withSlowNode(servers: number, run: (cluster: Cluster) => Promise<void>): Promise<string | undefined> {
  const minio = await startServers(servers);
  if ("skip" in minio) return minio.skip;
  const [first] = minio;
  assert.ok(first !== undefined);
  try {
    await using proxy = await TcpProxy.start(first.endpoint);
    const storage = storageOver(minio, { endpoints: new Map([[0, proxy.url]]) });
    await using gateway = await startGateway({ config: { storage } });
    proxy.faults = { bytesPerSecond: SLOW_BYTES_PER_SECOND };
    await run({ gateway, minio, [Symbol.asyncDispose]: async () => {} });
  } finally {
    await closeAll(minio);
  }
  return undefined;
}

for (const { servers, transfers, bytes } of [
  { servers: 3, transfers: 16, bytes: 256 * MIB },
  { servers: 2, transfers: 8, bytes: 32 * MIB },
] satisfies Case[]) {
  const what = `${transfers} uploads and downloads of ${bytes / MIB} MiB at a time over ${servers} domains`;
  test(`${what}, one at 5 MB/s, stay below ${ANONYMOUS_BYTES_MAX / MIB} MiB of anonymous memory`, async (t) => {
    const skip = await withSlowNode(servers, async ({ gateway }) => {
      using client = strictClientOf(gateway);
      await client.send(new CreateBucketCommand({ Bucket: "large" }));
      const keys = Array.from({ length: transfers }, (_, index) => `object-${index}`);
      const expected = digestOfBody(bytes);
      using memory = watchMemory(gateway.pid);
      await inParallel(transfers, keys, async (key) => upload(client, key, bytes));
      const afterUploads = memory.peakBytes;
      await inParallel(transfers, keys, async (key) => assert.equal(await download(client, key), expected));
      t.diagnostic(
        `peak ${Math.round(afterUploads / MIB)} MiB uploading, ${Math.round(memory.peakBytes / MIB)} MiB in all`,
      );
      assert.ok(memory.peakBytes < ANONYMOUS_BYTES_MAX, `${Math.round(memory.peakBytes / MIB)} MiB at the peak`);
    });
    if (skip !== undefined) t.skip(skip);
  });
}
