import assert from "node:assert/strict";
import { test } from "node:test";
import { LeaseEndedError } from "../../../src/coordination/coordinator.ts";
import { HeldLease, type LeaseCalls } from "../../../src/coordination/held-lease.ts";
import type { Clock } from "../../../src/shared/clock.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const TTL_MS = 10_000;
/** When its holder lets go, counted from the last request that was granted. */
const DEADLINE_MS = 9_000;

/** A lease over a coordinator whose answers the test gives. */
function hold(askedBeforeMs = 0) {
  const clock = new ManualClock();
  const renewals: { answer: (renewed: boolean) => void; fail: () => void }[] = [];
  let released = 0;
  const calls: LeaseCalls = {
    renew: () =>
      new Promise((resolve, reject) => {
        renewals.push({ answer: resolve, fail: () => reject(new Error("no answer")) });
      }),
    async release() {
      released++;
      throw new Error("no answer");
    },
  };
  const askedAtMs = clock.monotonicMs();
  clock.advance(askedBeforeMs);
  const lease = new HeldLease({ name: "repair", ttlMs: TTL_MS, askedAtMs, calls, clock });
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await new Promise(setImmediate);
  };
  const reason = (): string | undefined =>
    lease.lost.reason instanceof LeaseEndedError ? lease.lost.reason.reason : undefined;
  return { clock, lease, renewals, pass, reason, released: () => released };
}

test("a lease is renewed after a third of its time, and again after each answer", async () => {
  const { lease, renewals, pass } = hold();
  for (let round = 0; round < 10; round++) {
    await pass(3_400);
    assert.equal(renewals.length, round + 1);
    renewals[round]?.answer(true);
    await pass(0);
    assert.equal(lease.held, true);
  }
});

test("its time counts from before the request that was granted, not from the answer", async () => {
  const { lease, renewals, pass, reason } = hold(2_000);
  await pass(DEADLINE_MS - 2_000 - 1);
  assert.equal(lease.held, true);
  assert.equal(renewals.length, 1);
  await pass(1);
  assert.equal(lease.held, false);
  assert.equal(reason(), "expired");

  const late = hold();
  await late.pass(3_400);
  await late.pass(5_000);
  late.renewals[0]?.answer(true);
  await late.pass(0);
  assert.equal(late.lease.held, true);
  // Asked for at about 3.4 s.
  await late.pass(3_400 + DEADLINE_MS - 8_400 - 100);
  assert.equal(late.lease.held, true);
  await late.pass(100);
  assert.equal(late.lease.held, false);
});

test("while renewals fail they are tried again, and the holder lets go before anybody else can have it", async () => {
  const { lease, renewals, pass, reason } = hold();
  for (let tried = 0; lease.held; ) {
    await pass(100);
    if (renewals.length === tried) continue;
    renewals[tried]?.fail();
    tried++;
  }
  assert.equal(reason(), "expired");
  assert.ok(renewals.length > 5, `${renewals.length} tries`);
  const tries = renewals.length;
  await pass(60_000);
  assert.equal(renewals.length, tries, "nobody asks for what is lost");
});

test("an answer that comes when it is over does not bring it back", async () => {
  const { lease, renewals, pass } = hold();
  await pass(3_400);
  await pass(DEADLINE_MS);
  renewals[0]?.answer(true);
  await pass(0);
  assert.equal(lease.held, false);
  await pass(60_000);
  assert.equal(renewals.length, 1);
});

test("one that turns out to be gone or another's is lost at once", async () => {
  const { lease, renewals, pass, reason } = hold();
  await pass(3_400);
  renewals[0]?.answer(false);
  await pass(0);
  assert.equal(lease.lost.aborted, true);
  assert.equal(reason(), "taken");
});

test("it is not held past its time even where no timer said so: the process may have stood still", () => {
  let nowMs = 0;
  const stopped: Clock = { monotonicMs: () => nowMs, nowMs: () => nowMs, startTimer: () => ({ stop() {} }) };
  const calls = { renew: async () => true, release: async () => {} };
  const lease = new HeldLease({ name: "repair", ttlMs: TTL_MS, askedAtMs: nowMs, calls, clock: stopped });
  nowMs += DEADLINE_MS;
  assert.equal(lease.held, false);
});

test("giving it back ends it here whatever the coordinator says, and once", async () => {
  const { clock, lease, pass, reason, released } = hold();
  await lease.release();
  await lease.release();
  assert.equal(released(), 1);
  assert.equal(reason(), "released");
  assert.equal(clock.timers, 0);
  await pass(60_000);
});
