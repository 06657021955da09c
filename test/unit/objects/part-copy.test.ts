import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { objectKey } from "../../../src/catalog/keys.ts";
import { encodeVersion } from "../../../src/catalog/records/version.ts";
import { PART_BYTES_MIN } from "../../../src/objects/multipart/complete-upload.ts";
import { PUT_BYTES_MAX } from "../../../src/objects/put-object.ts";
import { patternBytes } from "../../support/blobs.ts";
import { assertNothingLeft, assertSound } from "../../support/catalog-audit.ts";
import { assertCode } from "../../support/object-client.ts";
import { MIB, openBox } from "../../support/open-box.ts";

const SMALL = Buffer.from(patternBytes(1_000, 1));
const SEGMENTED = Buffer.from(patternBytes(3 * MIB, 2));

test("parts are copied from objects of every kind, whole and in ranges, and outlive their sources", async () => {
  const { gateway, client } = await openBox();
  const sources = new Map([
    ["inline", SMALL],
    ["blob", SMALL],
    ["segmented", SEGMENTED],
  ]);
  for (const [key, bytes] of sources) await client.put(`box/${key}`, bytes);
  await client.copy("box/blob", "box/blob too");
  const nested = await client.createUpload("box/nested");
  const pieces = [await client.partCopy(nested, 1, "box/segmented"), await client.partCopy(nested, 2, "box/inline")];
  // The first is too small to be followed by another.
  await assertCode(client.complete(nested, pieces), "part-too-small");
  await client.complete(nested, pieces.slice(0, 1));
  sources.set("nested", SEGMENTED);

  for (const [key, bytes] of sources) {
    for (const range of [
      undefined,
      { start: 0, end: 1 },
      { start: 17, end: bytes.length },
      { start: 990, end: 1_000 },
    ]) {
      const upload = await client.createUpload(`box/copy of ${key}`);
      const copied = await client.partCopy(upload, 1, `box/${key}`, range);
      const expected = bytes.subarray(range?.start ?? 0, range?.end ?? bytes.length);
      assert.equal(copied.etag, createHash("md5").update(expected).digest("hex"));
      await client.complete(upload, [copied]);
      assert.ok((await client.get(`box/copy of ${key}`)).equals(expected), key);
    }
  }
  await assertSound(gateway);
  for (const key of [...sources.keys(), "blob too"]) await client.delete(`box/${key}`);
  await gateway.quiesce();
  for (const [key, bytes] of sources) {
    const copy = await client.get(`box/copy of ${key}`);
    assert.ok(copy.equals(bytes.subarray(990, 1_000)), key);
    await client.delete(`box/copy of ${key}`);
  }
  await client.service.deleteBucket("box");
  await gateway.quiesce();
  await assertNothingLeft(gateway);
});

test("a part may be of the very object that its upload replaces, and of one blob several times", async () => {
  const { gateway, client } = await openBox();
  const bytes = Buffer.from(patternBytes(PART_BYTES_MIN, 3));
  await client.put("box/a", bytes);
  const upload = await client.createUpload("box/a");
  const parts = [];
  for (const partNumber of [1, 2, 3]) parts.push(await client.partCopy(upload, partNumber, "box/a"));
  await client.complete(upload, parts);
  await gateway.quiesce();
  assert.ok((await client.get("box/a")).equals(Buffer.concat([bytes, bytes, bytes])));
  assert.equal((await assertSound(gateway)).blobs.size, 5);
});

test("a part of an object without bytes has none", async () => {
  const { client } = await openBox();
  await client.put("box/empty", Buffer.alloc(0));
  const upload = await client.createUpload("box/a");
  const part = await client.partCopy(upload, 1, "box/empty");
  await client.complete(upload, [part]);
  assert.equal((await client.head("box/a")).object.size, 0);
});

test("what is not there, out of range, too large or under a condition that does not hold is not copied", async () => {
  const { gateway, client } = await openBox();
  const { etag } = await client.put("box/a", SMALL);
  const upload = await client.createUpload("box/b");
  await assertCode(client.partCopy(upload, 1, "box/absent"), "no-such-key");
  await assertCode(client.partCopy(upload, 1, "nowhere/a"), "no-such-bucket");
  for (const range of [
    { start: 0, end: 1_001 },
    { start: 1_000, end: 1_001 },
    { start: 5, end: 5 },
  ]) {
    const error = await assertCode(client.partCopy(upload, 1, "box/a", range), "invalid-range");
    assert.equal(error.details["actualObjectSize"], SMALL.length);
  }
  const request = { ...upload, partNumber: 1 };
  for (const conditions of [{ ifMatch: ["x"] }, { ifNoneMatch: [etag] }]) {
    const source = { bucket: "box", key: "a", conditions };
    await assertCode(client.service.uploadPartCopy({ ...request, source }), "precondition-failed");
  }
  const versioned = { bucket: "box", key: "a", versionId: "1".repeat(32), conditions: {} };
  await assertCode(client.service.uploadPartCopy({ ...request, source: versioned }), "no-such-version");

  const { buckets, versions } = await assertSound(gateway);
  const [bucketId = ""] = buckets.keys();
  const version = versions.get(`${bucketId}/a`) ?? assert.fail();
  const large = encodeVersion({ ...version, size: PUT_BYTES_MAX + 1 });
  await gateway.kv.atomic().set(objectKey(bucketId, "a"), large).commit();
  await assertCode(client.partCopy(upload, 1, "box/a"), "invalid-request");
});

test("a range that is made of more pieces than a part may be is refused", async () => {
  const { client } = await openBox({ segmentBytes: 1_000 });
  await client.put("box/a", patternBytes(1_501_000, 1));
  const upload = await client.createUpload("box/b");
  await assertCode(client.partCopy(upload, 1, "box/a"), "invalid-request");
  await client.partCopy(upload, 1, "box/a", { start: 0, end: 1_500_000 });
});

test("a source whose bytes cannot be read is not copied, and a caller that gives up is let go", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", SMALL);
  const upload = await client.createUpload("box/b");
  const caller = new AbortController();
  caller.abort();
  const source = { bucket: "box", key: "a", conditions: {} };
  const request = { ...upload, partNumber: 1, source, signal: caller.signal };
  await assertCode(client.service.uploadPartCopy(request), "aborted");
  gateway.nodeDown("d0-0");
  gateway.nodeDown("d1-0");
  await gateway.whileTimePasses(assertCode(client.partCopy(upload, 1, "box/a"), "unavailable"));
  assert.equal((await assertSound(gateway)).parts.size, 0);
});
