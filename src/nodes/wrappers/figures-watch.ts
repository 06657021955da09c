import type { Clock, Timer } from "../../shared/clock.ts";
import { toError } from "../../shared/errors.ts";
import type { NodeFigures } from "../node-figures.ts";
import { NodeError } from "../storage-node.ts";

/** How soon a node that could not tell its figures for a passing reason is asked again. */
export const RETRY_MS = 5_000;
/** Figures that could not be read anew for this many cache periods are not believed any longer. */
export const STALE_PERIODS = 3;
/** By up to this share of a cache period, nodes are asked sooner, so that they are not all asked at once. */
export const JITTER_SHARE = 0.2;

const NOTHING_KNOWN: NodeFigures = {};

export interface FiguresWatchDeps {
  /** Has to settle in bounded time. May throw NodeError. */
  readonly read: () => Promise<NodeFigures>;
  readonly clock: Clock;
  /** How long figures are good for. */
  readonly cacheMs: number;
  /** From 0 to 1, drawn once a reading. */
  readonly jitter: () => number;
  /** Whether asking the node makes sense now. */
  readonly available: () => boolean;
}

/** Hears of every reading. Must not throw. */
export interface FiguresListener {
  read(figures: NodeFigures): void;
  failed(error: NodeError): void;
}

/** What a node told last of itself. Nobody ever waits for the node: it is asked behind the callers' backs. */
export class FiguresWatch {
  readonly #deps: FiguresWatchDeps;
  readonly #listeners: FiguresListener[] = [];
  #figures = NOTHING_KNOWN;
  #staleAtMs = Number.NEGATIVE_INFINITY;
  #askAtMs = Number.NEGATIVE_INFINITY;
  #asking = false;
  #readAtMs: number | undefined;
  #error: NodeError | undefined;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(deps: FiguresWatchDeps) {
    this.#deps = deps;
  }

  onReading(listener: FiguresListener): void {
    this.#listeners.push(listener);
  }

  /** The last figures; nothing is known before the first, and when they are stale. */
  last(): NodeFigures {
    const nowMs = this.#deps.clock.monotonicMs();
    if (nowMs >= this.#askAtMs) this.refresh();
    return nowMs < this.#staleAtMs ? this.#figures : NOTHING_KNOWN;
  }

  /** Wall clock of the last reading that succeeded, and what the last one failed by, if it did. */
  state(): { readonly readAtMs: number | undefined; readonly error: NodeError | undefined } {
    return { readAtMs: this.#readAtMs, error: this.#error };
  }

  /** Asks the node now, unless it is being asked, or calls are kept away from it. */
  refresh(): void {
    if (!this.#asking && !this.#stopped && this.#deps.available()) void this.#ask();
  }

  /** Has figures read again in time also while nobody looks at them, until `stop`. */
  keepFresh(): void {
    if (this.#stopped) return;
    const { clock, cacheMs } = this.#deps;
    const delayMs = Math.max(this.#askAtMs - clock.monotonicMs(), Math.min(RETRY_MS, cacheMs));
    this.#timer?.stop();
    this.#timer = clock.startTimer(delayMs, () => {
      this.last();
      this.keepFresh();
    });
  }

  /** The node is asked no more. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.stop();
  }

  async #ask(): Promise<void> {
    const { read, clock, cacheMs, jitter } = this.#deps;
    this.#asking = true;
    let waitMs = cacheMs * (1 - JITTER_SHARE * jitter());
    try {
      this.#figures = await read();
      this.#readAtMs = clock.nowMs();
      this.#staleAtMs = clock.monotonicMs() + STALE_PERIODS * cacheMs;
      this.#error = undefined;
      if (!this.#stopped) for (const listener of this.#listeners) listener.read(this.#figures);
    } catch (thrown) {
      // What the node told last is the best there is, for a while.
      this.#error = nodeError(thrown);
      if (this.#error.temporary) waitMs = Math.min(RETRY_MS, waitMs);
      if (!this.#stopped) for (const listener of this.#listeners) listener.failed(this.#error);
    } finally {
      this.#asking = false;
      this.#askAtMs = clock.monotonicMs() + waitMs;
    }
  }
}

function nodeError(thrown: unknown): NodeError {
  if (thrown instanceof NodeError) return thrown;
  return new NodeError("invalid", "reading the figures failed in an unexpected way", { cause: toError(thrown) });
}
