import assert from "node:assert/strict";
import { test } from "node:test";
import { presignUrl, signedAtMs, type UrlToSign } from "../../../src/shared/presign-url.ts";
import { Secret } from "../../../src/shared/secret.ts";

const KEYS = {
  accessKey: "AKIAIOSFODNN7EXAMPLE",
  secretKey: new Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
  region: "us-east-1",
};

const URL_OF_AWS: UrlToSign = {
  method: "GET",
  origin: "https://examplebucket.s3.amazonaws.com",
  path: "/test.txt",
  query: {},
  nowMs: Date.UTC(2013, 4, 24),
  expiresSeconds: 86_400,
};

/** https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html */
test("AWS's example gets AWS's signature, whatever the milliseconds", () => {
  for (const extraMs of [0, 1, 999]) {
    const url = new URL(presignUrl({ ...URL_OF_AWS, nowMs: URL_OF_AWS.nowMs + extraMs }, KEYS));
    assert.equal(url.origin + url.pathname, "https://examplebucket.s3.amazonaws.com/test.txt");
    assert.deepEqual(Object.fromEntries(url.searchParams), {
      "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
      "X-Amz-Credential": "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request",
      "X-Amz-Date": "20130524T000000Z",
      "X-Amz-Expires": "86400",
      "X-Amz-SignedHeaders": "host",
      "X-Amz-Signature": "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
    });
  }
});

test("a path keeps its slashes and every other character comes through as it is", () => {
  const url = presignUrl({ ...URL_OF_AWS, path: "/b/a b+c%d//ü!'()*&?#/.", query: { "a=b": "&" } }, KEYS);
  const [path, query = ""] = url.slice(URL_OF_AWS.origin.length).split("?");
  assert.equal(path, "/b/a%20b%2Bc%25d//%C3%BC%21%27%28%29%2A%26%3F%23/.");
  assert.match(query, /&a%3Db=%26&X-Amz-Signature=[0-9a-f]{64}$/);
});

test("a life that S3 does not take is refused", () => {
  for (const expiresSeconds of [1, 604_800]) assert.ok(presignUrl({ ...URL_OF_AWS, expiresSeconds }, KEYS));
  for (const expiresSeconds of [0, -1, 604_801, 1.5, Number.NaN]) {
    assert.throws(() => presignUrl({ ...URL_OF_AWS, expiresSeconds }, KEYS), RangeError);
  }
});

test("a URL begins to count at the second in which it is signed", () => {
  assert.equal(signedAtMs(1_999), 1_000);
});
