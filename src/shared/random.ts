/**
 * Randomness as a collaborator, so that tests and the simulation can replay it from a seed.
 */
import { randomBytes, randomFillSync } from "node:crypto";

export interface Random {
  /** `length` fresh random bytes. */
  bytes(length: number): Uint8Array;
  /** A float in [0, 1). */
  float(): number;
}

const POOL_BYTES = 8192;

/** Randomness of the operating system, drawn in pools because one call a key would cost a system call each. */
export function systemRandom(): Random {
  const pool = Buffer.allocUnsafe(POOL_BYTES);
  let used = POOL_BYTES;
  const take = (length: number): Uint8Array => {
    if (length > POOL_BYTES) return randomBytes(length);
    if (used + length > POOL_BYTES) {
      randomFillSync(pool);
      used = 0;
    }
    const out = Uint8Array.prototype.slice.call(pool, used, used + length);
    used += length;
    return out;
  };
  return { bytes: take, float: () => Math.random() };
}

/** A reproducible generator (xoshiro128**); equal seeds give equal sequences. Not for secrets. */
export function seededRandom(seed: number): Random {
  let mix = seed >>> 0;
  const next32 = (): number => {
    // splitmix32 spreads a small seed over the whole state.
    mix = (mix + 0x9e3779b9) >>> 0;
    let z = mix;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return (z ^ (z >>> 16)) >>> 0;
  };
  let [a, b, c, d] = [next32(), next32(), next32(), next32()];
  const draw = (): number => {
    const result = Math.imul(rotl(Math.imul(b, 5), 7), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotl(d, 11);
    return result;
  };
  return {
    bytes(length) {
      const out = new Uint8Array(length);
      for (let i = 0; i < length; i++) out[i] = draw() & 0xff;
      return out;
    },
    float: () => draw() / 2 ** 32,
  };
}

function rotl(x: number, k: number): number {
  return (x << k) | (x >>> (32 - k));
}
