import type { NodeLifetime } from "../node-lifetime.ts";
import { BLOCK_BYTES, type ByteRange, type CopyKey, NodeError } from "../storage-node.ts";
import type { BlobEntry } from "./index-entries.ts";
import { decodeHeader, HEADER_BYTES } from "./layout.ts";
import { toNodeError } from "./volume-errors.ts";
import type { VolumeSet } from "./volume-set.ts";

export interface BlobReadRequest {
  readonly key: CopyKey;
  readonly entry: BlobEntry;
  readonly range: ByteRange;
  readonly signal: AbortSignal | undefined;
}

/** Reads ranges of blobs, one block ahead of the receiver. */
export class BlobReader {
  readonly #volumes: VolumeSet;
  readonly #lifetime: NodeLifetime;

  constructor(volumes: VolumeSet, lifetime: NodeLifetime) {
    this.#volumes = volumes;
    this.#lifetime = lifetime;
  }

  /**
   * Resolves when the record's header and the first bytes have been read.
   * @throws NodeError `corrupt` when the place holds another record than the index says
   */
  async open(request: BlobReadRequest): Promise<AsyncIterable<Uint8Array>> {
    const { entry, range, signal } = request;
    const firstEnd = blockEnd(range.start, range.end);
    // Before anything is awaited: the volume stays as long as its blob is read.
    const release = this.#volumes.files.hold(entry.volume);
    try {
      const first = await this.#lifetime.wait(this.#readFirst(request, firstEnd), signal);
      return new HeldChunks(this.#stream(request, first), release, signal);
    } catch (error) {
      release();
      throw error;
    }
  }

  async #readFirst({ key, entry, range }: BlobReadRequest, end: number): Promise<Uint8Array> {
    if (range.start === 0) {
      // The header lies in front of the first byte: one read for both.
      const bytes = await this.#read(entry, -HEADER_BYTES, end);
      this.#checkHeader(key, entry, bytes);
      return bytes.subarray(HEADER_BYTES);
    }
    const [header, bytes] = await Promise.all([
      this.#read(entry, -HEADER_BYTES, 0),
      this.#read(entry, range.start, end),
    ]);
    this.#checkHeader(key, entry, header);
    return bytes;
  }

  async *#stream(request: BlobReadRequest, first: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
    const { entry, range, signal } = request;
    let at = range.start + first.length;
    let chunk = first;
    for (;;) {
      this.#lifetime.enter(signal);
      const end = blockEnd(at, range.end);
      const next = at < range.end ? this.#read(entry, at, end) : undefined;
      // Should the receiver leave meanwhile, nobody asks for the outcome.
      next?.catch(() => {});
      yield chunk;
      if (next === undefined) return;
      chunk = await this.#lifetime.wait(next, signal);
      at = end;
    }
  }

  /** Bytes of the record's body; its header lies just below 0. */
  async #read(entry: BlobEntry, start: number, end: number): Promise<Uint8Array> {
    const buffer = Buffer.allocUnsafe(end - start);
    let got: number;
    try {
      got = await this.#volumes.files.read(entry.volume, buffer, entry.offset + HEADER_BYTES + start);
    } catch (error) {
      throw toNodeError(error, "a blob could not be read");
    }
    if (got < buffer.length) throw new NodeError("corrupt", "the volume ends within the blob");
    return buffer;
  }

  /** An index that was damaged must not pass one blob's bytes for another's. */
  #checkHeader(key: CopyKey, entry: BlobEntry, bytes: Uint8Array): void {
    const volume = this.#volumes.find(entry.volume);
    const header = volume && decodeHeader(volume.marker, bytes, entry.offset);
    if (header?.key !== key || header.length !== entry.length) {
      throw new NodeError("corrupt", "the volume does not hold the blob where its index says");
    }
  }
}

/** Lets go of the volume at the end, however it comes: also where nobody ever asks for the first chunk. */
class HeldChunks implements AsyncIterableIterator<Uint8Array, void, undefined> {
  readonly #chunks: AsyncGenerator<Uint8Array, void, undefined>;
  readonly #signal: AbortSignal | undefined;
  readonly #release: () => void;

  constructor(chunks: AsyncGenerator<Uint8Array, void, undefined>, release: () => void, signal?: AbortSignal) {
    this.#chunks = chunks;
    this.#signal = signal;
    this.#release = release;
    signal?.addEventListener("abort", release, { once: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, void>> {
    try {
      const result = await this.#chunks.next();
      if (result.done === true) this.#end();
      return result;
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  async return(): Promise<IteratorResult<Uint8Array, void>> {
    this.#end();
    return this.#chunks.return();
  }

  #end(): void {
    this.#release();
    this.#signal?.removeEventListener("abort", this.#release);
  }
}

/** Where the block that holds this byte ends. */
function blockEnd(at: number, rangeEnd: number): number {
  return Math.min(rangeEnd, (Math.floor(at / BLOCK_BYTES) + 1) * BLOCK_BYTES);
}
