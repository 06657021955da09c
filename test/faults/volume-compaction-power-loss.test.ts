/**
 * The power is cut at every single operation on the disk, and at every commit of the index, from the beginning of a
 * compaction to its end.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertContents, type Contents, NodeOnDisk, putAndDelete } from "../support/compacted-node.ts";
import { putBlob, type StoredBlob } from "../support/volume-node.ts";

const KIB = 1024;
const SEEDS = [1, 2];
/** Small and large blobs over several volumes. */
const LENGTHS = Array.from({ length: 36 }, (_, i) =>
  i % 12 === 0 ? 300 * KIB + i : i % 5 === 0 ? 40 * KIB : 4000 + i,
);

/**
 * Volumes of which little is dead, so that they stay, while the tombstones of what is dead in them lie in volumes that do
 * not; and records that a compaction which a power cut ended has left twice, some of them deleted since.
 */
async function filled(seed: number): Promise<{ store: NodeOnDisk; contents: Contents }> {
  const store = new NodeOnDisk(seed);
  let node = await store.open();
  const staying: StoredBlob[] = [];
  for (const length of LENGTHS) staying.push(await putBlob(node, length));
  const passing = await putAndDelete(node, LENGTHS, 4);
  const deleted = [...staying.splice(0, 6), ...passing.deleted];
  for (const { key } of deleted.slice(0, 6)) await node.delete(key);
  const filler = await putAndDelete(node, LENGTHS, 5);
  await node.close();

  await compactUntil(store, 30);
  node = await store.open();
  const kept = [...staying, ...passing.kept, ...filler.kept];
  const late = kept.filter((_, i) => i % 5 === 0);
  for (const { key } of late) await node.delete(key);
  await node.close();
  return {
    store,
    contents: { kept: kept.filter((_, i) => i % 5 !== 0), deleted: [...deleted, ...filler.deleted, ...late] },
  };
}

/** Compacts until the power is cut at an operation; false when there are fewer operations. */
async function compactUntil(store: NodeOnDisk, operation: number): Promise<boolean> {
  const node = await store.open();
  const cut = Promise.withResolvers<void>();
  let seen = 0;
  const count = (): void => {
    seen++;
    if (seen !== operation) return;
    store.crash();
    cut.resolve();
  };
  store.disk.fault = count;
  store.index.fault = count;
  const ended = await Promise.race([node.compact().then(() => true), cut.promise.then(() => false)]);
  store.disk.fault = () => {};
  store.index.fault = () => {};
  if (ended) await node.close();
  return !ended;
}

/** Opens what the power cut left, as it is or with its index lost; then compacts to the end and looks again. */
async function judge(store: NodeOnDisk, contents: Contents, indexLost: boolean): Promise<void> {
  if (indexLost) store.index.clear();
  let node = await store.open();
  await assertContents(node, contents);
  await node.compact();
  await assertContents(node, contents);
  const { compaction, deadBytes, liveBytes } = node.usage();
  assert.equal(compaction.failures, 0);
  // Duplicates that the crash left behind are dead, and go as all that is dead.
  assert.ok(deadBytes < 0.5 * liveBytes, `${deadBytes} dead, ${liveBytes} live`);
  await node.close();
  store.index.clear();
  node = await store.open();
  await assertContents(node, contents);
  await node.close();
}

for (const seed of SEEDS) {
  test(`a power cut at any operation of a compaction loses nothing and brings nothing back (seed ${seed})`, async (t) => {
    const { store, contents } = await filled(seed);
    let cuts = 0;
    for (let operation = 1; ; operation++) {
      const broken = store.copy(seed * 10_000 + operation);
      if (!(await compactUntil(broken, operation))) break;
      cuts++;
      await judge(broken, contents, (operation + seed) % 2 === 0);
    }
    t.diagnostic(`${cuts} power cuts`);
    assert.ok(cuts > 50);
  });
}
