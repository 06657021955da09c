import { MemoryStore, openMemoryNode } from "../../../../src/nodes/memory/memory-node.ts";
import type { StorageNode } from "../../../../src/nodes/storage-node.ts";
import { wrapNode } from "../../../../src/nodes/wrap.ts";
import { nodeLimits } from "../../../../src/nodes/wrappers/limits.ts";
import { systemClock } from "../../../../src/shared/clock.ts";
import { seededRandom } from "../../../../src/shared/random.ts";
import { CONTRACT_CLUSTER_ID, storageNodeContract } from "../../../contract/storage-node-contract.ts";

storageNodeContract("memory, wrapped", async () => {
  const store = new MemoryStore();
  const open = (): StorageNode =>
    wrapNode(openMemoryNode({ name: "m1", clusterId: CONTRACT_CLUSTER_ID, store }), {
      clock: systemClock,
      random: seededRandom(1),
      limits: nodeLimits({ writeStallMs: 10_000, readStallMs: 10_000, inflightMax: 60 }),
      observer: { started() {}, finished() {} },
      capacityCacheMs: 60_000,
    }).node;
  return {
    node: open(),
    async dispose() {},
    async reopen() {
      return open();
    },
    async corrupt(key, offset) {
      const blob = store.blobs.get(key);
      if (blob !== undefined) blob.bytes[offset] = (blob.bytes[offset] ?? 0) ^ 1;
    },
  };
});
