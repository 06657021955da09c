import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isBucketName } from "../../../src/objects/names.ts";
import { assertNothingLeft } from "../../support/catalog-audit.ts";
import { openInMemoryGateway } from "../../support/in-memory-gateway.ts";
import { ALICE, assertCode, ObjectClient } from "../../support/object-client.ts";
import { once, openBox } from "../../support/open-box.ts";

const BYTES = Buffer.from("some bytes");
const LONG = "n".repeat(4_000);

test("a bucket is what it was created as", async () => {
  const { gateway, client } = await openBox();
  const created = await client.service.createBucket({ principal: ALICE, bucket: "far", location: "eu-north-1" });
  assert.deepEqual(created, {
    name: "far",
    createdAtMs: gateway.clock.nowMs(),
    owner: ALICE,
    location: "eu-north-1",
  });
  assert.deepEqual(await client.service.headBucket("far"), created);
});

test("a bucket that exists is not created again", async () => {
  const { client } = await openBox();
  const error = await assertCode(client.createBucket("box"), "bucket-exists");
  assert.equal(error.details["owner"], ALICE.id);
});

test("of many that create one bucket at the same time one does", async () => {
  const { gateway, client } = await openBox();
  const peer = new ObjectClient(() => peerProcess.service);
  const peerProcess = await gateway.peer();
  const outcomes = await Promise.allSettled([client, peer, client, peer].map((each) => each.createBucket("new")));
  assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
});

test("a bucket that goes while another is refused for it is created", async () => {
  const { gateway, client } = await openBox();
  const peer = await gateway.peer();
  gateway.kv.hooks.get = once(() => peer.service.deleteBucket("box"));
  await client.createBucket("box");
  assert.equal((await client.service.headBucket("box")).name, "box");
});

test("names that S3 refuses are refused", async () => {
  const { client } = await openBox();
  for (const name of ["", "ab", "a".repeat(64), "Upper", "-box", "box-", "a..b", "1.2.3.4", "xn--box", "box-s3alias"]) {
    await assertCode(client.createBucket(name), "invalid-bucket-name");
  }
  for (const name of ["abc", "a".repeat(63), "a.b-c", "1.2.3.4.5", "123"]) assert.ok(isBucketName(name), name);
});

test("a bucket that does not exist is named by every call", async () => {
  const { client } = await openBox();
  const { service } = client;
  const upload = { bucket: "no-box", key: "a", uploadId: "0".repeat(32) };
  const list = { bucket: "no-box", prefix: "", delimiter: "" };
  const calls = [
    service.headBucket("no-box"),
    service.deleteBucket("no-box"),
    client.put("no-box/a", BYTES),
    client.get("no-box/a"),
    client.head("no-box/a"),
    client.delete("no-box/a"),
    service.deleteObjects({ bucket: "no-box", targets: [] }),
    client.copy("no-box/a", "box/b"),
    client.copy("box/a", "no-box/b"),
    service.listObjects({ ...list, after: "", maxKeys: 10 }),
    client.createUpload("no-box/a"),
    client.part(upload, 1, BYTES),
    client.partCopy(upload, 1, "box/a"),
    client.complete(upload, [{ partNumber: 1, etag: "e" }]),
    client.abort(upload),
    service.listParts({ ...upload, after: 0, maxParts: 10 }),
    service.listUploads({ ...list, keyMarker: "", uploadIdMarker: "", maxUploads: 10 }),
  ];
  const errors = await Promise.all(calls.map((call) => assertCode(call, "no-such-bucket")));
  for (const error of errors) assert.equal(error.details["bucket"], "no-box");
});

test("a name that is longer than any bucket's is no bucket", async () => {
  const { client } = await openBox();
  await assertCode(client.service.headBucket(LONG), "no-such-bucket");
  await assertCode(client.put(`${LONG}/a`, BYTES), "no-such-bucket");
  await assertCode(client.service.deleteBucket(LONG), "no-such-bucket");
});

test("a bucket with an object is not deleted, one with an unfinished upload is, and takes the upload along", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  await assertCode(client.service.deleteBucket("box"), "bucket-not-empty");
  const upload = await client.createUpload("box/b");
  await client.part(upload, 1, BYTES);
  await client.delete("box/a");
  await client.service.deleteBucket("box");
  await assertCode(client.service.headBucket("box"), "no-such-bucket");
  await gateway.quiesce();
  await assertNothingLeft(gateway);
});

test("a bucket that is created anew shows nothing of the one before", async () => {
  const { client } = await openBox();
  const upload = await client.createUpload("box/b");
  await client.service.deleteBucket("box");
  await client.createBucket("box");
  assert.deepEqual(await client.keys("box"), []);
  await assertCode(client.part(upload, 1, BYTES), "no-such-upload");
  const list = { bucket: "box", prefix: "", delimiter: "", keyMarker: "", uploadIdMarker: "", maxUploads: 10 };
  assert.deepEqual((await client.service.listUploads(list)).uploads, []);
});

test("buckets are listed by name, each once, whatever the prefix and the size of the pages", async () => {
  const name = fc
    .string({ unit: fc.constantFrom("a", "b", "1", "-"), minLength: 1, maxLength: 4 })
    .map((s) => `x${s}0`);
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(name, { maxLength: 12 }),
      fc.constantFrom("", "x", "xa", "xb-", "y"),
      fc.integer({ min: 1, max: 5 }),
      async (names, prefix, maxBuckets) => {
        const gateway = await openInMemoryGateway();
        const client = new ObjectClient(() => gateway.service);
        for (const bucket of names) await client.createBucket(bucket);
        const listed: string[] = [];
        for (let after: string | undefined = ""; after !== undefined; ) {
          const page = await client.service.listBuckets({ prefix, after, maxBuckets });
          assert.ok(page.buckets.length <= maxBuckets);
          listed.push(...page.buckets.map((bucket) => bucket.name));
          after = page.next;
        }
        assert.deepEqual(listed, names.filter((each) => each.startsWith(prefix)).sort());
      },
    ),
    { numRuns: 50 },
  );
});

test("a prefix or a marker that is longer than any bucket's name finds nothing", async () => {
  const { client } = await openBox();
  const { buckets } = await client.service.listBuckets({ prefix: LONG, after: "", maxBuckets: 10 });
  assert.deepEqual(buckets, []);
  const later = await client.service.listBuckets({ prefix: "", after: LONG, maxBuckets: 10 });
  assert.deepEqual(later.buckets, []);
  const sooner = await client.service.listBuckets({ prefix: "", after: `a${"😀".repeat(40)}`, maxBuckets: 10 });
  assert.deepEqual(
    sooner.buckets.map(({ name }) => name),
    ["box"],
  );
});
