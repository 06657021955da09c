import assert from "node:assert/strict";
import { test } from "node:test";
import { copyKeyBytes } from "../../../../src/nodes/copy-key.ts";
import { ALIGN_BYTES, HEADER_BYTES, SUPERBLOCK_BYTES } from "../../../../src/nodes/volume/layout.ts";
import { assertContents, NodeOnDisk, putAndDelete, VOLUME_BYTES } from "../../../support/compacted-node.ts";
import { systemError } from "../../../support/crash-disk.ts";
import type { StoredBlob } from "../../../support/volume-node.ts";

const KIB = 1024;
/** Where the key lies in a record's header. */
const KEY_AT = 44;
const MIXED = Array.from({ length: 100 }, (_, i) => (i % 10 === 0 ? 200 * KIB + i : i % 7 === 0 ? 50 * KIB : 3000 + i));
const repeated = (length: number, times: number): number[] => Array.from({ length: times }, () => length);

/** The file that holds a blob, and where its bytes begin. */
function findBlob(store: NodeOnDisk, { key }: StoredBlob): { path: string; offset: number } {
  for (const path of store.volumes) {
    const content = store.disk.content(path);
    for (let at = content.indexOf(copyKeyBytes(key)); at !== -1; at = content.indexOf(copyKeyBytes(key), at + 1)) {
      // Elsewhere it is a tombstone's.
      if ((at - KEY_AT) % ALIGN_BYTES === 0) return { path, offset: at - KEY_AT + HEADER_BYTES };
    }
  }
  return assert.fail("no volume holds the blob");
}

function holdsKey(store: NodeOnDisk, path: string, { key }: StoredBlob): boolean {
  return store.disk.content(path).includes(copyKeyBytes(key));
}

function flip(store: NodeOnDisk, { path, offset }: { path: string; offset: number }): void {
  const content = store.disk.content(path);
  content[offset] = (content[offset] ?? 0) ^ 1;
}

test("when 90 % of many blobs are deleted, the volumes shrink to 1.3 times what lives", async () => {
  const store = new NodeOnDisk(1);
  const limits = { prepareStepBytes: 16 * KIB, preparedBytesMin: 16 * KIB };
  let node = await store.open(limits);
  const contents = await putAndDelete(node, repeated(9000, 1000), 10);
  const before = store.volumeBytes;
  await node.compact();
  await assertContents(node, contents);
  await node.close();
  const live = contents.kept.reduce((sum, { bytes }) => sum + bytes.length, 0);
  assert.ok(before > 9 * live);
  assert.ok(store.volumeBytes <= 1.3 * live, `${store.volumeBytes} bytes for ${live}`);
  store.index.clear();
  node = await store.open();
  await assertContents(node, contents);
  await node.close();
});

test("a volume of which nothing lives is removed without appending anything", async () => {
  const store = new NodeOnDisk(1);
  const node = await store.open();
  // Large blobs have volumes of their own, and their tombstones lie elsewhere.
  const { deleted } = await putAndDelete(node, repeated(300 * KIB, 9), 10);
  for (const { key } of (await putAndDelete(node, repeated(300 * KIB, 9), 1)).kept) await node.delete(key);
  await node.compact();
  const { removedVolumes, movedBytes } = node.usage().compaction;
  assert.ok(removedVolumes >= 4);
  assert.ok(movedBytes < 400 * KIB);
  for (const { key } of deleted) assert.equal(await node.head(key), undefined);
  await node.close();
});

test("nothing is moved while less than the share that is asked for is dead, unless the disk is nearly full", async () => {
  const store = new NodeOnDisk(1);
  const node = await store.open({ freeReserveBytes: 1000 });
  const { kept, deleted } = await putAndDelete(node, repeated(90 * KIB, 60), 1);
  const gone = kept.filter((_, i) => i % 8 === 0);
  for (const { key } of gone) await node.delete(key);
  const contents = { kept: kept.filter((_, i) => i % 8 !== 0), deleted: [...deleted, ...gone] };
  await node.compact();
  assert.equal(node.usage().compaction.runs, 0);
  assert.ok(node.usage().deadBytes > 0);
  // Half of the reserve is there for compaction, which is not enough for any volume.
  store.disk.freeBytes = 1000;
  await node.compact();
  assert.equal(node.usage().compaction.runs, 0);
  store.disk.freeBytes = 2 * VOLUME_BYTES;
  await node.compact();
  assert.ok(node.usage().compaction.removedVolumes > 3);
  await assertContents(node, contents);
  await node.close();
});

