/**
 * Appends what is wanted of a sealed volume anew, through the lanes that puts use, so that the volume can be removed.
 * Nothing is taken away here: until the volume is removed every record is there twice.
 */
import { crc32c } from "../../shared/crc32c.ts";
import { toError } from "../../shared/errors.ts";
import type { NodeLifetime } from "../node-lifetime.ts";
import { BLOCK_BYTES, type Block, type CopyKey } from "../storage-node.ts";
import type { ByteRate } from "./byte-rate.ts";
import type { Checkpointer } from "./checkpointer.ts";
import { type BlobPlace, isBlob } from "./index-entries.ts";
import type { BlockSource, LargeLane } from "./large-lane.ts";
import { DATA_START, HEADER_BYTES, RECORD_BLOB, RECORD_TOMBSTONE, recordBytes, TOMBSTONE_KEYS_MAX } from "./layout.ts";
import type { VolumeLimits } from "./limits.ts";
import { type ReadableFile, type ScannedRecord, scanVolume } from "./scan.ts";
import type { RecordDraft, SmallLane } from "./small-lane.ts";
import type { SpaceGuard } from "./space-guard.ts";
import { tombstoneDraft } from "./tombstones.ts";
import { toNodeError } from "./volume-errors.ts";
import type { VolumeIndex } from "./volume-index.ts";
import type { VolumeExtent, VolumeSet } from "./volume-set.ts";

export interface EmptyVolumeParts {
  readonly volumes: VolumeSet;
  readonly index: VolumeIndex;
  readonly checkpointer: Pick<Checkpointer, "admit" | "changed">;
  readonly small: SmallLane;
  readonly large: LargeLane;
  readonly space: SpaceGuard;
  readonly rate: ByteRate;
  readonly lifetime: NodeLifetime;
  readonly limits: VolumeLimits;
  /** Whether calls are under way that compaction should not hold up. */
  readonly busy: () => boolean;
  /** Whether a put of the key is under way. */
  readonly putting: (key: CopyKey) => boolean;
  /** Whether all records of all volumes are known. Else no tombstone can be done without. */
  readonly certain: () => boolean;
}

/** A record that is not what was written. It stays where it is. */
export interface DamagedRecord {
  readonly key: CopyKey;
  readonly offset: number;
  readonly error: Error;
}

export interface EmptyVolumeReport {
  /** Bytes appended. */
  readonly movedBytes: number;
  readonly damaged: readonly DamagedRecord[];
}

class DamageError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DamageError";
  }
}

/** Half of what puts leave free: a full disk gets its space back by this. */
export function moveReserveBytes(limits: VolumeLimits): number {
  return limits.freeReserveBytes / 2;
}

/**
 * @param progress told how far the volume was read
 * @throws NodeError, or what the file system throws, when it could not go on; what was moved is right as it is
 */
export async function emptyVolume(
  parts: EmptyVolumeParts,
  volume: VolumeExtent,
  progress: (doneBytes: number) => void,
): Promise<EmptyVolumeReport> {
  const emptying = new Emptying(parts, volume);
  try {
    return await emptying.run(progress);
  } finally {
    await emptying.settled();
  }
}

class Emptying {
  readonly #parts: EmptyVolumeParts;
  readonly #volume: VolumeExtent;
  readonly #damaged: DamagedRecord[] = [];
  /** Small records that are being appended. */
  readonly #inflight = new Set<Promise<void>>();
  #inflightBytes = 0;
  #failure: Error | undefined;
  #movedBytes = 0;
  /** Deleted keys whose tombstones are wanted elsewhere. */
  #tombstones: CopyKey[] = [];

  constructor(parts: EmptyVolumeParts, volume: VolumeExtent) {
    this.#parts = parts;
    this.#volume = volume;
  }

