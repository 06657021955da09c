/** Choices from a seed. */
import type { Random } from "../../src/shared/random.ts";
import { type Seeded, seeded } from "../support/seeded.ts";

export interface Chance extends Seeded {
  /** True with the probability. */
  happens(probability: number): boolean;
  /** Uniform in [low, high). */
  between(low: number, high: number): number;
  /** One of the names, as often as its weight says. */
  weighted<T extends string>(weights: Readonly<Record<T, number>>): T;
}

export function chance(seed: number): Chance {
  const { next, below, pick } = seeded(seed);
  return {
    next,
    below,
    pick,
    happens: (probability) => probability > 0 && next() < probability,
    between: (low, high) => low + next() * (high - low),
    weighted<T extends string>(weights: Readonly<Record<T, number>>): T {
      const names = Object.keys(weights) as T[];
      let left = next() * names.reduce((sum, name) => sum + weights[name], 0);
      for (const name of names) {
        left -= weights[name];
        if (left < 0) return name;
      }
      return pick(names);
    },
  };
}

/** The seed of part `index` of something that has a seed of its own. */
export function seedOf(seed: number, index: number): number {
  let z = (Math.imul(seed | 0, 0x9e3779b1) + Math.imul(index + 1, 0x85ebca77)) >>> 0;
  z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
  return (z ^ (z >>> 16)) >>> 0;
}

/** The randomness of one gateway process. */
export function processRandom(seed: number): Random {
  const { next } = seeded(seed);
  return {
    float: next,
    bytes(length) {
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length; at += 4) {
        let word = Math.floor(next() * 2 ** 32);
        for (let i = at; i < Math.min(at + 4, length); i++) {
          bytes[i] = word & 0xff;
          word >>>= 8;
        }
      }
      return bytes;
    },
  };
}
