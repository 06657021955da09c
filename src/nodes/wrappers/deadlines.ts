import type { Clock } from "../../shared/clock.ts";

/** Something that must not go on for ever. */
export interface Deadline {
  /** Monotonic time; may be moved while it is watched. Infinity: not now. */
  readonly atMs: number;
  /** Called once, at most `tickMs` late. Must not throw. */
  expire(): void;
}

/**
 * One coarse timer for everything that is under way: starting a timer for each call would cost more than the rest of
 * its wrappers, for something that almost never fires. Runs only while something is watched.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #tickMs: number;
  readonly #watched = new Set<Deadline>();
  #ticking = false;

  constructor(clock: Clock, tickMs: number) {
    this.#clock = clock;
    this.#tickMs = tickMs;
  }

  /** The monotonic time of the deadlines. */
  nowMs(): number {
    return this.#clock.monotonicMs();
  }

  add(deadline: Deadline): void {
    this.#watched.add(deadline);
    this.#startTick();
  }

  delete(deadline: Deadline): void {
    this.#watched.delete(deadline);
  }

  readonly #tick = (): void => {
    this.#ticking = false;
    const nowMs = this.#clock.monotonicMs();
    for (const deadline of this.#watched) {
      if (deadline.atMs > nowMs) continue;
      this.#watched.delete(deadline);
      deadline.expire();
    }
    if (this.#watched.size > 0) this.#startTick();
  };

  #startTick(): void {
    if (this.#ticking) return;
    this.#ticking = true;
    this.#clock.startTimer(this.#tickMs, this.#tick);
  }
}
