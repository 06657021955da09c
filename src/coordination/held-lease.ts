/**
 * A lease while it is held, the same for every coordinator: it is renewed in time, and given up on this process's own
 * monotonic clock before anybody else can get it. What counts is when a request was *sent*: the coordinator's time
 * begins later.
 */
import type { Clock, Timer } from "../shared/clock.ts";
import { type Lease, type LeaseEnd, LeaseEndedError } from "./coordinator.ts";

/** Renewed when this share of its time has passed. */
const RENEW_SHARE = 1 / 3;
/** Tried again after this share of its time where that was not answered. */
const RETRY_SHARE = 1 / 20;
/** The holder lets go so much of its time early: two machines' clocks do not run at one speed, and timers are late. */
const MARGIN_SHARE = 1 / 10;

/** What a driver does for the lease of one holder. */
export interface LeaseCalls {
  /** Whether it is still ours, and ours for its whole time from now. @throws when that could not be found out */
  renew(): Promise<boolean>;
  /** Gives it back if it is still ours. */
  release(): Promise<void>;
}

export interface HeldLeaseOptions {
  readonly name: string;
  readonly ttlMs: number;
  /** Monotonic, from before the request that was granted. */
  readonly askedAtMs: number;
  readonly calls: LeaseCalls;
  readonly clock: Clock;
}

export class HeldLease implements Lease {
  readonly #options: HeldLeaseOptions;
  readonly #ended = new AbortController();
  #deadlineMs = 0;
  #deadline: Timer | undefined;
  #renewal: Timer | undefined;

  constructor(options: HeldLeaseOptions) {
    this.#options = options;
    this.#extend(options.askedAtMs);
    this.#renewIn(options.ttlMs * RENEW_SHARE);
  }

  get name(): string {
    return this.#options.name;
  }

  get held(): boolean {
    return !this.#ended.signal.aborted && this.#options.clock.monotonicMs() < this.#deadlineMs;
  }

  get lost(): AbortSignal {
    return this.#ended.signal;
  }

  async release(): Promise<void> {
    if (this.#ended.signal.aborted) return;
    this.end("released");
    await this.#options.calls.release().catch(() => {});
  }

  /** Gives it up here, and says nothing to the coordinator. */
  end(reason: LeaseEnd): void {
    this.#deadline?.stop();
    this.#renewal?.stop();
    if (!this.#ended.signal.aborted) this.#ended.abort(new LeaseEndedError(reason));
  }

  #extend(askedAtMs: number): void {
    const { clock, ttlMs } = this.#options;
    this.#deadlineMs = askedAtMs + ttlMs * (1 - MARGIN_SHARE);
    this.#deadline?.stop();
    this.#deadline = clock.startTimer(Math.max(0, this.#deadlineMs - clock.monotonicMs()), () => this.end("expired"));
  }

  #renewIn(delayMs: number): void {
    this.#renewal = this.#options.clock.startTimer(delayMs, () => void this.#renew());
  }

  async #renew(): Promise<void> {
    const { clock, calls, ttlMs } = this.#options;
    const askedAtMs = clock.monotonicMs();
    let renewed: boolean;
    try {
      renewed = await calls.renew();
    } catch {
      if (!this.#ended.signal.aborted) this.#renewIn(ttlMs * RETRY_SHARE);
      return;
    }
    if (this.#ended.signal.aborted) return;
    if (!renewed) return this.end("taken");
    // Who asked meanwhile whether it is held was told that it is not.
    if (!this.held) return this.end("expired");
    this.#extend(askedAtMs);
    this.#renewIn(ttlMs * RENEW_SHARE);
  }
}
