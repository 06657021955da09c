/** What clients feel at the moment, for background work that is to stay out of their way. */

/** Requests that moved no more than this are small: their latency tells of the nodes, and not of their own size. */
const SMALL_BYTES_MAX = 262_144;
/** Latencies kept between two looks: the last ones. */
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
  readonly #latenciesMs: number[] = [];
  #ended = 0;

  started(): void {
    this.#inflight += 1;
  }

  finished({ status, durationMs, receivedBytes, sentBytes }: EndedRequest): void {
    this.#inflight -= 1;
    // A refusal is quick, however the nodes are.
    if (status >= 400 || receivedBytes + sentBytes > SMALL_BYTES_MAX) return;
    this.#latenciesMs[this.#ended % LATENCIES_MAX] = durationMs;
    this.#ended += 1;
  }

  /**
   * What was seen since the last look: requests under way, and the usual latency of the small ones that ended. That is the
   * mean of their middle half. A median would leap between reads and writes where there are as many of either.
   */
  take(): { readonly inflight: number; readonly latencyMs: number | undefined } {
    const sorted = this.#latenciesMs.splice(0).sort((a, b) => a - b);
    this.#ended = 0;
    const outside = sorted.length >>> 2;
    const middle = sorted.slice(outside, sorted.length - outside);
    const latencyMs = middle.length === 0 ? undefined : middle.reduce((sum, each) => sum + each, 0) / middle.length;
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
