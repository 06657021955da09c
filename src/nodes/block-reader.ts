import { crc32c } from "../shared/crc32c.ts";
import { abortedError, type NodeLifetime } from "./node-lifetime.ts";
import { BLOCK_BYTES, type Block, NodeError, type PutRequest } from "./storage-node.ts";

/**
 * The blocks of one put, each checked against the contract and against its own checksum before the driver sees it:
 * a node that stores what it was not told would answer for durable garbage. At about 5 GB/s the check is cheap.
 */
export class BlockReader {
  readonly #length: number;
  readonly #signal: AbortSignal | undefined;
  readonly #lifetime: NodeLifetime;
  readonly #blocks: Iterator<Block> | AsyncIterator<Block>;
  #taken = 0;
  #done = false;

  constructor(request: PutRequest, lifetime: NodeLifetime) {
    this.#length = request.header.length;
    this.#signal = request.signal;
    this.#lifetime = lifetime;
    const { blocks } = request;
    this.#blocks = Symbol.asyncIterator in blocks ? blocks[Symbol.asyncIterator]() : blocks[Symbol.iterator]();
  }

  /**
   * The next block, or undefined after the last once all bytes of the blob were seen.
   * @throws NodeError `aborted` (with the source's own error as cause, if it threw), `unreachable` when the node is
   *   closed meanwhile, `invalid`, `corrupt`
   */
  async next(): Promise<Block | undefined> {
    if (this.#done) return undefined;
    this.#lifetime.enter(this.#signal);
    const result = await this.#pull();
    if (result.done) {
      this.#done = true;
      if (this.#taken !== this.#length) throw new NodeError("invalid", "the source ended before the blob's length");
      return undefined;
    }
    this.#check(result.value);
    return result.value;
  }

  /** Tells a source that was not read to its end that nobody wants the rest. Does not wait for it. */
  release(): void {
    if (this.#done) return;
    this.#done = true;
    const released = this.#blocks.return?.();
    // A source that fails while it is let go has nobody left to tell.
    if (released instanceof Promise) released.catch(() => {});
  }

  async #pull(): Promise<IteratorResult<Block>> {
    try {
      const pulled = this.#blocks.next();
      return pulled instanceof Promise ? await this.#lifetime.wait(pulled, this.#signal) : pulled;
    } catch (error) {
      if (this.#lifetime.closed) throw this.#lifetime.signal.reason;
      if (this.#signal?.aborted) throw abortedError(this.#signal);
      // The source failed, not this node: whatever it threw must not count against the node.
      this.#done = true;
      throw new NodeError("aborted", "the source of the blob failed", { cause: error });
    }
  }

  #check(block: Block): void {
    const left = this.#length - this.#taken;
    const expected = Math.min(BLOCK_BYTES, left);
    if (block.length !== expected || expected === 0) {
      throw new NodeError("invalid", "a block has another length than its place in the blob demands");
    }
    let length = 0;
    let crc = 0;
    for (const chunk of block.chunks) {
      length += chunk.length;
      crc = crc32c(chunk, crc);
    }
    if (length !== block.length) throw new NodeError("invalid", "a block's chunks do not add up to its length");
    if (crc !== block.crc32c) throw new NodeError("corrupt", "a block's bytes do not match the checksum handed over");
    this.#taken += length;
  }
}
