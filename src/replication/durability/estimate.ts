/**
 * How likely an object is to be lost, by the usual Markov birth-death model: the state is the number of copies that are
 * left; each copy fails at the rate of its node, and while some are missing one of them at a time is made anew, at the
 * rate that was measured. docs/operations/prove.md tells what the model leaves out.
 */

const YEAR_MS = 365.25 * 86_400_000;

export interface DurabilityModel {
  /** Copies that there are to be, each on another node, at least 1. */
  readonly copies: number;
  /** Probability that a node fails for good within a year: above 0, below 1. */
  readonly annualFailureRate: number;
  /** From a copy's loss until another one stands, above 0. */
  readonly meanTimeToRestoreMs: number;
}

export interface DurabilityEstimate {
  readonly meanTimeToLossYears: number;
  readonly annualLossProbability: number;
}

/**
 * The mean time until all copies of one object are lost, and the probability of it within a year.
 *
 * With k copies, failures at rate l and repairs at rate m, let D(i) be the mean time from i copies to i - 1. A copy goes
 * at rate i*l; where instead one is made first, the way leads over i + 1 copies back to i:
 *
 *     D(k) = 1 / (k*l)      D(i) = (1 + m * D(i+1)) / (i*l)      mean time to loss = D(k) + ... + D(1)
 *
 * For two copies that is (3*l + m) / (2*l*l). The probability takes the time to loss as exponentially distributed, which it
 * is but for the first moments where repair is much faster than failure.
 *
 * @throws RangeError
 */
export function estimateDurability({
  copies,
  annualFailureRate,
  meanTimeToRestoreMs,
}: DurabilityModel): DurabilityEstimate {
  if (!Number.isInteger(copies) || copies < 1) throw new RangeError(`no number of copies: ${copies}`);
  if (!(annualFailureRate > 0 && annualFailureRate < 1)) throw new RangeError(`no rate: ${annualFailureRate}`);
  if (!(meanTimeToRestoreMs > 0)) throw new RangeError(`no time to restore: ${meanTimeToRestoreMs}`);
  const failuresAYear = -Math.log1p(-annualFailureRate);
  const repairsAYear = YEAR_MS / meanTimeToRestoreMs;
  let toOneLess = 1 / (copies * failuresAYear);
  let total = toOneLess;
  for (let left = copies - 1; left >= 1; left--) {
    toOneLess = (1 + repairsAYear * toOneLess) / (left * failuresAYear);
    total += toOneLess;
  }
  return { meanTimeToLossYears: total, annualLossProbability: -Math.expm1(-1 / total) };
}
