/**
 * A storage node in memory, for tests and the simulation: deterministic, without timers or threads. "Durable" means
 * that it is in the MemoryStore, which outlives the node that writes it as a disk outlives a process.
 */
import type { Id } from "../../shared/ids.ts";
import { BlockReader } from "../block-reader.ts";
import { checkIdentity, checkKey, checkList, checkPut, checkRange, checkReplaceable } from "../call-checks.ts";
import { NOTHING_FOREIGN } from "../foreign-report.ts";
import { NodeLifetime } from "../node-lifetime.ts";
import {
  BLOCK_BYTES,
  type BlobPage,
  type BlobStat,
  type ByteRange,
  type Capacity,
  type CopyKey,
  type ForeignReport,
  type ListRequest,
  NodeError,
  type ProbeDepth,
  type ProbeFinding,
  type PutReceipt,
  type PutRequest,
  type StorageNode,
} from "../storage-node.ts";

interface StoredBlob {
  readonly blobId: Id;
  readonly bytes: Uint8Array;
}

/** The bytes behind one or, over restarts, several nodes. Tests may look into it and change it. */
export class MemoryStore {
  readonly blobs = new Map<CopyKey, StoredBlob>();
  readonly capacityBytes: number;
  identity: Uint8Array | undefined;
  #usedBytes = 0;
  #sortedKeys: readonly CopyKey[] | undefined;

  /** @param capacityBytes puts beyond it are answered `full` */
  constructor(capacityBytes = 2 ** 40) {
    this.capacityBytes = capacityBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  add(key: CopyKey, blob: StoredBlob): void {
    this.remove(key);
    this.blobs.set(key, blob);
    this.#usedBytes += blob.bytes.length;
    this.#sortedKeys = undefined;
  }

  remove(key: CopyKey): void {
    const blob = this.blobs.get(key);
    if (blob === undefined) return;
    this.blobs.delete(key);
    this.#usedBytes -= blob.bytes.length;
    this.#sortedKeys = undefined;
  }

  /** Sorted when first asked for after a change: listings are rare, changes are not. */
  sortedKeys(): readonly CopyKey[] {
    this.#sortedKeys ??= [...this.blobs.keys()].sort();
    return this.#sortedKeys;
  }
}

export interface MemoryNodeOptions {
  readonly name: string;
  readonly clusterId: Id;
  readonly store?: MemoryStore;
}

export function openMemoryNode(options: MemoryNodeOptions): StorageNode {
  return new MemoryNode(options);
}

class MemoryNode implements StorageNode {
  readonly name: string;
  readonly #clusterId: Id;
  readonly #store: MemoryStore;
  readonly #lifetime: NodeLifetime;
  /** Bytes of puts under way: a store never takes more than its capacity. */
  #reservedBytes = 0;

  constructor({ name, clusterId, store }: MemoryNodeOptions) {
    this.name = name;
    this.#clusterId = clusterId;
    this.#store = store ?? new MemoryStore();
    this.#lifetime = new NodeLifetime(name);
  }

  async put(request: PutRequest): Promise<PutReceipt> {
    this.#lifetime.enter(request.signal);
    checkPut(request, this.#clusterId);
    const { blobId, length } = request.header;
    if (this.#store.usedBytes + this.#reservedBytes + length > this.#store.capacityBytes) {
      throw new NodeError("full", `storage node ${this.name} has no room`);
    }
    this.#reservedBytes += length;
    const blocks = new BlockReader(request, this.#lifetime);
    try {
      const bytes = new Uint8Array(length);
      let at = 0;
      for (let block = await blocks.next(); block !== undefined; block = await blocks.next()) {
        for (const chunk of block.chunks) {
          bytes.set(chunk, at);
          at += chunk.length;
        }
      }
      this.#store.add(request.key, { blobId, bytes });
    } finally {
      blocks.release();
      this.#reservedBytes -= length;
    }
    return { proof: "read-back" };
  }

  async get(key: CopyKey, range: ByteRange, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    this.#lifetime.enter(signal);
    checkKey(key);
    checkRange(range);
    const blob = this.#store.blobs.get(key);
    if (blob === undefined) throw new NodeError("not-found", "no such blob");
    if (range.end > blob.bytes.length) throw new NodeError("corrupt", "the blob is shorter than the range asked for");
    return this.#read(blob.bytes, range, signal);
  }

  async *#read(bytes: Uint8Array, { start, end }: ByteRange, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    for (let at = start; at < end; at += BLOCK_BYTES) {
      this.#lifetime.enter(signal);
      yield bytes.slice(at, Math.min(at + BLOCK_BYTES, end));
    }
  }

  async head(key: CopyKey, signal?: AbortSignal): Promise<BlobStat | undefined> {
    this.#lifetime.enter(signal);
    checkKey(key);
    return this.#stat(key);
  }

  async delete(key: CopyKey, signal?: AbortSignal): Promise<void> {
    this.#lifetime.enter(signal);
    checkKey(key);
    this.#store.remove(key);
  }

  async list(request: ListRequest, signal?: AbortSignal): Promise<BlobPage> {
    this.#lifetime.enter(signal);
    checkList(request);
    const { session, after = "", limit } = request;
    const prefix = session === undefined ? "" : `${session.toString(16).padStart(8, "0")}/`;
    const blobs: BlobStat[] = [];
    for (const key of this.#store.sortedKeys()) {
      if (key <= after || !key.startsWith(prefix)) continue;
      const last = blobs.at(-1);
      if (blobs.length === limit && last !== undefined) return { blobs, next: last.key };
      const stat = this.#stat(key);
      if (stat !== undefined) blobs.push(stat);
    }
    return { blobs };
  }

  #stat(key: CopyKey): BlobStat | undefined {
    const blob = this.#store.blobs.get(key);
    return blob === undefined ? undefined : { key, length: blob.bytes.length, blobId: blob.blobId };
  }

  async capacity(signal?: AbortSignal): Promise<Capacity> {
    this.#lifetime.enter(signal);
    const { capacityBytes: totalBytes, usedBytes } = this.#store;
    return { totalBytes, usedBytes, freeBytes: totalBytes - usedBytes };
  }

  /** Nobody else has a way into memory. */
  async foreign(signal?: AbortSignal): Promise<ForeignReport> {
    this.#lifetime.enter(signal);
    return NOTHING_FOREIGN;
  }

  async probe(_depth: ProbeDepth, signal?: AbortSignal): Promise<readonly ProbeFinding[]> {
    this.#lifetime.enter(signal);
    return [{ check: "reach", passed: true }];
  }

  async readIdentity(signal?: AbortSignal): Promise<Uint8Array | undefined> {
    this.#lifetime.enter(signal);
    return this.#store.identity?.slice();
  }

  async writeIdentity(document: Uint8Array, signal?: AbortSignal, over?: Uint8Array): Promise<void> {
    this.#lifetime.enter(signal);
    checkIdentity(document);
    checkReplaceable(this.#store.identity, { document, over });
    this.#store.identity = document.slice();
  }

  async close(): Promise<void> {
    this.#lifetime.close();
  }
}
