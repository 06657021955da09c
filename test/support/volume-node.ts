/** Volume nodes for tests: opened with small files, and used without ceremony. */
import type { BlobStat, CopyKey, StorageNode } from "../../src/nodes/storage-node.ts";
import { openVolumeNode, type VolumeNodeOptions } from "../../src/nodes/volume/open-volume-node.ts";
import type { VolumeNode } from "../../src/nodes/volume/volume-node.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { systemRandom } from "../../src/shared/random.ts";
import { blocksOf, collect, copyKey, headerFor, patternBytes } from "./blobs.ts";

export const CLUSTER_ID = "c".repeat(32);
const KIB = 1024;
const random = systemRandom();

export const SMALL_LIMITS = {
  volumeBytes: 2048 * KIB,
  prepareStepBytes: 64 * KIB,
  preparedBytesMin: 128 * KIB,
  deleteReserveBytes: 32 * KIB,
  freeReserveBytes: 0,
  checkpointEntries: 50,
  compactionOpenDeadBytesMin: 64 * KIB,
  compactionBytesPerSecond: 0,
} as const;

export function openNode(path: string, options: Partial<VolumeNodeOptions> = {}): Promise<VolumeNode> {
  return openVolumeNode({
    name: "v1",
    path,
    clusterId: CLUSTER_ID,
    clock: systemClock,
    random,
    ...options,
    limits: { ...SMALL_LIMITS, ...options.limits },
  });
}

export interface StoredBlob {
  readonly key: CopyKey;
  readonly bytes: Uint8Array;
}

export async function putBlob(node: StorageNode, length: number, session = 1): Promise<StoredBlob> {
  const key = copyKey(session, random);
  const bytes = patternBytes(length, Math.floor(random.float() * 2 ** 31));
  await node.put({ key, header: headerFor(key, length, random, CLUSTER_ID), blocks: blocksOf(bytes) });
  return { key, bytes };
}

export async function holds(node: StorageNode, { key, bytes }: StoredBlob): Promise<boolean> {
  const stat = await node.head(key);
  if (stat?.length !== bytes.length) return false;
  return (await collect(await node.get(key, { start: 0, end: bytes.length }))).equals(bytes);
}

export async function listAll(node: StorageNode): Promise<BlobStat[]> {
  const found: BlobStat[] = [];
  for (let after: CopyKey | undefined; ; ) {
    const page = await node.list(after === undefined ? { limit: 1000 } : { limit: 1000, after });
    found.push(...page.blobs);
    if (page.next === undefined) return found;
    after = page.next;
  }
}
