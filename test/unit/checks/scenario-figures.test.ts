import assert from "node:assert/strict";
import { test } from "node:test";
import { movedPerSecond } from "../../scenarios/commands.ts";
import { quantile, Samples } from "../../scenarios/figures.ts";

test("the rate of a phase is the median of its whole seconds, and one stall is seen in the lowest", () => {
  const samples = new Samples();
  const counts = [10, 10, 0, 10, 12];
  for (const [second, count] of counts.entries()) {
    for (let at = 0; at < count; at++) samples.add(5_000 + second * 1_000 + at, at === 0 ? 900 : 5);
  }
  // Neither what was before, nor what came after, nor a last second that is not over.
  samples.add(4_999, 1);
  samples.add(10_050, 5);
  samples.add(10_500, 1);
  const { operations, perSecond, perSecondLowest, p50Ms, p99Ms } = samples.between(5_000, 10_400);
  assert.deepEqual([operations, perSecond, perSecondLowest, p50Ms, p99Ms], [43, 10, 0, 5, 900]);
  assert.equal(samples.between(5_000, 5_400).perSecond, Number.NaN);
});

test("a quantile of nothing is no number, and of one value that value", () => {
  assert.deepEqual([quantile([], 0.5), quantile([7], 0.99), quantile([3, 1, 2], 0.5)], [Number.NaN, 7, 2]);
});

test("the rate of what was moved is that of the middle, without the way there and the wait at the end", () => {
  const looks = [0, 0, 0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 100, 100].map((moved, at) => ({
    atMs: at * 1_000,
    moved,
  }));
  assert.equal(movedPerSecond(looks), 10);
  assert.equal(movedPerSecond([]), Number.NaN);
});
