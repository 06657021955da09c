import type { Block, ProbeDepth, ProbeFinding, PutReceipt, PutRequest, StorageNode } from "../storage-node.ts";
import type { Deadlines } from "./deadlines.ts";
import type { TimeoutLimits } from "./limits.ts";
import { type InnerCall, type InnerRead, type NodeOperation, NodeWrapper } from "./node-wrapper.ts";
import { TimedCall } from "./timed-call.ts";

/**
 * Ends calls that take too long with `timeout`, at once and for good, also where the node does not react to its signal.
 * What counts is how long the node is waited for: neither the time of a put's source nor that of a get's reader does.
 */
export class TimeoutNode extends NodeWrapper {
  readonly #deadlines: Deadlines;
  readonly #limits: TimeoutLimits;

  constructor(inner: StorageNode, deadlines: Deadlines, limits: TimeoutLimits) {
    super(inner);
    this.#deadlines = deadlines;
    this.#limits = limits;
  }

  override async put(request: PutRequest): Promise<PutReceipt> {
    const { blocks } = request;
    const { putStallMs, putBlockMs } = this.#limits;
    if (!(Symbol.asyncIterator in blocks)) {
      const limitMs = putStallMs + blocks.length * putBlockMs;
      return this.#timed(limitMs, request.signal, (signal) => this.inner.put({ ...request, signal }));
    }
    const source = new TimedSource(blocks, this.#limits);
    const call = new TimedCall(this.#deadlines, request.signal, () => source.letGo());
    source.call = call;
    call.limit(putStallMs);
    try {
      return await call.wait(this.inner.put({ ...request, blocks: source, signal: call.signal }));
    } finally {
      call.end();
    }
  }

  override probe(depth: ProbeDepth, signal?: AbortSignal): Promise<readonly ProbeFinding[]> {
    const limitMs = depth === "reach" ? this.#limits.reachMs : this.#limits.admissionMs;
    return this.#timed(limitMs, signal, (inner) => this.inner.probe(depth, inner));
  }

  protected override call<T>(operation: NodeOperation, signal: AbortSignal | undefined, run: InnerCall<T>): Promise<T> {
    const lists = operation === "list" || operation === "foreign";
    return this.#timed(lists ? this.#limits.listMs : this.#limits.metadataMs, signal, run);
  }

  protected override async read(signal: AbortSignal | undefined, run: InnerRead): Promise<AsyncIterable<Uint8Array>> {
    const { firstByteMs, readStallMs } = this.#limits;
    let chunks: AsyncIterator<Uint8Array> | undefined;
    let failed = false;
    const call = new TimedCall(this.#deadlines, signal, () => {
      failed = true;
      if (chunks !== undefined) letGo(chunks);
    });
    call.limit(firstByteMs);
    const opened = run(call.signal).then((read) => {
      chunks = read[Symbol.asyncIterator]();
      // It may come after nobody waits for it any more.
      if (failed) letGo(chunks);
      return chunks;
    });
    try {
      const read = await call.wait(opened);
      call.pause();
      return new TimedRead(read, call, readStallMs);
    } catch (error) {
      call.end();
      throw error;
    }
  }

  async #timed<T>(
    limitMs: number,
    signal: AbortSignal | undefined,
    run: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const call = new TimedCall(this.#deadlines, signal);
    call.limit(limitMs);
    try {
      return await call.wait(run(call.signal));
    } finally {
      call.end();
    }
  }
}

/** The blocks of a put. The node's clock runs from when a block is handed to it until it asks for the next one. */
class TimedSource implements AsyncIterableIterator<Block, undefined> {
  /** Set before the node sees the source. */
  call: TimedCall | undefined;
  readonly #blocks: AsyncIterator<Block>;
  readonly #limits: TimeoutLimits;

  constructor(blocks: AsyncIterable<Block>, limits: TimeoutLimits) {
    this.#blocks = blocks[Symbol.asyncIterator]();
    this.#limits = limits;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Block, undefined>> {
    this.call?.pause();
    let limitMs = this.#limits.putStallMs;
    try {
      const result = await this.#blocks.next();
      if (!result.done) return result;
      limitMs = this.#limits.finishMs;
      return { done: true, value: undefined };
    } finally {
      this.call?.limit(limitMs);
    }
  }

  async return(): Promise<IteratorResult<Block, undefined>> {
    await this.#blocks.return?.();
    return { done: true, value: undefined };
  }

  letGo(): void {
    letGo(this.#blocks);
  }
}

/** The chunks of a get. The node's clock runs while somebody waits for one. */
class TimedRead implements AsyncIterableIterator<Uint8Array, undefined> {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #call: TimedCall;
  readonly #stallMs: number;

  constructor(chunks: AsyncIterator<Uint8Array>, call: TimedCall, stallMs: number) {
    this.#chunks = chunks;
    this.#call = call;
    this.#stallMs = stallMs;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#call.limit(this.#stallMs);
    try {
      const result = await this.#call.wait(this.#chunks.next());
      this.#call.pause();
      if (!result.done) return result;
    } catch (error) {
      this.#call.end();
      throw error;
    }
    this.#call.end();
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#call.end();
    await this.#chunks.return?.();
    return { done: true, value: undefined };
  }
}

/** Nobody wants the rest. What that answers has nobody left to tell. */
function letGo(items: AsyncIterator<unknown>): void {
  items.return?.().then(undefined, () => {});
}
