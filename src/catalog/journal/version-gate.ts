import type { Clock, Timer } from "../../shared/clock.ts";

interface Waiter {
  readonly version: number;
  readonly deadlineMs: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Waits for a version to be reached, in about the order of the versions, with one timer for all who wait. */
export class VersionGate {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #timeout: () => Error;
  #waiters: Waiter[] = [];
  #reached = 0;
  #timer: Timer | undefined;
  #failure: Error | undefined;

  /** @param timeout makes what those are rejected with who waited for `timeoutMs` */
  constructor(clock: Clock, timeoutMs: number, timeout: () => Error) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#timeout = timeout;
  }

  get reached(): number {
    return this.#reached;
  }

  /** Resolves when the version is reached; at once where it was. */
  wait(version: number): Promise<void> {
    if (version <= this.#reached) return Promise.resolve();
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const deadlineMs = this.#clock.monotonicMs() + this.#timeoutMs;
      this.#waiters.push({ version, deadlineMs, resolve, reject });
      this.#timer ??= this.#clock.startTimer(this.#timeoutMs, () => this.#expire());
    });
  }

  advance(version: number): void {
    this.#reached = Math.max(this.#reached, version);
    this.#settle(
      (waiter) => waiter.version <= this.#reached,
      (waiter) => waiter.resolve(),
    );
  }

  /** Rejects all who wait, and whoever comes to wait later: nothing more will be reached. */
  fail(error: Error): void {
    this.#failure = error;
    this.#settle(
      () => true,
      (waiter) => waiter.reject(error),
    );
  }

  #settle(isOver: (waiter: Waiter) => boolean, end: (waiter: Waiter) => void): void {
    const over = this.#waiters.filter(isOver);
    if (over.length === 0) return;
    this.#waiters = this.#waiters.filter((waiter) => !isOver(waiter));
    if (this.#waiters.length === 0) {
      this.#timer?.stop();
      this.#timer = undefined;
    }
    for (const waiter of over) end(waiter);
  }

  #expire(): void {
    this.#timer = undefined;
    const nowMs = this.#clock.monotonicMs();
    this.#settle(
      (waiter) => waiter.deadlineMs <= nowMs,
      (waiter) => waiter.reject(this.#timeout()),
    );
    const [oldest] = this.#waiters;
    if (oldest === undefined) return;
    this.#timer = this.#clock.startTimer(Math.max(1, oldest.deadlineMs - nowMs), () => this.#expire());
  }
}
