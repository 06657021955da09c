import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { after, before, beforeEach, describe, test } from "node:test";
import { crc32 } from "node:zlib";
import {
  ChecksumAlgorithm,
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { systemClock } from "../../../../src/shared/clock.ts";
import { type Front, KEYS, openFront, readSocket, type SentRequest } from "../../../support/s3-front.ts";
import { signedChunks, signRequest } from "../../../support/sign-request.ts";

let front: Front;
before(async () => {
  front = await openFront();
});
after(() => front[Symbol.asyncDispose]());
beforeEach(async () => {
  front.service.clear();
  await front.client.send(new CreateBucketCommand({ Bucket: "bucket" }));
});

const at = { Bucket: "bucket", Key: "key" };
const put = { method: "PUT", target: "/bucket/key" };

function base64(algorithm: string, text: string): string {
  return createHash(algorithm).update(text).digest("base64");
}

function crc32Of(text: string): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32(text));
  return bytes.toString("base64");
}

/** Sends it, and expects that it is refused and that nothing is stored. */
async function refused(code: string, status: number, request: Partial<SentRequest>): Promise<string> {
  const answer = await front.send({ ...put, ...request });
  assert.match(answer.text, new RegExp(`<Code>${code}</Code>`));
  assert.equal(answer.status, status);
  assert.equal(front.service.bytesOf("bucket", "key"), undefined);
  return answer.text;
}

describe("the length of a body", () => {
  test("must be stated", async () => {
    await refused("MissingContentLength", 411, { headers: { "transfer-encoding": "chunked" }, body: "x" });
    const socket = await front.connect();
    socket.end(`${front.head(put)}\r\n`);
    assert.match(await readSocket(socket), /^HTTP\/1.1 411 [^]*<Code>MissingContentLength</);
  });

  test("may be 5 GiB at most, which is seen before any of it is read", async () => {
    const socket = await front.connect();
    const head = front.head({
      ...put,
      headers: { "content-length": String(5 * 2 ** 30 + 1) },
      payload: "UNSIGNED-PAYLOAD",
    });
    socket.write(`${head}\r\n`);
    const text = await readSocket(socket, (got) => got.includes("</Error>"));
    assert.match(text, /^HTTP\/1.1 400 [^]*Connection: close[^]*<Code>EntityTooLarge<\/Code>/);
    assert.match(text, /<MaxSizeAllowed>5368709120</);
    socket.destroy();
  });
});

describe("digests of a body", () => {
  test("that are right are taken", async () => {
    const headers = { "content-md5": base64("md5", "hello"), "x-amz-checksum-sha1": base64("sha1", "hello") };
    const { status, headers: answered } = await front.send({ ...put, headers, body: "hello" });
    assert.equal(status, 200);
    assert.equal(answered["x-amz-checksum-sha1"], base64("sha1", "hello"));
    assert.equal(answered["x-amz-checksum-type"], "FULL_OBJECT");
  });

  test("that are wrong are refused by AWS's codes", async () => {
    const body = "hello";
    await refused("BadDigest", 400, { ...put, body, headers: { "content-md5": base64("md5", "other") } });
    await refused("BadDigest", 400, { ...put, body, headers: { "x-amz-checksum-crc32": crc32Of("other") } });
    await refused("XAmzContentSHA256Mismatch", 400, { ...put, body, payload: createHash("sha256").digest("hex") });
  });

  test("that cannot be any are refused before the body is read", async () => {
    const body = "hello";
    const md5 = base64("md5", body);
    for (const value of ["", "!", md5.slice(0, -1), `${md5}=`, base64("sha1", body), ` ${md5.slice(2)}`]) {
      await refused("InvalidDigest", 400, { ...put, body, headers: { "content-md5": value } });
    }
    for (const value of ["", "abc", base64("sha1", body)]) {
      const text = await refused("InvalidRequest", 400, { ...put, body, headers: { "x-amz-checksum-crc32": value } });
      assert.match(text, /Value for x-amz-checksum-crc32 header is invalid/);
    }
    const several = { "x-amz-checksum-crc32": crc32Of(body), "x-amz-checksum-sha1": base64("sha1", body) };
    assert.match(await refused("InvalidRequest", 400, { ...put, body, headers: several }), /Multiple checksum Types/);
    await refused("InvalidRequest", 400, { ...put, body, headers: { "x-amz-checksum-crc31": "AAAAAA==" } });
    assert.equal(front.service.calls.filter(({ name }) => name === "putObject").length, 0);
  });

  test("of kinds that are not implemented are refused by name", async () => {
    const headers = { "x-amz-checksum-xxhash64": "AAAAAAAAAAA=" };
    assert.match(await refused("NotImplemented", 501, { ...put, body: "x", headers }), /XXHASH64/);
  });

  test("must be there when an algorithm is announced, and be of that algorithm", async () => {
    const announced = { "x-amz-sdk-checksum-algorithm": "CRC32C" };
    await refused("InvalidRequest", 400, { ...put, body: "x", headers: announced });
    const headers = { ...announced, "x-amz-checksum-crc32": crc32Of("x") };
    await refused("InvalidRequest", 400, { ...put, body: "x", headers });
    await refused("InvalidRequest", 400, { ...put, body: "x", headers: { "x-amz-sdk-checksum-algorithm": "ROT13" } });
  });

  for (const algorithm of ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] as const) {
    test(`${algorithm} is verified, kept, and given back when asked for`, async () => {
      const sent = await front.client.send(
        new PutObjectCommand({ ...at, Body: "checked", ChecksumAlgorithm: ChecksumAlgorithm[algorithm] }),
      );
      const value = sent[`Checksum${algorithm}`];
      assert.ok(value);
      const asked = await front.client.send(new HeadObjectCommand({ ...at, ChecksumMode: "ENABLED" }));
      assert.deepEqual([asked[`Checksum${algorithm}`], asked.ChecksumType], [value, "FULL_OBJECT"]);
      const { headers } = await front.send({ target: "/bucket/key" });
      assert.ok(!Object.keys(headers).some((name) => name.startsWith("x-amz-checksum")));
      const part = await front.send({
        target: "/bucket/key",
        headers: { range: "bytes=0-1", "x-amz-checksum-mode": "ENABLED" },
      });
      assert.ok(!Object.keys(part.headers).some((name) => name.startsWith("x-amz-checksum")));
      const got = await front.client.send(new GetObjectCommand(at));
      assert.equal(await got.Body?.transformToString(), "checked");
    });
  }
});

