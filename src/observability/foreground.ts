/** What clients feel at the moment, for background work that is to stay out of their way. */

/** Requests that moved no more than this are small: their latency tells of the nodes, and not of their own size. */
const SMALL_BYTES_MAX = 262_144;
/** Latencies kept between two looks; more are left out. */
const LATENCIES_MAX = 512;

/** A request as the S3 server reports its end. */
export interface EndedRequest {
  readonly status: number;
  readonly durationMs: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

export class ForegroundMeter {
  #inflight = 0;
  #latenciesMs: number[] = [];

  started(): void {
    this.#inflight += 1;
  }

  finished({ status, durationMs, receivedBytes, sentBytes }: EndedRequest): void {
    this.#inflight -= 1;
    // A refusal is quick, however the nodes are.
    if (status >= 400 || receivedBytes + sentBytes > SMALL_BYTES_MAX) return;
    if (this.#latenciesMs.length < LATENCIES_MAX) this.#latenciesMs.push(durationMs);
  }

  /** What was seen since the last look: requests under way, and the middle latency of the small ones that ended. */
  take(): { readonly inflight: number; readonly latencyMs: number | undefined } {
    const sorted = this.#latenciesMs.sort((a, b) => a - b);
    const latencyMs = sorted[sorted.length >>> 1];
    this.#latenciesMs = [];
    return { inflight: this.#inflight, latencyMs };
  }
}

interface RequestObserver {
  requestStarted(): void;
  requestFinished(request: EndedRequest): void;
}

/** An observer of requests that tells the meter of them, too. */
export function metered<T extends RequestObserver>(observer: T, meter: ForegroundMeter): T {
  return {
    ...observer,
    requestStarted() {
      meter.started();
      observer.requestStarted();
    },
    requestFinished(request: Parameters<T["requestFinished"]>[0]) {
      meter.finished(request);
      observer.requestFinished(request);
    },
  };
}
