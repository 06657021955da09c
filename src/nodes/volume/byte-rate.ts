import { type Clock, sleep } from "../../shared/clock.ts";

/** What was not used of the rate is kept for this long, so that timers that fire late cost nothing. */
const BURST_MS = 100;

/** Spreads work over time: no more than so many bytes a second, whatever was not used lately aside. */
export class ByteRate {
  readonly #clock: Clock;
  readonly #bytesPerMs: number;
  #freeAtMs = Number.NEGATIVE_INFINITY;

  /** @param bytesPerSecond 0: no limit */
  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock;
    this.#bytesPerMs = bytesPerSecond / 1000;
  }

  /** Resolves when it is these bytes' turn. @throws the signal's reason */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    if (this.#bytesPerMs === 0) return;
    const nowMs = this.#clock.monotonicMs();
    const turnMs = Math.max(this.#freeAtMs, nowMs - BURST_MS);
    this.#freeAtMs = turnMs + bytes / this.#bytesPerMs;
    if (turnMs > nowMs) await sleep(this.#clock, turnMs - nowMs, signal);
  }
}
