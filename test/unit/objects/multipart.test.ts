import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { partKey } from "../../../src/catalog/keys.ts";
import { encodePart } from "../../../src/catalog/records/manifest.ts";
import { OBJECT_BYTES_MAX, PART_BYTES_MIN } from "../../../src/objects/multipart/complete-upload.ts";
import { PART_NUMBER_MAX } from "../../../src/objects/multipart/parts.ts";
import { PUT_BYTES_MAX } from "../../../src/objects/put-object.ts";
import { patternBytes } from "../../support/blobs.ts";
import { assertNothingLeft, assertSound } from "../../support/catalog-audit.ts";
import { ALICE, assertCode, bodyOf, chunksOf, type UploadAddress } from "../../support/object-client.ts";
import { MIB, openBox } from "../../support/open-box.ts";

const SMALL = Buffer.from(patternBytes(1_000, 1));
const OTHER = Buffer.from(patternBytes(900, 2));
const LARGE = Buffer.from(patternBytes(PART_BYTES_MIN, 3));

function md5(...pieces: Uint8Array[]): Buffer {
  const hash = createHash("md5");
  for (const piece of pieces) hash.update(piece);
  return hash.digest();
}

test("an upload becomes an object of its parts in their order, with the attributes that it was started with", async () => {
  const { gateway, client } = await openBox();
  const attributes = {
    headers: [["content-type", "text/plain"]] as const,
    metadata: [["a", "b"]] as const,
    storageClass: "COLD",
  };
  const started = await client.service.createUpload({ principal: ALICE, bucket: "box", key: "a", attributes });
  const upload = { bucket: "box", key: "a", uploadId: started.uploadId };
  const last = await client.part(upload, 7, SMALL);
  const first = await client.part(upload, 2, LARGE);
  await assertCode(client.get("box/a"), "no-such-key");
  gateway.clock.advance(60_000);
  const completed = await client.complete(upload, [first, last]);
  const etag = `${md5(md5(LARGE), md5(SMALL)).toString("hex")}-2`;
  assert.deepEqual(completed, { etag, size: LARGE.length + SMALL.length });
  assert.deepEqual((await client.head("box/a")).object, {
    key: "a",
    size: completed.size,
    etag,
    modifiedAtMs: gateway.clock.nowMs(),
    owner: ALICE,
    partCount: 2,
    ...attributes,
  });
  assert.ok((await client.get("box/a")).equals(Buffer.concat([LARGE, SMALL])));
  await assertCode(client.part(upload, 3, SMALL), "no-such-upload");
  await assertCode(client.abort(upload), "no-such-upload");
  await assertSound(gateway);
});

test("parts that are not listed, and those that others replaced, go with the completion", async () => {
  const { gateway, client } = await openBox();
  const upload = await client.createUpload("box/a");
  await client.part(upload, 1, OTHER);
  const one = await client.part(upload, 1, LARGE);
  await client.part(upload, 2, OTHER);
  const three = await client.part(upload, 3, SMALL);
  await client.complete(upload, [one, three]);
  await gateway.quiesce();
  const { blobs } = await assertSound(gateway);
  assert.equal(blobs.size, 6);
  assert.equal(gateway.node("d0-0").store.blobs.size, 6);
  assert.ok((await client.get("box/a")).equals(Buffer.concat([LARGE, SMALL])));
});

test("an upload that is completed again answers as before, as long as its object is there", async () => {
  const { client } = await openBox();
  const upload = await client.createUpload("box/a", { algorithm: "CRC32", type: "FULL_OBJECT" });
  const part = await client.part(upload, 1, SMALL);
  const completed = await client.complete(upload, [part]);
  assert.notEqual(completed.checksum, undefined);
  assert.deepEqual(await client.complete(upload, [part]), completed);
  assert.deepEqual(await Promise.all([client.complete(upload, [part]), client.complete(upload, [])]), [
    completed,
    completed,
  ]);
  await client.put("box/a", OTHER);
  await assertCode(client.complete(upload, [part]), "no-such-upload");
  assert.deepEqual(await client.get("box/a"), OTHER);
});

test("of completions at the same time every one answers the same", async () => {
  const { gateway, client } = await openBox();
  const upload = await client.createUpload("box/a");
  const part = await client.part(upload, 1, SMALL);
  const results = await Promise.all([1, 2, 3].map(() => client.complete(upload, [part])));
  assert.equal(new Set(results.map(({ etag }) => etag)).size, 1);
  assert.deepEqual(await client.get("box/a"), SMALL);
  await assertSound(gateway);
});

