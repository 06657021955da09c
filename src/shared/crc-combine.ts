/**
 * The CRC of two byte strings end to end, from the CRC of each and the length of the second, without the bytes.
 *
 * Appending n zero bytes to a message multiplies its remainder by x^(8n) modulo the polynomial, so
 * crc(A . B) = crc(A) * x^(8 * length(B)) + crc(B) over GF(2); the usual all-ones start and end values cancel out.
 * Numbers are in the reflected form that these CRCs are printed in: the highest bit is the coefficient of x^0.
 * Mark Adler's crc32_combine in zlib is the model: https://github.com/madler/zlib/blob/develop/crc32.c
 */

/** A CRC with reflected input and output, all ones at the start and inverted at the end. */
export interface CrcCombiner<T extends number | bigint> {
  /**
   * @param first CRC of the bytes before, unsigned
   * @param second CRC of the bytes after, unsigned
   * @param secondLength how many bytes the second covers, at most 2^53 - 1
   */
  combine(first: T, second: T, secondLength: number): T;
}

/** Operators kept per combiner: the block size, a multipart object's part size and some last parts. */
const OPERATORS_MAX = 64;
/** Powers x^(2^k) kept: a length of 53 bits in bytes, times 8. */
const POWERS = 56;

/** @param polynomial reflected, without its highest term, unsigned 32 bits */
export function crcCombiner32(polynomial: number): CrcCombiner<number> {
  const times = (left: number, right: number): number => {
    let factor = right;
    let product = 0;
    for (let bit = 0x80000000; bit !== 0; bit >>>= 1) {
      if ((left & bit) !== 0) product ^= factor;
      factor = (factor & 1) === 0 ? factor >>> 1 : (factor >>> 1) ^ polynomial;
    }
    return product >>> 0;
  };
  const operatorFor = operators({ one: 0x80000000, x: 0x40000000, times });
  return { combine: (first, second, secondLength) => (times(operatorFor(secondLength), first) ^ second) >>> 0 };
}

/** @param polynomial reflected, without its highest term, unsigned 64 bits */
export function crcCombiner64(polynomial: bigint): CrcCombiner<bigint> {
  const polyHigh = Number(polynomial >> 32n);
  const polyLow = Number(polynomial & 0xffffffffn);
  // In halves of 32 bits: over BigInt the same loop takes several times as long, and an object may have 10,000 parts.
  const times = (left: bigint, right: bigint): bigint => {
    let high = Number(right >> 32n) | 0;
    let low = Number(right & 0xffffffffn) | 0;
    let productHigh = 0;
    let productLow = 0;
    for (const half of [Number(left >> 32n), Number(left & 0xffffffffn)]) {
      for (let bit = 0x80000000; bit !== 0; bit >>>= 1) {
        if ((half & bit) !== 0) {
          productHigh ^= high;
          productLow ^= low;
        }
        const carry = low & 1;
        low = (low >>> 1) | (high << 31);
        high >>>= 1;
        if (carry === 1) {
          high ^= polyHigh;
          low ^= polyLow;
        }
      }
    }
    return (BigInt(productHigh >>> 0) << 32n) | BigInt(productLow >>> 0);
  };
  const operatorFor = operators({ one: 1n << 63n, x: 1n << 62n, times });
  return { combine: (first, second, secondLength) => times(operatorFor(secondLength), first) ^ second };
}

interface Field<T> {
  readonly one: T;
  readonly x: T;
  times(left: T, right: T): T;
}

/** x^(8 * length) for a length in bytes; the last OPERATORS_MAX lengths are remembered. */
function operators<T>(field: Field<T>): (length: number) => T {
  let powers: T[] | undefined;
  const known = new Map<number, T>();
  return (length) => {
    const kept = known.get(length);
    if (kept !== undefined) return kept;
    if (!Number.isSafeInteger(length) || length < 0) throw new RangeError("length must be a safe non-negative integer");
    powers ??= squares(field);
    let operator = field.one;
    // Bit k of the length in bytes stands for x^(2^(k + 3)).
    let rest = length;
    for (let k = 3; rest > 0; k++) {
      const power = powers[k];
      if (power !== undefined && rest % 2 === 1) operator = field.times(power, operator);
      rest = Math.floor(rest / 2);
    }
    if (known.size >= OPERATORS_MAX) known.clear();
    known.set(length, operator);
    return operator;
  };
}

/** x, x^2, x^4, ... */
function squares<T>(field: Field<T>): T[] {
  const powers: T[] = [];
  for (let power = field.x; powers.length < POWERS; power = field.times(power, power)) powers.push(power);
  return powers;
}