describe("aws-chunked bodies", () => {
  const bytes = Buffer.alloc(20_000, "chunked body ");

  /** A request with this body coding, as a client signs and encodes it. */
  function chunked(how: { trailer?: [string, string]; alter?: (body: Buffer) => Buffer; decodedLength?: number }) {
    const payload = `STREAMING-AWS4-HMAC-SHA256-PAYLOAD${how.trailer === undefined ? "" : "-TRAILER"}`;
    const headers = {
      host: front.host,
      "content-encoding": "aws-chunked",
      "x-amz-decoded-content-length": String(how.decodedLength ?? bytes.length),
      ...(how.trailer !== undefined && { "x-amz-trailer": how.trailer[0] }),
    };
    const signed = signRequest(KEYS, { ...put, headers, payload, nowMs: systemClock.nowMs() });
    const body = signedChunks(signed, [bytes.subarray(0, 8192), bytes.subarray(8192)], how.trailer);
    return { ...put, headers: signed.headers, body: how.alter?.(body) ?? body, anonymous: true };
  }

  test("in signed chunks are decoded, and the coding is not kept", async () => {
    assert.equal((await front.send(chunked({}))).status, 200);
    assert.ok(front.service.bytesOf("bucket", "key")?.equals(bytes));
    const head = await front.client.send(new HeadObjectCommand(at));
    assert.deepEqual([head.ContentLength, head.ContentEncoding], [bytes.length, undefined]);
  });

  test("with a signed trailer have its checksum verified and kept", async () => {
    const trailer: [string, string] = ["x-amz-checksum-sha256", base64("sha256", bytes.toString())];
    const answer = await front.send(chunked({ trailer }));
    assert.deepEqual([answer.status, answer.headers["x-amz-checksum-sha256"]], [200, trailer[1]]);
  });

  test("with a wrong checksum in the trailer store nothing", async () => {
    const body = chunked({ trailer: ["x-amz-checksum-sha256", base64("sha256", "other")] });
    await refused("BadDigest", 400, body);
    await refused("InvalidRequest", 400, chunked({ trailer: ["x-amz-checksum-sha256", "rubbish"] }));
  });

  test("with a byte changed in the last chunk store nothing", async () => {
    const alter = (body: Buffer): Buffer => {
      const changed = Buffer.from(body);
      const at = body.lastIndexOf("chunked body") + 1;
      changed[at] = (changed[at] ?? 0) ^ 1;
      return changed;
    };
    await refused("SignatureDoesNotMatch", 403, chunked({ alter }));
  });

  test("cut off, or longer or shorter than they say, store nothing", async () => {
    await refused("IncompleteBody", 400, chunked({ alter: (body) => body.subarray(0, body.length - 90) }));
    await refused("IncompleteBody", 400, chunked({ decodedLength: bytes.length - 1 }));
    await refused("IncompleteBody", 400, chunked({ decodedLength: bytes.length + 1 }));
  });

  test("of a stream that the SDK does not know the digest of arrive with their trailer", async () => {
    const Body = Readable.from([bytes.subarray(0, 100), bytes.subarray(100)]);
    const sent = await front.client.send(new PutObjectCommand({ ...at, Body, ContentLength: bytes.length }));
    assert.equal(sent.ChecksumCRC32, crc32Of(bytes.toString()));
    assert.ok(front.service.bytesOf("bucket", "key")?.equals(bytes));
  });

  test("may not have a checksum in a header and one in the trailer", async () => {
    const headers = {
      "x-amz-decoded-content-length": "1",
      "x-amz-trailer": "x-amz-checksum-crc32",
      "x-amz-checksum-crc32": crc32Of("x"),
    };
    const body = `1\r\nx\r\n0\r\nx-amz-checksum-crc32:${crc32Of("x")}\r\n\r\n`;
    await refused("InvalidRequest", 400, { ...put, headers, body, payload: "STREAMING-UNSIGNED-PAYLOAD-TRAILER" });
  });

  test("must state their decoded length", async () => {
    await refused("MissingContentLength", 411, {
      ...put,
      body: "0\r\n\r\n",
      payload: "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    });
  });

  test("may come in HTTP's own chunks", async () => {
    const headers = { "transfer-encoding": "chunked", "x-amz-decoded-content-length": "1" };
    const body = "1\r\nx\r\n0\r\n\r\n";
    const answer = await front.send({ ...put, headers, body, payload: "STREAMING-UNSIGNED-PAYLOAD-TRAILER" });
    assert.equal(answer.status, 200);
    assert.equal(String(front.service.bytesOf("bucket", "key")), "x");
  });
});

test("an operation that takes no body refuses one", async () => {
  const { status, text } = await front.send({ method: "DELETE", target: "/bucket/key", body: "x" });
  assert.equal(status, 400);
  assert.match(text, /<Code>UnexpectedContent</);
});
