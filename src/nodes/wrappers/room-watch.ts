import type { Clock } from "../../shared/clock.ts";
import type { Capacity, StorageNode } from "../storage-node.ts";

/** How long a node that said it is full, or takes no writes, is given no new copies. Then the next one tries again. */
export const FULL_PAUSE_MS = 60_000;
/** Used share of the capacity from which on a node is given no new copies. */
export const HIGH_WATER_MARK = 0.95;
/** How soon a node that could not tell its capacity is asked again. */
const RETRY_MS = 5_000;

export interface RoomWatchDeps {
  readonly node: StorageNode;
  readonly clock: Clock;
  /** How long an answer of `capacity` is good for. */
  readonly capacityCacheMs: number;
  /** Whether asking the node makes sense now. */
  readonly available: () => boolean;
}

/** Whether a node has room, from its last words; never waits for it. */
export class RoomWatch {
  readonly #deps: RoomWatchDeps;
  #fullUntilMs = Number.NEGATIVE_INFINITY;
  #capacity: Capacity | undefined;
  #askAtMs = Number.NEGATIVE_INFINITY;
  #asking = false;

  constructor(deps: RoomWatchDeps) {
    this.#deps = deps;
  }

  /** The node answered a put that it has no room, or takes none. */
  refused(): void {
    this.#fullUntilMs = this.#deps.clock.monotonicMs() + FULL_PAUSE_MS;
  }

  hasRoom(): boolean {
    const capacity = this.lastCapacity();
    if (capacity !== undefined && usedShare(capacity) > HIGH_WATER_MARK) return false;
    return this.#deps.clock.monotonicMs() >= this.#fullUntilMs;
  }

  /** The last that the node told, `undefined` until it did or where it cannot. Asks again behind the caller's back. */
  lastCapacity(): Capacity | undefined {
    const { clock, available } = this.#deps;
    if (!this.#asking && clock.monotonicMs() >= this.#askAtMs && available()) void this.#ask();
    return this.#capacity;
  }

  async #ask(): Promise<void> {
    const { node, clock, capacityCacheMs } = this.#deps;
    this.#asking = true;
    let cacheMs = capacityCacheMs;
    try {
      this.#capacity = await node.capacity();
    } catch {
      // The observer has counted it. What the node told last is the best there is.
      cacheMs = Math.min(RETRY_MS, capacityCacheMs);
    } finally {
      this.#asking = false;
      this.#askAtMs = clock.monotonicMs() + cacheMs;
    }
  }
}

/** From 0 (empty) to 1, counting all that fills the node, Bulkhead's or not. */
export function usedShare({ totalBytes, freeBytes }: Capacity): number {
  return totalBytes > 0 ? 1 - freeBytes / totalBytes : 1;
}
