import type { Clock } from "../../shared/clock.ts";
import { NodeError, type NodeErrorKind, type PutReceipt, type PutRequest, type StorageNode } from "../storage-node.ts";
import { type InnerCall, type InnerRead, type NodeOperation, NodeWrapper } from "./node-wrapper.ts";
import { type ReadWatcher, WatchedRead } from "./watched-read.ts";

/** `unknown`: something was thrown that is no NodeError, a bug in a driver. */
export type NodeOutcome = "ok" | NodeErrorKind | "unknown";

/** Told of every call to a node as its callers see it: retries, turns and all. Must not throw. */
export interface NodeObserver {
  started(operation: NodeOperation): void;
  /**
   * @param durationMs of a get: the time that somebody waited for the node, not that which the reader took
   * @param bytes of the blob that was put, or those that a get handed out
   */
  finished(operation: NodeOperation, outcome: NodeOutcome, durationMs: number, bytes: number): void;
}

/** Reports every call to an observer. */
export class MetricsNode extends NodeWrapper {
  readonly #observer: NodeObserver;
  readonly #clock: Clock;

  constructor(inner: StorageNode, observer: NodeObserver, clock: Clock) {
    super(inner);
    this.#observer = observer;
    this.#clock = clock;
  }

  override put(request: PutRequest): Promise<PutReceipt> {
    return this.#observe("put", request.header.length, () => this.inner.put(request));
  }

  protected override call<T>(operation: NodeOperation, signal: AbortSignal | undefined, run: InnerCall<T>): Promise<T> {
    return this.#observe(operation, 0, () => run(signal));
  }

  async #observe<T>(operation: NodeOperation, bytes: number, run: () => Promise<T>): Promise<T> {
    const startMs = this.#clock.monotonicMs();
    this.#observer.started(operation);
    try {
      const result = await run();
      this.#observer.finished(operation, "ok", this.#clock.monotonicMs() - startMs, bytes);
      return result;
    } catch (error) {
      this.#observer.finished(operation, outcomeOf(error), this.#clock.monotonicMs() - startMs, 0);
      throw error;
    }
  }

  protected override async read(signal: AbortSignal | undefined, run: InnerRead): Promise<AsyncIterable<Uint8Array>> {
    const read = new ObservedRead(this.#observer, this.#clock);
    try {
      const chunks = await run(signal);
      read.answered();
      return new WatchedRead(chunks, read);
    } catch (error) {
      read.ended(error);
      throw error;
    }
  }
}

class ObservedRead implements ReadWatcher {
  readonly #observer: NodeObserver;
  readonly #clock: Clock;
  /** Since when the node is waited for; `undefined` while it is the reader who takes time. */
  #sinceMs: number | undefined;
  #waitedMs = 0;
  #bytes = 0;

  constructor(observer: NodeObserver, clock: Clock) {
    this.#observer = observer;
    this.#clock = clock;
    this.asked();
    observer.started("get");
  }

  asked(): void {
    this.#sinceMs ??= this.#clock.monotonicMs();
  }

  answered(): void {
    if (this.#sinceMs === undefined) return;
    this.#waitedMs += this.#clock.monotonicMs() - this.#sinceMs;
    this.#sinceMs = undefined;
  }

  received(bytes: number): void {
    this.answered();
    this.#bytes += bytes;
  }

  ended(error?: unknown): void {
    this.answered();
    this.#observer.finished("get", error === undefined ? "ok" : outcomeOf(error), this.#waitedMs, this.#bytes);
  }
}

function outcomeOf(error: unknown): NodeOutcome {
  return error instanceof NodeError ? error.kind : "unknown";
}
