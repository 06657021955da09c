/** What may be the matter with a node beside its state. Pure, but for the time that it is told. */

/**
 * - `suspect`: its circuit breaker is open, or its last probe failed: it is left alone until it answers.
 * - `full`: takes no new copies; serves and deletes.
 * - `slow`: much slower than its peers: read last, and takes new copies only where no other node of its domain can.
 * - `corrupt`: many of its blocks were bad within an hour, or its canary was: takes no new copies, read last, scrubbed.
 */
export const NODE_CONDITIONS = ["suspect", "full", "slow", "corrupt"] as const;
export type NodeCondition = (typeof NODE_CONDITIONS)[number];

/** Below this mean latency nobody is slow, whatever the others do. */
export const SLOW_FLOOR_MS = 500;
/** How many times the median of its peers a slow node takes; it is well again below half of this. */
export const SLOW_FACTOR = 4;
/** Judgements in a row that it takes to change the verdict. */
export const SLOW_JUDGEMENTS = 3;

/** Whether a node is slow, by judgements at an interval, with hysteresis both ways. */
export class SlowJudge {
  #slow = false;
  #contrary = 0;

  get slow(): boolean {
    return this.#slow;
  }

  /**
   * @param latencyMs mean of the node's own calls lately; `undefined` when there were too few
   * @param peersMs those of the other nodes; without any, nobody can be slower than his peers
   * @returns whether the verdict is another one now
   */
  judge(latencyMs: number | undefined, peersMs: readonly number[]): boolean {
    const peer = median(peersMs);
    if (latencyMs === undefined || peer === undefined) return false;
    const factor = this.#slow ? SLOW_FACTOR / 2 : SLOW_FACTOR;
    const floorMs = this.#slow ? SLOW_FLOOR_MS / 2 : SLOW_FLOOR_MS;
    const slow = latencyMs > floorMs && latencyMs > factor * peer;
    this.#contrary = slow === this.#slow ? 0 : this.#contrary + 1;
    if (this.#contrary < SLOW_JUDGEMENTS) return false;
    this.#contrary = 0;
    this.#slow = slow;
    return true;
  }
}

function median(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)];
}

/** Bad blocks within the window from which on a node counts as corrupt. */
export const CORRUPT_BLOCKS = 3;
export const CORRUPT_WINDOW_MS = 3_600_000;

/** Whether a node's disk goes bad: counts the bad blocks that were found on it lately. Keeps CORRUPT_BLOCKS times. */
export class CorruptionWatch {
  #foundMs: readonly number[] = [];

  /** @param nowMs monotonic */
  found(nowMs: number): void {
    this.#foundMs = [...this.#foundMs, nowMs].slice(-CORRUPT_BLOCKS);
  }

  /** @param nowMs monotonic */
  corrupt(nowMs: number): boolean {
    const oldest = this.#foundMs[0];
    return this.#foundMs.length === CORRUPT_BLOCKS && oldest !== undefined && nowMs - oldest < CORRUPT_WINDOW_MS;
  }
}
