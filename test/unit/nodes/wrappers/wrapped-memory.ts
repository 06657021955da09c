import { MemoryStore, openMemoryNode } from "../../../../src/nodes/memory/memory-node.ts";
import type { StorageNode } from "../../../../src/nodes/storage-node.ts";
import { CONTRACT_CLUSTER_ID, type NodeUnderTest } from "../../../contract/storage-node-contract.ts";

/** A memory node within something else, for the contract of storage nodes: nothing around a node may change what it does. */
export async function wrappedMemory(
  wrap: (open: () => StorageNode) => StorageNode | Promise<StorageNode>,
): Promise<NodeUnderTest> {
  const store = new MemoryStore();
  const open = (): StorageNode => openMemoryNode({ name: "m1", clusterId: CONTRACT_CLUSTER_ID, store });
  return {
    node: await wrap(open),
    async dispose() {},
    async reopen() {
      return wrap(open);
    },
    async corrupt(key, offset) {
      const blob = store.blobs.get(key);
      if (blob !== undefined) blob.bytes[offset] = (blob.bytes[offset] ?? 0) ^ 1;
    },
  };
}