test("parts are listed as they were uploaded, by pages", async () => {
  const { gateway, client } = await openBox();
  const upload = await client.createUpload("box/a", { algorithm: "SHA256", type: "COMPOSITE" });
  for (const number of [5, 1, 10_000, 3]) await client.part(upload, number, SMALL);
  const { parts, upload: info } = await client.service.listParts({ ...upload, after: 0, maxParts: 1_000 });
  const expected = [1, 3, 5, 10_000].map((partNumber) => ({
    partNumber,
    size: SMALL.length,
    etag: md5(SMALL).toString("hex"),
    modifiedAtMs: gateway.clock.nowMs(),
    checksum: createHash("sha256").update(SMALL).digest("base64"),
  }));
  assert.deepEqual(parts, expected);
  assert.deepEqual([info.uploadId, info.key, info.checksum?.algorithm], [upload.uploadId, "a", "SHA256"]);
  const page = await client.service.listParts({ ...upload, after: 1, maxParts: 2 });
  assert.deepEqual([page.parts.map(({ partNumber }) => partNumber), page.next], [[3, 5], 5]);
  const rest = await client.service.listParts({ ...upload, after: 5, maxParts: 2 });
  assert.deepEqual([rest.parts.map(({ partNumber }) => partNumber), rest.next], [[10_000], undefined]);
  assert.deepEqual((await client.service.listParts({ ...upload, after: 0, maxParts: 0 })).parts, []);
});

test("an upload that does not exist is named by every call on it", async () => {
  const { client } = await openBox();
  const real = await client.createUpload("box/a");
  const aborted = await client.createUpload("box/a");
  await client.abort(aborted);
  const addresses: UploadAddress[] = [
    { ...real, uploadId: "0".repeat(32) },
    { ...real, uploadId: "no id" },
    { ...real, uploadId: "" },
    { ...real, key: "b" },
    aborted,
  ];
  await client.put("box/source", SMALL);
  for (const address of addresses) {
    await assertCode(client.part(address, 1, SMALL), "no-such-upload");
    await assertCode(client.partCopy(address, 1, "box/source"), "no-such-upload");
    await assertCode(client.complete(address, [{ partNumber: 1, etag: "e" }]), "no-such-upload");
    await assertCode(client.abort(address), "no-such-upload");
    await assertCode(client.service.listParts({ ...address, after: 0, maxParts: 10 }), "no-such-upload");
  }
  const long = { ...real, key: "k".repeat(1_025) };
  await assertCode(client.part(long, 1, SMALL), "key-too-long");
  await assertCode(client.createUpload(`box/${long.key}`), "key-too-long");
});

test("a part that cannot be one is refused, and nothing of it is left", async () => {
  const { gateway, client } = await openBox();
  const upload = await client.createUpload("box/a", { algorithm: "CRC32", type: "FULL_OBJECT" });
  for (const number of [0, -1, PART_NUMBER_MAX + 1]) {
    await assertCode(client.part(upload, number, SMALL), "invalid-request");
    await assertCode(client.partCopy(upload, number, "box/a"), "invalid-request");
  }
  const large = { length: PUT_BYTES_MAX + 1, stream: chunksOf(SMALL), expected: {} };
  await assertCode(client.part(upload, 1, large), "too-large");
  const wrong = { algorithm: "SHA1", value: () => undefined } as const;
  await assertCode(client.part(upload, 1, bodyOf(SMALL, { checksum: wrong })), "invalid-request");
  const bad = { algorithm: "CRC32", value: () => Buffer.alloc(4) } as const;
  await assertCode(client.part(upload, 1, bodyOf(SMALL, { checksum: bad })), "bad-checksum");
  await assertCode(client.part(upload, 1, bodyOf(SMALL, { md5: Buffer.alloc(16) })), "bad-digest");
  await assertCode(client.part(upload, 1, { ...bodyOf(SMALL), length: 2 * MIB }), "incomplete-body");
  await gateway.settle();
  assert.equal((await assertSound(gateway)).parts.size, 0);
  assert.equal(gateway.node("d0-0").store.blobs.size, 0);
});

