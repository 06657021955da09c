import type { Clock } from "../../shared/clock.ts";
import { NodeError, type NodeErrorKind } from "../storage-node.ts";
import type { BreakerLimits } from "./limits.ts";
import { NotAskedError } from "./not-asked-error.ts";

/**
 * - `closed`: calls pass.
 * - `open`: calls are turned away; only health checks pass.
 * - `half-open`: the cool-down is over and one call is tried; the others are turned away.
 */
export type BreakerState = "closed" | "open" | "half-open";

export interface BreakerChange {
  readonly state: BreakerState;
  /** The failure that opened it last. */
  readonly cause: NodeError | undefined;
}

/** Failures of the node. All others say something about the call, or that the node works. */
const FAILURES: ReadonlySet<NodeErrorKind> = new Set<NodeErrorKind>([
  "unreachable",
  "timeout",
  "busy",
  "io",
  "access-denied",
]);

/**
 * Keeps calls from a node that fails. Opens after failures in a row, or too many among the last 32 calls.
 *
 * It closes by a health check that succeeds once the cool-down is over, or, where nobody makes any, by one call that is
 * tried. After that the node is on probation: its first failure opens the breaker again, for twice as long, so that one
 * that answers health checks but no calls is not swung to and fro. Health checks that fail do not make it longer: a node
 * may be back at once after any outage.
 */
export class CircuitBreaker {
  readonly #clock: Clock;
  readonly #limits: BreakerLimits;
  readonly #listeners = new Set<(change: BreakerChange) => void>();
  #state: BreakerState = "closed";
  /** Grows with every change of state: what a call says that began before one is out of date. */
  #epoch = 0;
  #consecutive = 0;
  /** The last 32 calls, one bit each, 1 for a failure. */
  #recent = 0;
  #probationLeft = 0;
  #cooldownMs: number;
  #openedMs = 0;
  #trialRunning = false;
  #cause: NodeError | undefined;

  constructor(clock: Clock, limits: BreakerLimits) {
    this.#clock = clock;
    this.#limits = limits;
    this.#cooldownMs = limits.cooldownMs;
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** The last failure that opened it. */
  get cause(): NodeError | undefined {
    return this.#cause;
  }

  /** Called after every change of state. Must not throw. */
  onChange(listener: (change: BreakerChange) => void): void {
    this.#listeners.add(listener);
  }

  /**
   * Lets a call pass; its outcome is to be told to the pass.
   * @throws NotAskedError while open
   */
  enter(kind: "data" | "health"): BreakerPass {
    if (this.#state === "closed" || kind === "health") return this.#pass(kind, false);
    if (this.#state === "open" && this.#cooledDown()) this.#change("half-open");
    if (this.#state === "open" || this.#trialRunning) {
      throw new NotAskedError("the node's circuit breaker is open", { cause: this.#cause });
    }
    this.#trialRunning = true;
    return this.#pass(kind, true);
  }

  /** Opens it on other evidence than calls. Reopening starts its cool-down again. */
  open(cause: NodeError): void {
    this.#open(cause);
  }

  /** Closes it at once, without probation. */
  close(): void {
    if (this.#state !== "closed") this.#close(0);
  }

  #pass(kind: "data" | "health", trial: boolean): BreakerPass {
    const epoch = this.#epoch;
    return new BreakerPass(trial, (outcome) => {
      if (epoch !== this.#epoch) return;
      if (trial) this.#trialRunning = false;
      if (outcome === "no evidence") return;
      if (outcome === "success") this.#succeeded(kind);
      else this.#failed(kind, outcome);
    });
  }

  #succeeded(kind: "data" | "health"): void {
    if (this.#state !== "closed") {
      if (this.#state === "half-open" || this.#cooledDown()) this.#close(this.#limits.probationSuccesses);
      return;
    }
    this.#consecutive = 0;
    this.#recent <<= 1;
    if (kind === "health" || this.#probationLeft === 0) return;
    this.#probationLeft -= 1;
    if (this.#probationLeft === 0) this.#cooldownMs = this.#limits.cooldownMs;
  }

  #failed(kind: "data" | "health", error: NodeError): void {
    if (this.#state === "open") return;
    this.#consecutive += 1;
    this.#recent = (this.#recent << 1) | 1;
    const tried = this.#state === "half-open" || this.#probationLeft > 0;
    if (tried) {
      if (kind === "data") this.#cooldownMs = Math.min(this.#limits.cooldownMsMax, 2 * this.#cooldownMs);
      this.#open(error);
    } else if (
      this.#consecutive >= this.#limits.consecutiveFailures ||
      bitCount(this.#recent) >= this.#limits.failuresOf32
    ) {
      this.#open(error);
    }
  }

  #cooledDown(): boolean {
    return this.#clock.monotonicMs() - this.#openedMs >= this.#cooldownMs;
  }

  #open(cause: NodeError): void {
    this.#cause = cause;
    this.#openedMs = this.#clock.monotonicMs();
    this.#change("open");
  }

  #close(probation: number): void {
    this.#consecutive = 0;
    this.#recent = 0;
    this.#probationLeft = probation;
    this.#change("closed");
  }

  #change(state: BreakerState): void {
    this.#epoch += 1;
    this.#trialRunning = false;
    if (state === this.#state) return;
    this.#state = state;
    for (const listener of this.#listeners) listener({ state, cause: this.#cause });
  }
}

/** One call past the breaker. Only the first outcome that it is told counts. */
export class BreakerPass {
  /** Others are turned away until its outcome is told. */
  readonly trial: boolean;
  #tell: ((outcome: "success" | "no evidence" | NodeError) => void) | undefined;

  constructor(trial: boolean, tell: (outcome: "success" | "no evidence" | NodeError) => void) {
    this.trial = trial;
    this.#tell = tell;
  }

  succeeded(): void {
    this.#told("success");
  }

  /** The call failed with this; whether the node did follows from its kind. */
  failed(error: unknown): void {
    const kind = error instanceof NodeError ? error.kind : undefined;
    if (kind === "not-found") this.#told("success");
    else if (error instanceof NodeError && FAILURES.has(error.kind)) this.#told(error);
    else this.#told("no evidence");
  }

  #told(outcome: "success" | "no evidence" | NodeError): void {
    const tell = this.#tell;
    this.#tell = undefined;
    tell?.(outcome);
  }
}

function bitCount(bits: number): number {
  let count = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}
