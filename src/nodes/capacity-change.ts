/** When the capacity of a node has changed enough to be worth a word, and a rebalance. */
import type { Capacity } from "./storage-node.ts";

type KnownBytes = Pick<Capacity, "totalBytes" | "usedBytes">;

/** Of the total, by which the total or the used bytes differ from what was announced last. */
export const CHANGE_SHARE = 0.1;

/**
 * Whether the capacity is to be announced: the total, or the used bytes, changed by 10 % of the total or more since the
 * last announcement. Used bytes are measured by the total too, since a nearly empty node doubles them with every object.
 */
export function capacityChanged(announced: KnownBytes, now: KnownBytes): boolean {
  const leastBytes = CHANGE_SHARE * announced.totalBytes;
  return (
    differ(announced.totalBytes, now.totalBytes, leastBytes) || differ(announced.usedBytes, now.usedBytes, leastBytes)
  );
}

function differ(a: number, b: number, leastBytes: number): boolean {
  return a !== b && Math.abs(a - b) >= leastBytes;
}

export interface CapacityChange {
  /** What was announced last. */
  readonly before: Capacity;
  readonly now: Capacity;
}

/** Announces the changes of one node's capacity. The first one that it tells is none. */
export class CapacityAnnouncer {
  readonly #listeners = new Set<(change: CapacityChange) => void>();
  #announced: Capacity | undefined;

  /** The listener must not throw. @returns how to stop listening */
  onChanged(listener: (change: CapacityChange) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** @param now `undefined` while it is not known, which is no change */
  saw(now: Capacity | undefined): void {
    if (now === undefined) return;
    const before = this.#announced;
    if (before !== undefined && !capacityChanged(before, now)) return;
    this.#announced = now;
    if (before !== undefined) for (const listener of this.#listeners) listener({ before, now });
  }
}
