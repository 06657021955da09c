/**
 * The shape of all background work: a named task that runs now and then, never twice at a time, sooner when it is
 * woken, and ends when it is told to.
 */
import type { Logger } from "../observability/logger.ts";
import type { Clock, Timer } from "../shared/clock.ts";

export interface WorkerOptions {
  readonly name: string;
  /** Time between the end of a run and the start of the next. */
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** One run. To be left soon after the signal aborts. What it throws is logged, and the next run comes as usual. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

export class Worker implements AsyncDisposable {
  readonly #options: WorkerOptions;
  readonly #stop = new AbortController();
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #woken = false;

  constructor(options: WorkerOptions) {
    this.#options = options;
  }

  /** Runs the first time after `delayMs`. */
  start(delayMs = 0): void {
    this.#schedule(delayMs);
  }

  /** Runs at once, or once more after the run under way. */
  wake(): void {
    if (this.#running !== undefined) this.#woken = true;
    else this.#schedule(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#timer?.stop();
    await this.#running;
  }

  #schedule(delayMs: number): void {
    this.#timer?.stop();
    if (this.#stop.signal.aborted) return;
    this.#timer = this.#options.clock.startTimer(delayMs, () => void this.#begin());
  }

  #begin(): Promise<void> {
    this.#running ??= this.#runLogged().finally(() => {
      this.#running = undefined;
      this.#schedule(this.#woken ? 0 : this.#options.intervalMs);
      this.#woken = false;
    });
    return this.#running;
  }

  async #runLogged(): Promise<void> {
    this.#timer?.stop();
    if (this.#stop.signal.aborted) return;
    const { name, logger, run } = this.#options;
    try {
      await run(this.#stop.signal);
    } catch (error) {
      if (!this.#stop.signal.aborted) logger.error({ err: error, worker: name }, "background work failed");
    }
  }
}

/** Failures of one run after which no further item is begun: then it is not the items that are bad. */
const FAILURES_MAX = 100;

/**
 * Runs a task on every item, at most `concurrency` at a time, until the signal aborts. One that fails keeps nobody from
 * the others, up to FAILURES_MAX.
 * @throws after the tasks under way have ended: what the items threw; the failure of a task, or an AggregateError
 */
export async function forEachConcurrently<T>(
  items: AsyncIterable<T>,
  concurrency: number,
  signal: AbortSignal,
  task: (item: T) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  try {
    for await (const item of items) {
      if (signal.aborted || failures.length >= FAILURES_MAX) break;
      const one = task(item)
        .catch((thrown: unknown) => {
          failures.push(thrown);
        })
        .finally(() => running.delete(one));
      running.add(one);
      if (running.size >= concurrency) await Promise.race(running);
    }
  } finally {
    await Promise.all(running);
  }
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures, `${failures.length} items failed`);
}
