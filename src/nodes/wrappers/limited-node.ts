import { NodeLifetime } from "../node-lifetime.ts";
import type { StorageNode } from "../storage-node.ts";
import { ConcurrencyLimit } from "./concurrency-limit.ts";
import type { Deadlines } from "./deadlines.ts";
import type { ConcurrencyLimits } from "./limits.ts";
import { type InnerCall, type InnerRead, isHealthCall, type NodeOperation, NodeWrapper } from "./node-wrapper.ts";
import { WatchedRead } from "./watched-read.ts";

/** Bounds how many calls the node works on and how many wait for their turn. A get keeps its turn until it is read. */
export class LimitedNode extends NodeWrapper {
  readonly #lifetime: NodeLifetime;
  readonly #limit: ConcurrencyLimit;

  constructor(inner: StorageNode, deadlines: Deadlines, limits: ConcurrencyLimits) {
    super(inner);
    this.#lifetime = new NodeLifetime(inner.name);
    this.#limit = new ConcurrencyLimit(limits, deadlines, this.#lifetime);
  }

  /** Calls that the node works on, and calls that wait. */
  load(): { readonly inflight: number; readonly waiting: number } {
    return { inflight: this.#limit.inflight, waiting: this.#limit.waiting };
  }

  protected override async call<T>(
    operation: NodeOperation,
    signal: AbortSignal | undefined,
    run: InnerCall<T>,
  ): Promise<T> {
    if (isHealthCall(operation)) return run(signal);
    const turn = this.#limit.acquire(signal);
    if (turn !== undefined) await turn;
    try {
      return await run(signal);
    } finally {
      this.#limit.release();
    }
  }

  protected override async read(signal: AbortSignal | undefined, run: InnerRead): Promise<AsyncIterable<Uint8Array>> {
    const turn = this.#limit.acquire(signal);
    if (turn !== undefined) await turn;
    try {
      return new WatchedRead(await run(signal), { ended: () => this.#limit.release() });
    } catch (error) {
      this.#limit.release();
      throw error;
    }
  }

  override async close(): Promise<void> {
    this.#lifetime.close();
    await this.inner.close();
  }
}
