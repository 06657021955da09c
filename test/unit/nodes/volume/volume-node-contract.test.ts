import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StorageNode } from "../../../../src/nodes/storage-node.ts";
import type { VolumeLimits } from "../../../../src/nodes/volume/limits.ts";
import { openVolumeNode } from "../../../../src/nodes/volume/open-volume-node.ts";
import { systemClock } from "../../../../src/shared/clock.ts";
import { systemRandom } from "../../../../src/shared/random.ts";
import { CONTRACT_CLUSTER_ID, storageNodeContract } from "../../../contract/storage-node-contract.ts";
import { findBlob, flipByte } from "../../../support/volume-files.ts";

function contractOver(name: string, limits: Partial<VolumeLimits>): void {
  storageNodeContract(name, async () => {
    const path = await mkdtemp(join(tmpdir(), "bulkhead-volume-"));
    const open = (): Promise<StorageNode> =>
      openVolumeNode({
        name: "v1",
        path,
        clusterId: CONTRACT_CLUSTER_ID,
        clock: systemClock,
        random: systemRandom(),
        limits: { freeReserveBytes: 0, ...limits },
      });
    return {
      node: await open(),
      reopen: open,
      dispose: () => rm(path, { recursive: true }),
      async corrupt(key, offset) {
        const blob = await findBlob(path, key);
        await flipByte(blob.file, blob.offset + offset);
      },
      addForeign: (name) => writeFile(join(path, name), "somebody else's"),
    };
  });
}

contractOver("volume", {});
contractOver("volume, files and batches kept small", {
  volumeBytes: 8 * 1024 * 1024,
  batchBytesMax: 64 * 1024,
  checkpointEntries: 10,
  openFilesMax: 2,
});
