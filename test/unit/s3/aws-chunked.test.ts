import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { Readable } from "node:stream";
import { describe, test } from "node:test";
import { crc32 } from "node:zlib";
import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import fc from "fast-check";
import {
  AwsChunkedBody,
  type AwsChunkedOptions,
  LINE_BYTES_MAX,
  readDecodedLength,
  readTrailerNames,
} from "../../../src/s3/aws-chunked.ts";
import { S3Error, type S3ErrorCode } from "../../../src/s3/errors.ts";
import { headersFromRaw } from "../../../src/s3/headers.ts";
import type { ChunkSigning } from "../../../src/s3/sigv4/authenticate.ts";
import { deriveSigningKey, scopeText, sign } from "../../../src/s3/sigv4/signing-key.ts";

const SCOPE = { date: "20130524", region: "us-east-1" };
const SIGNING_KEY = deriveSigningKey("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", SCOPE);
const AMZ_DATE = "20130524T000000Z";
const CHECKSUM = "x-amz-checksum-crc32c";

function signing(seedSignature: string): ChunkSigning {
  return { signingKey: SIGNING_KEY, scope: SCOPE, amzDate: AMZ_DATE, seedSignature };
}

interface Decoded {
  bytes: Buffer;
  trailers: [string, string][];
}

/** Decodes a body that arrives in these pieces. */
async function decode(pieces: readonly (Uint8Array | string)[], options: AwsChunkedOptions): Promise<Decoded> {
  async function* input() {
    for (const piece of pieces) yield typeof piece === "string" ? Buffer.from(piece, "latin1") : piece;
  }
  const body = new AwsChunkedBody(input(), options);
  const decoded: Uint8Array[] = [];
  for await (const bytes of body) {
    assert.equal(body.trailers.size, 0);
    decoded.push(bytes);
  }
  return { bytes: Buffer.concat(decoded), trailers: [...body.trailers] };
}

async function refused(code: S3ErrorCode, body: string, options: AwsChunkedOptions): Promise<void> {
  await assert.rejects(decode([body], options), (thrown) => thrown instanceof S3Error && thrown.code === code);
  const pieces = body.match(body.length > 1000 ? /.{1,997}/gs : /./gs) ?? [];
  await assert.rejects(decode(pieces, options), (thrown) => thrown instanceof S3Error && thrown.code === code);
}

/** The body that a client makes of these chunks. */
function encode(chunks: readonly Uint8Array[], options: AwsChunkedOptions, trailers: [string, string][] = []): Buffer {
  const { signing: claim, trailerNames } = options;
  const parts: (Uint8Array | string)[] = [];
  let previous = claim?.seedSignature ?? "";
  const prefix = (kind: string) => [kind, AMZ_DATE, scopeText(SCOPE), previous];
  for (const chunk of [...chunks.filter((bytes) => bytes.length > 0), new Uint8Array(0)]) {
    let header = chunk.length.toString(16);
    if (claim !== undefined) {
      const toSign = [...prefix("AWS4-HMAC-SHA256-PAYLOAD"), hash("sha256", ""), hash("sha256", chunk)];
      previous = sign(claim.signingKey, toSign.join("\n"));
      header += `;chunk-signature=${previous}`;
    }
    parts.push(`${header}\r\n`, chunk);
    if (chunk.length > 0) parts.push("\r\n");
  }
  for (const [name, value] of trailers) parts.push(`${name}:${value}\r\n`);
  if (claim !== undefined && trailerNames !== undefined) {
    const lines = trailers.map(([name, value]) => `${name}:${value}\n`).join("");
    const toSign = [...prefix("AWS4-HMAC-SHA256-TRAILER"), hash("sha256", lines)];
    parts.push(`x-amz-trailer-signature:${sign(claim.signingKey, toSign.join("\n"))}\r\n`);
  }
  parts.push("\r\n");
  return Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part)));
}

/** Cuts bytes at these places. */
function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [0, ...at.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end));
}

const cuts = fc.array(fc.nat({ max: 200_000 }), { maxLength: 30 });

