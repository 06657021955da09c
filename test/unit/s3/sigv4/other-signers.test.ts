import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { headerValue } from "../../../../src/s3/headers.ts";
import { readUserMetadata } from "../../../../src/s3/metadata.ts";
import { parseS3Request } from "../../../../src/s3/request.ts";
import { withHoistedHeaders } from "../../../../src/s3/sigv4/hoisted-headers.ts";
import { systemClock } from "../../../../src/shared/clock.ts";
import { EXAMPLE, refused, type Sent, verify } from "./requests.ts";

describe("signers of others are understood", () => {
  const fixture: {
    nowMs: number;
    region: string;
    accessKeyId: string;
    secretAccessKey: string;
    cases: (Sent & { name: string; sessionToken?: string })[];
  } = JSON.parse(readFileSync(new URL("fixtures/botocore-sigv4.json", import.meta.url), "utf8"));

  for (const { name, sessionToken, ...sent } of fixture.cases) {
    test(`botocore: ${name}`, async () => {
      const { nowMs, region, accessKeyId, secretAccessKey } = fixture;
      const credential = { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) };
      const side = { nowMs, region, credential, domain: "s3.example.com" };
      assert.equal((await verify(sent, side)).kind, "signed");
      await refused("SignatureDoesNotMatch", /./, { ...sent, method: "DELETE" }, side);
    });
  }

  const keys = ["plain", "a b+c", "/a//./../b/", "ünïcödé/😀", "!'()*~;:@&=$,?#[]%", "%41"];
  class Captured extends Error {
    readonly sent: Sent;
    constructor(sent: Sent) {
      super("captured");
      this.sent = sent;
    }
  }
  interface SdkRequest {
    method: string;
    path: string;
    query: Record<string, string>;
    headers: Record<string, string>;
  }
  const client = new S3Client({
    region: "us-east-1",
    endpoint: "http://127.0.0.1:9070",
    forcePathStyle: true,
    credentials: EXAMPLE,
    maxAttempts: 1,
    requestHandler: {
      handle({ method, path, query, headers }: SdkRequest) {
        const parameters = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
        return Promise.reject(
          new Captured({ method, url: `${path}?${parameters.join("&")}`, headers: Object.entries(headers) }),
        );
      },
    },
  });

  for (const key of keys) {
    test(`the AWS SDK for JavaScript: key ${JSON.stringify(key)}`, async () => {
      const put = new PutObjectCommand({ Bucket: "bucket", Key: key, Body: "body", Metadata: { a: "  b  c " } });
      const sent = await client.send(put).then(
        () => assert.fail("it was not sent"),
        (thrown) => (thrown instanceof Captured ? thrown.sent : assert.fail(String(thrown))),
      );
      const nowMs = systemClock.nowMs();
      assert.equal((await verify(sent, { nowMs })).kind, "signed");

      const url = await getSignedUrl(client, new GetObjectCommand({ Bucket: "bucket", Key: key }), { expiresIn: 60 });
      const got: Sent = {
        method: "GET",
        url: url.slice("http://127.0.0.1:9070".length),
        headers: [["Host", "127.0.0.1:9070"]],
      };
      assert.equal((await verify(got, { nowMs })).kind, "signed");
      assert.equal(parseS3Request({ method: "GET", url: got.url, rawHeaders: [] }, {}).key, key);
    });
  }

  test("the AWS SDK's presigned upload brings its metadata along, and no checksum of an empty body", async () => {
    const put = new PutObjectCommand({ Bucket: "bucket", Key: "k", Metadata: { name: "é" }, ACL: "private" });
    const url = (await getSignedUrl(client, put)).slice("http://127.0.0.1:9070".length);
    assert.match(url, /x-amz-checksum-crc32=AAAAAA/);
    const request = parseS3Request({ method: "PUT", url, rawHeaders: ["Host", "127.0.0.1:9070"] }, {});
    assert.equal(
      (await verify({ method: "PUT", url, headers: [["Host", "127.0.0.1:9070"]] }, { nowMs: systemClock.nowMs() }))
        .kind,
      "signed",
    );
    const headers = withHoistedHeaders(request);
    assert.deepEqual(readUserMetadata(headers), [["name", "é"]]);
    assert.equal(headerValue(headers, "x-amz-acl"), "private");
    assert.equal(headerValue(headers, "x-amz-checksum-crc32"), undefined);
  });

  test("a header goes before one of its name in the query", () => {
    const request = parseS3Request(
      { method: "PUT", url: "/b/k?x-amz-acl=private", rawHeaders: ["x-amz-acl", "none"] },
      {},
    );
    assert.deepEqual(withHoistedHeaders(request).get("x-amz-acl"), ["none"]);
  });
});
