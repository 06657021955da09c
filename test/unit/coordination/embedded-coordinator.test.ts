import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CoordinatorError } from "../../../src/coordination/coordinator.ts";
import { embeddedCoordinator } from "../../../src/coordination/embedded/embedded-coordinator.ts";
import { EmbeddedState } from "../../../src/coordination/embedded/embedded-state.ts";
import { HISTORY_MS, NAMES_MAX, SAMPLES_MAX, STATES_LISTED_MAX } from "../../../src/coordination/limits.ts";
import { coordinatorContract } from "../../contract/coordinator-contract.ts";
import { ManualClock } from "../../support/manual-clock.ts";

coordinatorContract("embedded", undefined, async () => {
  const clock = new ManualClock();
  const state = new EmbeddedState(clock);
  return {
    leaseMs: 1_000,
    join: async () => embeddedCoordinator(clock, state),
    async pass(ms) {
      for (let passed = 0; passed < ms; passed += 10) {
        clock.advance(Math.min(10, ms - passed));
        await new Promise(setImmediate);
      }
    },
    [Symbol.asyncDispose]: async () => {},
  };
});

test("no more is taken from a bucket than its burst and what came in since", async () => {
  const takes = fc.array(fc.tuple(fc.nat(3_000), fc.integer({ min: 1, max: 10 })), { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(takes, fc.integer({ min: 1, max: 20 }), async (steps, perSecond) => {
      const clock = new ManualClock();
      const coordinator = embeddedCoordinator(clock);
      const startMs = clock.monotonicMs();
      let taken = 0;
      for (const [passMs, amount] of steps) {
        clock.advance(passMs);
        const waitMs = await coordinator.take("copies", amount, { perSecond, burst: 10 });
        if (waitMs === 0) taken += amount;
        assert.ok(taken <= 10 + ((clock.monotonicMs() - startMs) / 1000) * perSecond + 1e-6);
      }
    }),
  );
});

test("who waits as long as it is told finds enough, if nobody else came", async () => {
  const amounts = fc.array(fc.integer({ min: 1, max: 10 }), { minLength: 1, maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(amounts, fc.double({ min: 0.1, max: 50, noNaN: true }), async (wanted, perSecond) => {
      const clock = new ManualClock();
      const coordinator = embeddedCoordinator(clock);
      for (const amount of wanted) {
        const waitMs = await coordinator.take("copies", amount, { perSecond, burst: 10 });
        if (waitMs === 0) continue;
        clock.advance(waitMs + 1);
        assert.equal(await coordinator.take("copies", amount, { perSecond, burst: 10 }), 0);
      }
    }),
  );
});

test("a history is of a day and of so many samples, and a list of states of so many", async () => {
  const clock = new ManualClock();
  const coordinator = embeddedCoordinator(clock);
  await coordinator.addSample("job", { at: "yesterday" });
  clock.advance(HISTORY_MS + 1);
  assert.deepEqual(await coordinator.samples("job", 0), []);
  for (let number = 0; number <= SAMPLES_MAX; number++) await coordinator.addSample("job", { number });
  const kept = await coordinator.samples("job", 0);
  assert.equal(kept.length, SAMPLES_MAX);
  assert.deepEqual(kept[0]?.sample, { number: 1 });

  for (let number = 0; number < NAMES_MAX; number++) await coordinator.putState(`state/${number}`, {}, 1_000);
  assert.equal((await coordinator.states("state/")).length, STATES_LISTED_MAX);
  const isFull = (error: unknown): boolean => error instanceof CoordinatorError && error.kind === "invalid";
  await assert.rejects(coordinator.putState("one-more", {}, 1_000), isFull);
  await coordinator.putState("state/0", { again: true }, 1_000);
  clock.advance(1_000);
  await coordinator.putState("one-more", {}, 1_000);
});
