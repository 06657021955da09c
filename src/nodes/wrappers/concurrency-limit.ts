import { abortedError, type NodeLifetime } from "../node-lifetime.ts";
import type { NodeError } from "../storage-node.ts";
import type { Deadline, Deadlines } from "./deadlines.ts";
import type { ConcurrencyLimits } from "./limits.ts";
import { NotAskedError } from "./not-asked-error.ts";

/**
 * So many at a time, the others in a bounded queue, first come first served. The order matters beyond fairness: writes
 * hold turns on several nodes at once, and as long as each node serves them in the order in which they came, no two
 * can wait for each other.
 */
export class ConcurrencyLimit {
  readonly #limits: ConcurrencyLimits;
  readonly #deadlines: Deadlines;
  readonly #lifetime: NodeLifetime;
  readonly #queue = new Set<Waiter>();
  #inflight = 0;

  constructor(limits: ConcurrencyLimits, deadlines: Deadlines, lifetime: NodeLifetime) {
    this.#limits = limits;
    this.#deadlines = deadlines;
    this.#lifetime = lifetime;
  }

  get inflight(): number {
    return this.#inflight;
  }

  get waiting(): number {
    return this.#queue.size;
  }

  /**
   * Takes a turn, to be given back by `release`. Nothing to wait for where one is free.
   * @throws NodeError `busy` when the queue is full, or its end took too long to reach; `aborted`; `unreachable` once closed
   */
  acquire(signal: AbortSignal | undefined): Promise<void> | undefined {
    this.#lifetime.enter(signal);
    if (this.#inflight < this.#limits.inflightMax) {
      this.#inflight += 1;
      return undefined;
    }
    if (this.#queue.size >= this.#limits.waitingMax) throw new NotAskedError("too many calls wait for the node");
    return new Promise((resolve, reject) => {
      const waiter = new Waiter({
        atMs: this.#deadlines.nowMs() + this.#limits.waitMs,
        signal,
        closing: this.#lifetime.signal,
        left: (granted) => {
          this.#queue.delete(waiter);
          this.#deadlines.delete(waiter);
          if (granted === true) resolve();
          else reject(granted);
        },
      });
      this.#queue.add(waiter);
      this.#deadlines.add(waiter);
    });
  }

  /** Gives a turn back. */
  release(): void {
    const next = this.#queue.values().next();
    if (next.done) this.#inflight -= 1;
    else next.value.grant();
  }
}

class Waiter implements Deadline {
  readonly atMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #closing: AbortSignal;
  readonly #left: (outcome: true | NodeError) => void;
  readonly #onAbort = (): void => this.#leave(abortedError(this.#signal));
  // By NodeLifetime's own word the reason is what calls under way are to answer.
  readonly #onClose = (): void => this.#leave(this.#closing.reason as NodeError);

  constructor(how: {
    readonly atMs: number;
    readonly signal: AbortSignal | undefined;
    readonly closing: AbortSignal;
    readonly left: (outcome: true | NodeError) => void;
  }) {
    this.atMs = how.atMs;
    this.#signal = how.signal;
    this.#closing = how.closing;
    this.#left = how.left;
    this.#signal?.addEventListener("abort", this.#onAbort, { once: true });
    this.#closing.addEventListener("abort", this.#onClose, { once: true });
  }

  grant(): void {
    this.#leave(true);
  }

  expire(): void {
    this.#leave(new NotAskedError("the call waited too long for its turn with the node"));
  }

  #leave(outcome: true | NodeError): void {
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#closing.removeEventListener("abort", this.#onClose);
    this.#left(outcome);
  }
}
