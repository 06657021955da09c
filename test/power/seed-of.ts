/** One seed of several numbers, for a sequence that is apart from those of other numbers. */
export function seedOf(...numbers: readonly number[]): number {
  let hash = 0;
  for (const number of numbers) {
    hash = Math.imul(hash ^ number, 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return hash >>> 0;
}
