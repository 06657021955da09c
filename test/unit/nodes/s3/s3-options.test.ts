import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  checkBucket,
  checkLimits,
  checkRegion,
  DEFAULT_S3_NODE_LIMITS,
  parseEndpoint,
} from "../../../../src/nodes/s3/s3-options.ts";
import { NodeError } from "../../../../src/nodes/storage-node.ts";

describe("options of an S3 node", () => {
  test("an endpoint says what the Host header says", () => {
    assert.deepEqual(parseEndpoint("http://127.0.0.1:9000"), {
      origin: "http://127.0.0.1:9000",
      host: "127.0.0.1:9000",
    });
    assert.deepEqual(parseEndpoint("https://S3.example:443/"), { origin: "https://s3.example", host: "s3.example" });
    assert.deepEqual(parseEndpoint("http://[::1]:9000"), { origin: "http://[::1]:9000", host: "[::1]:9000" });
  });

  const wrong: readonly [endpoint: string, reason: RegExp][] = [
    ["", /no URL/],
    ["127.0.0.1:9000", /no URL|neither/],
    ["ftp://host", /neither/],
    ["volume:/srv", /neither/],
    ["http://key:secret@host", /credentials/],
    ["http://host/path", /path/],
    ["http://host/?a=b", /query/],
  ];
  for (const [endpoint, reason] of wrong) {
    test(`the endpoint '${endpoint}' is refused with the reason and without a secret`, () => {
      assert.throws(
        () => parseEndpoint(endpoint),
        (error) =>
          error instanceof NodeError &&
          error.kind === "invalid" &&
          reason.test(error.message) &&
          !error.message.includes("secret"),
      );
    });
  }

  test("a bucket is named by what needs no escaping", () => {
    for (const good of ["node-a1", "a.b.c", "Bucket_1"]) checkBucket(good);
    for (const bad of ["", "ab", "a/b", "-ab", "a..b", "a b c", "x".repeat(64), "bücket"]) {
      assert.throws(() => checkBucket(bad), NodeError, bad);
    }
  });

  test("a region needs no escaping either", () => {
    checkRegion("eu-central-1");
    for (const bad of ["", "a<b", "a/b", "x".repeat(65)]) assert.throws(() => checkRegion(bad), NodeError, bad);
  });

  test("parts are whole blocks and single requests within S3's limit", () => {
    checkLimits(DEFAULT_S3_NODE_LIMITS);
    for (const bad of [{ partBytes: 0 }, { partBytes: 5_000_000 }, { multipartThresholdBytes: 6 * 2 ** 30 }]) {
      assert.throws(() => checkLimits({ ...DEFAULT_S3_NODE_LIMITS, ...bad }), NodeError);
    }
  });
});