test("a list of parts that is not what was uploaded completes nothing, and the upload goes on", async () => {
  const { client } = await openBox();
  const upload = await client.createUpload("box/a");
  const [one, two] = [await client.part(upload, 1, LARGE), await client.part(upload, 2, SMALL)];
  const three = await client.part(upload, 3, SMALL);
  const complete = (...parts: (typeof one)[]): Promise<unknown> => client.complete(upload, parts);
  await assertCode(complete(), "invalid-part");
  const missing = await assertCode(complete(one, { partNumber: 9, etag: two.etag }), "invalid-part");
  assert.equal(missing.details["partNumber"], 9);
  await assertCode(complete(one, { partNumber: 2, etag: one.etag }), "invalid-part");
  await assertCode(complete({ ...one, checksum: { algorithm: "CRC32", value: "AAAAAA==" } }), "invalid-part");
  await assertCode(complete(two, one), "invalid-part-order");
  await assertCode(complete(one, one), "invalid-part-order");
  const small = await assertCode(complete(one, two, three), "part-too-small");
  assert.deepEqual(small.details, {
    proposedSize: SMALL.length,
    minSizeAllowed: PART_BYTES_MIN,
    partNumber: 2,
    etag: two.etag,
  });
  const sized = { expectedSize: LARGE.length };
  await assertCode(client.complete(upload, [one, two], sized), "invalid-request");
  await assertCode(client.get("box/a"), "no-such-key");
  await client.complete(upload, [one, three], { expectedSize: LARGE.length + SMALL.length });
});

test("an object larger than S3's largest is not completed", async () => {
  const { gateway, client } = await openBox();
  const upload = await client.createUpload("box/a");
  // Terabytes are more than a test wants to upload.
  const count = OBJECT_BYTES_MAX / PUT_BYTES_MAX + 1;
  const listed = Array.from({ length: count }, (_, i) => ({ partNumber: i + 1, etag: "0".repeat(32) }));
  for (const { partNumber, etag } of listed) {
    const partId = partNumber.toString(16).padStart(32, "0");
    const part = { partId, partNumber, size: PUT_BYTES_MAX, modifiedAtMs: 0, etag, extents: [] };
    await gateway.kv.atomic().set(partKey(upload.uploadId, partNumber), encodePart(part)).commit();
  }
  const error = await assertCode(client.complete(upload, listed), "too-large");
  assert.equal(error.details["maxSizeAllowed"], OBJECT_BYTES_MAX);
});

test("a completion under a condition that does not hold leaves the upload as it is", async () => {
  const { client } = await openBox();
  const { etag } = await client.put("box/a", OTHER);
  const upload = await client.createUpload("box/a");
  const part = await client.part(upload, 1, SMALL);
  const complete = (conditions: { ifMatch: string } | { ifNoneMatch: "*" }): Promise<unknown> =>
    client.complete(upload, [part], { conditions });
  await assertCode(complete({ ifNoneMatch: "*" }), "precondition-failed");
  await assertCode(complete({ ifMatch: "0".repeat(32) }), "precondition-failed");
  assert.deepEqual(await client.get("box/a"), OTHER);
  await complete({ ifMatch: etag });
  assert.deepEqual(await client.get("box/a"), SMALL);
  const onNothing = await client.createUpload("box/b");
  const only = await client.part(onNothing, 1, SMALL);
  await assertCode(client.complete(onNothing, [only], { conditions: { ifMatch: etag } }), "no-such-key");
});

test("an object of one part without bytes is empty, and has one part", async () => {
  const { gateway, client } = await openBox();
  const upload = await client.createUpload("box/a");
  const part = await client.part(upload, 4, Buffer.alloc(0));
  const { etag, size } = await client.complete(upload, [part]);
  assert.deepEqual([etag, size], [`${md5(md5()).toString("hex")}-1`, 0]);
  assert.equal((await client.get("box/a")).length, 0);
  assert.equal((await client.get("box/a", { partNumber: 4 })).length, 0);
  await client.copy("box/a", "box/b");
  await client.delete("box/a");
  await client.delete("box/b");
  await client.service.deleteBucket("box");
  await gateway.quiesce();
  await assertNothingLeft(gateway);
});

test("an aborted upload leaves nothing", async () => {
  const { gateway, client } = await openBox();
  const upload = await client.createUpload("box/a");
  await client.part(upload, 1, LARGE);
  await client.put("box/source", SMALL);
  await client.partCopy(upload, 2, "box/source");
  await client.abort(upload);
  await assertCode(client.complete(upload, [{ partNumber: 1, etag: "e" }]), "no-such-upload");
  await gateway.quiesce();
  assert.deepEqual(await client.get("box/source"), SMALL);
  await client.delete("box/source");
  await client.service.deleteBucket("box");
  await gateway.quiesce();
  await assertNothingLeft(gateway);
});
