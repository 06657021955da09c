/** Everything that the wrappers of a node bound, with the defaults and their reasons. */

/** How often calls under way are looked at: how late a timeout may come. */
export const TICK_MS = 100;

export interface TimeoutLimits {
  /** The `reach` probe. */
  readonly reachMs: number;
  /** Deeper probes, which make some ten requests. */
  readonly admissionMs: number;
  /** Head, delete, capacity, identity: one small request, or one durable write. */
  readonly metadataMs: number;
  /** A page of a listing: a node with cold disks may have to read thousands of entries. */
  readonly listMs: number;
  /** From a get until the node begins to answer. */
  readonly firstByteMs: number;
  /** For the next chunk of a get that somebody waits for. */
  readonly readStallMs: number;
  /** In which a node must take a block of a put that waits for it. Waiting for the source does not count. */
  readonly putStallMs: number;
  /** Added for each block of a put that is handed over whole, where nobody sees how far the node is. */
  readonly putBlockMs: number;
  /** From the last block of a put until it is durable and proven; some nodes prove it by reading everything back. */
  readonly finishMs: number;
}

export interface RetryLimits {
  /** Including the first one. */
  readonly attemptsMax: number;
  /** Longest wait before the second attempt; doubled for each further one. The wait is drawn between 0 and this. */
  readonly backoffMs: number;
  readonly backoffMsMax: number;
  /** Retries that may be made in a row without a success, so that a node in trouble is not asked thrice as much. */
  readonly budgetMax: number;
  /** Share of a retry that each success earns. */
  readonly budgetPerSuccess: number;
}

export interface ConcurrencyLimits {
  /** Calls that the node works on at a time. */
  readonly inflightMax: number;
  /** Calls that wait for their turn; more are answered `busy`. */
  readonly waitingMax: number;
  /** A call that has waited for this long is answered `busy`. */
  readonly waitMs: number;
}

export interface BreakerLimits {
  /** Failures in a row that open it. */
  readonly consecutiveFailures: number;
  /** Failures among the last 32 calls that open it. */
  readonly failuresOf32: number;
  /** How long it stays open at least. */
  readonly cooldownMs: number;
  /** What the cool-down grows to, doubling whenever a node that seemed well fails its first calls. */
  readonly cooldownMsMax: number;
  /** Successes after which a node that came back is trusted; one failure before that opens the breaker again. */
  readonly probationSuccesses: number;
}

export interface NodeLimits {
  readonly timeout: TimeoutLimits;
  readonly retry: RetryLimits;
  readonly concurrency: ConcurrencyLimits;
  readonly breaker: BreakerLimits;
}

export const RETRY_LIMITS: RetryLimits = {
  attemptsMax: 3,
  // Long enough for a connection that was closed or a pause of a garbage collector, short against other copies' answers.
  backoffMs: 50,
  backoffMsMax: 1_000,
  budgetMax: 10,
  budgetPerSuccess: 0.1,
};

/** Below the 256 connections of an S3 node, so that some are left for health checks and for undoing what failed. */
export const S3_INFLIGHT_MAX = 240;
/** Puts of a volume share their syncs: the more there are at a time, the less each of them costs. */
export const VOLUME_INFLIGHT_MAX = 256;

const WAITING_MAX = 1_024;
/**
 * Short enough for a caller to turn to another node. Also ends waits in a circle: a put that reads its rest from another
 * node has a turn here and waits for one there.
 */
const WAIT_MS = 3_000;

export const BREAKER_LIMITS: BreakerLimits = {
  consecutiveFailures: 5,
  failuresOf32: 16,
  cooldownMs: 1_000,
  cooldownMsMax: 30_000,
  probationSuccesses: 5,
};

const TIMEOUT_LIMITS = {
  reachMs: 5_000,
  admissionMs: 30_000,
  metadataMs: 10_000,
  listMs: 30_000,
  // At least 256 KiB/s.
  putBlockMs: 1_000,
  finishMs: 30_000,
};

/** What differs from node to node. */
export interface NodeLimitSettings {
  /** A node that takes no byte of a put for this long has failed. */
  readonly writeStallMs: number;
  /** A node that sends no byte of a get for this long has failed. */
  readonly readStallMs: number;
  readonly inflightMax: number;
}

export function nodeLimits(settings: NodeLimitSettings): NodeLimits {
  // A reader gives a silent copy up after its stall time, and a read that was given up says nothing of the node: the
  // wrapper has to notice first, however late within its tick.
  const readStallMs = Math.max(settings.readStallMs - 2 * TICK_MS, settings.readStallMs / 2);
  return {
    timeout: { ...TIMEOUT_LIMITS, putStallMs: settings.writeStallMs, readStallMs, firstByteMs: readStallMs },
    retry: RETRY_LIMITS,
    concurrency: { inflightMax: settings.inflightMax, waitingMax: WAITING_MAX, waitMs: WAIT_MS },
    breaker: BREAKER_LIMITS,
  };
}
