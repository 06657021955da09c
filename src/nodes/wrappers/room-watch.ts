import type { Clock } from "../../shared/clock.ts";
import type { Capacity } from "../storage-node.ts";
import type { FiguresWatch } from "./figures-watch.ts";

/** How long a node that said it is full, or takes no writes, is given no new copies. Then the next one tries again. */
export const FULL_PAUSE_MS = 60_000;
/** Used share of the capacity from which on a node is given no new copies. */
export const HIGH_WATER_MARK = 0.95;

export interface RoomWatchDeps {
  readonly figures: Pick<FiguresWatch, "last">;
  readonly clock: Clock;
}

/** Whether a node has room, from its last words; never waits for it. */
export class RoomWatch {
  readonly #deps: RoomWatchDeps;
  #fullUntilMs = Number.NEGATIVE_INFINITY;

  constructor(deps: RoomWatchDeps) {
    this.#deps = deps;
  }

  /** The node answered a put that it has no room, or takes none. */
  refused(): void {
    this.#fullUntilMs = this.#deps.clock.monotonicMs() + FULL_PAUSE_MS;
  }

  hasRoom(): boolean {
    const { capacity } = this.#deps.figures.last();
    if (capacity !== undefined && usedShare(capacity) > HIGH_WATER_MARK) return false;
    return this.#deps.clock.monotonicMs() >= this.#fullUntilMs;
  }
}

/** From 0 (empty) to 1, counting all that fills the node, Bulkhead's or not. */
export function usedShare({ totalBytes, freeBytes }: Capacity): number {
  return totalBytes > 0 ? 1 - freeBytes / totalBytes : 1;
}
