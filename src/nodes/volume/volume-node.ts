/**
 * The embedded storage node: blobs on a local disk, appended to volume files. The order in which a put or a delete
 * happens:
 *
 * put: room on the disk -> blocks checked -> record written -> volume synced -> index (memory) -> answer
 * delete: tombstone written -> volume synced -> index (memory) -> answer
 *
 * The index reaches its own store later; what it lacks after a crash is read from the volumes.
 */
import { join } from "node:path";
import type { Clock } from "../../shared/clock.ts";
import type { Id } from "../../shared/ids.ts";
import { BlockReader } from "../block-reader.ts";
import {
  checkIdentity,
  checkKey,
  checkList,
  checkPut,
  checkRange,
  checkReplaceable,
  IDENTITY_BYTES_MAX,
} from "../call-checks.ts";
import { JOURNAL_SESSION } from "../copy-key.ts";
import type { NodeLifetime } from "../node-lifetime.ts";
import {
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
import { BlobReader } from "./blob-reader.ts";
import { ByteRate } from "./byte-rate.ts";
import type { Checkpointer } from "./checkpointer.ts";
import { Compactor, type VolumeUsage } from "./compactor.ts";
import type { FileSystem } from "./file-system.ts";
import { findForeignFiles } from "./foreign-files.ts";
import { type IndexEntry, isBlob } from "./index-entries.ts";
import { LargeLane } from "./large-lane.ts";
import { RECORD_BLOB, recordBytes } from "./layout.ts";
import { blobBytesMax, type VolumeLimits } from "./limits.ts";
import { probeFolder } from "./probe.ts";
import { readSmallFile, writeSmallFile } from "./small-files.ts";
import { type RecordDraft, SmallLane } from "./small-lane.ts";
import { SpaceGuard } from "./space-guard.ts";
import { Tombstones } from "./tombstones.ts";
import { toNodeError } from "./volume-errors.ts";
import type { VolumeIndex } from "./volume-index.ts";
import type { VolumeLog } from "./volume-log.ts";
import type { VolumeSet } from "./volume-set.ts";

export interface VolumeNodeParts {
  readonly name: string;
  readonly path: string;
  readonly indexPath: string;
  readonly clusterId: Id;
  readonly fileSystem: FileSystem;
  readonly limits: VolumeLimits;
  readonly lifetime: NodeLifetime;
  readonly volumes: VolumeSet;
  readonly index: VolumeIndex;
  readonly checkpointer: Checkpointer;
  readonly clock: Clock;
  readonly log: VolumeLog;
  /** Volume files whose content is unknown. While there are any, an absence is not certain. */
  readonly unreadable: readonly string[];
  /** Called at the end of close. */
  readonly released: () => void;
}

export const IDENTITY_FILE = "identity";

export class VolumeNode implements StorageNode {
  readonly name: string;
  readonly #parts: VolumeNodeParts;
  readonly #small: SmallLane;
  readonly #large: LargeLane;
  readonly #tombstones: Tombstones;
  readonly #reader: BlobReader;
  readonly #space: SpaceGuard;
  readonly #compactor: Compactor;
  /** Keys of puts that have begun, by how many. */
  readonly #putting = new Map<CopyKey, number>();
  /** Work on files that has begun; `close` waits for it. */
  readonly #underWay = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  constructor(parts: VolumeNodeParts) {
    const { volumes, limits, lifetime, index, checkpointer, fileSystem, path } = parts;
    this.name = parts.name;
    this.#parts = parts;
    this.#small = new SmallLane(volumes, limits);
    this.#large = new LargeLane(volumes, limits);
    this.#reader = new BlobReader(volumes, lifetime);
    this.#space = new SpaceGuard(fileSystem, path, limits.freeReserveBytes);
    this.#tombstones = new Tombstones({
      lane: this.#small,
      buried(key, volume) {
        index.bury(key, volume);
        checkpointer.changed();
      },
    });
    this.#compactor = new Compactor({
      ...parts,
      small: this.#small,
      large: this.#large,
      space: this.#space,
      rate: new ByteRate(parts.clock, limits.compactionBytesPerSecond),
      busy: () => this.#underWay.size > 0 || volumes.files.held,
      putting: (key) => this.#putting.has(key),
      certain: () => parts.unreadable.length === 0 && !volumes.doubtful,
    });
    this.#compactor.start();
  }

  async put(request: PutRequest): Promise<PutReceipt> {
    const { lifetime, checkpointer, clusterId, limits } = this.#parts;
    lifetime.enter(request.signal);
    checkPut(request, clusterId);
    if (request.header.length > blobBytesMax(limits))
      throw new NodeError("invalid", "the blob is larger than a volume");
    checkpointer.admit();
    await this.#run(request.signal, () => this.#append(request), "a put failed");
    return { proof: "fsync" };
  }

  async #append(request: PutRequest): Promise<void> {
    const { lifetime, limits } = this.#parts;
    const { key, header } = request;
    const blocks = new BlockReader(request, lifetime);
    this.#putting.set(key, (this.#putting.get(key) ?? 0) + 1);
    let written: (() => void) | undefined;
    try {
      const reserveBytes = header.session === JOURNAL_SESSION ? 0 : limits.freeReserveBytes;
      written = await this.#space.admit(recordBytes(header.length), reserveBytes);
      let entered: IndexEntry | undefined;
      const durable: RecordDraft["durable"] = (volume, { offset, length, blobId }) => {
        entered = this.#parts.index.addBlob(key, { volume: volume.number, offset, length, blobId });
        this.#parts.checkpointer.changed();
      };
      if (header.length <= limits.smallBlobBytesMax) {
        await this.#small.append({ ...(await collectBlob(request, blocks)), durable });
      } else {
        await this.#large.append({ key, header, blocks, durable });
      }
      if (entered === undefined || !isBlob(entered)) {
        throw new NodeError("invalid", "the key was deleted before; a key is never used twice");
      }
    } finally {
      written?.();
      blocks.release();
      const others = (this.#putting.get(key) ?? 1) - 1;
      if (others === 0) this.#putting.delete(key);
      else this.#putting.set(key, others);
    }
  }

  async get(key: CopyKey, range: ByteRange, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    this.#parts.lifetime.enter(signal);
    checkKey(key);
    checkRange(range);
    const entry = this.#find(key);
    if (entry === undefined) throw new NodeError("not-found", "no such blob");
    if (range.end > entry.length) throw new NodeError("corrupt", "the blob is shorter than the range asked for");
    return this.#reader.open({ key, entry, range, signal });
  }

  async head(key: CopyKey, signal?: AbortSignal): Promise<BlobStat | undefined> {
    this.#parts.lifetime.enter(signal);
    checkKey(key);
    const entry = this.#find(key);
    return entry === undefined ? undefined : { key, length: entry.length, blobId: entry.blobId };
  }

  #find(key: CopyKey): ReturnType<VolumeIndex["blob"]> {
    const entry = this.#readIndex(() => this.#parts.index.get(key));
    if (entry !== undefined) return isBlob(entry) ? entry : undefined;
    if (this.#parts.unreadable.length === 0) return undefined;
    throw new NodeError("io", "a volume of the node cannot be read; it may hold the blob");
  }

  #readIndex<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      throw toNodeError(error, "the index of the node could not be read");
    }
  }

  async delete(key: CopyKey, signal?: AbortSignal): Promise<void> {
    const { lifetime, checkpointer } = this.#parts;
    lifetime.enter(signal);
    checkKey(key);
    const entry = this.#readIndex(() => this.#parts.index.get(key));
    const deleted = entry !== undefined && !isBlob(entry);
    // An unknown key may be that of a put under way, or lie in a volume that cannot be read now: then it is buried too.
    const possible = entry !== undefined || this.#putting.has(key) || this.#parts.unreadable.length > 0;
    if (deleted || !possible) return;
    checkpointer.admit();
    await this.#run(signal, () => this.#tombstones.bury(key), "a deletion failed");
  }

  async list(request: ListRequest, signal?: AbortSignal): Promise<BlobPage> {
    this.#parts.lifetime.enter(signal);
    checkList(request);
    const { session, after, limit } = request;
    const found = this.#readIndex(() => this.#parts.index.list(session, after, limit + 1));
    const blobs = found
      .slice(0, limit)
      .map(({ key, entry }): BlobStat => ({ key, length: entry.length, blobId: entry.blobId }));
    const last = blobs.at(-1);
    return found.length > limit && last !== undefined ? { blobs, next: last.key } : { blobs };
  }

  /** Gives the space of deleted blobs back as far as that is worth it. Goes on by itself now and then. */
  compact(): Promise<void> {
    return this.#compactor.run();
  }

  usage(): VolumeUsage {
    return this.#compactor.usage();
  }

  async capacity(signal?: AbortSignal): Promise<Capacity> {
    this.#parts.lifetime.enter(signal);
    const read = (): ReturnType<SpaceGuard["capacity"]> => this.#space.capacity();
    const { totalBytes, freeBytes } = await this.#run(signal, read, "the disk could not be asked for its space");
    return { totalBytes, freeBytes, usedBytes: totalBytes - freeBytes };
  }

  async foreign(signal?: AbortSignal): Promise<ForeignReport> {
    const { lifetime, fileSystem, path, indexPath } = this.#parts;
    lifetime.enter(signal);
    const find = (): Promise<ForeignReport> =>
      findForeignFiles({ fileSystem, path, indexPath, identityFile: IDENTITY_FILE });
    return this.#run(signal, find, "the folder of the node could not be read");
  }

  async probe(depth: ProbeDepth, signal?: AbortSignal): Promise<readonly ProbeFinding[]> {
    const { lifetime, fileSystem, path, unreadable } = this.#parts;
    lifetime.enter(signal);
    const probe = (): Promise<ProbeFinding[]> => probeFolder({ fileSystem, path, depth, unreadable });
    return this.#run(signal, probe, "the node could not be probed");
  }

  async readIdentity(signal?: AbortSignal): Promise<Uint8Array | undefined> {
    const { lifetime, fileSystem, path } = this.#parts;
    lifetime.enter(signal);
    const read = (): Promise<Uint8Array | undefined> =>
      readSmallFile(fileSystem, join(path, IDENTITY_FILE), IDENTITY_BYTES_MAX);
    return this.#run(signal, read, "the identity of the node could not be read");
  }

  async writeIdentity(document: Uint8Array, signal?: AbortSignal, over?: Uint8Array): Promise<void> {
    const { lifetime, fileSystem, path } = this.#parts;
    lifetime.enter(signal);
    checkIdentity(document);
    checkReplaceable(await this.readIdentity(signal), { document, over });
    const write = (): Promise<void> => writeSmallFile(fileSystem, path, IDENTITY_FILE, document);
    await this.#run(signal, write, "the identity of the node could not be written");
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { lifetime, volumes, checkpointer, released } = this.#parts;
    lifetime.close();
    await Promise.allSettled(this.#underWay);
    await this.#compactor.close();
    await this.#tombstones.idle();
    await this.#small.idle();
    await checkpointer.close();
    await volumes.close();
    released();
  }

  /** Runs work on files, answering early when the signal aborts; the work goes on to its own end. */
  async #run<T>(signal: AbortSignal | undefined, work: () => Promise<T>, message: string): Promise<T> {
    const working = work();
    this.#underWay.add(working);
    const forget = (): void => {
      this.#underWay.delete(working);
    };
    working.then(forget, forget);
    try {
      return await this.#parts.lifetime.wait(working, signal);
    } catch (error) {
      throw toNodeError(error, message);
    }
  }
}

/** The whole of a small blob, its blocks checked. */
async function collectBlob({ key, header }: PutRequest, blocks: BlockReader): Promise<Omit<RecordDraft, "durable">> {
  const chunks: Uint8Array[] = [];
  const blockCrcs: number[] = [];
  for (let block = await blocks.next(); block !== undefined; block = await blocks.next()) {
    chunks.push(...block.chunks);
    blockCrcs.push(block.crc32c);
  }
  return { kind: RECORD_BLOB, key, blobId: header.blobId, length: header.length, chunks, blockCrcs };
}
