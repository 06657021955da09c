/**
 * The coordinator of a world with several gateways, as one server that they ask over a network: calls and answers get
 * lost, the server stands still, it is emptied, and the leases that it gives run by a clock of its own. What it does for a
 * call is what the embedded coordinator does; the lease at its holder is that of every driver.
 */
import {
  COORDINATOR_CALL_TIMEOUT_MS,
  type Coordinator,
  CoordinatorError,
  type Lease,
} from "../../src/coordination/coordinator.ts";
import { embeddedCoordinator } from "../../src/coordination/embedded/embedded-coordinator.ts";
import { EmbeddedState } from "../../src/coordination/embedded/embedded-state.ts";
import { HeldLease } from "../../src/coordination/held-lease.ts";
import type { Clock } from "../../src/shared/clock.ts";
import type { Chance } from "./chance.ts";
import type { Life, Scheduler } from "./scheduler.ts";
import type { Trace } from "./trace.ts";

/** Probabilities per call, and times. */
export interface CoordinatorConditions {
  readonly latencyMsMax: number;
  readonly lostRequest: number;
  /** What was asked for was done, and the caller does not hear of it. */
  readonly lostAnswer: number;
}

export const CALM_COORDINATOR: CoordinatorConditions = { latencyMsMax: 1, lostRequest: 0, lostAnswer: 0 };

export interface CoordinatorServerDeps {
  readonly scheduler: Scheduler;
  readonly chance: Chance;
  readonly trace: Trace;
  readonly conditions: () => CoordinatorConditions;
  /** How fast its clock runs; 1 is as fast as those of the gateways. */
  readonly clockRate: number;
}

export class CoordinatorServer {
  readonly #deps: CoordinatorServerDeps;
  readonly #state: EmbeddedState;
  readonly #clock: Clock;
  #frozen = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(deps: CoordinatorServerDeps) {
    const { scheduler, clockRate } = deps;
    this.#deps = deps;
    this.#clock = {
      nowMs: () => Math.floor(scheduler.nowMs * clockRate),
      monotonicMs: () => scheduler.nowMs * clockRate,
      startTimer: (delayMs, fire) => scheduler.after(delayMs / clockRate, fire),
    };
    this.#state = new EmbeddedState(this.#clock);
  }

  /** It forgets all that it keeps, leases included. */
  empty(): void {
    this.#state.clear();
  }

  /** It stands still until it is thawed as often; what was asked meanwhile it does then. */
  freeze(): void {
    this.#frozen++;
  }

  thaw(): void {
    this.#frozen = Math.max(0, this.#frozen - 1);
    if (this.#frozen === 0) for (const serve of this.#waiting.splice(0)) serve();
  }

  /** All faults are over. */
  recover(): void {
    this.#frozen = Math.min(1, this.#frozen);
    this.thaw();
  }

  /** The coordinator as one gateway process has it. */
  connect({ life, name, clock }: { readonly life: Life; readonly name: string; readonly clock: Clock }): Coordinator {
    const state = this.#state;
    const rest = embeddedCoordinator(this.#clock, state);
    const listeners = new Set<(available: boolean) => void>();
    let available = true;
    const seen = (now: boolean): void => {
      if (available === now) return;
      available = now;
      for (const tell of listeners) tell(now);
    };
    const call = <T>(what: string, serve: () => T): Promise<T> =>
      this.#call({ what: `${name} ${what}`, life, serve, seen });
    return {
      kind: "redis",
      get available() {
        return available;
      },
      onAvailability(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      async acquire(lease, ttlMs): Promise<Lease | undefined> {
        const holder = {};
        const askedAtMs = clock.monotonicMs();
        if (!(await call(`asks for ${lease}`, () => state.acquire(lease, holder, ttlMs)))) return undefined;
        return new HeldLease({
          name: lease,
          ttlMs,
          askedAtMs,
          clock,
          calls: {
            renew: () => call(`renews ${lease}`, () => state.renew(lease, holder, ttlMs)),
            release: () => call(`releases ${lease}`, () => state.release(lease, holder)),
          },
        });
      },
      publish: (channel, message) => call(`tells ${channel}`, () => state.publish(channel, message)),
      subscribe: (channel, listener) =>
        rest.subscribe(channel, (message) => {
          if (!life.ended) listener(message);
        }),
      take: (...args) => rest.take(...args),
      putState: (...args) => rest.putState(...args),
      dropState: (...args) => rest.dropState(...args),
      states: (...args) => rest.states(...args),
      addSample: (...args) => rest.addSample(...args),
      samples: (...args) => rest.samples(...args),
      [Symbol.asyncDispose]: () => rest[Symbol.asyncDispose](),
    };
  }

  #call<T>({
    what,
    life,
    serve,
    seen,
  }: {
    readonly what: string;
    readonly life: Life;
    readonly serve: () => T;
    readonly seen: (available: boolean) => void;
  }): Promise<T> {
    const { scheduler, chance, trace, conditions } = this.#deps;
    const { latencyMsMax, lostRequest, lostAnswer } = conditions();
    const delayMs = (): number => chance.between(0, latencyMsMax);
    return new Promise((resolve, reject) => {
      if (life.ended) return;
      let over = false;
      const settle = (available: boolean, end: () => void): void => {
        if (over || life.ended) return;
        over = true;
        timeout.stop();
        seen(available);
        end();
      };
      const timeout = scheduler.after(COORDINATOR_CALL_TIMEOUT_MS, () =>
        settle(false, () => reject(new CoordinatorError("unavailable", "the coordinator did not answer in time"))),
      );
      if (chance.happens(lostRequest)) return;
      const toBeAnswered = !chance.happens(lostAnswer);
      const arrive = (): void => {
        if (this.#frozen > 0) {
          this.#waiting.push(arrive);
          return;
        }
        trace.add(what);
        const result = serve();
        if (toBeAnswered) scheduler.after(delayMs(), () => settle(true, () => resolve(result)));
      };
      scheduler.after(delayMs(), arrive);
    });
  }
}
