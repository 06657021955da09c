import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { PART_BYTES_MIN } from "../../../src/objects/multipart/complete-upload.ts";
import { collect, patternBytes } from "../../support/blobs.ts";
import { assertCode, at, type ObjectClient } from "../../support/object-client.ts";
import { assertReadsFail, MIB, once, openBox } from "../../support/open-box.ts";

const SMALL = Buffer.from(patternBytes(1_000, 1));

/** Objects of every kind of content, by path. */
async function putEveryKind(client: ObjectClient): Promise<Map<string, Buffer>> {
  const objects = new Map<string, Buffer>();
  const put = async (path: string, length: number): Promise<Buffer> => {
    const bytes = Buffer.from(patternBytes(length, length));
    objects.set(path, bytes);
    await client.put(path, bytes);
    return bytes;
  };
  await put("box/one", 1);
  const inline = await put("box/two-blocks", 300_000);
  const segmented = await put("box/segmented", 2 * MIB + 12_345);
  const shared = await put("box/shared", 262_144);
  await client.copy("box/shared", "box/shared too");
  objects.set("box/shared too", shared);

  const first = Buffer.from(patternBytes(PART_BYTES_MIN + 7, 3));
  const upload = await client.createUpload("box/parts");
  const padding = { start: 0, end: PART_BYTES_MIN };
  await client.put("box/whole", first);
  const parts = [
    await client.part(upload, 2, first),
    await client.partCopy(upload, 3, "box/whole", padding),
    await client.partCopy(upload, 4, "box/segmented", { start: 1_000_000, end: 1_100_001 }),
  ];
  await client.complete(upload, parts);
  objects.set(
    "box/parts",
    Buffer.concat([first, first.subarray(0, padding.end), segmented.subarray(1_000_000, 1_100_001)]),
  );
  const single = await client.createUpload("box/single part");
  await client.complete(single, [await client.partCopy(single, 9, "box/two-blocks", { start: 17, end: 290_000 })]);
  objects.set("box/single part", inline.subarray(17, 290_000));
  return objects;
}

test("every range of every kind of object is that slice of its bytes", async () => {
  const { client } = await openBox();
  const objects = await putEveryKind(client);
  for (const [path, bytes] of objects) assert.ok((await client.get(path)).equals(bytes), path);
  const share = fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom(0, 0.5, 1));
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...objects.keys()),
      share,
      share,
      fc.constantFrom("closed", "open", "suffix"),
      async (path, a, b, form) => {
        const bytes = objects.get(path) ?? assert.fail();
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        const first = Math.min(bytes.length - 1, Math.floor(bytes.length * from));
        const last = Math.max(first, Math.floor(bytes.length * to));
        const suffix = bytes.length - first;
        const range = form === "closed" ? { first, last } : form === "open" ? { first } : { suffix };
        const end = form === "closed" ? Math.min(bytes.length, last + 1) : bytes.length;
        assert.ok((await client.get(path, { range })).equals(bytes.subarray(first, end)), `${path} ${first}-${end}`);
        assert.deepEqual((await client.head(path, { range })).range, { start: first, end });
      },
    ),
    { numRuns: 300 },
  );
});

test("a range is cut to the object's size, and one outside of it is refused with that size", async () => {
  const { client } = await openBox();
  await client.put("box/a", SMALL);
  await client.put("box/empty", Buffer.alloc(0));
  const cut = [
    [{ first: 990, last: 5_000 }, 990],
    [{ first: 999, last: Number.MAX_SAFE_INTEGER - 1 }, 999],
    [{ suffix: 5_000 }, 0],
    [{ suffix: 1 }, 999],
  ] as const;
  for (const [range, start] of cut) assert.deepEqual(await client.get("box/a", { range }), SMALL.subarray(start));
  for (const range of [{ first: 1_000 }, { first: 1_000, last: 2_000 }, { suffix: 0 }]) {
    const error = await assertCode(client.get("box/a", { range }), "invalid-range");
    assert.equal(error.details["actualObjectSize"], 1_000);
    await assertReadsFail(client, "box/a", { range, code: "invalid-range" });
  }
  await assertReadsFail(client, "box/empty", { range: { first: 0 }, code: "invalid-range" });
  await assertReadsFail(client, "box/empty", { range: { suffix: 1 }, code: "invalid-range" });
});

test("a part is read by its number, of whatever size it is", async () => {
  const { client } = await openBox();
  const objects = await putEveryKind(client);
  const bytes = objects.get("box/parts") ?? assert.fail();
  const ends = [0, PART_BYTES_MIN + 7, 2 * PART_BYTES_MIN + 7, bytes.length];
  for (const [index, partNumber] of [2, 3, 4].entries()) {
    const expected = bytes.subarray(ends[index], ends[index + 1]);
    assert.ok((await client.get("box/parts", { partNumber })).equals(expected), `part ${partNumber}`);
    const { object, range } = await client.head("box/parts", { partNumber });
    assert.deepEqual(range, { start: ends[index], end: ends[index + 1] });
    assert.equal(object.partCount, 3);
    assert.equal(object.size, bytes.length);
  }
  for (const partNumber of [1, 5, 10_000]) {
    const error = await assertCode(client.get("box/parts", { partNumber }), "invalid-part-number");
    assert.equal(error.details["actualPartCount"], 3);
    await assertReadsFail(client, "box/parts", { partNumber, code: "invalid-part-number" });
  }
});

