import { setTimeout as sleep } from "node:timers/promises";

export interface Patience {
  /** How long to wait at most before the test fails. Generous: it is a bound, not an expectation. */
  readonly timeoutMs: number;
  readonly intervalMs?: number;
}

const INTERVAL_MS = 100;

/**
 * Waits until `probe` no longer throws and returns what it returned; at the timeout throws its last error, with `what`
 * in front. For states that another process reaches by itself and tells nobody about.
 */
export async function eventually<T>(what: string, patience: Patience, probe: () => Promise<T> | T): Promise<T> {
  const deadline = performance.now() + patience.timeoutMs;
  for (;;) {
    try {
      return await probe();
    } catch (error) {
      if (performance.now() >= deadline) {
        throw new Error(`not within ${patience.timeoutMs / 1000} s: ${what}`, { cause: error });
      }
    }
    await sleep(patience.intervalMs ?? INTERVAL_MS);
  }
}