describe("signed chunks", () => {
  // https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
  const seed = signing("4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9");
  const options = { decodedLength: 66_560, signing: seed };
  const published = [
    "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n",
    "a".repeat(65_536),
    "\r\n400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n",
    "a".repeat(1024),
    "\r\n0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n",
    "\r\n",
  ];

  test("are taken for AWS's example, byte for byte and cut anywhere", async () => {
    const whole = Buffer.from(published.join(""));
    assert.equal(whole.length, 66_824);
    await fc.assert(
      fc.asyncProperty(cuts, async (at) => {
        const { bytes, trailers } = await decode(cut(whole, at), options);
        assert.equal(bytes.toString(), "a".repeat(66_560));
        assert.deepEqual(trailers, []);
      }),
    );
  });

  test("are handed on in the buffers that they came in", async () => {
    const piece = Buffer.from(published.join(""));
    async function* input() {
      yield piece;
    }
    for await (const bytes of new AwsChunkedBody(input(), options)) assert.equal(bytes.buffer, piece.buffer);
  });

  test("are refused where a byte, a signature, the seed or their order is another", async () => {
    const text = published.join("");
    const body = encode([Buffer.alloc(8192, "a"), Buffer.alloc(8192, "b"), Buffer.from("c")], options).toString(
      "latin1",
    );
    await refused("SignatureDoesNotMatch", text.replace("aaaa\r\n", "aaab\r\n"), options);
    await refused("SignatureDoesNotMatch", text.replace("=ad80", "=ad81"), options);
    await refused("SignatureDoesNotMatch", text.replace("=b6c6", "=b6c7"), options);
    await refused("SignatureDoesNotMatch", text.replace(/;chunk-signature=b6c6[^\r]*/, ""), options);
    await refused("SignatureDoesNotMatch", text.replace("=b6c6", "="), options);
    await refused("SignatureDoesNotMatch", text, { ...options, signing: signing("0".repeat(64)) });
    const [, first = "", second = "", rest = ""] =
      /^(2000;[^\r]*\r\na{8192}\r\n)(2000;[^\r]*\r\nb{8192}\r\n)(.*)$/s.exec(body) ?? [];
    await refused("SignatureDoesNotMatch", second + first + rest, { ...options, decodedLength: 16_385 });
    assert.equal((await decode([first + second + rest], { ...options, decodedLength: 16_385 })).bytes.length, 16_385);
  });

  test("must be of 8,192 bytes at least, but for the last", async () => {
    const small = encode([Buffer.alloc(8191), Buffer.alloc(1)], options).toString("latin1");
    await refused("InvalidChunkSizeError", small, { ...options, decodedLength: 8192 });
    const enough = encode([Buffer.alloc(8192), Buffer.alloc(1)], options);
    assert.equal((await decode([enough], { ...options, decodedLength: 8193 })).bytes.length, 8193);
  });
});

describe("signed chunks with trailers", () => {
  // https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
  const seed = signing("106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e");
  const options = { decodedLength: 66_560, signing: seed, trailerNames: [CHECKSUM] };
  const chunks =
    "10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n" +
    "a".repeat(65_536) +
    "\r\n400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n" +
    "a".repeat(1024) +
    "\r\n0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n";
  const signature = "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n";

  for (const [what, trailer] of [
    ["as it is sent by most", `${CHECKSUM}:sOO8/Q==\r\n`],
    ["with a space and in capitals", "X-Amz-Checksum-CRC32C: sOO8/Q== \r\n"],
    ["with a line feed too many, as in AWS's text", `${CHECKSUM}:sOO8/Q==\n\r\n`],
  ] as const) {
    test(`are taken for AWS's example ${what}`, async () => {
      const { bytes, trailers } = await decode([chunks + trailer + signature, "\r\n"], options);
      assert.equal(bytes.length, 66_560);
      assert.deepEqual(trailers, [[CHECKSUM, "sOO8/Q=="]]);
    });
  }

  const malformed: [string, string, S3ErrorCode][] = [
    ["another value", `${CHECKSUM}:sOO8/A==\r\n${signature}\r\n`, "SignatureDoesNotMatch"],
    ["another signature", `${CHECKSUM}:sOO8/Q==\r\nx-amz-trailer-signature:0\r\n\r\n`, "SignatureDoesNotMatch"],
    ["no signature", `${CHECKSUM}:sOO8/Q==\r\n\r\n`, "MalformedTrailerError"],
    ["no trailer", `${signature}\r\n`, "MalformedTrailerError"],
    ["nothing", "\r\n", "MalformedTrailerError"],
    ["another name", `x-amz-checksum-crc32:sOO8/Q==\r\n${signature}\r\n`, "MalformedTrailerError"],
    ["a name twice", `${CHECKSUM}:sOO8/Q==\r\n${CHECKSUM}:sOO8/Q==\r\n${signature}\r\n`, "MalformedTrailerError"],
    ["two signatures", `${CHECKSUM}:sOO8/Q==\r\n${signature}${signature}\r\n`, "MalformedTrailerError"],
    ["no colon", `${CHECKSUM}\r\n${signature}\r\n`, "MalformedTrailerError"],
    ["no end", `${CHECKSUM}:sOO8/Q==\r\n${signature}`, "IncompleteBody"],
  ];
  for (const [what, trailer, code] of malformed) {
    test(`are refused with ${what}: ${code}`, () => refused(code, chunks + trailer, options));
  }
});

