/**
 * The seam to who does what now: leases, events, shared rates and what is going on, between the gateways of a cluster.
 *
 * Promises of every driver (test/contract/coordinator-contract.ts holds them to it):
 * - Losing or emptying it costs leases, rates and live state, and nothing that has to be kept: that is in the catalog.
 * - No call hangs: each resolves, or rejects with a CoordinatorError, within COORDINATOR_CALL_TIMEOUT_MS; while the
 *   coordinator does not answer, at once.
 *
 * What it does NOT promise: that a lease excludes. An emptied coordinator gives away again what somebody still believes
 * to hold, until that holder's next renewal. What must not be done twice with effect is checked by the commit that does
 * it (see replication/leadership.ts).
 */

/** The longest that a call takes. */
export const COORDINATOR_CALL_TIMEOUT_MS = 2_000;

export interface Coordinator extends AsyncDisposable {
  readonly kind: CoordinatorKind;
  /** Whether it answered lately. */
  readonly available: boolean;
  /** Tells when that changes. @returns what ends the telling */
  onAvailability(listener: (available: boolean) => void): () => void;

  /**
   * Tries once to get a lease.
   * @param ttlMs how long nobody else gets it after this holder was last heard of
   * @returns undefined where somebody has it, this process included
   * @throws CoordinatorError
   */
  acquire(name: string, ttlMs: number): Promise<Lease | undefined>;

  /**
   * Tells all who listen to a channel, this process included: at most once, and maybe not at all. A nudge to look, never
   * the news itself.
   * @throws CoordinatorError
   */
  publish(channel: string, message: string): Promise<void>;
  /** @returns what ends the listening @throws CoordinatorError `invalid` */
  subscribe(channel: string, listener: (message: string) => void): () => void;

  /**
   * Takes from a token bucket that all gateways share, if it holds enough. It is made full when it is first asked for.
   * @param amount at most `rate.burst`
   * @returns 0 when it was taken; else how many milliseconds it takes until there may be enough, and nothing was taken
   * @throws CoordinatorError
   */
  take(name: string, amount: number, rate: SharedRate): Promise<number>;

  /** Keeps a small JSON document under a name until `ttlMs` have passed without another. @throws CoordinatorError */
  putState(name: string, document: object, ttlMs: number): Promise<void>;
  /** @throws CoordinatorError */
  dropState(name: string): Promise<void>;
  /** The documents whose names begin so, by name; at most STATES_LISTED_MAX. @throws CoordinatorError */
  states(prefix: string): Promise<LiveState[]>;

  /** Adds a sample to a series; kept HISTORY_MS, and of a series no more than SAMPLES_MAX. @throws CoordinatorError */
  addSample(series: string, sample: object): Promise<void>;
  /** The samples since a time, oldest first. @param sinceMs on the coordinator's wall clock @throws CoordinatorError */
  samples(series: string, sinceMs: number): Promise<Sample[]>;
}

export type CoordinatorKind = "embedded" | "redis";

/** Renews itself until it is released or lost. */
export interface Lease {
  readonly name: string;
  /** Whether it is certain that nobody else has it; exact where timers are late, after a process stood still say. */
  readonly held: boolean;
  /** Aborts, with a LeaseEndedError, as soon as that is not certain any more. */
  readonly lost: AbortSignal;
  /** Gives it back, if it is still ours. Never fails: what cannot be given back runs out. */
  release(): Promise<void>;
}

export interface SharedRate {
  readonly perSecond: number;
  /** Most that the bucket holds. */
  readonly burst: number;
}

export interface LiveState {
  readonly name: string;
  /** As it was put; to be looked at before it is believed. */
  readonly document: unknown;
}

export interface Sample {
  /** When it was added, on the coordinator's wall clock. */
  readonly atMs: number;
  readonly sample: unknown;
}

export type LeaseEnd = "released" | "expired" | "taken";

/** Why a lease is held no more: given back, not renewed in time, or found to be gone or another's. */
export class LeaseEndedError extends Error {
  readonly reason: LeaseEnd;
  constructor(reason: LeaseEnd) {
    super(`the lease is ${reason}`);
    this.name = "LeaseEndedError";
    this.reason = reason;
  }
}

/**
 * - `unavailable`: it could not be asked, did not answer in time or refused. Whether the call had its effect is unknown.
 * - `invalid`: an argument is out of its bounds, or a bound would be exceeded; nothing was done.
 */
export type CoordinatorErrorKind = "unavailable" | "invalid";

export class CoordinatorError extends Error {
  readonly kind: CoordinatorErrorKind;
  constructor(kind: CoordinatorErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CoordinatorError";
    this.kind = kind;
  }
}