  async run(progress: (doneBytes: number) => void): Promise<EmptyVolumeReport> {
    const { number, marker, bytes } = this.#volume;
    const file: ReadableFile = {
      read: async (buffer, position) => {
        await this.#take(buffer.length);
        return this.#parts.volumes.files.read(number, buffer, position);
      },
      size: () => Promise.resolve(DATA_START + bytes + recordBytes(0)),
    };
    await scanVolume({ file, marker, from: DATA_START, verifyBodies: false }, async (record) => {
      this.#check();
      progress(record.header.offset - DATA_START);
      await this.#record(record);
    });
    await this.#moveTombstones();
    await this.settled();
    this.#check();
    return { movedBytes: this.#movedBytes, damaged: this.#damaged };
  }

  /** Resolves when nothing is being appended any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#inflight);
  }

  #check(): void {
    this.#parts.lifetime.enter(undefined);
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #take(bytes: number): Promise<void> {
    const { rate, busy, limits, lifetime } = this.#parts;
    await rate.take(busy() ? bytes * limits.compactionBusyFactor : bytes, lifetime.signal);
  }

  async #record(record: ScannedRecord): Promise<void> {
    const { kind } = record.header;
    if (kind === RECORD_BLOB) await this.#blob(record);
    else if (kind === RECORD_TOMBSTONE) await this.#tombstone(record.tombstones);
  }

  async #blob(record: ScannedRecord): Promise<void> {
    const { index, limits } = this.#parts;
    const { key, offset, length, blobId } = record.header;
    const entry = index.blob(key);
    if (entry?.volume !== this.#volume.number || entry.offset !== offset) return;
    const from: BlobPlace = { volume: this.#volume.number, offset, length, blobId };
    if (length > limits.smallBlobBytesMax) {
      await this.#move(record, from);
      return;
    }
    await this.#take(recordBytes(length));
    while (this.#inflightBytes > 0 && this.#inflightBytes + length > limits.compactionInflightBytes) {
      await Promise.race(this.#inflight);
    }
    this.#start(this.#move(record, from), length);
  }

  #start(work: Promise<void>, bytes: number): void {
    this.#inflightBytes += bytes;
    const ended = work
      .catch((error: unknown) => {
        this.#failure ??= toError(error);
      })
      .finally(() => {
        this.#inflightBytes -= bytes;
        this.#inflight.delete(ended);
      });
    this.#inflight.add(ended);
  }

  /** Whatever becomes of the blob meanwhile, the index gets it right: a deletion wins over the record that lands. */
  async #move({ header, blockCrcs }: ScannedRecord, from: BlobPlace): Promise<void> {
    const { index, checkpointer, space, small, large, limits, volumes } = this.#parts;
    const { kind, key, blobId, length, offset } = header;
    const durable: RecordDraft["durable"] = (volume, record) => {
      const to = { volume: volume.number, offset: record.offset, length, blobId };
      index.moveBlob(key, { from, to, isThere: (number) => volumes.has(number) });
      this.#movedBytes += recordBytes(length);
      checkpointer.changed();
    };
    checkpointer.admit();
    const written = await space.admit(recordBytes(length), moveReserveBytes(limits));
    try {
      const blocks = this.#blocks(from, blockCrcs);
      if (length > limits.smallBlobBytesMax) {
        await large.append({ key, header: { blobId, length }, blocks, durable });
      } else {
        const chunks = (await blocks.next())?.chunks ?? [];
        await small.append({ kind, key, blobId, length, chunks, blockCrcs, durable });
      }
    } catch (error) {
      if (!(error instanceof DamageError)) throw error;
      this.#damaged.push({ key, offset, error });
    } finally {
      written();
    }
  }

  /** The blocks of a record, each checked against the record's own checksums (I6). */
  #blocks(from: BlobPlace, blockCrcs: readonly number[]): BlockSource {
    const { limits } = this.#parts;
    let at = 0;
    return {
      next: async (): Promise<Block | undefined> => {
        this.#parts.lifetime.enter(undefined);
        if (at >= from.length) return undefined;
        const buffer = Buffer.allocUnsafe(Math.min(BLOCK_BYTES, from.length - at));
        const crc = blockCrcs[at / BLOCK_BYTES];
        // Read and written. Of a small blob the scan read the bytes, and the turn for the others is taken above.
        if (from.length > limits.smallBlobBytesMax) await this.#take(2 * buffer.length);
        const got = await this.#readBody(from, buffer, at);
        if (crc === undefined || got < buffer.length || crc32c(buffer) !== crc)
          throw new DamageError("a block does not match its checksum");
        at += buffer.length;
        return { chunks: [buffer], length: buffer.length, crc32c: crc };
      },
    };
  }

  async #readBody({ volume, offset }: BlobPlace, buffer: Uint8Array, at: number): Promise<number> {
    try {
      return await this.#parts.volumes.files.read(volume, buffer, offset + HEADER_BYTES + at);
    } catch (error) {
      const failure = toNodeError(error, "a blob could not be read");
      throw failure.kind === "io" ? new DamageError("a block cannot be read", { cause: error }) : failure;
    }
  }

  async #tombstone(keys: readonly CopyKey[]): Promise<void> {
    const { index } = this.#parts;
    for (const key of keys) {
      const entry = index.get(key);
      if (entry === undefined || isBlob(entry) || entry.deadIn !== this.#volume.number) continue;
      if (this.#wanted(key, entry.records)) this.#tombstones.push(key);
      else index.forget(key);
      if (this.#tombstones.length >= TOMBSTONE_KEYS_MAX) await this.#moveTombstones();
    }
    this.#parts.checkpointer.changed();
  }

  /** A record in this volume goes with the tombstone. */
  #wanted(key: CopyKey, records: readonly number[]): boolean {
    const { volumes, putting, certain } = this.#parts;
    if (!certain() || putting(key)) return true;
    return records.some((number) => number !== this.#volume.number && volumes.has(number));
  }

  async #moveTombstones(): Promise<void> {
    const { index, checkpointer, small, volumes } = this.#parts;
    const keys = this.#tombstones;
    this.#tombstones = [];
    if (keys.length === 0) return;
    checkpointer.admit();
    const draft = tombstoneDraft(keys, (to) => {
      for (const key of keys) {
        const move = { from: this.#volume.number, to: to.number, isThere: (number: number) => volumes.has(number) };
        index.moveTombstone(key, move);
      }
      this.#movedBytes += recordBytes(draft.length);
      checkpointer.changed();
    });
    await this.#take(recordBytes(draft.length));
    await small.append(draft);
  }
}
