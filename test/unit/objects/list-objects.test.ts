import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ListResult } from "../../../src/objects/api.ts";
import { openInMemoryGateway } from "../../support/in-memory-gateway.ts";
import { assertCode, ObjectClient } from "../../support/object-client.ts";
import { openBox } from "../../support/open-box.ts";

const NOTHING = new Uint8Array(0);

interface Listing {
  readonly prefix: string;
  readonly delimiter: string;
  readonly after: string;
}

/** Sorted as S3 sorts keys: by the bytes of their UTF-8. */
function sorted(keys: Iterable<string>): string[] {
  return [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

/** The key as the listing names it: itself or its common prefix. */
function nameOf(key: string, { prefix, delimiter }: Listing): string {
  const at = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
  return at < 0 ? key : key.slice(0, at + delimiter.length);
}

/** All names of a listing in order, the naive way: look at every key. */
function namesIn(keys: readonly string[], listing: Listing): string[] {
  const after = Buffer.from(listing.after);
  const later = sorted(keys).filter((key) => {
    // Where a page ended with a common prefix, the next has nothing more of what lies under it.
    const isLater = Buffer.compare(Buffer.from(key), after) > 0 && nameOf(key, listing) !== listing.after;
    return isLater && key.startsWith(listing.prefix);
  });
  return [...new Set(later.map((key) => nameOf(key, listing)))];
}

/** Names of a page, those of objects and common prefixes together. */
function namesOf({ objects, commonPrefixes }: ListResult): string[] {
  return sorted([...objects.map(({ key }) => key), ...commonPrefixes]);
}

async function clientWith(keys: readonly string[]): Promise<ObjectClient> {
  const gateway = await openInMemoryGateway();
  const client = new ObjectClient(() => gateway.service);
  await client.createBucket("box");
  for (const key of keys) await client.put(`box/${key}`, NOTHING);
  return client;
}

const aKey = fc.string({
  unit: fc.constantFrom("a", "b", "/", "-", "\u{10000}", "\uffff"),
  minLength: 1,
  maxLength: 5,
});
const aListing = fc.record({
  prefix: fc.oneof(fc.constantFrom("", "a", "a/", "/", "\u{10000}"), aKey),
  delimiter: fc.constantFrom("", "/", "-", "a/", "//"),
  after: fc.oneof(fc.constantFrom("", "a/", "a/b", "zzz"), aKey),
});

test("a listing names every key or common prefix once, in order, whatever the size of its pages", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(aKey, { maxLength: 25 }),
      aListing,
      fc.integer({ min: 1, max: 7 }),
      async (keys, listing, maxKeys) => {
        const client = await clientWith(keys);
        const pages: string[] = [];
        for (let after: string | undefined = listing.after; after !== undefined; ) {
          const page = await client.list("box", { ...listing, after, maxKeys });
          const names = namesOf(page);
          assert.ok(names.length === maxKeys || page.next === undefined, "a page that is neither full nor the last");
          pages.push(...names);
          after = page.next;
        }
        assert.deepEqual(pages, namesIn(keys, listing));
        const { objects, commonPrefixes } = await client.list("box", listing);
        for (const { key } of objects) assert.ok(keys.includes(key), `${key} is an object`);
        for (const common of commonPrefixes) assert.ok(common.endsWith(listing.delimiter), `${common} is a prefix`);
      },
    ),
    { numRuns: 200 },
  );
});

test("what lies under a common prefix is stepped over, not read", async () => {
  const many = Array.from({ length: 300 }, (_, i) => `deep/${String(i).padStart(3, "0")}`);
  const { gateway, client } = await openBox();
  for (const key of ["a", ...many, "z"]) await client.put(`box/${key}`, NOTHING);
  let pages = 0;
  gateway.kv.hooks.list = async () => {
    pages++;
  };
  assert.deepEqual(namesOf(await client.list("box", { delimiter: "/" })), ["a", "deep/", "z"]);
  assert.ok(pages <= 3, `${pages} pages were read`);
});

test("a bucket of more objects than a page of the catalog is listed whole", async () => {
  const keys = Array.from({ length: 1_100 }, (_, i) => `k${String(i).padStart(4, "0")}`);
  const client = await clientWith(keys);
  const first = await client.list("box", { maxKeys: 1_000 });
  assert.equal(first.objects.length, 1_000);
  assert.equal(first.next, "k0999");
  const second = await client.list("box", { maxKeys: 1_000, after: first.next });
  assert.deepEqual(namesOf(second), keys.slice(1_000));
  assert.equal(second.next, undefined);
  const rolled = await client.list("box", { delimiter: "9" });
  assert.equal(
    rolled.commonPrefixes.length + rolled.objects.length,
    new Set(keys.map((k) => nameOf(k, { prefix: "", delimiter: "9", after: "" }))).size,
  );
});

test("a page of none is empty, and not the first of many", async () => {
  const client = await clientWith(["a"]);
  assert.deepEqual(await client.list("box", { maxKeys: 0 }), { objects: [], commonPrefixes: [] });
});

test("a prefix longer than any key finds nothing, a marker longer than any key is refused", async () => {
  const client = await clientWith(["a", "k".repeat(1_024)]);
  assert.deepEqual(await client.list("box", { prefix: "k".repeat(1_025) }), { objects: [], commonPrefixes: [] });
  assert.equal((await client.list("box", { prefix: "k".repeat(1_024) })).objects.length, 1);
  assert.equal((await client.list("box", { after: "k".repeat(1_024) })).objects.length, 0);
  await assertCode(client.list("box", { after: "k".repeat(1_025) }), "key-too-long");
});

test("objects of other buckets are not listed", async () => {
  const { client } = await openBox();
  await client.createBucket("box2");
  await client.put("box2/a", NOTHING);
  assert.deepEqual(await client.keys("box"), []);
  assert.deepEqual(await client.keys("box2"), ["a"]);
});

test("a listing shows every commit that was answered before it began (I8)", async () => {
  const { gateway, client } = await openBox();
  const peer = await gateway.peer();
  const other = new ObjectClient(() => peer.service);
  for (let i = 0; i < 20; i++) {
    await client.put(`box/k${i}`, NOTHING);
    assert.equal((await other.keys("box")).length, i + 1);
  }
  await other.delete("box/k3");
  assert.ok(!(await client.keys("box")).includes("k3"));
});
