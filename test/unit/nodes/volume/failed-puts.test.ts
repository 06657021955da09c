/** What a put leaves behind whose last write was answered with an error although its bytes reached the disk. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CopyKey } from "../../../../src/nodes/storage-node.ts";
import type { VolumeNode } from "../../../../src/nodes/volume/volume-node.ts";
import { seededRandom } from "../../../../src/shared/random.ts";
import { blocksOf, copyKey, headerFor, patternBytes } from "../../../support/blobs.ts";
import { NodeOnDisk, putAndDelete } from "../../../support/compacted-node.ts";
import { systemError } from "../../../support/crash-disk.ts";
import { CLUSTER_ID, putBlob } from "../../../support/volume-node.ts";

const KIB = 1024;
/** Two writes: a block, then the other with the trailer. */
const LENGTH = 300 * KIB;
const SEEDS = 12;
/** The volume of large blobs of a node that is new. */
const LARGE_LANE = "00000002.vol";

async function put(node: VolumeNode, key: CopyKey): Promise<void> {
  const bytes = patternBytes(LENGTH, 1);
  await node.put({ key, header: headerFor(key, LENGTH, seededRandom(1), CLUSTER_ID), blocks: blocksOf(bytes) });
}

/** Puts with every write from the second on failing, or the second only. */
async function putInVain(store: NodeOnDisk, node: VolumeNode, key: CopyKey, lasting: boolean): Promise<void> {
  let writes = 0;
  store.disk.fault = (call, path) => {
    if (call !== "write" || !path.includes(LARGE_LANE)) return;
    writes++;
    if (writes === 2 || (lasting && writes > 2)) throw systemError("ENOSPC");
  };
  await assert.rejects(put(node, key), { kind: "full" });
  store.disk.fault = () => {};
}

test("a put that failed leaves no record behind that a later scan would find", async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const store = new NodeOnDisk(seed);
    let node = await store.open();
    const key = copyKey(1, seededRandom(seed));
    await putInVain(store, node, key, false);
    await putBlob(node, LENGTH);
    await node.close();
    store.index.clear();
    node = await store.open();
    assert.equal(await node.head(key), undefined, `seed ${seed}`);
    await node.close();
  }
});

test("while it is not known what a failed put left behind, no tombstone is dropped", async () => {
  for (let seed = 1; seed <= SEEDS / 3; seed++) {
    const store = new NodeOnDisk(seed);
    let node = await store.open();
    const key = copyKey(1, seededRandom(seed));
    await putInVain(store, node, key, true);
    // The next attempt comes into another volume, which goes again.
    await putAndDelete(node, [LENGTH, LENGTH, LENGTH], 1);
    await put(node, key);
    await node.delete(key);
    await putAndDelete(node, [LENGTH, LENGTH, LENGTH, LENGTH, LENGTH, LENGTH], 100);
    await node.compact();
    assert.ok(node.usage().compaction.removedVolumes > 0);
    await putAndDelete(
      node,
      Array.from({ length: 60 }, () => 50 * KIB),
      50,
    );
    await node.compact();
    await node.close();
    store.index.clear();
    node = await store.open();
    assert.equal(await node.head(key), undefined, `seed ${seed}`);
    await node.close();
  }
});
