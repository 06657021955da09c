/**
 * The one queue of everything that is still to happen. Time stands still while code runs and jumps from one event to
 * the next; whatever the code of the gateways waits for is an event here, so the order of events is the whole schedule.
 */
import type { Clock, Timer } from "../../src/shared/clock.ts";

/** Where simulated wall clocks begin. */
const EPOCH_MS = 1_800_000_000_000;
/** Steps after which Node.js gets to look for rejections that nobody handles. */
const STEPS_PER_TURN = 64;

interface Event {
  readonly atMs: number;
  /** In the order of asking; decides between events of one time. */
  readonly number: number;
  readonly run: () => void;
  dropped: boolean;
}

export class Scheduler {
  #nowMs = 0;
  #asked = 0;
  #steps = 0;
  /** A binary heap, the next event first. */
  readonly #heap: Event[] = [];

  /** Milliseconds since the simulation began, with fractions. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Events that have happened. */
  get steps(): number {
    return this.#steps;
  }

  after(delayMs: number, run: () => void): Timer {
    const event = { atMs: this.#nowMs + Math.max(0, delayMs), number: this.#asked++, run, dropped: false };
    this.#push(event);
    return {
      stop: () => {
        event.dropped = true;
      },
    };
  }

  /**
   * Lets events happen until `done`, looked at before each, or until nothing happens before `untilMs`.
   * @returns whether `done`
   */
  run(done: () => boolean, untilMs: number): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const step = (): void => {
        try {
          if (done()) return resolve(true);
          const next = this.#next();
          if (next === undefined || next.atMs > untilMs) {
            this.#nowMs = Math.max(this.#nowMs, untilMs);
            return resolve(false);
          }
          this.#pop();
          this.#nowMs = next.atMs;
          this.#steps++;
          next.run();
        } catch (error) {
          return reject(error);
        }
        this.#afterPromises(step);
      };
      this.#afterPromises(step);
    });
  }

  /** Calls `step` when all promises that can be settled now have been, and all that followed from it has run. */
  #afterPromises(step: () => void): void {
    // Ticks come after the queue of promises is empty. A tick that is asked for in a tick would come before that.
    if (this.#steps % STEPS_PER_TURN === 0) setImmediate(step);
    else queueMicrotask(() => process.nextTick(step));
  }

  #next(): Event | undefined {
    while (this.#heap[0]?.dropped === true) this.#pop();
    return this.#heap[0];
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !comesBefore(event, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const moved = heap.pop();
    if (moved === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      let below = heap[child];
      if (below === undefined) break;
      const other = heap[child + 1];
      if (other !== undefined && comesBefore(other, below)) {
        child++;
        below = other;
      }
      if (!comesBefore(below, moved)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = moved;
  }
}

function comesBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.number < b.number);
}

/** What ends at once when a process dies: nothing reaches it, and nothing that it asks for happens any more. */
export class Life {
  #ended = false;
  readonly #whenEnded: (() => void)[] = [];

  get ended(): boolean {
    return this.#ended;
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const tell of this.#whenEnded) tell();
  }

  onEnd(tell: () => void): void {
    this.#whenEnded.push(tell);
  }
}

/** The clock of one process. Its timers end with it; its wall clock is off by `skewMs`. */
export function processClock(scheduler: Scheduler, life: Life, skewMs: number): Clock {
  return {
    nowMs: () => Math.floor(EPOCH_MS + scheduler.nowMs + skewMs),
    monotonicMs: () => scheduler.nowMs,
    startTimer: (delayMs, fire) =>
      scheduler.after(delayMs, () => {
        if (!life.ended) fire();
      }),
  };
}
