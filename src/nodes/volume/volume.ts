import { toError } from "../../shared/errors.ts";
import { NodeError } from "../storage-node.ts";
import type { VolumeFile } from "./file-system.ts";
import {
  DATA_START,
  decodeTrailer,
  encodeHeader,
  encodeTrailer,
  HEADER_BYTES,
  NO_ID,
  NO_KEY,
  RECORD_SEAL,
  type RecordHeader,
  recordBytes,
  type Superblock,
  trailerBytes,
} from "./layout.ts";
import { SyncGate } from "./sync-gate.ts";
import { toNodeError } from "./volume-errors.ts";

/** A region of a volume that belongs to one writer until it ends it. */
export interface Reservation {
  readonly volume: Volume;
  readonly start: number;
  readonly bytes: number;
  /** Says, once, that what lies here is durable and indexed, or that it will never be anything. */
  end(outcome: "durable" | "void"): void;
}

export interface VolumeOptions {
  readonly superblock: Superblock;
  readonly path: string;
  readonly file: VolumeFile;
  /** Where the next record goes. */
  readonly tail: number;
  /** The file grows to at most this. */
  readonly volumeBytes: number;
}

const SEAL_BYTES = recordBytes(0);

/**
 * One volume file that takes appends. Offsets are handed out from front to back, each once; regions are written in
 * any order and at the same time. Bytes beyond the tail are zero or beyond the end of the file.
 */
export class Volume {
  readonly superblock: Superblock;
  readonly path: string;
  readonly file: VolumeFile;
  readonly #volumeBytes: number;
  readonly #gate: SyncGate;
  readonly #open = new Set<Reservation>();
  #tail: number;
  #durableEnd: number;
  #preparedEnd: number;
  #failure: NodeError | undefined;
  /** From here on there may be a whole record whose put failed. */
  #doubtfulFrom = Number.POSITIVE_INFINITY;
  #retired = false;
  #preparing: Promise<void> | undefined;
  #idle: (() => void) | undefined;

  constructor(options: VolumeOptions) {
    this.superblock = options.superblock;
    this.path = options.path;
    this.file = options.file;
    this.#volumeBytes = options.volumeBytes;
    this.#tail = options.tail;
    this.#durableEnd = options.tail;
    this.#preparedEnd = options.tail;
    this.#gate = new SyncGate(() => this.file.datasync());
  }

  get number(): number {
    return this.superblock.volumeNumber;
  }

  /** Where the next record goes, and so the end of what this volume holds. */
  get tail(): number {
    return this.#tail;
  }

  get empty(): boolean {
    return this.#tail === DATA_START;
  }

  /** Bytes of records that still fit. */
  get room(): number {
    return this.#failure === undefined && !this.#retired ? this.#volumeBytes - SEAL_BYTES - this.#tail : 0;
  }

  /** Zeros that lie written and synced ahead of the tail. */
  get preparedBytes(): number {
    return this.#preparedEnd - this.#tail;
  }

  /** Why this volume takes no more appends, when a write or a sync failed. */
  get failure(): NodeError | undefined {
    return this.#failure;
  }

  /** Whether it may hold records that the index does not know of, until the next start reads it. */
  get doubtful(): boolean {
    return this.#failure !== undefined || this.#doubtfulFrom < Number.POSITIVE_INFINITY;
  }

