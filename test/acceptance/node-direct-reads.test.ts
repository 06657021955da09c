/** Reads from MinIO nodes past the gateway: redirects, and URLs that an operator gives out. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { CreateBucketCommand, DeleteObjectCommand, HeadObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { closeAll, domainName, nodeName, startServers } from "../support/clusters.ts";
import { eventually } from "../support/eventually.ts";
import type { MinioServer } from "../support/find-minio.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { bulkhead } from "../support/gateway-cli.ts";
import { blobsOn } from "../support/node-contents.ts";
import { missingPrograms, runProgram, succeed } from "../support/programs.ts";
import { clientOf, strictClientOf } from "../support/s3-client.ts";

const missing = missingPrograms("curl", "python3");
const BYTES = Buffer.from(Array.from({ length: 700_000 }, (_, at) => (at * 31 + (at >> 8)) % 256));
const PATIENCE = { timeoutMs: 90_000, intervalMs: 500 };

const PYTHON_READ = `
import hashlib, sys
try:
    import requests
except ImportError:
    sys.exit(77)
answer = requests.get(sys.argv[1])
print(answer.status_code, hashlib.sha256(answer.content).hexdigest(), len(answer.history), answer.headers["content-type"])
`;

/** Two MinIO nodes, each known to others by a name that the gateway itself does not use. */
function storage(servers: readonly MinioServer[], grace: string): object {
  return {
    "active-domains": servers.map((_, index) => domainName(index)),
    delete: { grace },
    nodes: servers.map((server, index) => ({
      name: nodeName(index),
      endpoint: server.endpoint,
      accessKey: server.accessKey,
      secretKey: server.secretKey,
      faultDomain: domainName(index),
      externalEndpoint: server.endpoint.replace("127.0.0.1", "localhost"),
    })),
  };
}

