/** What live traffic shows of a node, for whoever judges its health. */
import type { Clock } from "../../shared/clock.ts";
import { isHealthCall, type NodeOperation } from "./node-wrapper.ts";

/** Samples that a mean is made of, and how old they may be. */
const SAMPLES_MAX = 64;
const SAMPLES_MIN = 4;
const WINDOW_MS = 300_000;
/** Calls that move more than this say more of their size than of the node. */
const SMALL_BYTES_MAX = 1_048_576;
/** Calls whose time depends on how much is on the node. */
const LONG: ReadonlySet<NodeOperation> = new Set<NodeOperation>(["list", "foreign"]);

export interface NodeSigns {
  /** When a call of live traffic last succeeded, monotonic; no health check. */
  readonly lastSuccessMs: number | undefined;
  /** Mean duration of small calls lately, health checks among them; `undefined` while there are too few. */
  readonly latencyMs: number | undefined;
  /** Calls answered so far. */
  readonly calls: number;
}

export class LiveSigns {
  readonly #clock: Clock;
  /** The last SAMPLES_MAX, oldest first once it is full, from `#at` on. */
  readonly #samples: { readonly atMs: number; readonly durationMs: number }[] = [];
  #at = 0;
  #lastSuccessMs: number | undefined;
  #calls = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A call succeeded. */
  succeeded(operation: NodeOperation, durationMs: number, bytes: number): void {
    // A driver may tell its capacity without asking anybody.
    if (operation === "capacity") return;
    const atMs = this.#clock.monotonicMs();
    this.#calls += 1;
    if (!isHealthCall(operation)) this.#lastSuccessMs = atMs;
    if (LONG.has(operation) || bytes > SMALL_BYTES_MAX) return;
    this.#samples[this.#at] = { atMs, durationMs };
    this.#at = (this.#at + 1) % SAMPLES_MAX;
  }

  signs(): NodeSigns {
    return { lastSuccessMs: this.#lastSuccessMs, latencyMs: this.#latencyMs(), calls: this.#calls };
  }

  #latencyMs(): number | undefined {
    const sinceMs = this.#clock.monotonicMs() - WINDOW_MS;
    let sumMs = 0;
    let count = 0;
    for (const { atMs, durationMs } of this.#samples) {
      if (atMs < sinceMs) continue;
      sumMs += durationMs;
      count += 1;
    }
    return count < SAMPLES_MIN ? undefined : sumMs / count;
  }
}
