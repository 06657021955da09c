/** Share of reads that may ask a second copy because the first is slow to start. */
const HEDGE_SHARE = 0.1;

/** Hedges that may come in a burst after a quiet time. */
const HEDGE_BURST = 16;

/**
 * Bounds hedging: when everything is slow, asking twice would only make it slower. Every read earns a part of a hedge.
 */
export class HedgeBudget {
  #hedges = HEDGE_BURST;

  earn(): void {
    this.#hedges = Math.min(HEDGE_BURST, this.#hedges + HEDGE_SHARE);
  }

  /** Whether a hedge may be started; takes it from the budget if so. */
  spend(): boolean {
    if (this.#hedges < 1) return false;
    this.#hedges -= 1;
    return true;
  }
}
