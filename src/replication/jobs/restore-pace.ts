/** The limits of what restores redundancy: fixed where they are configured, else as fast as clients let it. */
import type { Clock } from "../../shared/clock.ts";
import { MoveLimits } from "./move-limits.ts";
import { FIRST_PACE, type ForegroundSeen, nextPace, type PaceState } from "./pace-controller.ts";

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

export class RestorePace implements Disposable {
  readonly #deps: RestorePaceDeps;
  readonly #limits: MoveLimits;
  #rates: RestoreRates;
  #state: PaceState = FIRST_PACE;
  #steppedAtMs: number;
  #restoredBytes = 0;

  constructor(deps: RestorePaceDeps) {
    this.#deps = deps;
    this.#rates = deps.rates;
    this.#steppedAtMs = deps.clock.monotonicMs();
    this.#limits = new MoveLimits(this.#asRates());
  }

  /** What it lets through now; `undefined` is no limit. */
  get bytesPerSecond(): number | undefined {
    return this.#limits.rates.bytesPerSecond;
  }

  /** Other limits, from now on. */
  set(rates: RestoreRates): void {
    this.#rates = rates;
    this.#limits.set(this.#asRates());
  }

  /** Resolves when one more copy may be made. @throws the signal's reason */
  object(signal: AbortSignal): Promise<void> {
    return this.#limits.object(signal);
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
    const restoredBytesPerSecond = (1000 * this.#restoredBytes) / passedMs;
    this.#state = nextPace(this.#state, { ...foreground(), restoredBytesPerSecond });
    this.#steppedAtMs = clock.monotonicMs();
    this.#restoredBytes = 0;
    if (this.#rates.bytesPerSecond === "auto") this.#limits.set(this.#asRates());
  }

  #asRates(): { readonly copiesPerSecond: number | undefined; readonly bytesPerSecond: number } {
    const { copiesPerSecond, bytesPerSecond } = this.#rates;
    return {
      copiesPerSecond: copiesPerSecond === "auto" ? undefined : copiesPerSecond,
      bytesPerSecond: bytesPerSecond === "auto" ? this.#state.bytesPerSecond : bytesPerSecond,
    };
  }
}
