/** What the driver makes of a put over engines that prove differently, refuse, lie or answer early. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, test } from "node:test";
import { BLOCK_BYTES } from "../../../../src/nodes/storage-node.ts";
import { systemRandom } from "../../../../src/shared/random.ts";
import { assertFails, CONTRACT_CLUSTER_ID } from "../../../contract/storage-node-contract.ts";
import { blocksOf, copyKey, headerFor, patternBytes, streamOf } from "../../../support/blobs.ts";
import { type FakeS3Traits } from "../../../support/fake-s3.ts";
import { putCopy, readCopy, startFakeNode } from "../../../support/s3-nodes.ts";

const MIB = 1_048_576;
const random = systemRandom();

describe("puts of an S3 node", () => {
  const small = 4096;
  const large = 2 * BLOCK_BYTES + 1;
  const proofs: readonly [name: string, traits: Partial<FakeS3Traits>, expected: readonly string[]][] = [
    ["checksums of both kinds", {}, ["checksum", "checksum", "checksum", "checksum"]],
    ["checksums in headers only", { checksums: "header" }, ["checksum", "checksum", "checksum", "etag"]],
    ["no checksums", { checksums: "none" }, ["etag", "etag", "etag", "etag"]],
    [
      "no checksums and an ETag of its own",
      { checksums: "none", etag: "random" },
      ["read-back", "read-back", "read-back", "read-back"],
    ],
  ];
  for (const [name, traits, expected] of proofs) {
    test(`are proven by the best that an engine with ${name} offers, small and large, in memory and streamed`, async (t) => {
      const { node } = await startFakeNode(t, traits);
      const found = [];
      for (const [length, streamed] of [
        [small, false],
        [small, true],
        [large, false],
        [large, true],
      ] as const) {
        found.push((await putCopy(node, length, streamed)).proof);
      }
      assert.deepEqual(found, expected);
    });
  }

  test("that come at once share one trial of what the node supports", async (t) => {
    const { fake, node } = await startFakeNode(t);
    await Promise.all(Array.from({ length: 8 }, () => putCopy(node, 100)));
    const canaries = fake.calls.filter(({ method, key }) => method === "DELETE" && key.includes("/canary/"));
    assert.equal(canaries.length, 1);
    assert.deepEqual(
      [...(fake.buckets.get("bucket") ?? new Map()).keys()].filter((key) => key.includes("canary")),
      [],
    );
  });

  test("try again what the node supports when the first trial was cut short", async (t) => {
    const { fake, node } = await startFakeNode(t);
    fake.intercept = (_call, response) => {
      fake.intercept = undefined;
      response.writeHead(503).end();
      return true;
    };
    await assertFails(putCopy(node, 100), "busy");
    assert.equal((await putCopy(node, 100)).proof, "checksum");
  });

  test("carry cluster, blob, session and length on the node and nothing else", async (t) => {
    const { fake, node } = await startFakeNode(t);
    const { key } = await putCopy(node, 100);
    const put = fake.calls.findLast(({ method, key: k }) => method === "PUT" && k.includes("/blobs/"));
    const metadata = Object.keys(put?.headers ?? {}).filter((name) => name.startsWith("x-amz-meta-"));
    const expected = ["blob", "cluster", "length", "session"].map((name) => `x-amz-meta-bulkhead-${name}`);
    assert.deepEqual(metadata.sort(), expected);
    assert.equal((await node.head(key))?.blobId, put?.headers["x-amz-meta-bulkhead-blob"]);
  });

  test("in parts are sent part by part and completed with every part", async (t) => {
    const { fake, node } = await startFakeNode(t, {}, { limits: { multipartThresholdBytes: MIB, partBytes: MIB } });
    const { key, bytes, proof } = await putCopy(node, 3 * MIB + 7, true);
    assert.equal(proof, "checksum");
    assert.ok((await readCopy(node, key, 0, bytes.length)).equals(bytes));
    assert.equal(fake.calls.filter(({ query }) => query.has("partNumber")).length, 4);
    assert.equal(fake.uploads.size, 0);
  });

  test("in parts leave no upload behind when one fails", async (t) => {
    const { fake, node } = await startFakeNode(t, {}, { limits: { multipartThresholdBytes: MIB, partBytes: MIB } });
    await putCopy(node, 100);
    const aborted = new Promise<void>((resolve) => {
      fake.intercept = (call, response, request) => {
        if (call.method === "DELETE" && call.query.has("uploadId")) response.on("finish", resolve);
        if (call.query.get("partNumber") !== "3") return false;
        request.resume();
        response.writeHead(507).end();
        return true;
      };
    });
    await assertFails(putCopy(node, 4 * MIB), "full");
    await aborted;
    assert.equal(fake.uploads.size, 0);
  });

  test("in parts fail where the completion answers 200 with an error in it", async (t) => {
    const { fake, node } = await startFakeNode(t, {}, { limits: { multipartThresholdBytes: MIB, partBytes: MIB } });
    fake.intercept = (call, response, request) => {
      if (call.method !== "POST" || !call.query.has("uploadId")) return false;
      request.resume();
      response.end("<Error><Code>InternalError</Code></Error>");
      return true;
    };
    await assertFails(putCopy(node, 2 * MIB), "io");
  });

  test("fail where the answer comes before the bytes, whatever it says", async (t) => {
    const { fake, node } = await startFakeNode(t);
    await putCopy(node, 100);
    for (const [status, kind] of [
      [200, "unreachable"],
      [507, "full"],
      [403, "access-denied"],
    ] as const) {
      fake.intercept = (_call, response) => {
        response.writeHead(status, { etag: '"x"' }).end();
        return true;
      };
      let pulled = 0;
      const bytes = patternBytes(BLOCK_BYTES, 1);
      async function* endless() {
        for (;;) {
          pulled += 1;
          yield* streamOf(blocksOf(bytes));
        }
      }
      const key = copyKey(1, random);
      const header = headerFor(key, 4000 * BLOCK_BYTES, random, CONTRACT_CLUSTER_ID);
      await assertFails(node.put({ key, header, blocks: endless() }), kind);
      assert.ok(pulled < 4000);
    }
  });

  test("fail where what takes the bytes is no S3 service", async (t) => {
    const { fake, node } = await startFakeNode(t);
    await putCopy(node, 100);
    fake.intercept = (_call, response, request) => {
      request.resume();
      response.end("<html>welcome</html>");
      return true;
    };
    await assertFails(putCopy(node, 100), "unreachable");
  });

  test("fail as corrupt, and leave nothing, where the engine tells another checksum than was sent", async (t) => {
    const liars: Partial<FakeS3Traits>[] = [{}, { checksums: "none" }];
    for (const traits of liars) {
      const { fake, node } = await startFakeNode(t, traits);
      await putCopy(node, 100);
      fake.intercept = async (call, response, request) => {
        if (call.method !== "PUT") return false;
        request.resume();
        await once(request, "end");
        response.writeHead(200, { etag: '"0123"', "x-amz-checksum-crc32c": "AAAAAA==" }).end();
        return true;
      };
      await assertFails(putCopy(node, 100), "corrupt");
      assert.ok(fake.calls.at(-1)?.method === "DELETE");
    }
  });

  test("fail as corrupt, and leave nothing, where other bytes are read back", async (t) => {
    const { fake, node } = await startFakeNode(t, { checksums: "none", etag: "random" });
    await putCopy(node, 100);
    fake.intercept = (call, response) => {
      if (call.method !== "GET") return false;
      response.end(patternBytes(1000, 99));
      return true;
    };
    await assertFails(putCopy(node, 1000), "corrupt");
    assert.equal([...(fake.buckets.get("bucket") ?? new Map())].length, 1);
  });
});
