/** How far a job is, and when it will be done. Pure. */

export interface Sample {
  /** Monotonic. */
  readonly atMs: number;
  /** Copies settled by then. */
  readonly done: number;
}

/** Samples that an estimate is made from: old ones say nothing of the pace now. */
const SAMPLES_MAX = 30;
/** Closer ones add nothing. */
const SAMPLE_INTERVAL_MS = 1_000;
/** Less than this says nothing yet. */
const SPAN_MS_MIN = 2_000;

/** The samples with one more. */
export function withSample(samples: readonly Sample[], sample: Sample): readonly Sample[] {
  const last = samples.at(-1);
  if (last !== undefined && sample.atMs - last.atMs < SAMPLE_INTERVAL_MS) return samples;
  return [...samples, sample].slice(-SAMPLES_MAX);
}

/** Copies settled a second lately; `undefined` while nothing can be said. */
export function pace(samples: readonly Sample[]): number | undefined {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined || last.atMs - first.atMs < SPAN_MS_MIN) return undefined;
  return (1000 * Math.max(0, last.done - first.done)) / (last.atMs - first.atMs);
}

/** Share of a job that is done, 0 to 1; `undefined` while its size is not known. Copies come and go meanwhile. */
export function progress(done: number, total: number | undefined): number | undefined {
  if (total === undefined) return undefined;
  return total === 0 ? 1 : Math.min(1, done / total);
}

/** Milliseconds until a job is done at its present pace; `undefined` while nothing can be said. */
export function remainingMs(done: number, total: number | undefined, samples: readonly Sample[]): number | undefined {
  const perSecond = pace(samples);
  if (total === undefined || perSecond === undefined || perSecond === 0) return undefined;
  return Math.round((1000 * Math.max(0, total - done)) / perSecond);
}
