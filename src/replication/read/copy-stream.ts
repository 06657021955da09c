import type { Blob, Location } from "../../catalog/records/blob.ts";
import { BLOCK_BYTES, NodeError, type StorageNode } from "../../nodes/storage-node.ts";
import type { Clock } from "../../shared/clock.ts";
import { crc32c } from "../../shared/crc32c.ts";
import { blockRange, expectedCrc } from "./blob-blocks.ts";

export interface CopyStreamOptions {
  readonly node: StorageNode;
  readonly blob: Blob;
  readonly location: Location;
  /** Block to start at. */
  readonly first: number;
  /** Block to end with. */
  readonly last: number;
  readonly clock: Clock;
  /** A node that sends no byte for this long has failed. */
  readonly stallTimeoutMs: number;
}

/**
 * One copy of a blob, read in order and handed out block by block, each only after its checksum matched. Holds the block
 * being read and the rest of a chunk that reaches beyond it.
 */
export class CopyStream {
  readonly #options: CopyStreamOptions;
  readonly #abort = new AbortController();
  #chunks: AsyncIterator<Uint8Array> | undefined;
  /** What a chunk held beyond the end of its block. */
  #rest: Uint8Array | undefined;
  #next: number;
  #started = false;
  /** All blocks are read; only the end of the stream is still to come. */
  #finishing = false;
  #closed = false;
  /** Ends the wait under way. */
  #interrupt: ((reason: NodeError) => void) | undefined;

  constructor(options: CopyStreamOptions) {
    this.#options = options;
    this.#next = options.first;
  }

  /** Whether the node has sent a byte. */
  get started(): boolean {
    return this.#started;
  }

  /** The block to be read next; after a failure the one that could not be. */
  get block(): number {
    return this.#next;
  }

  /**
   * The chunks of the next block, verified. Not to be called again before it resolved, nor after it threw.
   * @throws NodeError: `corrupt` when the bytes are not those that were written or are fewer, `timeout` when none came
   *   for too long, `aborted` once the stream is closed, else what the node answered
   */
  async nextBlock(): Promise<Uint8Array[]> {
    const { blob, last } = this.#options;
    const { start, end } = blockRange(blob, this.#next);
    const chunks: Uint8Array[] = [];
    let missing = end - start;
    let crc = 0;
    while (missing > 0) {
      const chunk = this.#rest ?? (await this.#pull());
      this.#rest = chunk.length > missing ? chunk.subarray(missing) : undefined;
      const piece = chunk.length > missing ? chunk.subarray(0, missing) : chunk;
      crc = crc32c(piece, crc);
      missing -= piece.length;
      chunks.push(piece);
    }
    if (crc !== expectedCrc(blob, this.#next)) throw new NodeError("corrupt", "a block's checksum does not match");
    this.#next += 1;
    if (this.#next > last) void this.#finish();
    return chunks;
  }

  /** Lets the node go. The wait under way ends at once, whatever the node does. */
  close(): void {
    if (!this.#closed && !this.#finishing) this.#end();
  }

  #end(): void {
    this.#closed = true;
    const reason = givenUp();
    this.#abort.abort(reason);
    this.#interrupt?.(reason);
    this.#rest = undefined;
    if (this.#chunks !== undefined) release(this.#chunks);
  }

  async #pull(): Promise<Uint8Array> {
    if (this.#closed) throw givenUp();
    this.#chunks ??= await this.#open();
    // Closed between the node's answer and this line.
    if (this.#abort.signal.aborted) {
      release(this.#chunks);
      throw givenUp();
    }
    const result = await this.#wait(this.#chunks.next());
    if (result.done) throw new NodeError("corrupt", "the copy is shorter than its record says");
    if (result.value.length > 0) this.#started = true;
    return result.value;
  }

  async #open(): Promise<AsyncIterator<Uint8Array>> {
    const { node, blob, location, first, last } = this.#options;
    const range = { start: first * BLOCK_BYTES, end: blockRange(blob, last).end };
    const opened = node.get(location.key, range, this.#abort.signal).then((bytes) => {
      const chunks = bytes[Symbol.asyncIterator]();
      // It may come after nobody waits for it any more.
      if (this.#closed) release(chunks);
      return chunks;
    });
    return this.#wait(opened);
  }

  /**
   * Reads the end of the stream without keeping anybody waiting: a connection that is broken off instead could not be
   * used again.
   */
  async #finish(): Promise<void> {
    if (this.#chunks === undefined) return;
    this.#finishing = true;
    try {
      const result = await this.#wait(this.#chunks.next());
      if (!result.done) this.#end();
    } catch {
      // Every block was there and right; what comes after them is of no interest.
      this.#end();
    }
  }

  /** Waits for the node, but neither longer than the stall timeout nor beyond the closing of the stream. */
  #wait<T>(promise: Promise<T>): Promise<T> {
    const { clock, stallTimeoutMs } = this.#options;
    return new Promise((resolve, reject) => {
      const end = (): void => {
        timer.stop();
        this.#interrupt = undefined;
      };
      const timer = clock.startTimer(stallTimeoutMs, () => {
        this.#interrupt = undefined;
        reject(new NodeError("timeout", "the node sent nothing for too long"));
      });
      this.#interrupt = (reason) => {
        end();
        reject(reason);
      };
      promise.then(
        (value) => {
          end();
          resolve(value);
        },
        (error: unknown) => {
          end();
          reject(asNodeError(error));
        },
      );
    });
  }
}

function givenUp(): NodeError {
  return new NodeError("aborted", "the read was given up");
}

function asNodeError(error: unknown): NodeError {
  return error instanceof NodeError
    ? error
    : new NodeError("invalid", "a node failed in an unexpected way", { cause: error });
}

/** Tells a source that nobody wants the rest. What it answers has nobody left to tell. */
function release(chunks: AsyncIterator<Uint8Array>): void {
  chunks.return?.().then(undefined, () => {});
}
