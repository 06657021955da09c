import { Ledger, type State } from "./ledger.ts";

interface Acknowledged {
  readonly state: State;
  readonly atMs: number;
}

/** A ledger for a store that may lose what was acknowledged last, and only that. */
export class LaggingLedger extends Ledger {
  readonly #acknowledged = new Map<string, Acknowledged[]>();

  override acknowledged(key: string, state: State): void {
    super.acknowledged(key, state);
    const before = this.#acknowledged.get(key) ?? [];
    this.#acknowledged.set(key, [...before, { state, atMs: Date.now() }]);
  }

  /** From here on a key may also be in any state that it was in at or after a time. */
  mayHaveLostSince(sinceMs: number): void {
    for (const [key, all] of this.#acknowledged) {
      const kept = all.filter(({ atMs }) => atMs < sinceMs).at(-1)?.state ?? "absent";
      const late = all.filter(({ atMs }) => atMs >= sinceMs).map(({ state }) => state);
      if (late.length > 0) for (const state of [kept, ...late]) this.attempted(key, state);
    }
  }

  /**
   * To be asked when every key was observed: acknowledged operations that the store has lost, by the time when they were
   * acknowledged. What is found counts as acknowledged from now on.
   */
  takeLosses(): number[] {
    const lost: number[] = [];
    for (const [key, all] of this.#acknowledged) {
      const found = this.known(key);
      // The last entry is what was observed just now, before it what had been acknowledged.
      const before = all.slice(0, -1);
      const at = before.findLastIndex(({ state }) => isSame(state, found));
      const isInFlight = at < 0 && found !== "absent";
      if (!isInFlight) lost.push(...before.slice(at + 1).map(({ atMs }) => atMs));
      this.#acknowledged.set(key, [{ state: found, atMs: 0 }]);
    }
    return lost;
  }
}

function isSame(a: State, b: State): boolean {
  return a === "absent" || b === "absent" ? a === b : a.seed === b.seed && a.length === b.length;
}
