import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeFigures } from "../../../../src/nodes/node-figures.ts";
import { FULL_PAUSE_MS, RoomWatch, usedShare } from "../../../../src/nodes/wrappers/room-watch.ts";
import { ManualClock } from "../../../support/manual-clock.ts";

function subject() {
  const clock = new ManualClock(0);
  const told: { figures: NodeFigures } = { figures: {} };
  return { clock, told, room: new RoomWatch({ figures: { last: () => told.figures }, clock }) };
}

function filled(percent: number): NodeFigures {
  return { capacity: { totalBytes: 1_000, usedBytes: 0, freeBytes: 1_000 - percent * 10 } };
}

test("a node has room until something says otherwise", () => {
  assert.equal(subject().room.hasRoom(), true);
});

test("a node that answered full has no room for a while", () => {
  const { room, clock } = subject();
  room.refused();
  assert.equal(room.hasRoom(), false);
  clock.advance(FULL_PAUSE_MS - 1);
  assert.equal(room.hasRoom(), false);
  clock.advance(1);
  assert.equal(room.hasRoom(), true);
});

test("a node filled beyond the high-water mark has no room until it tells of more, or its figures are stale", () => {
  const { room, told } = subject();
  for (const [figures, hasRoom] of [
    [filled(95), true],
    [filled(96), false],
    [filled(50), true],
    [filled(100), false],
    [{ inflight: 3 }, true],
  ] as const) {
    told.figures = figures;
    assert.equal(room.hasRoom(), hasRoom);
  }
});

test("the used share counts everything that fills a node", () => {
  assert.equal(usedShare({ totalBytes: 100, usedBytes: 10, freeBytes: 30 }), 0.7);
  assert.equal(usedShare({ totalBytes: 0, usedBytes: 0, freeBytes: 0 }), 1);
});
