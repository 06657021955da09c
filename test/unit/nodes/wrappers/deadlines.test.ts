import assert from "node:assert/strict";
import { test } from "node:test";
import { type Deadline, Deadlines } from "../../../../src/nodes/wrappers/deadlines.ts";
import { ManualClock } from "../../../support/manual-clock.ts";

function deadlineAt(atMs: number, fired: number[]): Deadline & { atMs: number } {
  const deadline = { atMs, expire: () => void fired.push(deadline.atMs) };
  return deadline;
}

test("a deadline expires once, at most a tick late", () => {
  const clock = new ManualClock(0);
  const deadlines = new Deadlines(clock, 100);
  const fired: number[] = [];
  deadlines.add(deadlineAt(250, fired));
  deadlines.add(deadlineAt(1_000, fired));
  clock.advance(249);
  assert.deepEqual(fired, []);
  clock.advance(100);
  assert.deepEqual(fired, [250]);
  clock.advance(10_000);
  assert.deepEqual(fired, [250, 1_000]);
});

test("one timer serves all deadlines, and none runs when nothing is watched", () => {
  const clock = new ManualClock(0);
  const deadlines = new Deadlines(clock, 100);
  const watched = Array.from({ length: 50 }, (_, i) => deadlineAt(10_000 + i, []));
  for (const deadline of watched) deadlines.add(deadline);
  assert.equal(clock.timers, 1);
  for (const deadline of watched) deadlines.delete(deadline);
  clock.advance(100);
  assert.equal(clock.timers, 0);
});

test("a deadline that is moved or taken away does not expire at its old time", () => {
  const clock = new ManualClock(0);
  const deadlines = new Deadlines(clock, 100);
  const fired: number[] = [];
  const moved = deadlineAt(200, fired);
  const gone = deadlineAt(200, fired);
  const resting = deadlineAt(Number.POSITIVE_INFINITY, fired);
  for (const deadline of [moved, gone, resting]) deadlines.add(deadline);
  moved.atMs = 900;
  deadlines.delete(gone);
  clock.advance(800);
  assert.deepEqual(fired, []);
  clock.advance(100);
  assert.deepEqual(fired, [900]);
});

test("what is added while deadlines expire is watched too", () => {
  const clock = new ManualClock(0);
  const deadlines = new Deadlines(clock, 100);
  const fired: number[] = [];
  deadlines.add({ atMs: 100, expire: () => deadlines.add(deadlineAt(300, fired)) });
  clock.advance(1_000);
  assert.deepEqual(fired, [300]);
});
