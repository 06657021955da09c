/** URLs of copies, as a real MinIO server honours them. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { type DirectNode, directNode } from "../../src/nodes/s3/direct-node.ts";
import { openS3Node } from "../../src/nodes/s3/s3-node.ts";
import type { StorageNode } from "../../src/nodes/storage-node.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { Secret } from "../../src/shared/secret.ts";
import { CONTRACT_CLUSTER_ID } from "../contract/storage-node-contract.ts";
import { startMinio } from "../support/find-minio.ts";
import { clientOfNode } from "../support/s3-client.ts";
import { minioOptions, onlyServer, putCopy } from "../support/s3-nodes.ts";

const server = onlyServer(await startMinio({ count: 1 }));
const skip = "skip" in server ? server.skip : false;

after(async () => {
  if (!("skip" in server)) await server.close();
});

interface World extends AsyncDisposable {
  readonly node: StorageNode;
  /** By another name of the server than the gateway's. */
  readonly direct: DirectNode;
}

async function openWorld(): Promise<World> {
  assert.ok(!("skip" in server));
  const options = minioOptions(server);
  using client = clientOfNode(server);
  await client.send(new CreateBucketCommand({ Bucket: options.bucket }));
  const { endpoint, bucket, accessKey, secretKey, region } = options;
  const direct = directNode({
    clusterId: CONTRACT_CLUSTER_ID,
    endpoint,
    externalEndpoint: endpoint.replace("127.0.0.1", "localhost"),
    bucket,
    keys: { accessKey, secretKey: new Secret(secretKey), region },
  });
  const node = openS3Node(options);
  return { node, direct, [Symbol.asyncDispose]: () => node.close() };
}

const HEADERS = [
  ["content-type", "text/x; charset=utf-8"],
  ["content-disposition", 'attachment; filename="a b+c%d&e=f.txt"'],
  ["cache-control", "max-age=1, private"],
  ["content-language", "de, en"],
  ["content-encoding", "x-none"],
  ["expires", "Wed, 21 Oct 2026 07:28:00 GMT"],
] as const;

test("G16: a copy is read at its node's external endpoint with every header asked for, as HEAD said", {
  skip,
}, async () => {
  await using world = await openWorld();
  const { node, direct } = world;
  const { key, bytes } = await putCopy(node, 300_000, true);
  const url = direct.sign(key, { method: "GET", nowMs: systemClock.nowMs(), expiresSeconds: 60, headers: HEADERS });
  assert.match(url, /^http:\/\/localhost:/);
  const answer = await fetch(url);
  assert.equal(answer.status, 200);
  assert.ok(Buffer.from(await answer.arrayBuffer()).equals(bytes));
  for (const [name, value] of HEADERS) assert.equal(answer.headers.get(name), value);
  const served = (await node.head(key))?.served ?? assert.fail("HEAD says nothing of the object");
  assert.equal(answer.headers.get("etag"), `"${served.etag}"`);
  assert.equal(Date.parse(answer.headers.get("last-modified") ?? ""), served.modifiedAtMs);
  assert.equal(served.contentEncoding, undefined);
});

test("G16: a URL is refused when it has expired, at another endpoint and for another method", { skip }, async () => {
  await using world = await openWorld();
  const { node, direct } = world;
  const { key } = await putCopy(node, 100);
  const sign = (ageMs: number): string => {
    const nowMs = systemClock.nowMs() - ageMs;
    return direct.sign(key, { method: "GET", nowMs, expiresSeconds: 60, headers: [] });
  };
  const status = async (url: string, method = "GET"): Promise<number> => {
    const answer = await fetch(url, { method });
    await answer.arrayBuffer();
    return answer.status;
  };
  assert.equal(await status(sign(30_000)), 200);
  const expired = await fetch(sign(62_000));
  assert.equal(expired.status, 403);
  assert.match(await expired.text(), /<Code>AccessDenied<\/Code><Message>Request has expired/);
  assert.equal(await status(sign(0).replace("localhost", "127.0.0.1")), 403);
  assert.equal(await status(sign(0), "DELETE"), 403);
  assert.equal(await status(sign(0).replace(key.slice(-4), "0000")), 403);
});