describe("chunks without signatures", () => {
  const options = { decodedLength: 4, trailerNames: ["x-amz-checksum-crc32"] };
  const trailer = "x-amz-checksum-crc32:yH5oLw==\r\n\r\n";

  test("are taken with their trailer", async () => {
    const { bytes, trailers } = await decode(["4\r\nbody\r\n0\r\n", trailer], options);
    assert.equal(bytes.toString(), "body");
    assert.deepEqual(trailers, [["x-amz-checksum-crc32", "yH5oLw=="]]);
  });

  test("may be small, written with zeros before or in capitals, and none at all", async () => {
    assert.equal((await decode(["1\r\nb\r\n003\r\nody\r\n0\r\n", trailer], options)).bytes.toString(), "body");
    const ten = { decodedLength: 10, trailerNames: [] };
    assert.equal((await decode(["A\r\n0123456789\r\n0\r\n\r\n"], ten)).bytes.toString(), "0123456789");
    assert.equal((await decode(["0\r\n\r\n"], { decodedLength: 0 })).bytes.length, 0);
  });

  const malformed: [string, string, S3ErrorCode][] = [
    ["nothing", "", "IncompleteBody"],
    ["a body that is not chunked", "body", "IncompleteBody"],
    ["half a chunk", "4\r\nbo", "IncompleteBody"],
    ["no last chunk", "4\r\nbody\r\n", "IncompleteBody"],
    ["no end", "4\r\nbody\r\n0\r\n", "IncompleteBody"],
    ["a chunk longer than it says", `3\r\nbody\r\n0\r\n${trailer}`, "IncompleteBody"],
    ["fewer bytes than announced", `3\r\nbod\r\n0\r\n${trailer}`, "IncompleteBody"],
    ["more bytes than announced", `5\r\nbody!\r\n0\r\n${trailer}`, "IncompleteBody"],
    ["no size", `\r\nbody\r\n0\r\n${trailer}`, "IncompleteBody"],
    ["a negative size", `-4\r\nbody\r\n0\r\n${trailer}`, "IncompleteBody"],
    ["a size of no number", `0x4\r\nbody\r\n0\r\n${trailer}`, "IncompleteBody"],
    ["a size beyond all numbers", `fffffffffffffffff\r\nbody\r\n0\r\n${trailer}`, "IncompleteBody"],
    ["bare line feeds", `4\nbody\n0\n${trailer}`, "IncompleteBody"],
    ["an extension", `4;a=b\r\nbody\r\n0\r\n${trailer}`, "IncompleteBody"],
    ["a signature", `4;chunk-signature=${"0".repeat(64)}\r\nbody\r\n0\r\n${trailer}`, "IncompleteBody"],
    ["bytes after the end", `4\r\nbody\r\n0\r\n${trailer}x`, "IncompleteBody"],
    ["an endless line", `${"0".repeat(LINE_BYTES_MAX)}4\r\nbody\r\n0\r\n${trailer}`, "IncompleteBody"],
    ["no trailer", "4\r\nbody\r\n0\r\n\r\n", "MalformedTrailerError"],
    ["a trailer's signature", `4\r\nbody\r\n0\r\nx-amz-trailer-signature:0\r\n${trailer}`, "MalformedTrailerError"],
    ["another trailer", "4\r\nbody\r\n0\r\nx-amz-meta-a:b\r\n\r\n", "MalformedTrailerError"],
  ];
  for (const [what, body, code] of malformed) {
    test(`are refused with ${what}: ${code}`, () => refused(code, body, options));
  }

  test("are read as the AWS SDK for JavaScript sends them", async () => {
    let body: AsyncIterable<Uint8Array> | undefined;
    let raw: string[] = [];
    const client = new S3Client({
      region: "us-east-1",
      endpoint: "https://127.0.0.1:9070",
      credentials: { accessKeyId: "a", secretAccessKey: "b" },
      maxAttempts: 1,
      requestHandler: {
        handle(request: { body: AsyncIterable<Uint8Array>; headers: Record<string, string> }) {
          body = request.body;
          raw = Object.entries(request.headers).flat();
          return Promise.reject(new Error("captured"));
        },
      },
    });
    const put = new PutObjectCommand({ Bucket: "b", Key: "k", Body: Readable.from(["bo", "dy"]), ContentLength: 4 });
    await assert.rejects(client.send(put), /captured/);
    assert.ok(body);
    const headers = headersFromRaw(raw);
    const decoded = new AwsChunkedBody(body, {
      decodedLength: readDecodedLength(headers),
      trailerNames: readTrailerNames(headers),
    });
    assert.equal(Buffer.concat(await Array.fromAsync(decoded)).toString(), "body");
    const checksum = Buffer.alloc(4);
    checksum.writeUInt32BE(crc32("body"));
    assert.deepEqual([...decoded.trailers], [["x-amz-checksum-crc32", checksum.toString("base64")]]);
  });
});

