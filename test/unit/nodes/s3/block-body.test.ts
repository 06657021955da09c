import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import fc from "fast-check";
import { BlockReader } from "../../../../src/nodes/block-reader.ts";
import { NodeLifetime } from "../../../../src/nodes/node-lifetime.ts";
import { BlockBody, encodeCrc32c, framedBytes } from "../../../../src/nodes/s3/block-body.ts";
import { BLOCK_BYTES } from "../../../../src/nodes/storage-node.ts";
import { crc32c } from "../../../../src/shared/crc32c.ts";
import { systemRandom } from "../../../../src/shared/random.ts";
import { blocksOf, collect, copyKey, headerFor, patternBytes, streamOf } from "../../../support/blobs.ts";

const CLUSTER = "00c0ffee00c0ffee00c0ffee00c0ffee";

function readerOf(bytes: Uint8Array): BlockReader {
  const random = systemRandom();
  const key = copyKey(1, random);
  const header = headerFor(key, bytes.length, random, CLUSTER);
  return new BlockReader({ key, header, blocks: streamOf(blocksOf(bytes)) }, new NodeLifetime("test"));
}

/** Content and trailer of an aws-chunked body, strictly. */
function parseFrames(framed: Buffer): { content: Buffer; trailer: string } {
  const chunks: Buffer[] = [];
  let at = 0;
  for (;;) {
    const lineEnd = framed.indexOf("\r\n", at);
    const length = Number.parseInt(framed.toString("latin1", at, lineEnd), 16);
    at = lineEnd + 2;
    if (length === 0) return { content: Buffer.concat(chunks), trailer: framed.toString("latin1", at) };
    chunks.push(framed.subarray(at, at + length));
    at += length;
    assert.equal(framed.toString("latin1", at, at + 2), "\r\n");
    at += 2;
  }
}

describe("body of blocks", () => {
  test("frames any length as announced, with the checksum of all bytes in the trailer", async () => {
    const lengths = fc.oneof(
      fc.integer({ min: 1, max: 3 * BLOCK_BYTES }),
      fc.constantFrom(1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 2 * BLOCK_BYTES),
    );
    const property = fc.asyncProperty(lengths, async (length) => {
      const bytes = patternBytes(length, length);
      const body = new BlockBody({ reader: readerOf(bytes), length, last: true, framed: true, withMd5: true });
      const framed = await collect(body);
      assert.equal(framed.length, body.contentLength);
      const { content, trailer } = parseFrames(framed);
      assert.ok(content.equals(bytes));
      assert.equal(trailer, `x-amz-checksum-crc32c:${encodeCrc32c(crc32c(bytes))}\r\n\r\n`);
      assert.equal(body.md5(), createHash("md5").update(bytes).digest("hex"));
      assert.ok(body.complete);
    });
    await fc.assert(property, { numRuns: 40 });
  });

  test("takes a part of the blob and leaves the rest to the next one", async () => {
    const length = 3 * BLOCK_BYTES + 5;
    const bytes = patternBytes(length, 7);
    const reader = readerOf(bytes);
    const bodies: Buffer[] = [];
    for (const [index, part] of [2 * BLOCK_BYTES, BLOCK_BYTES + 5].entries()) {
      const body = new BlockBody({ reader, length: part, last: index === 1, framed: false, withMd5: false });
      assert.equal(body.contentLength, part);
      bodies.push(await collect(body));
      assert.equal(body.crc32c, crc32c(bodies[index] as Buffer));
      assert.equal(body.md5(), undefined);
    }
    assert.ok(Buffer.concat(bodies).equals(bytes));
  });

  test("frames bytes in memory like a stream of one block", async () => {
    const bytes = patternBytes(100, 1);
    const body = new BlockBody({ reader: readerOf(bytes), length: 100, last: true, framed: true, withMd5: false });
    assert.deepEqual(framedBytes(bytes, crc32c(bytes)), await collect(body));
  });
});
