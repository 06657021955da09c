import { type Clock, sleep } from "../../shared/clock.ts";

/** Timers are no finer. What is shorter is not waited for, but paid for later. */
const WAIT_MS_MIN = 1;

/** Lets so much through a second: each amount goes at once, and the next one when the one before is paid for. */
export class Throttle {
  readonly #clock: Clock;
  #perSecond: number;
  #freeAtMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock;
    this.#perSecond = perSecond;
  }

  /** From now on, and for what went and is still to be paid for; what waits already keeps its turn. */
  set(perSecond: number): void {
    const nowMs = this.#clock.monotonicMs();
    if (this.#freeAtMs > nowMs) this.#freeAtMs = nowMs + ((this.#freeAtMs - nowMs) * this.#perSecond) / perSecond;
    this.#perSecond = perSecond;
  }

  /** Resolves when the amount may go. @throws the signal's reason */
  async take(amount: number, signal: AbortSignal): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    const startMs = Math.max(nowMs, this.#freeAtMs);
    this.#freeAtMs = startMs + (amount * 1000) / this.#perSecond;
    signal.throwIfAborted();
    if (startMs - nowMs >= WAIT_MS_MIN) await sleep(this.#clock, startMs - nowMs, signal);
  }
}
