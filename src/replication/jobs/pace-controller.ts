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
  /** The latency of the last steps; `undefined` while there is none to go by. */
  readonly latencyMs: number | undefined;
  /** Whether clients were slow since the quiet latency was found out last. */
  readonly doubted: boolean;
  readonly stepsUntilLook: number;
  /** Steps left of a look at the quiet latency, with the least pace; 0 while there is none. */
  readonly lookSteps: number;
}

/** Assumed of the nodes until more was seen. */
const BANDWIDTH_AT_FIRST = 100 * 2 ** 20;
const COPIES_AT_FIRST = 100;
/** However little of one was restored, for there was so much of the other: what the nodes are taken to do at least. */
const BANDWIDTH_MIN = 10 * 2 ** 20;
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
/** What is left after a step of what was seen once: only where that much was let through, and did not come. */
const BANDWIDTH_MEMORY = 0.999;
/** What one step counts for in the latency that is gone by. */
const LATENCY_WEIGHT = 0.4;
/**
 * Latency at which clients count as slowed down: so many times the quiet one, and so much more. Clients that wait for each
 * answer keep the inverse of it of their rate, so this leaves them well above 70 %.
 */
const LATENCY_RATIO = 1.15;
const LATENCY_MARGIN_MS = 0.5;
/**
 * The quiet latency follows a slower one only by looks: for two steps the pace is the least one, and what clients wait for
 * in the second of them is the quiet latency. Did it follow what is seen meanwhile, a long repair would pass for quiet.
 */
const LOOK_STEPS = 3;
const LOOK_EVERY_STEPS = 30;
/** How far one step of a look, or a quicker one, moves the quiet latency towards what was seen: either may be chance. */
const LOOK_WEIGHT = 0.3;
const QUICKER_WEIGHT = 0.05;

const AT_FIRST = {
  share: SHARE_AT_FIRST,
  doubted: false,
  stepsUntilLook: LOOK_EVERY_STEPS,
  lookSteps: 0,
  latencyMs: undefined,
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
  const memory = before.share >= 1 ? BANDWIDTH_MEMORY : 1;
  const { bandwidthBytesPerSecond: bytes, bandwidthCopiesPerSecond: copies } = before;
  const state: PaceState = {
    ...before,
    bandwidthBytesPerSecond: Math.max(seen.restoredBytesPerSecond, bytes * memory, BANDWIDTH_MIN),
    bandwidthCopiesPerSecond: Math.max(seen.restoredCopiesPerSecond, copies * memory, COPIES_MIN),
  };
  return withLimits(state.lookSteps > 0 ? afterLookStep(state, seen) : afterStep(state, seen));
}

function afterLookStep(state: PaceState, { latencyMs }: ForegroundSeen): PaceState {
  const lookSteps = state.lookSteps - 1;
  // What began before it ends in its first step.
  if (lookSteps === LOOK_STEPS - 1) return { ...state, lookSteps };
  const looking: PaceState = {
    ...state,
    lookSteps,
    quietLatencyMs: towards(state.quietLatencyMs, latencyMs, LOOK_WEIGHT),
  };
  return lookSteps > 0
    ? looking
    : { ...looking, doubted: false, stepsUntilLook: LOOK_EVERY_STEPS, latencyMs: looking.quietLatencyMs };
}

function afterStep(state: PaceState, { inflight, latencyMs: seen }: ForegroundSeen): PaceState {
  const { quietLatencyMs: quiet } = state;
  const latencyMs = seen === undefined ? undefined : towards(state.latencyMs, seen, LATENCY_WEIGHT);
  const slowed =
    latencyMs !== undefined && quiet !== undefined && latencyMs > quiet * LATENCY_RATIO + LATENCY_MARGIN_MS;
  const idle = inflight === 0 && seen === undefined;
  const wanted = slowed ? state.share * DECREASE : state.share + (idle ? IDLE_INCREASE : INCREASE);
  const quicker = quiet === undefined || (latencyMs !== undefined && latencyMs < quiet);
  const doubted = state.doubted || slowed;
  const looks = doubted && state.stepsUntilLook <= 1;
  return {
    ...state,
    latencyMs,
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
