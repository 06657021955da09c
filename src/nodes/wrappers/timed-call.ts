import { abortedError } from "../node-lifetime.ts";
import { NodeError } from "../storage-node.ts";
import type { Deadline, Deadlines } from "./deadlines.ts";

/**
 * A call that ends, for its caller, when its time is up or the caller gives up, whatever the node makes of its signal:
 * a call into a dead disk or a frozen mount never comes back.
 */
export class TimedCall implements Deadline {
  atMs = Number.POSITIVE_INFINITY;
  readonly #deadlines: Deadlines;
  readonly #caller: AbortSignal | undefined;
  readonly #abort = new AbortController();
  readonly #onAbort = (): void => this.fail(abortedError(this.#caller), this.#caller?.reason);
  readonly #onFailed: () => void;
  #failure: NodeError | undefined;
  #rejectWait: ((error: NodeError) => void) | undefined;

  /**
   * @param onFailed called once when it fails from outside: to let go of what the node may never let go of
   * @throws NodeError `aborted`
   */
  constructor(deadlines: Deadlines, caller: AbortSignal | undefined, onFailed: () => void = () => {}) {
    if (caller?.aborted) throw abortedError(caller);
    this.#deadlines = deadlines;
    this.#caller = caller;
    this.#onFailed = onFailed;
    deadlines.add(this);
    caller?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** For the node. Aborts with the timeout as its reason, or with the caller's reason. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The call has this long from now on. */
  limit(ms: number): void {
    this.atMs = this.#deadlines.nowMs() + ms;
  }

  /** The clock stands still: it is not the node that is waited for. */
  pause(): void {
    this.atMs = Number.POSITIVE_INFINITY;
  }

  /** The promise's outcome, or the call's own failure if that comes first. One at a time. */
  wait<T>(promise: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      promise.then(resolve, reject);
      if (this.#failure !== undefined) reject(this.#failure);
      else this.#rejectWait = reject;
    });
  }

  expire(): void {
    const timeout = new NodeError("timeout", "the node did not answer, or took nothing, in time");
    this.fail(timeout, timeout);
  }

  fail(error: NodeError, reason: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.end();
    // Before the node hears of it, so that the caller learns the cause and not that the call was aborted.
    this.#rejectWait?.(error);
    this.#abort.abort(reason);
    this.#onFailed();
  }

  /** It is over. To be called however it ended; then it can no longer fail. */
  end(): void {
    this.#deadlines.delete(this);
    this.#caller?.removeEventListener("abort", this.#onAbort);
  }
}