  /**
   * Every record below this offset has ended: a scan that brings the index up to date begins here. Never behind the
   * last durable record, so that a file that is shorter has lost something.
   */
  get settledEnd(): number {
    let end = Math.min(this.#durableEnd, this.#doubtfulFrom);
    for (const { start } of this.#open) end = Math.min(end, start);
    return end;
  }

  /** The caller has looked at `room`, in the same turn: a volume may be retired at any time. */
  reserve(bytes: number): Reservation {
    const reservation: Reservation = {
      volume: this,
      start: this.#tail,
      bytes,
      end: (outcome) => {
        this.#open.delete(reservation);
        if (outcome === "durable") this.#durableEnd = Math.max(this.#durableEnd, reservation.start + bytes);
        if (this.#open.size === 0) this.#idle?.();
      },
    };
    this.#tail += bytes;
    this.#preparedEnd = Math.max(this.#preparedEnd, this.#tail);
    this.#open.add(reservation);
    return reservation;
  }

  /** Writes into a reservation. @throws NodeError */
  async write(buffers: readonly Uint8Array[], position: number): Promise<void> {
    try {
      await this.file.write(buffers, position);
    } catch (error) {
      throw this.#failed(error, "a write to a volume failed");
    }
  }

  /** Resolves when all writes that ended before the call are durable. @throws NodeError */
  async sync(): Promise<void> {
    try {
      await this.#gate.sync();
    } catch (error) {
      // Whatever the cause, pages may be lost that the next sync would not mention.
      this.#failure ??= toNodeError(error, "a sync of a volume failed");
      throw new NodeError("io", `a sync of volume ${this.path} failed`, { cause: toError(error) });
    }
  }

  /**
   * Makes sure that no later scan finds a record of these, whose put failed: the index does not know of them. Their
   * regions are still reserved. A volume that has failed is left alone; the next start reads what came last in it.
   */
  async disown(records: readonly RecordHeader[]): Promise<void> {
    if (this.#failure !== undefined) return;
    try {
      const whole: RecordHeader[] = [];
      for (const record of records) if (await this.#isWhole(record)) whole.push(record);
      for (const { offset, length } of whole) {
        await this.file.write([new Uint8Array(trailerBytes(length))], offset + HEADER_BYTES + length);
      }
      if (whole.length > 0) await this.sync();
    } catch {
      // The next start reads on from there.
      for (const { offset } of records) this.#doubtfulFrom = Math.min(this.#doubtfulFrom, offset);
    }
  }

  async #isWhole({ offset, length }: RecordHeader): Promise<boolean> {
    const header = new Uint8Array(HEADER_BYTES);
    const trailer = new Uint8Array(trailerBytes(length));
    await this.file.read(header, offset);
    await this.file.read(trailer, offset + HEADER_BYTES + length);
    return decodeTrailer(header, length, trailer) !== undefined;
  }

  /**
   * Writes zeros behind what is prepared, up to the end of the volume, and syncs them. Not for two callers at a time,
   * and meanwhile nothing may be reserved beyond what is prepared.
   */
  async prepare(bytes: number): Promise<void> {
    const start = this.#preparedEnd;
    const step = Math.min(bytes, this.#volumeBytes - start);
    if (step <= 0 || this.room === 0) return;
    this.#preparing = this.#writeZeros(start, step);
    try {
      await this.#preparing;
    } finally {
      this.#preparing = undefined;
    }
    this.#preparedEnd = start + step;
  }

  async #writeZeros(start: number, bytes: number): Promise<void> {
    await this.write([new Uint8Array(bytes)], start);
    await this.sync();
  }

  /** No more appends. */
  retire(): void {
    this.#retired = true;
  }

  /** Resolves when no reservation is open. The volume has been retired. */
  async idle(): Promise<void> {
    if (this.#open.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
  }

  /** Writes the seal and cuts the file behind it. The volume is retired and idle. @throws NodeError */
  async seal(): Promise<void> {
    // Zeros that are still being written would lie on the seal, or behind it.
    await this.#preparing?.catch(() => {});
    if (this.#failure !== undefined) throw this.#failure;
    if (this.doubtful) throw new NodeError("io", `it is not known what ${this.path} holds`);
    const { marker } = this.superblock;
    const header = encodeHeader(marker, {
      kind: RECORD_SEAL,
      offset: this.#tail,
      length: 0,
      key: NO_KEY,
      blobId: NO_ID,
    });
    await this.write([header, encodeTrailer(header, 0, [])], this.#tail);
    await this.sync();
    await this.file.truncate(this.#tail + SEAL_BYTES);
    await this.sync();
  }

  #failed(error: unknown, message: string): NodeError {
    const failure = toNodeError(error, `${message}: ${this.path}`);
    // No room is no defect: what was written of the region is void, and the next one may fit.
    if (failure.kind !== "full" && failure.kind !== "busy") this.#failure ??= failure;
    return failure;
  }
}
