import type { Clock } from "../../shared/clock.ts";

/** The reads under way, so that nothing is taken away under one that began before it died. */
export class OpenReads {
  readonly #clock: Clock;
  /** In the order in which they began. */
  readonly #open = new Set<{ readonly sinceMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Enters a read; the answer ends it. To be called before the read looks anything up. */
  begin(): () => void {
    const read = { sinceMs: this.#clock.monotonicMs() };
    this.#open.add(read);
    return () => {
      this.#open.delete(read);
    };
  }

  /** When the oldest read under way began, on the monotonic clock; `undefined` when there is none. */
  oldestMs(): number | undefined {
    for (const read of this.#open) return read.sinceMs;
    return undefined;
  }
}
