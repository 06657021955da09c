/** What a read tells whoever watches it. */
export interface ReadWatcher {
  /** The consumer asks for a chunk. */
  asked?(): void;
  /** The chunk that it asked for is there. */
  received?(bytes: number): void;
  /** Once: all bytes came, the consumer left (both without an error), or the node failed. */
  ended(error?: unknown): void;
}

/**
 * A read that reports its end, whichever way it ends. An iterator of its own and no generator, since a generator that
 * is let go before its first chunk runs none of its code.
 */
export class WatchedRead implements AsyncIterableIterator<Uint8Array, undefined> {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #watcher: ReadWatcher;
  #ended = false;

  constructor(chunks: AsyncIterable<Uint8Array>, watcher: ReadWatcher) {
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.#watcher = watcher;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#watcher.asked?.();
    try {
      const result = await this.#chunks.next();
      if (result.done) {
        this.#end();
        return { done: true, value: undefined };
      }
      this.#watcher.received?.(result.value.length);
      return result;
    } catch (error) {
      this.#end(error);
      throw error;
    }
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#end();
    await this.#chunks.return?.();
    return { done: true, value: undefined };
  }

  #end(error?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#watcher.ended(error);
  }
}
