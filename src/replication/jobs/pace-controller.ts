/**
 * How fast copies are restored where the configuration says `auto`: as fast as clients do not notice, and never slower
 * than a share of what the nodes can do, for redundancy that is never restored is lost in the end. Additive increase,
 * multiplicative decrease. Pure.
 */

/** What was seen since the last step. */
export interface ForegroundSeen {
  /** Requests of clients that are being served. */
  readonly inflight: number;
  /** Middle latency of the small requests that ended; `undefined` when none did. */
  readonly latencyMs: number | undefined;
  /** Bytes a second that were restored. */
  readonly restoredBytesPerSecond: number;
}

export interface PaceState {
  readonly bytesPerSecond: number;
  /** What the nodes were seen to do at best; forgotten slowly. */
  readonly bandwidthBytesPerSecond: number;
  /** The latency of good times; it follows a slower one only slowly. */
  readonly quietLatencyMs: number | undefined;
}

/** Assumed of the nodes until more was seen. */
const BANDWIDTH_AT_FIRST = 100 * 2 ** 20;
/** Share of the nodes' bandwidth that restoring always has. */
export const FLOOR_SHARE = 0.2;
/** Share of the bandwidth that one step adds, and that one adds while no client is there. */
const INCREASE_SHARE = 0.05;
const IDLE_INCREASE_SHARE = 0.25;
const DECREASE = 0.7;
/** How much more than the bandwidth seen may be tried, so that a faster one is found out. */
const HEADROOM = 1.5;
const BANDWIDTH_MEMORY = 0.999;
/** Latency that clients are taken to notice: so many times the quiet one, and so much more. */
const LATENCY_RATIO = 2;
const LATENCY_MARGIN_MS = 5;
/** How fast the quiet latency follows one that is slower. */
const QUIET_RISE = 0.01;

export const FIRST_PACE: PaceState = {
  bytesPerSecond: BANDWIDTH_AT_FIRST,
  bandwidthBytesPerSecond: BANDWIDTH_AT_FIRST,
  quietLatencyMs: undefined,
};

/** The pace after what was seen. */
export function nextPace(state: PaceState, seen: ForegroundSeen): PaceState {
  const remembered = state.bandwidthBytesPerSecond * BANDWIDTH_MEMORY;
  const bandwidth = Math.max(seen.restoredBytesPerSecond, remembered, 1);
  const { latencyMs } = seen;
  const quiet = state.quietLatencyMs;
  const noticed =
    latencyMs !== undefined && quiet !== undefined && latencyMs > quiet * LATENCY_RATIO + LATENCY_MARGIN_MS;
  const idle = seen.inflight === 0 && latencyMs === undefined;
  const wanted = noticed
    ? state.bytesPerSecond * DECREASE
    : state.bytesPerSecond + bandwidth * (idle ? IDLE_INCREASE_SHARE : INCREASE_SHARE);
  const bytesPerSecond = Math.min(bandwidth * HEADROOM, Math.max(bandwidth * FLOOR_SHARE, wanted));
  return { bytesPerSecond, bandwidthBytesPerSecond: bandwidth, quietLatencyMs: quietAfter(quiet, latencyMs) };
}

function quietAfter(quiet: number | undefined, latencyMs: number | undefined): number | undefined {
  if (latencyMs === undefined || quiet === undefined) return quiet ?? latencyMs;
  return latencyMs < quiet ? latencyMs : quiet + (latencyMs - quiet) * QUIET_RISE;
}
