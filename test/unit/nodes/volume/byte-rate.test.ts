import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteRate } from "../../../../src/nodes/volume/byte-rate.ts";
import { ManualClock } from "../../../support/manual-clock.ts";

const forever = new AbortController().signal;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("no more than the rate passes, however much is asked for at once", async () => {
  const clock = new ManualClock();
  const rate = new ByteRate(clock, 1_000_000);
  let passed = 0;
  const all = Promise.all(Array.from({ length: 50 }, () => rate.take(100_000, forever).then(() => passed++)));
  for (let second = 0; second < 5; second++) {
    await turn();
    // What was not used of the last tenth of a second may pass as well.
    assert.ok(passed <= second * 10 + 2 && passed >= second * 10, `${passed} after ${second} s`);
    clock.advance(1000);
  }
  await all;
  assert.equal(clock.timers, 0);
});

test("what was not used is not kept for long", async () => {
  const clock = new ManualClock();
  const rate = new ByteRate(clock, 1_000_000);
  await rate.take(1, forever);
  clock.advance(3_600_000);
  let passed = 0;
  for (let i = 0; i < 10; i++) void rate.take(100_000, forever).then(() => passed++);
  await turn();
  assert.ok(passed <= 2);
  clock.advance(10_000);
});

test("whoever waits leaves when it is told to; without a limit nobody waits", async () => {
  const clock = new ManualClock();
  const rate = new ByteRate(clock, 1000);
  const leaving = new AbortController();
  await rate.take(1_000_000, forever);
  const waiting = rate.take(1, leaving.signal);
  leaving.abort(new Error("closed"));
  await assert.rejects(waiting, /closed/);
  assert.equal(clock.timers, 0);
  const free = new ByteRate(clock, 0);
  for (let i = 0; i < 3; i++) await free.take(1e12, forever);
});
