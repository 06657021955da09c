import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CapacityAnnouncer, type CapacityChange, capacityChanged } from "../../../src/nodes/capacity-change.ts";
import type { Capacity } from "../../../src/nodes/storage-node.ts";

const of = (totalBytes: number, usedBytes: number): Capacity => ({
  totalBytes,
  usedBytes,
  freeBytes: totalBytes - usedBytes,
});

test("a capacity changed when its total or its used bytes differ by a tenth of the total", () => {
  const before = of(1_000, 200);
  for (const [now, changed] of [
    [of(1_000, 200), false],
    [of(1_099, 200), false],
    [of(1_100, 200), true],
    [of(901, 200), false],
    [of(900, 200), true],
    [of(1_000, 299), false],
    [of(1_000, 300), true],
    [of(1_000, 100), true],
  ] as const) {
    assert.equal(capacityChanged(before, now), changed, JSON.stringify(now));
  }
});

test("a nearly empty node does not change with every object", () => {
  assert.equal(capacityChanged(of(1_000_000, 1), of(1_000_000, 1_000)), false);
});

test("small changes add up: they are measured from what was announced last", () => {
  const announcer = new CapacityAnnouncer();
  const heard: CapacityChange[] = [];
  announcer.onChanged((change) => heard.push(change));
  for (let used = 0; used <= 250; used += 10) announcer.saw(of(1_000, used));
  assert.deepEqual(
    heard.map(({ before, now }) => [before.usedBytes, now.usedBytes]),
    [
      [0, 100],
      [100, 200],
    ],
  );
});

test("the first capacity is no change, nor is one that is not known for a while", () => {
  const announcer = new CapacityAnnouncer();
  let heard = 0;
  const stop = announcer.onChanged(() => heard++);
  announcer.saw(undefined);
  announcer.saw(of(1_000, 0));
  announcer.saw(undefined);
  announcer.saw(of(1_000, 50));
  assert.equal(heard, 0);
  announcer.saw(of(2_000, 50));
  assert.equal(heard, 1);
  stop();
  announcer.saw(of(3_000, 50));
  assert.equal(heard, 1);
});

test("what was announced is never further than a tenth from what was seen", () => {
  const amount = fc.integer({ min: 1, max: 1_000_000 });
  fc.assert(
    fc.property(fc.array(fc.tuple(amount, amount), { minLength: 1 }), (seen) => {
      const announcer = new CapacityAnnouncer();
      let announced: Capacity | undefined;
      announcer.onChanged(({ before, now }) => {
        assert.deepEqual(before, announced);
        announced = now;
      });
      for (const [total, part] of seen) {
        const now = of(total, Math.min(total, part));
        announced ??= now;
        announcer.saw(now);
        assert.equal(capacityChanged(announced, now), false);
      }
    }),
  );
});