test("a read that is under way goes on to its end, and its volume stays until then", async () => {
  const store = new NodeOnDisk(1);
  const node = await store.open();
  const contents = await putAndDelete(node, repeated(300 * KIB, 12), 3);
  const [read] = contents.kept;
  assert.ok(read);
  const { path } = findBlob(store, read);
  const range = { start: 0, end: read.bytes.length };
  const chunks = (await node.get(read.key, range))[Symbol.asyncIterator]();
  const first = await chunks.next();
  // These were asked for and are left without a look at their bytes.
  await (await node.get(read.key, range))[Symbol.asyncIterator]().return?.();
  const leaving = new AbortController();
  await node.get(read.key, range, leaving.signal);
  leaving.abort();
  await node.compact();
  assert.ok(store.volumes.includes(path));
  await assertContents(node, contents);
  const parts = [first.value];
  for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) parts.push(next.value);
  assert.ok(Buffer.concat(parts).equals(read.bytes));
  await node.compact();
  assert.ok(!store.volumes.includes(path));
  await assertContents(node, contents);
  await node.close();
});

test("a tombstone holds against records in a volume that was emptied and is still there", async () => {
  const store = new NodeOnDisk(1);
  let node = await store.open();
  const { kept, deleted } = await putAndDelete(node, repeated(300 * KIB, 12), 3);
  const [read] = kept;
  assert.ok(read);
  await node.get(read.key, { start: 0, end: 1 });
  await node.compact();
  // Its tombstone, and those of the others, come into a volume that is emptied next.
  for (const { key } of kept) await node.delete(key);
  const filler = await putAndDelete(node, repeated(4000, 800), 100);
  await node.compact();
  const contents = { kept: filler.kept, deleted: [...kept, ...deleted, ...filler.deleted] };
  await assertContents(node, contents);
  assert.ok(findBlob(store, read).path);
  store.crash();
  store.index.clear();
  node = await store.open();
  await assertContents(node, contents);
  await node.close();
});

test("tombstones come to an end, in the volumes and in the index", async () => {
  const store = new NodeOnDisk(1);
  const node = await store.open();
  const kept: StoredBlob[] = [];
  const deleted: StoredBlob[] = [];
  for (let round = 0; round < 8; round++) {
    const contents = await putAndDelete(node, repeated(4000, 500), 500);
    kept.push(...contents.kept);
    deleted.push(...contents.deleted);
    await node.compact();
  }
  await assertContents(node, { kept, deleted });
  await node.close();
  assert.ok(store.index.size < 1000, `${store.index.size} entries`);
  assert.ok(store.volumeBytes < 4 * VOLUME_BYTES, `${store.volumeBytes} bytes`);
});

for (const [what, at] of [
  ["body", 1000],
  ["header", 30 - HEADER_BYTES],
  ["trailer", 20_000 + 1],
] as const) {
  test(`a copy whose ${what} is damaged is neither moved nor dropped, and reported once`, async () => {
    const store = new NodeOnDisk(1);
    const node = await store.open();
    const { kept, deleted } = await putAndDelete(node, repeated(20_000, 100), 5);
    const [damaged, ...others] = kept;
    assert.ok(damaged);
    const place = findBlob(store, damaged);
    flip(store, { path: place.path, offset: place.offset + at });
    const content = Buffer.from(store.disk.content(place.path));
    await node.compact();
    await node.compact();
    assert.deepEqual(store.disk.content(place.path), content);
    assert.equal((await node.head(damaged.key))?.length, damaged.bytes.length);
    for (const blob of others) assert.notEqual(findBlob(store, blob).path, undefined);
    assert.equal(node.usage().compaction.damagedRecords, what === "body" ? 1 : 0);
    assert.equal(store.logged.filter(({ message }) => message.includes("could not be emptied")).length, 1);
    // Repair puts a good copy elsewhere and deletes this one.
    await node.delete(damaged.key);
    await node.compact();
    assert.ok(!store.volumes.includes(place.path));
    await assertContents(node, { kept: others, deleted: [...deleted, damaged] });
    await node.close();
  });
}

