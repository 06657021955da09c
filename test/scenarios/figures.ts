/** What a scenario measured of its clients, and how that is told. Pure. */

/** When operations ended and how long they took. */
export class Samples {
  readonly #endedAtMs: number[] = [];
  readonly #tookMs: number[] = [];

  add(endedAtMs: number, tookMs: number): void {
    this.#endedAtMs.push(endedAtMs);
    this.#tookMs.push(tookMs);
  }

  /** Of the operations that ended from one time on and before another one. */
  between(fromMs: number, toMs: number): Phase {
    const windows = new Array<number>(Math.max(0, Math.floor((toMs - fromMs) / WINDOW_MS))).fill(0);
    const tookMs: number[] = [];
    for (const [at, endedAtMs] of this.#endedAtMs.entries()) {
      if (endedAtMs < fromMs || endedAtMs >= toMs) continue;
      tookMs.push(this.#tookMs[at] ?? Number.NaN);
      const window = Math.floor((endedAtMs - fromMs) / WINDOW_MS);
      // The last window is left out where it is not a whole one.
      if (window < windows.length) windows[window] = (windows[window] ?? 0) + 1;
    }
    const rates = windows.map((count) => (1000 * count) / WINDOW_MS);
    return {
      operations: tookMs.length,
      perSecond: quantile(rates, 0.5),
      perSecondLowest: rates.length === 0 ? Number.NaN : Math.min(...rates),
      p50Ms: quantile(tookMs, 0.5),
      p99Ms: quantile(tookMs, 0.99),
    };
  }
}

/** Operations are counted in windows of this length, so that one stall does not speak for a whole phase. */
export const WINDOW_MS = 1_000;

export interface Phase {
  readonly operations: number;
  /** Median of its windows. */
  readonly perSecond: number;
  readonly perSecondLowest: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** The value below which so much of them lies; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN;
}

/** What one scenario found. */
export class Findings {
  readonly lines: string[] = [];
  /** Promises that did not hold. */
  readonly broken: string[] = [];
  /** Those of speed that did not: they mean something on a machine that has nothing else to do. */
  readonly slow: string[] = [];

  figure(name: string, value: string): void {
    this.lines.push(`${`${name}:`.padEnd(34)}${value}`);
  }

  promise(holds: boolean, what: string): void {
    if (!holds) this.broken.push(what);
  }

  speed(holds: boolean, what: string): void {
    if (!holds) this.slow.push(what);
  }

  clients(name: string, { perSecond, perSecondLowest, p50Ms, p99Ms }: Phase): void {
    const rate = `${perSecond.toFixed(0)} operations/s (lowest second ${perSecondLowest.toFixed(0)})`;
    this.figure(name, `${rate}, p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms`);
  }
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
