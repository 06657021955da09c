/** Random choices of black-box suites, repeatable from BULKHEAD_TEST_SEED, which the suites print. */

export interface Seeded {
  /** Uniform in [0, 1). */
  next(): number;
  /** A whole number in [0, end). */
  below(end: number): number;
  pick<T>(items: readonly T[]): T;
}

/** The seed of this run: the environment's, else a fresh one. */
export function runSeed(): number {
  const given = Number(process.env["BULKHEAD_TEST_SEED"] ?? Number.NaN);
  return Number.isSafeInteger(given) ? given : Math.floor(Math.random() * 2 ** 31);
}

/** mulberry32: small, and good enough to choose operations. */
export function seeded(seed: number): Seeded {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (end: number): number => Math.floor(next() * end);
  return {
    next,
    below,
    pick: (items) => {
      const item = items[below(items.length)];
      if (item === undefined) throw new RangeError("nothing to pick from");
      return item;
    },
  };
}