describe("chunks of any kind", () => {
  const chunk = fc.uint8Array({ minLength: 8192, maxLength: 9000 });
  const bodies = fc.record({
    chunks: fc.array(chunk, { maxLength: 4 }),
    last: fc.uint8Array({ maxLength: 100 }),
    isSigned: fc.boolean(),
    hasTrailer: fc.boolean(),
  });

  function optionsOf(body: { chunks: Uint8Array[]; last: Uint8Array; isSigned: boolean; hasTrailer: boolean }) {
    const options: AwsChunkedOptions = {
      decodedLength: Buffer.concat([...body.chunks, body.last]).length,
      ...(body.isSigned && { signing: signing("0".repeat(64)) }),
      ...(body.hasTrailer && { trailerNames: [CHECKSUM] }),
    };
    const trailers: [string, string][] = body.hasTrailer ? [[CHECKSUM, "sOO8/Q=="]] : [];
    return { options, trailers, encoded: encode([...body.chunks, body.last], options, trailers) };
  }

  test("give the same bytes however they are cut", async () => {
    await fc.assert(
      fc.asyncProperty(bodies, cuts, async (body, at) => {
        const { options, trailers, encoded } = optionsOf(body);
        const decoded = await decode(cut(encoded, at), options);
        assert.ok(decoded.bytes.equals(Buffer.concat([...body.chunks, body.last])));
        assert.deepEqual(decoded.trailers, trailers);
      }),
    );
  });

  test("are refused with any end missing, and give an S3 error or nothing wrong with any byte changed", async () => {
    await fc.assert(
      fc.asyncProperty(bodies, cuts, fc.nat(), fc.integer({ min: 1, max: 255 }), async (body, at, place, flip) => {
        const { options, encoded } = optionsOf(body);
        const index = place % encoded.length;
        await assert.rejects(decode(cut(encoded.subarray(0, index), at), options), S3Error);

        const changed = Buffer.from(encoded);
        changed[index] = (changed[index] ?? 0) ^ flip;
        try {
          const { bytes } = await decode(cut(changed, at), options);
          assert.equal(bytes.length, options.decodedLength);
          // With signatures only the spelling of the framing may differ: a letter's case, a space around a trailer.
          if (body.isSigned) assert.ok(bytes.equals(Buffer.concat([...body.chunks, body.last])));
        } catch (thrown) {
          assert.ok(thrown instanceof S3Error, String(thrown));
        }
      }),
    );
  });
});

describe("the headers of a chunked body", () => {
  test("give its length", () => {
    const length = (value: string) => readDecodedLength(headersFromRaw(["X-Amz-Decoded-Content-Length", value]));
    assert.equal(length("0"), 0);
    assert.equal(length("5368709120"), 5_368_709_120);
    for (const value of ["-1", "1.5", "x", "0x10", "99999999999999999999"]) {
      assert.throws(
        () => length(value),
        (thrown) => thrown instanceof S3Error && thrown.code === "InvalidArgument",
      );
    }
    assert.throws(
      () => readDecodedLength(new Map()),
      (thrown) => thrown instanceof S3Error && thrown.code === "MissingContentLength",
    );
  });

  test("announce its trailers", () => {
    assert.deepEqual(readTrailerNames(new Map()), []);
    assert.deepEqual(readTrailerNames(headersFromRaw(["x-amz-trailer", " X-Amz-Checksum-CRC32 "])), [
      "x-amz-checksum-crc32",
    ]);
    for (const value of ["x-amz-meta-a", "x-amz-checksum-crc32,content-length", "x-amz-checksum-"]) {
      assert.throws(
        () => readTrailerNames(headersFromRaw(["x-amz-trailer", value])),
        (thrown) => thrown instanceof S3Error && thrown.code === "InvalidRequest",
      );
    }
  });
});
