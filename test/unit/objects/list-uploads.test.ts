import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ListUploadsRequest, ListUploadsResult } from "../../../src/objects/api.ts";
import { openInMemoryGateway } from "../../support/in-memory-gateway.ts";
import { ALICE, assertCode, ObjectClient, PLAIN } from "../../support/object-client.ts";
import { openBox } from "../../support/open-box.ts";

const ALL: ListUploadsRequest = {
  bucket: "box",
  prefix: "",
  delimiter: "",
  keyMarker: "",
  uploadIdMarker: "",
  maxUploads: 1_000,
};

interface Named {
  readonly key: string;
  /** Empty for a common prefix. */
  readonly uploadId: string;
}

function compare(a: Named, b: Named): number {
  return Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)) || (a.uploadId < b.uploadId ? -1 : 1);
}

function named({ uploads, commonPrefixes }: ListUploadsResult): Named[] {
  const prefixes = commonPrefixes.map((key) => ({ key, uploadId: "" }));
  return [...uploads.map(({ key, uploadId }) => ({ key, uploadId })), ...prefixes].sort(compare);
}

test("an upload is listed as it was started, until it is completed or aborted", async () => {
  const { gateway, client } = await openBox();
  const checksum = { algorithm: "CRC32", type: "FULL_OBJECT" } as const;
  const request = {
    principal: ALICE,
    bucket: "box",
    key: "a",
    attributes: { ...PLAIN, storageClass: "COLD" },
    checksum,
  };
  const started = await client.service.createUpload(request);
  assert.deepEqual(started, {
    uploadId: started.uploadId,
    key: "a",
    initiatedAtMs: gateway.clock.nowMs(),
    owner: ALICE,
    storageClass: "COLD",
    checksum,
  });
  assert.match(started.uploadId, /^[0-9a-f]{32}$/);
  const second = await client.createUpload("box/a");
  const third = await client.createUpload("box/b");
  assert.equal((await client.service.listUploads(ALL)).uploads.length, 3);
  await client.abort(second);
  await client.complete(third, [await client.part(third, 1, Buffer.from("x"))]);
  assert.deepEqual((await client.service.listUploads(ALL)).uploads, [started]);
});

test("uploads and common prefixes are named once, in order, whatever the size of the pages", async () => {
  const aKey = fc.string({ unit: fc.constantFrom("a", "b", "/", "\u{10000}", "\uffff"), minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(aKey, { maxLength: 20 }),
      fc.oneof(fc.constantFrom("", "a", "a/"), aKey),
      fc.constantFrom("", "/", "b", "//"),
      fc.integer({ min: 1, max: 5 }),
      async (keys, prefix, delimiter, maxUploads) => {
        const gateway = await openInMemoryGateway();
        const client = new ObjectClient(() => gateway.service);
        await client.createBucket("box");
        const uploads: Named[] = [];
        for (const key of keys) uploads.push(await client.createUpload(`box/${key}`));
        const expected = new Map<string, Named>();
        for (const { key, uploadId } of uploads) {
          if (!key.startsWith(prefix)) continue;
          const at = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
          const each = at < 0 ? { key, uploadId } : { key: key.slice(0, at + delimiter.length), uploadId: "" };
          expected.set(`${each.key} ${each.uploadId}`, each);
        }
        const listed: Named[] = [];
        let marker: ListUploadsResult["next"] = { keyMarker: "", uploadIdMarker: "" };
        while (marker !== undefined) {
          const page: ListUploadsResult = await client.service.listUploads({
            bucket: "box",
            prefix,
            delimiter,
            maxUploads,
            ...marker,
          });
          assert.ok(named(page).length === maxUploads || page.next === undefined);
          listed.push(...named(page));
          marker = page.next;
        }
        assert.deepEqual(listed, [...expected.values()].sort(compare));
      },
    ),
    { numRuns: 100 },
  );
});

test("a marker of a key alone goes past all its uploads, one with an upload's id past that upload", async () => {
  const { client } = await openBox();
  const [first, second] = [await client.createUpload("box/a"), await client.createUpload("box/a")];
  await client.createUpload("box/b");
  const [earlier, later] = [first.uploadId, second.uploadId].sort();
  const list = async (markers: Partial<ListUploadsRequest>): Promise<string[]> =>
    named(await client.service.listUploads({ ...ALL, ...markers })).map(({ key }) => key);
  assert.deepEqual(await list({ keyMarker: "a" }), ["b"]);
  assert.deepEqual(await list({ keyMarker: "a", uploadIdMarker: earlier ?? "" }), ["a", "b"]);
  assert.deepEqual(await list({ keyMarker: "a", uploadIdMarker: later ?? "" }), ["b"]);
  assert.deepEqual(await list({ keyMarker: "a", uploadIdMarker: "no upload" }), ["b"]);
  assert.deepEqual(await list({ uploadIdMarker: later ?? "" }), ["a", "a", "b"]);
});

test("a page of none is empty, and what is longer than a key finds nothing or is refused", async () => {
  const { client } = await openBox();
  await client.createUpload("box/a");
  const nothing = { uploads: [], commonPrefixes: [] };
  assert.deepEqual(await client.service.listUploads({ ...ALL, maxUploads: 0 }), nothing);
  assert.deepEqual(await client.service.listUploads({ ...ALL, prefix: "k".repeat(3_000) }), nothing);
  await assertCode(client.service.listUploads({ ...ALL, keyMarker: "k".repeat(1_025) }), "key-too-long");
});