test("an object that was put in one piece has one part, however many segments it has", async () => {
  const { client } = await openBox();
  const objects = await putEveryKind(client);
  for (const path of ["box/two-blocks", "box/segmented", "box/shared too"]) {
    const bytes = objects.get(path) ?? assert.fail();
    assert.ok((await client.get(path, { partNumber: 1 })).equals(bytes), path);
    assert.equal((await client.head(path)).object.partCount, undefined);
    await assertReadsFail(client, path, { partNumber: 2, code: "invalid-part-number" });
  }
  await client.put("box/empty", Buffer.alloc(0));
  assert.deepEqual((await client.head("box/empty", { partNumber: 1 })).range, { start: 0, end: 0 });
});

test("what is not there is told apart: the key, the version, the length of the key", async () => {
  const { client } = await openBox();
  await client.put("box/a", SMALL);
  await assertReadsFail(client, "box/b", { code: "no-such-key" });
  await assertReadsFail(client, "box/a", { versionId: "1".repeat(32), code: "no-such-version" });
  await assertReadsFail(client, "box/b", { versionId: "null", code: "no-such-key" });
  await assertReadsFail(client, `box/${"k".repeat(1_025)}`, { code: "key-too-long" });
  assert.deepEqual(await client.get("box/a", { versionId: "null" }), SMALL);
});

test("conditions are decided before the range", async () => {
  const { client } = await openBox();
  const { etag } = await client.put("box/a", SMALL);
  const range = { first: 5_000 };
  await assertReadsFail(client, "box/a", { conditions: { ifNoneMatch: [etag] }, range, code: "not-modified" });
  await assertReadsFail(client, "box/a", { conditions: { ifMatch: ["x"] }, range, code: "precondition-failed" });
  assert.deepEqual(await client.get("box/a", { conditions: { ifMatch: [etag], ifNoneMatch: ["x"] } }), SMALL);
});

test("an object none of whose copies can be read now is unavailable, never gone", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", SMALL);
  gateway.nodeDown("d0-0");
  gateway.nodeDown("d1-0");
  await gateway.whileTimePasses(assertCode(client.get("box/a"), "unavailable"));
  assert.equal((await client.head("box/a")).object.size, SMALL.length);
});

test("a body that cannot be read on fails as unavailable in the midst", async () => {
  const { gateway, client } = await openBox();
  const bytes = patternBytes(3 * MIB, 1);
  await client.put("box/a", bytes);
  const { body } = await gateway.service.getObject({ ...at("box/a"), conditions: {} });
  gateway.nodeDown("d0-0");
  gateway.nodeDown("d1-0");
  await gateway.whileTimePasses(assertCode(collect(body), "unavailable"));
});

test("a read that its caller gives up ends as aborted", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", patternBytes(3 * MIB, 1));
  const caller = new AbortController();
  const { body } = await gateway.service.getObject({ ...at("box/a"), conditions: {} }, caller.signal);
  caller.abort();
  await assertCode(collect(body), "aborted");
  await assertCode(gateway.service.getObject({ ...at("box/a"), conditions: {} }, caller.signal), "aborted");
});

test("a read whose object is replaced before its first byte answers what replaced it", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", SMALL);
  await client.copy("box/a", "box/b");
  await client.delete("box/b");
  // The version leads to a blob with a record of its own, which goes with the version.
  const other = Buffer.from(patternBytes(700, 2));
  let reads = 0;
  gateway.kv.hooks.get = async () => {
    if (++reads === 3) await client.put("box/a", other);
  };
  assert.deepEqual(await client.get("box/a"), other);
  assert.ok(reads > 3);
});

test("a part that is asked for while its object is replaced is one of what replaced it", async () => {
  const { gateway, client } = await openBox();
  const upload = await client.createUpload("box/a");
  await client.complete(upload, [await client.part(upload, 1, SMALL)]);
  gateway.kv.hooks.list = once(async () => {
    await client.put("box/a", patternBytes(50, 2));
  });
  const { object, range } = await client.head("box/a", { partNumber: 1 });
  assert.deepEqual([object.size, range], [50, { start: 0, end: 50 }]);
});

test("the bytes of an object that is replaced under a read are those of the one that the read began with", async () => {
  const { gateway, client } = await openBox();
  const bytes = Buffer.from(patternBytes(4 * MIB, 1));
  await client.put("box/a", bytes);
  const { object, body } = await gateway.service.getObject({ ...at("box/a"), conditions: {} });
  await client.put("box/a", SMALL);
  await gateway.sweepPastGrace();
  const read = await collect(body);
  assert.equal(createHash("md5").update(read).digest("hex"), object.etag);
  assert.ok(read.equals(bytes));
});
