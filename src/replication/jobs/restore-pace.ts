/** The limits of what restores redundancy: fixed where they are configured, else as fast as clients let it. */
import type { Clock } from "../../shared/clock.ts";
import { MoveLimits } from "./move-limits.ts";
import { FIRST_PACE, type ForegroundSeen, nextPace, type PaceState, paceAfterPause } from "./pace-controller.ts";

export interface RestoreRates {
  readonly copiesPerSecond: number | "auto";
  readonly bytesPerSecond: number | "auto";
}

export interface RestorePaceDeps {
  readonly clock: Clock;
  readonly rates: RestoreRates;
  readonly foreground: () => Pick<ForegroundSeen, "inflight" | "latencyMs">;
}

/** Time between two steps of the controller. Steps are made only while something is restored. */
const STEP_MS = 1_000;
/** Where no step was made for so long, nothing was restored: what clients waited for meanwhile is what they wait for in quiet. */
const PAUSE_MS = 10_000;

export class RestorePace implements Disposable {
  readonly #deps: RestorePaceDeps;
  readonly #limits: MoveLimits;
  #rates: RestoreRates;
  #state: PaceState = FIRST_PACE;
  #steppedAtMs: number;
  #restoredBytes = 0;
  #restoredCopies = 0;

  constructor(deps: RestorePaceDeps) {
    this.#deps = deps;
    this.#rates = deps.rates;
    this.#steppedAtMs = deps.clock.monotonicMs();
    this.#limits = new MoveLimits(this.#asRates());
  }

  /** What it lets through now. */
  get bytesPerSecond(): number | undefined {
    return this.#limits.rates.bytesPerSecond;
  }

  /** What it lets through now. */
  get copiesPerSecond(): number | undefined {
    return this.#limits.rates.copiesPerSecond;
  }

  /** Other limits, from now on. */
  set(rates: RestoreRates): void {
    this.#rates = rates;
    this.#limits.set(this.#asRates());
  }

  /** Resolves when one more copy may be made. @throws the signal's reason */
  async object(signal: AbortSignal): Promise<void> {
    this.#step();
    await this.#limits.object(signal);
    this.#restoredCopies += 1;
  }

  /** Resolves when so many bytes more may be sent. @throws the signal's reason */
  async bytes(amount: number, signal: AbortSignal): Promise<void> {
    this.#step();
    await this.#limits.bytes(amount, signal);
    this.#restoredBytes += amount;
  }

  [Symbol.dispose](): void {
    this.#limits[Symbol.dispose]();
  }

  #step(): void {
    const { clock, foreground } = this.#deps;
    const passedMs = clock.monotonicMs() - this.#steppedAtMs;
    if (passedMs < STEP_MS) return;
    const seen = foreground();
    this.#state =
      passedMs >= PAUSE_MS
        ? paceAfterPause(this.#state, seen.latencyMs)
        : nextPace(this.#state, {
            ...seen,
            restoredBytesPerSecond: (1000 * this.#restoredBytes) / passedMs,
            restoredCopiesPerSecond: (1000 * this.#restoredCopies) / passedMs,
          });
    this.#steppedAtMs = clock.monotonicMs();
    this.#restoredBytes = 0;
    this.#restoredCopies = 0;
    if (Object.values(this.#rates).includes("auto")) this.#limits.set(this.#asRates());
  }

  #asRates(): { readonly copiesPerSecond: number; readonly bytesPerSecond: number } {
    const { copiesPerSecond, bytesPerSecond } = this.#rates;
    return {
      copiesPerSecond: copiesPerSecond === "auto" ? this.#state.copiesPerSecond : copiesPerSecond,
      bytesPerSecond: bytesPerSecond === "auto" ? this.#state.bytesPerSecond : bytesPerSecond,
    };
  }
}
