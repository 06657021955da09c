import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type CompactableVolume,
  deadBytes,
  type PlanRequest,
  planCompaction,
  tombstoneBytes,
} from "../../../../src/nodes/volume/compaction-plan.ts";
import { recordBytes } from "../../../../src/nodes/volume/layout.ts";

const LIMITS = {
  compactionDeadPercent: 25,
  compactionDeadPercentLow: 5,
  compactionLowFreePercent: 10,
  compactionOpenDeadBytesMin: 5000,
};

function volume(number: number, given: Partial<CompactableVolume> = {}): CompactableVolume {
  return {
    number,
    bytes: 10_000,
    liveBytes: 10_000,
    tombstones: 0,
    state: "sealed",
    inUse: false,
    stuck: false,
    oldTombstones: false,
    ...given,
  };
}

function plan(volumes: readonly CompactableVolume[], given: Partial<PlanRequest> = {}) {
  const disk = { totalBytes: 1_000_000, freeBytes: 500_000 };
  return planCompaction({ volumes, lastNumber: 100, disk, reserveBytes: 1000, limits: LIMITS, ...given });
}

test("a volume of which nothing is wanted goes first, then the one with the largest dead share", () => {
  const volumes = [
    volume(1, { liveBytes: 7000 }),
    volume(2, { liveBytes: 3000 }),
    volume(3, { liveBytes: 0 }),
    volume(4, { liveBytes: 5000 }),
  ];
  assert.deepEqual(plan(volumes), { kind: "remove", volume: 3 });
  assert.deepEqual(plan(volumes.toSpliced(2, 1)), { kind: "empty", volume: 2 });
});

test("an empty volume that is read is waited for, and does not hold up the others", () => {
  const volumes = [volume(1, { liveBytes: 0, inUse: true }), volume(2, { liveBytes: 3000 })];
  assert.deepEqual(plan(volumes), { kind: "empty", volume: 2 });
  assert.equal(plan(volumes.slice(0, 1)), undefined);
});

test("the volume with the highest number is neither emptied nor removed", () => {
  const volumes = [volume(5, { liveBytes: 0 }), volume(5, { liveBytes: 10 })];
  assert.equal(plan(volumes, { lastNumber: 5 }), undefined);
});

test("less than the threshold stays, except while the disk is nearly full", () => {
  const volumes = [volume(1, { liveBytes: 7600 })];
  assert.equal(plan(volumes), undefined);
  const scarce = { totalBytes: 1_000_000, freeBytes: 90_000 };
  assert.deepEqual(plan(volumes, { disk: scarce }), { kind: "empty", volume: 1 });
  assert.equal(plan([volume(1, { liveBytes: 9600 })], { disk: scarce }), undefined);
});

test("what lives in a volume has to fit on the disk beside it", () => {
  const volumes = [volume(1, { liveBytes: 3000 }), volume(2, { liveBytes: 6000 })];
  assert.deepEqual(plan(volumes, { disk: { totalBytes: 1_000_000, freeBytes: 4000 } }), { kind: "empty", volume: 1 });
  assert.equal(plan(volumes, { disk: { totalBytes: 1_000_000, freeBytes: 3999 } }), undefined);
});

test("a volume in which something had to stay is left alone, and so is one that is not sealed", () => {
  const volumes = [volume(1, { liveBytes: 3000, stuck: true }), volume(2, { liveBytes: 0, state: "other" })];
  assert.equal(plan(volumes), undefined);
});

test("a volume that takes records is closed when enough of it is dead", () => {
  assert.deepEqual(plan([volume(1, { liveBytes: 5000, state: "small" })]), { kind: "close", lane: "small" });
  assert.deepEqual(plan([volume(1, { liveBytes: 5000, state: "large" })]), { kind: "close", lane: "large" });
  assert.equal(plan([volume(1, { liveBytes: 5001, state: "small" })]), undefined);
  assert.equal(plan([volume(1, { liveBytes: 60_000, bytes: 70_000, state: "small" })]), undefined);
});

test("tombstones are live until so much was removed that they are worth a look", () => {
  const bytes = 10 * tombstoneBytes(1000);
  const volumes = [volume(1, { bytes, liveBytes: 0, tombstones: 10_000 })];
  assert.equal(plan(volumes), undefined);
  assert.deepEqual(plan([volume(1, { bytes, liveBytes: 0, tombstones: 10_000, oldTombstones: true })]), {
    kind: "empty",
    volume: 1,
  });
});

test("deletions are counted as the records that hold them all, and nothing is dead below zero", () => {
  assert.equal(tombstoneBytes(0), 0);
  assert.equal(tombstoneBytes(1), recordBytes(20));
  assert.equal(tombstoneBytes(2001), 2 * recordBytes(20_000) + recordBytes(20));
  fc.assert(
    fc.property(fc.nat(1e9), fc.nat(1e9), fc.nat(1e7), (bytes, liveBytes, tombstones) => {
      const dead = deadBytes({ bytes, liveBytes, tombstones });
      assert.ok(dead >= 0 && dead <= bytes);
    }),
  );
});
