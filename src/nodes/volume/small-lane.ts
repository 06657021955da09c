/**
 * Appends small records: whatever has come in while one batch is being written and synced goes into the next, which
 * costs one write and one sync however many records it holds.
 */
import type { Id } from "../../shared/ids.ts";
import { type CopyKey, NodeError } from "../storage-node.ts";
import { encodeHeader, encodeTrailer, RECORD_TOMBSTONE, type RecordHeader, recordBytes } from "./layout.ts";
import { blobRoom, type VolumeLimits } from "./limits.ts";
import type { Volume } from "./volume.ts";
import { toNodeError } from "./volume-errors.ts";
import type { VolumeSet } from "./volume-set.ts";

/** A record whose body is in memory. */
export interface RecordDraft {
  readonly kind: number;
  readonly key: CopyKey;
  readonly blobId: Id;
  readonly length: number;
  readonly chunks: readonly Uint8Array[];
  readonly blockCrcs: readonly number[];
  /** Called when the record is durable, before a scan may rely on the index for it. */
  readonly durable: (volume: Volume, header: RecordHeader) => void;
}

interface Waiting {
  readonly draft: RecordDraft;
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: NodeError) => void;
}

export class SmallLane {
  readonly #volumes: VolumeSet;
  readonly #limits: VolumeLimits;
  readonly #batchBytesMax: number;
  #queue: Waiting[] = [];
  #queuedBytes = 0;
  #working: Promise<void> | undefined;
  #preparing: Promise<void> | undefined;

  constructor(volumes: VolumeSet, limits: VolumeLimits) {
    this.#volumes = volumes;
    this.#limits = limits;
    this.#batchBytesMax = Math.min(limits.batchBytesMax, blobRoom(limits));
  }

  /** Resolves when the record is durable. @throws NodeError */
  append(draft: RecordDraft): Promise<void> {
    const bytes = recordBytes(draft.length);
    if (this.#queuedBytes + bytes > this.#limits.queuedBytesMax) {
      return Promise.reject(new NodeError("busy", "too many bytes wait to be written"));
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ draft, bytes, resolve, reject });
      this.#queuedBytes += bytes;
      this.#working ??= this.#work();
    });
  }

  /** Resolves when nothing is waiting or under way. */
  async idle(): Promise<void> {
    await this.#working;
    await this.#preparing?.catch(() => {});
  }

  async #work(): Promise<void> {
    while (this.#queue.length > 0) await this.#writeBatch(this.#takeBatch());
    this.#working = undefined;
  }

  #takeBatch(): Waiting[] {
    let count = 0;
    let bytes = 0;
    for (const waiting of this.#queue) {
      if (count > 0 && bytes + waiting.bytes > this.#batchBytesMax) break;
      count++;
      bytes += waiting.bytes;
    }
    this.#queuedBytes -= bytes;
    return this.#queue.splice(0, count);
  }

  async #writeBatch(batch: readonly Waiting[]): Promise<void> {
    const failure = await this.#tryWrite(batch);
    if (failure === undefined) return;
    const deletions = batch.filter(isDeletion);
    const others = batch.filter((waiting) => !isDeletion(waiting));
    for (const { reject } of others) reject(failure);
    // Where blobs found no room, deletions may: a part is kept for them.
    const alone = failure.kind === "full" && others.length > 0 ? await this.#tryWrite(deletions) : failure;
    if (alone !== undefined) for (const { reject } of deletions) reject(alone);
  }

  /** Writes all and answers them, or none; returns why not. */
  async #tryWrite(batch: readonly Waiting[]): Promise<NodeError | undefined> {
    if (batch.length === 0) return undefined;
    try {
      const bytes = batch.reduce((sum, waiting) => sum + waiting.bytes, 0);
      const deletions = batch.every(isDeletion);
      let volume = await this.#volumeFor(bytes, deletions);
      while (volume.room < bytes) volume = await this.#volumeFor(bytes, deletions);
      await this.#write(volume, batch, bytes);
    } catch (error) {
      return toNodeError(error, "small records could not be written");
    }
    for (const { resolve } of batch) resolve();
    return undefined;
  }

  /** A volume with this many bytes of zeros prepared at its tail. */
  async #volumeFor(bytes: number, deletions: boolean): Promise<Volume> {
    const wanted = deletions ? bytes : bytes + this.#limits.deleteReserveBytes;
    for (;;) {
      const volume = await this.#volumes.volumeFor("small", wanted);
      if (volume.preparedBytes >= wanted) return volume;
      try {
        await this.#prepare(volume, wanted - volume.preparedBytes);
      } catch (error) {
        // A volume that has failed has no room: the next round takes another.
        if (volume.failure === undefined && !(deletions && volume.preparedBytes >= bytes)) throw error;
      }
      if (deletions && volume.preparedBytes >= bytes) return volume;
    }
  }

  async #write(volume: Volume, batch: readonly Waiting[], bytes: number): Promise<void> {
    const reservation = volume.reserve(bytes);
    const headers: RecordHeader[] = [];
    let outcome: "durable" | "void" = "void";
    try {
      const buffers: Uint8Array[] = [];
      let offset = reservation.start;
      for (const { draft, bytes } of batch) {
        const { kind, key, blobId, length } = draft;
        const header = { kind, offset, length, key, blobId };
        const headerBytes = encodeHeader(volume.superblock.marker, header);
        buffers.push(headerBytes, ...draft.chunks, encodeTrailer(headerBytes, length, draft.blockCrcs));
        headers.push(header);
        offset += bytes;
      }
      await volume.write(buffers, reservation.start);
      await volume.sync();
      for (const [i, header] of headers.entries()) batch[i]?.draft.durable(volume, header);
      outcome = "durable";
    } finally {
      if (outcome === "void") await volume.disown(headers);
      reservation.end(outcome);
    }
    if (volume.preparedBytes < this.#limits.preparedBytesMin) {
      // What goes wrong here comes up again when a record needs the room.
      this.#prepare(volume, 0).catch(() => {});
    }
  }

  /** One at a time, whoever asks. */
  async #prepare(volume: Volume, bytes: number): Promise<void> {
    if (this.#preparing !== undefined) {
      await this.#preparing;
      return;
    }
    const preparing = volume.prepare(Math.max(bytes, this.#limits.prepareStepBytes));
    this.#preparing = preparing;
    try {
      await preparing;
    } finally {
      this.#preparing = undefined;
    }
  }
}

function isDeletion({ draft }: Waiting): boolean {
  return draft.kind === RECORD_TOMBSTONE;
}
