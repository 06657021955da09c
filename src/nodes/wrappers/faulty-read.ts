import type { NodeError } from "../storage-node.ts";

/** What goes wrong with a read, at the byte `at`, counted from its start. */
export interface ReadFault {
  readonly at: number;
  /** `corrupt`: the byte is another one. `end`: the read ends before it. An error: the read fails before it. */
  readonly effect: "corrupt" | "end" | "stall" | NodeError;
  /** Ends as the read that stalls is to end. */
  readonly stall: () => Promise<never>;
}

/** The chunks of a read, up to its fault or, where that only changes a byte, to their end. */
export class FaultyRead implements AsyncIterableIterator<Uint8Array, undefined> {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #fault: ReadFault;
  #position = 0;
  /** The next call meets the fault. */
  #due = false;
  #over = false;

  constructor(chunks: AsyncIterable<Uint8Array>, fault: ReadFault) {
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.#fault = fault;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#over) return { done: true, value: undefined };
    if (this.#due) return this.#strike();
    const result = await this.#chunks.next();
    if (result.done) return { done: true, value: undefined };
    const chunk = result.value;
    const index = this.#fault.at - this.#position;
    this.#position += chunk.length;
    if (index < 0 || index >= chunk.length) return result;
    if (this.#fault.effect === "corrupt") return { done: false, value: withByteChanged(chunk, index) };
    this.#due = true;
    return index > 0 ? { done: false, value: chunk.subarray(0, index) } : this.#strike();
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#over = true;
    await this.#chunks.return?.();
    return { done: true, value: undefined };
  }

  async #strike(): Promise<IteratorResult<Uint8Array, undefined>> {
    const { effect, stall } = this.#fault;
    if (effect === "stall") await stall();
    await this.return();
    if (effect instanceof Error) throw effect;
    return { done: true, value: undefined };
  }
}

/** A copy of the bytes in which one of them is another. */
export function withByteChanged(bytes: Uint8Array, index: number): Uint8Array {
  const changed = bytes.slice();
  changed[index] = (changed[index] ?? 0) ^ 0x40;
  return changed;
}
