import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { S3Error, type S3ErrorCode } from "../../../src/s3/errors.ts";
import { headerValue } from "../../../src/s3/headers.ts";
import { type AddressingSettings, parseS3Request, queryValue, type S3Request } from "../../../src/s3/request.ts";
import { uriEncodePath } from "../../../src/s3/url-encoding.ts";

function parse(url: string, host = "127.0.0.1:9070", settings: AddressingSettings = {}): S3Request {
  return parseS3Request({ method: "GET", url, rawHeaders: ["Host", host] }, settings);
}

function refused(code: S3ErrorCode, run: () => unknown): S3Error {
  let error: S3Error | undefined;
  assert.throws(run, (thrown) => {
    if (thrown instanceof S3Error) error = thrown;
    return error?.code === code;
  });
  assert.ok(error);
  return error;
}

describe("a request's path", () => {
  const cases: [string, string | undefined, string | undefined][] = [
    ["/", undefined, undefined],
    ["/?x", undefined, undefined],
    ["/bucket", "bucket", undefined],
    ["/bucket/", "bucket", undefined],
    ["/bucket?acl", "bucket", undefined],
    ["/bucket/key", "bucket", "key"],
    ["/bucket/a/b/", "bucket", "a/b/"],
    ["/bucket//", "bucket", "/"],
    ["/bucket//a//b", "bucket", "/a//b"],
    ["/bucket/./a/../b", "bucket", "./a/../b"],
    ["/bucket/%2e%2e/b", "bucket", "../b"],
    ["/bucket/a%2Fb%3Fc%23d%25", "bucket", "a/b?c#d%"],
    ["/bucket/a+b%2Bc", "bucket", "a b+c"],
    ["/bucket/%E2%82%AC", "bucket", "€"],
    ["/bucket/a#b", "bucket", "a#b"],
    ["/b%75cket/k", "bucket", "k"],
    ["http://127.0.0.1:9070/bucket/k?acl", "bucket", "k"],
    ["http://127.0.0.1:9070?acl", undefined, undefined],
  ];
  for (const [url, bucket, key] of cases) {
    test(`${url} is bucket ${bucket} and key ${key}`, () => {
      const request = parse(url);
      assert.deepEqual([request.bucket, request.key, request.addressing], [bucket, key, "path"]);
    });
  }

  test("gives back any key of up to 1,024 bytes", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", minLength: 1, maxLength: 256 }), (key) => {
        assert.equal(parse(`/bucket/${uriEncodePath(key)}`).key, key);
      }),
    );
    assert.equal(parse(`/bucket/${"k".repeat(1024)}`).key?.length, 1024);
  });

  test("refuses a key of 1,025 bytes, counted in UTF-8 after decoding", () => {
    const error = refused("KeyTooLongError", () => parse(`/bucket/k${"%C3%A9".repeat(512)}`));
    assert.deepEqual(error.fields, { Size: 1025, MaxSizeAllowed: 1024 });
  });

  test("is kept as it was sent", () => {
    const request = parse("/bucket/a%20b?prefix=%41&acl");
    assert.equal(request.rawPath, "/bucket/a%20b");
    assert.equal(request.rawQuery, "prefix=%41&acl");
  });

  test("is refused where it cannot be read", () => {
    for (const url of ["/b/%", "/b/%zz", "/b/%ff", "/%ff/k", "/b?a=%", "/b?%=1", "*", "b/k", ""]) {
      refused("InvalidURI", () => parse(url));
    }
    refused("InvalidBucketName", () => parse("//key"));
  });
});

describe("a request's host", () => {
  const settings = { domain: "s3.example.com" };
  const cases: [string, string | undefined, string | undefined, string][] = [
    ["bucket.s3.example.com", "bucket", "a/b", "virtual"],
    ["bucket.s3.example.com:9070", "bucket", "a/b", "virtual"],
    ["Bucket.S3.Example.COM", "bucket", "a/b", "virtual"],
    ["my.dotted.bucket.s3.example.com", "my.dotted.bucket", "a/b", "virtual"],
    ["s3.example.com", "a", "b", "path"],
    [".s3.example.com", "a", "b", "path"],
    ["xs3.example.com", "a", "b", "path"],
    ["[::1]:9070", "a", "b", "path"],
    ["", "a", "b", "path"],
  ];
  for (const [host, bucket, key, addressing] of cases) {
    test(`${host || "(empty)"} addresses ${addressing}-style`, () => {
      const request = parse("/a/b", host, settings);
      assert.deepEqual([request.bucket, request.key, request.addressing], [bucket, key, addressing]);
    });
  }

  test("names the bucket while the whole path is the key", () => {
    const request = parse("//a", "bucket.s3.example.com", settings);
    assert.deepEqual([request.bucket, request.key], ["bucket", "/a"]);
    assert.equal(parse("/", "bucket.s3.example.com", settings).key, undefined);
  });

  test("is not looked at without a domain", () => {
    assert.equal(parse("/a/b", "bucket.s3.example.com").bucket, "a");
  });

  test("is given once", () => {
    refused("InvalidHostHeader", () =>
      parseS3Request({ method: "GET", url: "/", rawHeaders: ["Host", "a", "host", "b"] }, {}),
    );
  });
});

describe("a request's query and headers", () => {
  test("keep parameters without values, values with =, empty names and repeats", () => {
    const { query } = parse("/b?acl&prefix=a%20b+c&x=1&x=2&e=a=b&&=v&%C3%A9=");
    assert.deepEqual(
      [...query],
      [
        ["acl", [""]],
        ["prefix", ["a b c"]],
        ["x", ["1", "2"]],
        ["e", ["a=b"]],
        ["", ["v"]],
        ["é", [""]],
      ],
    );
    assert.equal(queryValue(query, "acl"), "");
    assert.equal(queryValue(query, "x"), "1");
    assert.equal(queryValue(query, "y"), undefined);
    assert.deepEqual([...parse("/b?").query], []);
  });

  test("take names of JavaScript's own for names", () => {
    assert.equal(queryValue(parse("/b").query, "constructor"), undefined);
    assert.equal(queryValue(parse("/b?__proto__=1").query, "__proto__"), "1");
  });

  test("keep every line of a header, its name in lower case", () => {
    const rawHeaders = ["Host", "h", "X-Amz-Meta-A", "1", "x-amz-meta-a", " 2"];
    const { headers } = parseS3Request({ method: "PUT", url: "/b/k", rawHeaders }, {});
    assert.deepEqual(headers.get("x-amz-meta-a"), ["1", " 2"]);
    assert.equal(headerValue(headers, "x-amz-meta-a"), "1, 2");
    assert.equal(headerValue(headers, "host"), "h");
    assert.equal(headerValue(headers, "nothing"), undefined);
  });
});
