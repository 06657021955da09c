import assert from "node:assert/strict";
import { test } from "node:test";
import {
  CORRUPT_BLOCKS,
  CORRUPT_WINDOW_MS,
  CorruptionWatch,
  SLOW_FLOOR_MS,
  SLOW_JUDGEMENTS,
  SlowJudge,
} from "../../../../src/cluster/health/conditions.ts";
import { LiveSigns } from "../../../../src/nodes/wrappers/live-signs.ts";
import { ManualClock } from "../../../support/manual-clock.ts";

/** What the judge says after each of the latencies. */
function verdicts(latencies: readonly (number | undefined)[], peersMs: readonly number[]): boolean[] {
  const judge = new SlowJudge();
  return latencies.map((latencyMs) => {
    judge.judge(latencyMs, peersMs);
    return judge.slow;
  });
}

test("a node is slow only when it is far above its peers, above the floor, and that several times in a row", () => {
  assert.deepEqual(verdicts([900, 900, 900], [10, 10]), [false, false, true]);
  assert.deepEqual(verdicts([900, 10, 900, 900, 10], [10, 10]), [false, false, false, false, false]);
  assert.deepEqual(verdicts([SLOW_FLOOR_MS, SLOW_FLOOR_MS, SLOW_FLOOR_MS], [1]), [false, false, false]);
  // All of them are slow: that is the network, or the load.
  assert.deepEqual(verdicts([2_000, 2_000, 2_000], [800, 900]), [false, false, false]);
  assert.deepEqual(verdicts([2_000, 2_000, 2_000], []), [false, false, false]);
  assert.deepEqual(verdicts([undefined, undefined, undefined], [10]), [false, false, false]);
});

test("a slow node is well again only below half of what made it slow, several times in a row", () => {
  const judge = new SlowJudge();
  for (let look = 0; look < SLOW_JUDGEMENTS; look++) judge.judge(2_000, [100]);
  assert.equal(judge.slow, true);
  for (let look = 0; look < 10; look++) judge.judge(300, [100]);
  assert.equal(judge.slow, true, "300 is above half the floor and above twice its peers");
  for (let look = 0; look < SLOW_JUDGEMENTS; look++) judge.judge(200, [100]);
  assert.equal(judge.slow, false);
});

test("a node is corrupt for as long as its bad blocks lie within an hour", () => {
  const watch = new CorruptionWatch();
  for (let block = 0; block < CORRUPT_BLOCKS; block++) {
    assert.equal(watch.corrupt(block * 1_000), false);
    watch.found(block * 1_000);
  }
  assert.equal(watch.corrupt(CORRUPT_WINDOW_MS - 1), true);
  assert.equal(watch.corrupt(CORRUPT_WINDOW_MS), false);
  const seldom = new CorruptionWatch();
  for (let block = 0; block < 20; block++) {
    seldom.found((block * CORRUPT_WINDOW_MS) / 2);
    assert.equal(seldom.corrupt((block * CORRUPT_WINDOW_MS) / 2), false);
  }
});

test("live signs: small calls of the last minutes make the mean, and only traffic shows that a node can be reached", () => {
  const clock = new ManualClock();
  const signs = new LiveSigns(clock);
  for (let call = 0; call < 3; call++) signs.succeeded("probe", 100, 0);
  assert.deepEqual(signs.signs(), { lastSuccessMs: undefined, latencyMs: undefined, calls: 3 });
  signs.succeeded("get", 300, 1_000);
  assert.deepEqual(signs.signs(), { lastSuccessMs: clock.monotonicMs(), latencyMs: 150, calls: 4 });
  // They say more of what was moved, or listed, than of the node.
  signs.succeeded("put", 60_000, 64 * 2 ** 20);
  signs.succeeded("list", 60_000, 0);
  assert.equal(signs.signs().latencyMs, 150);
  // Nobody was asked for it.
  clock.advance(10);
  signs.succeeded("capacity", 0, 0);
  assert.equal(signs.signs().lastSuccessMs, clock.monotonicMs() - 10);
  clock.advance(300_001);
  assert.equal(signs.signs().latencyMs, undefined);
  for (let call = 0; call < 1_000; call++) signs.succeeded("head", 5, 0);
  assert.equal(signs.signs().latencyMs, 5);
});
