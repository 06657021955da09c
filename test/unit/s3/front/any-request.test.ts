import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { S3_ERROR_CODES } from "../../../../src/s3/errors.ts";
import { childText } from "../../../../src/shared/xml.ts";
import { type Front, openFront, ROOT, xmlOf } from "../../../support/s3-front.ts";

let front: Front;
before(async () => {
  front = await openFront({ settings: { domain: "s3.test" } });
});
after(() => front[Symbol.asyncDispose]());

const CODES: ReadonlySet<string> = new Set(S3_ERROR_CODES);

const text = fc.oneof(
  fc.constantFrom("", "0", "1", "-1", "1000", "null", "*", '"e"', "true", "url", "a/b", "\u00e9"),
  fc.string(),
);
const method = fc.constantFrom(..."GET GET GET HEAD HEAD PUT PUT PUT POST POST DELETE OPTIONS PATCH".split(" "));
const path = fc.oneof(
  fc.constantFrom("/", "/bucket", "/bucket/", "/bucket/key", "/bucket/none", "/new-bucket", "/nowhere/key", "//", "/%"),
  fc.string({ unit: "binary", maxLength: 30 }).map((key) => `/bucket/${encode(key)}`),
);
const parameter = fc.constantFrom(
  ..."acl attributes continuation-token delete delimiter encoding-type fetch-owner key-marker list-type location marker".split(
    " ",
  ),
  ..."max-buckets max-keys max-parts max-uploads part-number-marker partNumber prefix response-content-type".split(" "),
  ..."start-after tagging upload-id-marker uploadId uploads version-id-marker versionId versioning versions x-id".split(
    " ",
  ),
);
const headerName = fc.constantFrom(
  ..."content-encoding content-md5 content-type expect if-match if-modified-since if-none-match if-range range".split(
    " ",
  ),
  ..."x-amz-acl x-amz-checksum-algorithm x-amz-checksum-crc32 x-amz-checksum-mode x-amz-checksum-sha256".split(" "),
  ..."x-amz-checksum-type x-amz-copy-source x-amz-copy-source-if-match x-amz-copy-source-range".split(" "),
  ..."x-amz-decoded-content-length x-amz-expected-bucket-owner x-amz-meta-a x-amz-metadata-directive".split(" "),
  ..."x-amz-mp-object-size x-amz-sdk-checksum-algorithm x-amz-storage-class x-amz-tagging x-amz-trailer".split(" "),
);
const headerValue = text.map((value) =>
  Buffer.from(value)
    .toString("latin1")
    .replace(/[^\t\x20-\x7e\x80-\xff]/g, "")
    .trim(),
);
const body = fc.oneof(
  fc.constant(undefined),
  fc.constant(undefined),
  fc.string(),
  fc.constantFrom(
    "<Delete><Object><Key>key</Key></Object></Delete>",
    "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>",
    "<CreateBucketConfiguration/>",
    "1\r\nx\r\n0\r\n\r\n",
  ),
);
const payload = fc.constantFrom(
  undefined,
  "UNSIGNED-PAYLOAD",
  "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
  "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
  "0".repeat(64),
);

test("no request of its sender's own making is an internal error, and every error has a code of S3's", async () => {
  const request = fc.record({
    method,
    path,
    query: fc.array(fc.tuple(parameter, text), { maxLength: 3 }),
    headers: fc.dictionary(headerName, headerValue, { maxKeys: 4 }),
    body,
    payload,
    signed: fc.integer({ min: 0, max: 9 }),
  });
  await fc.assert(
    fc.asyncProperty(request, async ({ query, signed, headers, ...sent }) => {
      front.service.clear();
      await front.service.createBucket({ principal: ROOT, bucket: "bucket", location: "" });
      front.service.place("bucket", "key", Buffer.from("0123456789"));
      const pairs = query.map(([name, value]) => `${name}=${encode(value)}`);
      const {
        status,
        headers: answered,
        text: document,
      } = await front.send({
        method: sent.method,
        target: `${sent.path}${pairs.length === 0 ? "" : `?${pairs.join("&")}`}`,
        headers: { ...headers, ...(headers["expect"] !== undefined && { expect: "100-continue" }) },
        anonymous: signed === 0,
        ...(sent.body !== undefined && { body: sent.body }),
        ...(sent.payload !== undefined && { payload: sent.payload }),
      });
      assert.notEqual(status, 500);
      assert.ok(status === 501 || status < 500, String(status));
      assert.match(String(answered["x-amz-request-id"]), /^[0-9A-F]{16}$/);
      if (status < 400 || sent.method === "HEAD") return;
      assert.equal(answered["content-type"], "application/xml");
      const error = xmlOf({ text: document });
      assert.equal(error.name, "Error");
      assert.ok(CODES.has(childText(error, "Code") ?? ""), document);
    }),
    { numRuns: 500 },
  );
  assert.deepEqual(
    front.lines.filter(({ level }) => level === "error"),
    [],
  );
});

/** Percent-encodes all but what signatures leave as it is. */
function encode(value: string): string {
  const percent = (byte: number): string => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  return [...Buffer.from(value)]
    .map((byte) => (/[A-Za-z0-9._~-]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : percent(byte)))
    .join("");
}