describe("reads from nodes", { skip: missing ?? false }, () => {
  let servers: Awaited<ReturnType<typeof startServers>> = [];
  before(async () => {
    servers = await startServers(2);
  });
  after(async () => {
    if (!("skip" in servers)) await closeAll(servers);
  });

  async function open(grace: string): Promise<{ gateway: Gateway; minio: readonly MinioServer[] } | undefined> {
    if ("skip" in servers) return undefined;
    // A catalog of its own finds no node that is another cluster's.
    for (const server of servers) {
      if (!server.controllable) return undefined;
      await server.kill();
      await server.wipe();
      await server.restart();
    }
    const gateway = await startGateway({ config: { storage: storage(servers, grace) } });
    return { gateway, minio: servers };
  }

  test("a presigned read of a bucket that wants it is sent on, and curl and requests get the same bytes", async (t) => {
    const opened = await open("10min");
    if (opened === undefined) return t.skip("no MinIO servers that can be controlled");
    await using gateway = opened.gateway;
    using client = strictClientOf(gateway);
    await client.send(new CreateBucketCommand({ Bucket: "box" }));
    const put = { Bucket: "box", Key: "a b", Body: BYTES };
    await client.send(new PutObjectCommand({ ...put, ContentType: "text/x", CacheControl: "max-age=5" }));
    const url = await bulkhead(gateway, "presign", "s3://box/a b");
    assert.match(await headOf(gateway, url), /^HTTP\/1.1 200 /);

    assert.match(await bulkhead(gateway, "buckets", "set", "box", "--read-redirect", "on"), /^box .* on$/m);
    // Not before the second of the copies' own Last-Modified is over.
    const head = await eventually("reads are sent on", PATIENCE, async () => {
      const answer = await headOf(gateway, url);
      assert.match(answer, /^HTTP\/1.1 307 /);
      return answer;
    });
    const location = new URL(/^location: (.*)\r$/im.exec(head)?.[1] ?? "");
    assert.equal(location.hostname, "localhost");
    assert.equal(location.searchParams.get("X-Amz-Expires"), "60");
    const out = join(gateway.dataDir, "out");
    const followed = await succeed("curl", ["-sS", "-f", "-L", "-D", "-", "-o", out, url]);
    assert.ok((await readFile(out)).equals(BYTES));
    const { ETag } = await client.send(new HeadObjectCommand({ Bucket: "box", Key: "a b" }));
    const final = followed.slice(followed.lastIndexOf("HTTP/1.1"));
    assert.match(final, /^server: MinIO\r$/im);
    assert.match(final, /^content-type: text\/x\r$/im);
    assert.match(final, /^cache-control: max-age=5\r$/im);
    assert.ok(final.toLowerCase().includes(`etag: ${ETag}`.toLowerCase()), final);
    const python = await runProgram("python3", ["-c", PYTHON_READ, url]);
    if (python.code !== 77) assert.equal(python.stdout.trim(), `200 ${sha256(BYTES)} 1 text/x`);

    // What the node's answer would lack, or a client would not repeat there, is served here.
    await succeed("curl", ["-sS", "-f", "-r", "0-9", "-o", out, url]);
    assert.ok((await readFile(out)).equals(BYTES.subarray(0, 10)));
    await client.send(new PutObjectCommand({ ...put, Key: "m", Metadata: { colour: "blue" } }));
    const withMetadata = await headOf(gateway, await bulkhead(gateway, "presign", "s3://box/m"));
    assert.match(withMetadata, /^HTTP\/1.1 200 [\s\S]*^x-amz-meta-colour: blue\r$/m);
    const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
    assert.match(metrics, /^bulkhead_read_redirects_total\{node="node-[ab]"\} [1-9]/m);
    assert.match(metrics, /^bulkhead_read_redirects_declined_total\{reason="metadata"\} 1$/m);

    // A node that goes away is sent no reader; with none left the gateway answers as ever.
    await opened.minio[0]?.kill();
    await opened.minio[1]?.kill();
    const away = await succeed("curl", ["-sS", "-L", "-o", out, "-w", "%{http_code}", url]);
    assert.equal(away, "503");
  });

  test("a URL that an operator gave out serves a deleted object until its pin is gone, then the copy goes", async (t) => {
    const opened = await open("1s");
    if (opened === undefined) return t.skip("no MinIO servers that can be controlled");
    await using gateway = opened.gateway;
    using client = clientOf(gateway);
    await client.send(new CreateBucketCommand({ Bucket: "box" }));
    for (const Key of ["pinned", "other"]) await client.send(new PutObjectCommand({ Bucket: "box", Key, Body: BYTES }));
    const given = JSON.parse(
      await bulkhead(
        gateway,
        "presign",
        "s3://box/pinned",
        "--direct",
        "--node",
        "node-b",
        "--expires",
        "7d",
        "--json",
      ),
    ) as { readonly url: string; readonly pin: string; readonly node: string };
    assert.equal(given.node, "node-b");
    const sums = async (): Promise<string> => {
      const answer = await fetch(given.url);
      return `${answer.status} ${sha256(Buffer.from(await answer.arrayBuffer()))}`;
    };
    const right = `200 ${sha256(BYTES)}`;
    assert.equal(await sums(), right);
    assert.ok((await bulkhead(gateway, "pins")).includes(given.pin));

    for (const Key of ["pinned", "other"]) await client.send(new DeleteObjectCommand({ Bucket: "box", Key }));
    const left = async (): Promise<number> => {
      const counts = await Promise.all(opened.minio.map(async (server, index) => (await blobsOn(server, index)).size));
      return counts.reduce((sum, count) => sum + count, 0);
    };
    // The one without a pin goes, so the sweeper has been there.
    await eventually("the other object's copies are gone", PATIENCE, async () => assert.equal(await left(), 2));
    assert.equal(await sums(), right);
    await gateway.restart();
    assert.equal(await sums(), right);
    await bulkhead(gateway, "pins", "remove", given.pin);
    await eventually("the pinned object's copies are gone", PATIENCE, async () => assert.equal(await left(), 0));
    assert.match(await sums(), /^404 /);
  });
});

async function headOf(gateway: Gateway, url: string): Promise<string> {
  return succeed("curl", ["-sS", "-D", "-", "-o", join(gateway.dataDir, "ignored"), url]);
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