test("while a volume cannot be read no tombstone is dropped: what it holds stays deleted when it can be read again", async () => {
  const store = new NodeOnDisk(1);
  let node = await store.open();
  const large = await putAndDelete(node, repeated(300 * KIB, 3), 1);
  await putAndDelete(node, repeated(300 * KIB, 3), 1);
  const [victim] = large.kept;
  assert.ok(victim);
  const small = await putAndDelete(node, repeated(3000, 10), 1);
  for (const { key } of large.kept) await node.delete(key);
  const { path } = findBlob(store, victim);
  await node.close();
  const whole = Buffer.from(store.disk.content(path));
  flip(store, { path, offset: 50 });
  flip(store, { path, offset: SUPERBLOCK_BYTES + 50 });
  store.index.clear();
  const [buried] = store.volumes.filter((other) => other !== path && holdsKey(store, other, victim));
  assert.ok(buried);

  node = await store.open();
  // One that was deleted while nobody could tell whether the node has it.
  const filler = await putAndDelete(node, repeated(9000, 300), 20);
  await node.compact();
  assert.ok(!store.volumes.includes(buried), "the volume of the tombstone was not compacted");
  await node.close();
  store.disk.replace(path, whole);
  store.index.clear();
  node = await store.open();
  for (const { key } of large.kept) assert.equal(await node.head(key), undefined, "a deleted blob is back");
  for (const { key } of [...small.kept, ...filler.kept]) assert.notEqual(await node.head(key), undefined);
  await node.close();
});

test("any operation on the disk may fail during a compaction: nothing is lost, and a later one succeeds", async () => {
  const store = new NodeOnDisk(1);
  const filling = await store.open();
  const contents = await putAndDelete(filling, MIXED.slice(0, 60), 3);
  await filling.close();
  for (const code of ["EIO", "ENOSPC"]) {
    for (let operation = 1; ; operation++) {
      const broken = store.copy(operation);
      let node = await broken.open();
      let seen = 0;
      broken.disk.fault = () => {
        if (++seen === operation) throw systemError(code);
      };
      await node.compact();
      broken.disk.fault = () => {};
      await assertContents(node, contents);
      await node.compact();
      await assertContents(node, contents);
      // A write that failed is known for what it was after a start only.
      await node.close();
      if (operation % 2 === 0) broken.index.clear();
      node = await broken.open();
      await assertContents(node, contents);
      await node.compact();
      await assertContents(node, contents);
      const { deadBytes, liveBytes } = node.usage();
      assert.ok(deadBytes < 0.5 * liveBytes, `${deadBytes} dead, ${liveBytes} live`);
      await node.close();
      if (seen < operation) break;
    }
  }
});

test("a node that is closed while it compacts ends at once and has lost nothing", async () => {
  const store = new NodeOnDisk(1);
  // The clock stands still, so it waits for its turn for ever.
  let node = await store.open({ compactionBytesPerSecond: 1000 });
  const contents = await putAndDelete(node, MIXED, 4);
  const compacting = node.compact();
  for (let turns = 0; turns < 50; turns++) await new Promise((resolve) => setImmediate(resolve));
  assert.notEqual(node.usage().compaction.running, undefined);
  await node.close();
  await compacting;
  assert.equal(node.usage().compaction.failures, 0);
  node = await store.open();
  await assertContents(node, contents);
  await node.compact();
  assert.ok(node.usage().compaction.removedVolumes > 0);
  await assertContents(node, contents);
  await node.close();
});
