/**
 * Takes a stream of bytes apart into consecutive pieces of known lengths, without copying.
 */

/** The stream ended before the bytes that were announced. */
export class StreamTooShortError extends Error {
  constructor(missingBytes: number) {
    super(`the stream ended ${missingBytes} bytes short`);
    this.name = "StreamTooShortError";
  }
}

/** The stream went on after the bytes that were announced. */
export class StreamTooLongError extends Error {
  constructor() {
    super("the stream holds more bytes than were announced");
    this.name = "StreamTooLongError";
  }
}

export class ByteReader implements AsyncDisposable {
  readonly #source: AsyncIterator<Uint8Array>;
  #rest: Uint8Array | undefined;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /**
   * The next `length` bytes. To be read to its end before the next call.
   * @throws StreamTooShortError while iterating
   */
  async *take(length: number): AsyncGenerator<Uint8Array, void, undefined> {
    let left = length;
    while (left > 0) {
      const chunk = await this.#next();
      if (chunk === undefined) throw new StreamTooShortError(left);
      if (chunk.length > left) {
        this.#rest = chunk.subarray(left);
        yield chunk.subarray(0, left);
        return;
      }
      left -= chunk.length;
      yield chunk;
    }
  }

  /** Resolves when the stream has ended where it should. @throws StreamTooLongError */
  async expectEnd(): Promise<void> {
    if ((await this.#next()) !== undefined) throw new StreamTooLongError();
  }

  /** Releases the source. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source.return?.();
  }

  async #next(): Promise<Uint8Array | undefined> {
    const rest = this.#rest;
    if (rest !== undefined) {
      this.#rest = undefined;
      return rest;
    }
    for (;;) {
      const step = await this.#source.next();
      if (step.done === true) return undefined;
      if (step.value.length > 0) return step.value;
    }
  }
}
