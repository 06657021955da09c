/**
 * Writes large blobs, each straight into a region of its own while its bytes arrive. Many go on at the same time in one
 * volume, and none waits for another. The header goes first: it tells a scan after a crash where the region ends.
 */
import { type BlobHeader, type Block, type CopyKey, NodeError } from "../storage-node.ts";
import { encodeHeader, encodeTrailer, HEADER_BYTES, RECORD_BLOB, type RecordHeader, recordBytes } from "./layout.ts";
import type { VolumeLimits } from "./limits.ts";
import type { RecordDraft } from "./small-lane.ts";
import type { Reservation } from "./volume.ts";
import type { VolumeSet } from "./volume-set.ts";

/** The blocks of a blob, in order; undefined behind the last. */
export interface BlockSource {
  next(): Promise<Block | undefined>;
}

export interface LargeBlob {
  readonly key: CopyKey;
  readonly header: Pick<BlobHeader, "blobId" | "length">;
  readonly blocks: BlockSource;
  readonly durable: RecordDraft["durable"];
}

export class LargeLane {
  readonly #volumes: VolumeSet;
  readonly #limits: VolumeLimits;

  constructor(volumes: VolumeSet, limits: VolumeLimits) {
    this.#volumes = volumes;
    this.#limits = limits;
  }

  /** Resolves when the blob is durable. @throws NodeError, or what the file system throws */
  async append({ key, header, blocks, durable }: LargeBlob): Promise<void> {
    // Nothing is reserved for a source that never begins.
    const first = await blocks.next();
    if (first === undefined) throw new NodeError("invalid", "the blob has no blocks");
    const bytes = recordBytes(header.length);
    let volume = await this.#volumes.volumeFor("large", bytes);
    while (volume.room < bytes) volume = await this.#volumes.volumeFor("large", bytes);
    const reservation = volume.reserve(bytes);
    const { blobId, length } = header;
    const record = { kind: RECORD_BLOB, offset: reservation.start, length, key, blobId };
    let outcome: "durable" | "void" = "void";
    try {
      await this.#write(reservation, record, blocks, first);
      await volume.sync();
      durable(volume, record);
      outcome = "durable";
    } finally {
      if (outcome === "void") await volume.disown([record]);
      reservation.end(outcome);
    }
  }

  async #write(reservation: Reservation, record: RecordHeader, blocks: BlockSource, first: Block): Promise<void> {
    const { volume, start } = reservation;
    const header = encodeHeader(volume.superblock.marker, record);
    const blockCrcs: number[] = [];
    const syncs = new BackgroundSyncs(reservation, this.#limits.syncEveryBytes);
    let at = start;
    let buffers: Uint8Array[] = [header];
    for (let block: Block | undefined = first; block !== undefined; ) {
      buffers.push(...block.chunks);
      blockCrcs.push(block.crc32c);
      let bytes = block.length + (at === start ? HEADER_BYTES : 0);
      if (at + bytes === start + HEADER_BYTES + record.length) {
        const trailer = encodeTrailer(header, record.length, blockCrcs);
        buffers.push(trailer);
        bytes += trailer.length;
      }
      // While one block is written the next is awaited; a failed write does not wait for it.
      const next = blocks.next();
      next.catch(() => {});
      await volume.write(buffers, at);
      syncs.wrote(bytes);
      at += bytes;
      buffers = [];
      block = await next;
    }
  }
}

/** Starts syncs while a blob is written, one at a time and never in the way of the writes. */
class BackgroundSyncs {
  readonly #reservation: Reservation;
  readonly #everyBytes: number;
  #unsyncedBytes = 0;
  #running: Promise<void> | undefined;

  constructor(reservation: Reservation, everyBytes: number) {
    this.#reservation = reservation;
    this.#everyBytes = everyBytes;
  }

  wrote(bytes: number): void {
    this.#unsyncedBytes += bytes;
    if (this.#unsyncedBytes < this.#everyBytes || this.#running !== undefined) return;
    this.#unsyncedBytes = 0;
    const end = (): void => {
      this.#running = undefined;
    };
    // A failure comes up again at the last sync, which nobody may skip.
    this.#running = this.#reservation.volume.sync().then(end, end);
  }
}
