/**
 * How fast copies are restored where the configuration says `auto`: as fast as clients do not notice, and never slower
 * than a share of what the nodes can do, for redundancy that is never restored is lost in the end. What is controlled is
 * the share of the best that was seen, of bytes and of copies alike: small copies cost the nodes their number, large ones
 * their bytes. Additive increase, multiplicative decrease. Pure.
 */

/** What was seen since the last step. */
export interface ForegroundSeen {
  /** Requests of clients that are being served. */
  readonly inflight: number;
  /** Usual latency of the small requests that ended; `undefined` when none did. */
  readonly latencyMs: number | undefined;
  /** Bytes a second that were restored. */
  readonly restoredBytesPerSecond: number;
  /** Copies a second that were restored. */
  readonly restoredCopiesPerSecond: number;
}

export interface PaceState {
  readonly bytesPerSecond: number;
  readonly copiesPerSecond: number;
  /** Of the bandwidths, what is let through where nothing is being found out. */
  readonly share: number;
  /** What the nodes were seen to do at best; forgotten slowly. */
  readonly bandwidthBytesPerSecond: number;
  readonly bandwidthCopiesPerSecond: number;
  /** The latency of clients while little or nothing is restored. */
  readonly quietLatencyMs: number | undefined;
  /** Whether clients were slow since the quiet latency was found out last. */
  readonly doubted: boolean;
  readonly stepsUntilLook: number;
  /** Steps left of a look at the quiet latency, with the least pace; 0 while there is none. */
  readonly lookSteps: number;
}

/** Assumed of the nodes until more was seen. */
const BANDWIDTH_AT_FIRST = 100 * 2 ** 20;
const COPIES_AT_FIRST = 100;
/** However few copies were restored, for they were large: so many small ones the nodes can do. */
const COPIES_MIN = 20;
/** Share of the nodes' bandwidth that restoring always has. */
export const FLOOR_SHARE = 0.2;
const SHARE_AT_FIRST = 0.5;
/** What one step adds to the share, and what one adds while no client is there. */
const INCREASE = 0.05;
const IDLE_INCREASE = 0.25;
const DECREASE = 0.7;
/** How much more than the bandwidth seen may be tried, so that a faster one is found out. */
export const SHARE_MAX = 1.5;
const BANDWIDTH_MEMORY = 0.999;
/**
 * Latency at which clients count as slowed down: so many times the quiet one, and so much more. Clients that wait for each
 * answer keep the inverse of it of their rate, so this leaves them well above 70 %.
 */
const LATENCY_RATIO = 1.25;
const LATENCY_MARGIN_MS = 0.5;
/**
 * The quiet latency follows a slower one only by looks: for two steps the pace is the least one, and what clients wait for
 * in the second of them is the quiet latency. Did it follow what is seen meanwhile, a long repair would pass for quiet.
 */
const LOOK_STEPS = 2;
const LOOK_EVERY_STEPS = 30;
/** How far one look, or a quicker step, moves the quiet latency towards what was seen: either may be chance. */
const LOOK_WEIGHT = 0.5;
const QUICKER_WEIGHT = 0.25;

const AT_FIRST = {
  share: SHARE_AT_FIRST,
  doubted: false,
  stepsUntilLook: LOOK_EVERY_STEPS,
  lookSteps: 0,
} as const;

export const FIRST_PACE: PaceState = withLimits({
  ...AT_FIRST,
  bandwidthBytesPerSecond: BANDWIDTH_AT_FIRST,
  bandwidthCopiesPerSecond: COPIES_AT_FIRST,
  quietLatencyMs: undefined,
});

/** The pace to begin with again, after nothing was restored for a while and clients waited so long. */
export function paceAfterPause(state: PaceState, latencyMs: number | undefined): PaceState {
  return withLimits({ ...state, ...AT_FIRST, quietLatencyMs: latencyMs ?? state.quietLatencyMs });
}

/** The pace after what was seen. */
export function nextPace(before: PaceState, seen: ForegroundSeen): PaceState {
  const { bandwidthBytesPerSecond: bytes, bandwidthCopiesPerSecond: copies } = before;
  const state: PaceState = {
    ...before,
    bandwidthBytesPerSecond: Math.max(seen.restoredBytesPerSecond, bytes * BANDWIDTH_MEMORY, 1),
    bandwidthCopiesPerSecond: Math.max(seen.restoredCopiesPerSecond, copies * BANDWIDTH_MEMORY, COPIES_MIN),
  };
  return withLimits(state.lookSteps > 0 ? afterLookStep(state, seen) : afterStep(state, seen));
}

function afterLookStep(state: PaceState, { latencyMs }: ForegroundSeen): PaceState {
  if (state.lookSteps > 1) return { ...state, lookSteps: state.lookSteps - 1 };
  const quietLatencyMs = towards(state.quietLatencyMs, latencyMs, LOOK_WEIGHT);
  return { ...state, quietLatencyMs, lookSteps: 0, doubted: false, stepsUntilLook: LOOK_EVERY_STEPS };
}

function afterStep(state: PaceState, { inflight, latencyMs }: ForegroundSeen): PaceState {
  const { quietLatencyMs: quiet } = state;
  const slowed =
    latencyMs !== undefined && quiet !== undefined && latencyMs > quiet * LATENCY_RATIO + LATENCY_MARGIN_MS;
  const idle = inflight === 0 && latencyMs === undefined;
  const wanted = slowed ? state.share * DECREASE : state.share + (idle ? IDLE_INCREASE : INCREASE);
  const quicker = quiet === undefined || (latencyMs !== undefined && latencyMs < quiet);
  const doubted = state.doubted || slowed;
  const looks = doubted && state.stepsUntilLook <= 1;
  return {
    ...state,
    share: Math.min(SHARE_MAX, Math.max(FLOOR_SHARE, wanted)),
    quietLatencyMs: quicker ? towards(quiet, latencyMs, QUICKER_WEIGHT) : quiet,
    doubted,
    stepsUntilLook: Math.max(0, state.stepsUntilLook - 1),
    lookSteps: looks ? LOOK_STEPS : 0,
  };
}

function towards(quiet: number | undefined, seen: number | undefined, weight: number): number | undefined {
  return quiet === undefined || seen === undefined ? (quiet ?? seen) : quiet + (seen - quiet) * weight;
}

function withLimits(state: Omit<PaceState, "bytesPerSecond" | "copiesPerSecond">): PaceState {
  const share = state.lookSteps > 0 ? FLOOR_SHARE : state.share;
  return {
    ...state,
    bytesPerSecond: share * state.bandwidthBytesPerSecond,
    copiesPerSecond: share * state.bandwidthCopiesPerSecond,
  };
}
