/** The coordinator of a cluster that is one process: nothing to run, nothing to lose, always there. */
import type { Clock } from "../../shared/clock.ts";
import { type Coordinator, CoordinatorError, type Lease } from "../coordinator.ts";
import { HeldLease } from "../held-lease.ts";
import {
  checkLeaseTtl,
  checkMessage,
  checkName,
  checkPrefix,
  checkStateTtl,
  checkTake,
  sampleText,
  stateText,
} from "../limits.ts";
import { EmbeddedState } from "./embedded-state.ts";

/** @param state where several of them are to be one cluster's */
export function embeddedCoordinator(clock: Clock, state = new EmbeddedState(clock)): Coordinator {
  const leases = new Set<HeldLease>();
  const subscriptions = new Set<() => void>();
  let closed = false;
  const requireOpen = (): void => {
    if (closed) throw new CoordinatorError("unavailable", "the coordinator is closed");
  };
  return {
    kind: "embedded",
    get available() {
      return !closed;
    },
    onAvailability: () => () => {},

    async acquire(name, ttlMs): Promise<Lease | undefined> {
      checkName(name);
      checkLeaseTtl(ttlMs);
      requireOpen();
      const holder = {};
      const askedAtMs = clock.monotonicMs();
      if (!state.acquire(name, holder, ttlMs)) return undefined;
      const renew = async (): Promise<boolean> => state.renew(name, holder, ttlMs);
      const release = async (): Promise<void> => state.release(name, holder);
      const lease = new HeldLease({ name, ttlMs, askedAtMs, clock, calls: { renew, release } });
      leases.add(lease);
      lease.lost.addEventListener("abort", () => leases.delete(lease), { once: true });
      return lease;
    },

    async publish(channel, message) {
      checkName(channel);
      checkMessage(message);
      requireOpen();
      state.publish(channel, message);
    },
    subscribe(channel, listener) {
      checkName(channel);
      const end = state.subscribe(channel, listener);
      subscriptions.add(end);
      return () => {
        subscriptions.delete(end);
        end();
      };
    },

    async take(name, amount, rate) {
      checkName(name);
      checkTake(amount, rate);
      requireOpen();
      return state.take(name, amount, rate);
    },

    async putState(name, document, ttlMs) {
      checkName(name);
      checkStateTtl(ttlMs);
      requireOpen();
      state.putState(name, stateText(document), ttlMs);
    },
    async dropState(name) {
      checkName(name);
      requireOpen();
      state.dropState(name);
    },
    async states(prefix) {
      checkPrefix(prefix);
      requireOpen();
      return state.states(prefix).map(([name, text]) => ({ name, document: parse(text) }));
    },

    async addSample(series, sample) {
      checkName(series);
      requireOpen();
      state.addSample(series, sampleText(sample));
    },
    async samples(series, sinceMs) {
      checkName(series);
      requireOpen();
      return state.samples(series, sinceMs).map(({ atMs, text }) => ({ atMs, sample: parse(text) }));
    },

    async [Symbol.asyncDispose]() {
      closed = true;
      for (const end of subscriptions) end();
      await Promise.all([...leases].map((lease) => lease.release()));
    },
  };
}

function parse(text: string): unknown {
  return JSON.parse(text);
}
