import assert from "node:assert/strict";
import { test } from "node:test";
import { fixedThrottle } from "../../../src/replication/repair/repair-throttle.ts";
import { turns } from "../../support/in-memory-gateway.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const NEVER = new AbortController().signal;

/** How many of five copies of so many bytes go within a second, and after that in the next. */
async function copiesASecond(limits: Parameters<typeof fixedThrottle>[1], bytes: number): Promise<number[]> {
  const clock = new ManualClock();
  const throttle = fixedThrottle(clock, limits);
  let gone = 0;
  const going = (async () => {
    for (let copy = 0; copy < 5; copy++) {
      await throttle.take(1, bytes, NEVER);
      gone += 1;
    }
  })();
  const after: number[] = [];
  for (let second = 0; second < 3; second++) {
    await turns();
    after.push(gone);
    clock.advance(1_000);
  }
  for (let second = 0; second < 10; second++) {
    clock.advance(1_000);
    await turns();
  }
  await going;
  return after;
}

test("without limits everything goes at once", async () => {
  assert.deepEqual(await copiesASecond({ copiesPerSecond: "auto", bytesPerSecond: "auto" }, 1e9), [5, 5, 5]);
});

test("copies a second are limited, however small they are", async () => {
  assert.deepEqual(await copiesASecond({ copiesPerSecond: 1, bytesPerSecond: "auto" }, 1), [1, 2, 3]);
});

test("bytes a second are limited, however few the copies are", async () => {
  assert.deepEqual(await copiesASecond({ copiesPerSecond: 1_000, bytesPerSecond: 1_000 }, 1_000), [1, 2, 3]);
});
