/**
 * The bounded queue between the one reader of a body and the put of one target. A target that cannot keep up either
 * holds the reader up or, once it is let go, gets the rest of the blob from a copy that is already durable.
 */
import type { Block } from "../../nodes/storage-node.ts";

/** Yields the blocks from this index on, from a durable copy; waits until there is one. */
export type Continuation = (fromBlock: number) => AsyncIterable<Block>;

export class TargetFeed {
  readonly #capacity: number;
  readonly #continuation: Continuation;
  readonly #queue: Block[] = [];
  #taken = 0;
  #state: "open" | "ended" | "detached" | "failed" = "open";
  #failure: unknown;
  #wakeTaker: (() => void) | undefined;
  #wakeGiver: (() => void) | undefined;

  /** @param capacity blocks that may wait */
  constructor(capacity: number, continuation: Continuation) {
    this.#capacity = capacity;
    this.#continuation = continuation;
  }

  /** Whether the reader still hands blocks to this target. */
  get attached(): boolean {
    return this.#state === "open";
  }

  /** Whether it waits for a durable copy to go on from. */
  get detached(): boolean {
    return this.#state === "detached";
  }

  get full(): boolean {
    return this.#queue.length >= this.#capacity;
  }

  /** Hands a block over. The caller has waited for room. */
  give(block: Block): void {
    if (this.#state !== "open") return;
    this.#queue.push(block);
    this.#wake("taker");
  }

  /** The reader has handed over the last block. */
  end(): void {
    if (this.#state === "open") this.#state = "ended";
    this.#wake("taker");
  }

  /** From here on the target gets its blocks from a durable copy. */
  detach(): void {
    if (this.#state === "open") this.#state = "detached";
    this.#wake("giver");
    this.#wake("taker");
  }

  /** Makes the target's put fail: the body was abandoned. */
  fail(reason: unknown): void {
    if (this.#state === "failed") return;
    this.#state = "failed";
    this.#failure = reason;
    this.#queue.length = 0;
    this.#wake("giver");
    this.#wake("taker");
  }

  /** Resolves when there is room, or when the target no longer takes blocks from the reader. */
  room(): Promise<void> {
    if (!this.attached || !this.full) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wakeGiver = resolve;
    });
  }

  /** What the target's put consumes. */
  async *blocks(): AsyncGenerator<Block, void, undefined> {
    try {
      for (;;) {
        const block = this.#queue.shift();
        if (block !== undefined) {
          this.#wake("giver");
          this.#taken++;
          yield block;
        } else if (this.#state === "failed") {
          throw this.#failure;
        } else if (this.#state === "ended") {
          return;
        } else if (this.#state === "detached") {
          yield* this.#continuation(this.#taken);
          return;
        } else {
          await new Promise<void>((resolve) => {
            this.#wakeTaker = resolve;
          });
        }
      }
    } finally {
      // The put gave up: nobody is to wait for room here any more.
      if (this.#state === "open") this.#state = "detached";
      this.#queue.length = 0;
      this.#wake("giver");
    }
  }

  #wake(who: "giver" | "taker"): void {
    if (who === "giver") {
      const wake = this.#wakeGiver;
      this.#wakeGiver = undefined;
      wake?.();
    } else {
      const wake = this.#wakeTaker;
      this.#wakeTaker = undefined;
      wake?.();
    }
  }
}
