import assert from "node:assert/strict";
import { test } from "node:test";
import { type Capacity, NodeError } from "../../../../src/nodes/storage-node.ts";
import { FULL_PAUSE_MS, RoomWatch, usedShare } from "../../../../src/nodes/wrappers/room-watch.ts";
import { ManualClock } from "../../../support/manual-clock.ts";
import { HeldCalls, stubNode, turns } from "./stub-node.ts";

const CACHE_MS = 60_000;

function subject() {
  const clock = new ManualClock(0);
  const asked = new HeldCalls<Capacity | undefined>();
  const state = { available: true };
  const node = stubNode({ capacity: () => asked.call(undefined) });
  const room = new RoomWatch({ node, clock, capacityCacheMs: CACHE_MS, available: () => state.available });
  const told = async (capacity: Capacity | undefined): Promise<void> => {
    room.lastCapacity();
    asked.resolve(capacity);
    await turns();
  };
  return { clock, asked, state, room, told };
}

function filled(percent: number): Capacity {
  return { totalBytes: 1_000, usedBytes: 0, freeBytes: 1_000 - percent * 10 };
}

test("a node has room until something says otherwise, and asking does not wait for the node", () => {
  const { room, asked } = subject();
  assert.equal(room.hasRoom(), true);
  assert.equal(room.lastCapacity(), undefined);
  assert.equal(asked.held.length, 1);
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

test("a node filled beyond the high-water mark has no room until it tells of more", async () => {
  const { room, clock, told } = subject();
  await told(filled(95));
  assert.equal(room.hasRoom(), true);
  clock.advance(CACHE_MS);
  await told(filled(96));
  assert.equal(room.hasRoom(), false);
  clock.advance(CACHE_MS - 1);
  assert.equal(room.hasRoom(), false);
  clock.advance(1);
  await told(filled(50));
  assert.equal(room.hasRoom(), true);
});

test("the capacity is asked for once an interval, however often it is looked at", async () => {
  const { room, clock, asked, told } = subject();
  for (let i = 0; i < 10; i++) room.lastCapacity();
  assert.equal(asked.signals.length, 1);
  await told(filled(10));
  for (let i = 0; i < 10; i++) {
    assert.deepEqual(room.lastCapacity(), filled(10));
    room.hasRoom();
  }
  assert.equal(asked.signals.length, 1);
  clock.advance(CACHE_MS);
  assert.deepEqual(room.lastCapacity(), filled(10));
  assert.equal(asked.signals.length, 2);
});

test("a node that cannot tell now keeps what it told last, and is asked again soon", async () => {
  const { room, clock, asked, told } = subject();
  await told(filled(96));
  clock.advance(CACHE_MS);
  room.lastCapacity();
  asked.held.shift()?.reject(new NodeError("timeout", "as the test says"));
  await turns();
  assert.equal(room.hasRoom(), false);
  assert.equal(asked.signals.length, 2);
  clock.advance(5_000);
  room.lastCapacity();
  assert.equal(asked.signals.length, 3);
  asked.held.shift()?.reject(new TypeError("a bug"));
  await turns();
  assert.equal(room.hasRoom(), false);
});

test("a node that calls are kept away from is not asked", () => {
  const { room, asked, state } = subject();
  state.available = false;
  assert.equal(room.hasRoom(), true);
  assert.equal(asked.signals.length, 0);
});

test("the used share counts everything that fills a node", () => {
  assert.equal(usedShare({ totalBytes: 100, usedBytes: 10, freeBytes: 30 }), 0.7);
  assert.equal(usedShare({ totalBytes: 0, usedBytes: 0, freeBytes: 0 }), 1);
});
