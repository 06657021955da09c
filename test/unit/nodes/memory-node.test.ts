import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryStore, openMemoryNode } from "../../../src/nodes/memory/memory-node.ts";
import { seededRandom } from "../../../src/shared/random.ts";
import { assertFails, CONTRACT_CLUSTER_ID, storageNodeContract } from "../../contract/storage-node-contract.ts";
import { blocksOf, copyKey, headerFor, patternBytes } from "../../support/blobs.ts";

const clusterId = CONTRACT_CLUSTER_ID;

storageNodeContract("memory", async () => {
  const store = new MemoryStore();
  return {
    node: openMemoryNode({ name: "m1", clusterId, store }),
    async dispose() {},
    async reopen() {
      return openMemoryNode({ name: "m1", clusterId, store });
    },
    async corrupt(key, offset) {
      const blob = store.blobs.get(key);
      assert.ok(blob);
      blob.bytes[offset] = (blob.bytes[offset] ?? 0) ^ 1;
    },
  };
});

test("a memory node answers full when its capacity is used up, and takes puts again after a delete", async () => {
  const random = seededRandom(1);
  const node = openMemoryNode({ name: "m1", clusterId, store: new MemoryStore(1000) });
  const put = async (length: number): Promise<string> => {
    const key = copyKey(1, random);
    const blocks = blocksOf(patternBytes(length, 1));
    await node.put({ key, header: headerFor(key, length, random, clusterId), blocks });
    return key;
  };
  const first = await put(600);
  await assertFails(put(401), "full");
  await put(400);
  await node.delete(first);
  await put(600);
});
