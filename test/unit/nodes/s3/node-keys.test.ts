import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { copyKeyFromBytes } from "../../../../src/nodes/copy-key.ts";
import { NodeKeys } from "../../../../src/nodes/s3/node-keys.ts";

const CLUSTER = "00c0ffee00c0ffee00c0ffee00c0ffee";
const keys = new NodeKeys(CLUSTER);
const copyKeys = fc.uint8Array({ minLength: 20, maxLength: 20 }).map(copyKeyFromBytes);

describe("keys on an S3 node", () => {
  test("lie under the cluster and the session", () => {
    const key = "0000002a/ab112233445566778899aabbccddeeff";
    const nodeKey = `.bulkhead/${CLUSTER}/blobs/0000002a/ab/ab112233445566778899aabbccddeeff`;
    assert.equal(keys.blob(key), nodeKey);
    assert.ok(nodeKey.startsWith(keys.blobPrefix(42)));
    assert.ok(nodeKey.startsWith(keys.blobPrefix(undefined)));
    assert.ok(!nodeKey.startsWith(keys.blobPrefix(43)));
  });

  test("lead back to the copy key", () => {
    fc.assert(fc.property(copyKeys, (key) => assert.equal(keys.copyKey(keys.blob(key)), key)));
  });

  test("sort as the copy keys do", () => {
    fc.assert(fc.property(copyKeys, copyKeys, (a, b) => assert.equal(keys.blob(a) < keys.blob(b), a < b)));
  });

  test("are not seen in the names of others", () => {
    const good = keys.blob("0000002a/ab112233445566778899aabbccddeeff");
    for (const foreign of [
      "photo.jpg",
      `${good}0`,
      good.replace("/ab/", "/ac/"),
      good.replace(CLUSTER, CLUSTER.replace("0", "1")),
      good.toUpperCase(),
      ".bulkhead/identity",
    ]) {
      assert.equal(keys.copyKey(foreign), undefined, foreign);
    }
  });
});
