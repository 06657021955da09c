/** Time that stands still until a test moves it. */
import type { Clock, Timer } from "../../src/shared/clock.ts";

interface Pending {
  readonly atMs: number;
  readonly fire: () => void;
}

export class ManualClock implements Clock {
  #nowMs: number;
  #wallAheadMs = 0;
  readonly #pending = new Set<Pending>();

  constructor(startMs = 1_800_000_000_000) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs + this.#wallAheadMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  startTimer(delayMs: number, fire: () => void): Timer {
    const timer = { atMs: this.#nowMs + delayMs, fire };
    this.#pending.add(timer);
    return { stop: () => void this.#pending.delete(timer) };
  }

  /** Sets the wall clock ahead, or back; the monotonic one and timers are as they were. */
  jump(ms: number): void {
    this.#wallAheadMs += ms;
  }

  /** Timers that are neither fired nor stopped. */
  get timers(): number {
    return this.#pending.size;
  }

  /** Moves time on and fires what comes due on the way, in order, those started meanwhile included. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (let next = this.#nextDue(untilMs); next !== undefined; next = this.#nextDue(untilMs)) {
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      this.#pending.delete(next);
      next.fire();
    }
    this.#nowMs = untilMs;
  }

  #nextDue(untilMs: number): Pending | undefined {
    let next: Pending | undefined;
    for (const timer of this.#pending) {
      if (timer.atMs <= untilMs && (next === undefined || timer.atMs < next.atMs)) next = timer;
    }
    return next;
  }
}
