/** A volume node on a disk in memory, with what was put and deleted, for tests of compaction. */
import assert from "node:assert/strict";
import type { CopyKey, StorageNode } from "../../src/nodes/storage-node.ts";
import type { VolumeLimits } from "../../src/nodes/volume/limits.ts";
import type { VolumeLog } from "../../src/nodes/volume/volume-log.ts";
import type { VolumeNode } from "../../src/nodes/volume/volume-node.ts";
import { seededRandom } from "../../src/shared/random.ts";
import { collect } from "./blobs.ts";
import { CrashDisk } from "./crash-disk.ts";
import { ManualClock } from "./manual-clock.ts";
import { MemoryIndex } from "./memory-index-store.ts";
import { listAll, openNode, putBlob, type StoredBlob } from "./volume-node.ts";

export const VOLUME_BYTES = 1024 * 1024;

export class NodeOnDisk {
  disk: CrashDisk;
  index = new MemoryIndex();
  readonly logged: { facts: object; message: string }[] = [];
  readonly #log: VolumeLog = {
    info() {},
    warn: (facts, message) => void this.logged.push({ facts, message }),
  };

  constructor(seed: number) {
    this.disk = new CrashDisk(seededRandom(seed));
  }

  open(limits: Partial<VolumeLimits> = {}): Promise<VolumeNode> {
    return openNode("/v", {
      fileSystem: this.disk.mount(),
      openIndexStore: () => this.index.open(),
      clock: new ManualClock(),
      logger: this.#log,
      limits: { volumeBytes: VOLUME_BYTES, ...limits },
    });
  }

  /** Bytes of all volume files. */
  get volumeBytes(): number {
    return this.volumes.reduce((sum, path) => sum + this.disk.content(path).length, 0);
  }

  get volumes(): string[] {
    return this.disk.paths().filter((path) => path.endsWith(".vol"));
  }

  /** Another one with the same files and index, on a disk of another seed. The node is closed. */
  copy(seed: number): NodeOnDisk {
    const copy = new NodeOnDisk(seed);
    for (const path of this.disk.paths()) copy.disk.replace(path, this.disk.content(path));
    copy.index = this.index.copy();
    return copy;
  }

  /** Cuts the power. */
  crash(): void {
    this.disk.crash();
    this.index.crash();
  }
}

export interface Contents {
  readonly kept: readonly StoredBlob[];
  readonly deleted: readonly StoredBlob[];
}

/** Puts blobs of these lengths, and deletes all but each `keepEvery`th again. */
export async function putAndDelete(
  node: StorageNode,
  lengths: readonly number[],
  keepEvery: number,
): Promise<{ kept: StoredBlob[]; deleted: StoredBlob[] }> {
  const blobs: StoredBlob[] = [];
  for (const length of lengths) blobs.push(await putBlob(node, length));
  const kept = blobs.filter((_, i) => i % keepEvery === 0);
  const deleted = blobs.filter((_, i) => i % keepEvery !== 0);
  for (const { key } of deleted) await node.delete(key);
  return { kept, deleted };
}

/** What was put is whole, what was deleted is away, and there is nothing else. */
export async function assertContents(node: StorageNode, { kept, deleted }: Contents): Promise<void> {
  const listed = new Set<CopyKey>((await listAll(node)).map(({ key }) => key));
  for (const { key, bytes } of kept) {
    assert.ok(listed.delete(key), "an acknowledged blob is gone");
    assert.equal((await node.head(key))?.length, bytes.length);
    const read = await collect(await node.get(key, { start: 0, end: bytes.length }));
    assert.ok(read.equals(bytes), "a blob has other bytes");
  }
  for (const { key } of deleted) assert.equal(await node.head(key), undefined, "a deleted blob is back");
  assert.deepEqual([...listed], []);
}
