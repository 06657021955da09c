import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeFigures } from "../../../../src/nodes/node-figures.ts";
import { NodeError } from "../../../../src/nodes/storage-node.ts";
import { FiguresWatch, JITTER_SHARE, RETRY_MS, STALE_PERIODS } from "../../../../src/nodes/wrappers/figures-watch.ts";
import { ManualClock } from "../../../support/manual-clock.ts";
import { HeldCalls, turns } from "./stub-node.ts";

const CACHE_MS = 60_000;

function subject({ jitter = 0 } = {}) {
  const clock = new ManualClock();
  const asked = new HeldCalls<NodeFigures>();
  const state = { available: true };
  const heard: string[] = [];
  const watch = new FiguresWatch({
    read: () => asked.call(undefined),
    clock,
    cacheMs: CACHE_MS,
    jitter: () => jitter,
    available: () => state.available,
  });
  watch.onReading({
    read: ({ inflight }) => void heard.push(`read ${inflight}`),
    failed: ({ kind }) => void heard.push(`failed ${kind}`),
  });
  const tell = async (inflight: number): Promise<void> => {
    asked.resolve({ inflight });
    await turns();
  };
  const fail = async (error: unknown): Promise<void> => {
    asked.held.shift()?.reject(error);
    await turns();
  };
  return { clock, asked, state, watch, heard, tell, fail, count: () => asked.signals.length };
}

const passing = new NodeError("timeout", "as the test says");
const lasting = new NodeError("access-denied", "as the test says");

test("nothing is known until the node has told, and nobody waits for it", async () => {
  const { watch, tell, count } = subject();
  assert.deepEqual(watch.last(), {});
  assert.equal(count(), 1);
  await tell(3);
  assert.deepEqual(watch.last(), { inflight: 3 });
});

test("a node is asked once a cache period, however often its figures are looked at, and once at a time", async () => {
  const { watch, clock, tell, count } = subject();
  for (let i = 0; i < 10; i++) watch.last();
  watch.refresh();
  assert.equal(count(), 1);
  await tell(1);
  clock.advance(CACHE_MS - 1);
  for (let i = 0; i < 10; i++) assert.deepEqual(watch.last(), { inflight: 1 });
  assert.equal(count(), 1);
  clock.advance(1);
  assert.deepEqual(watch.last(), { inflight: 1 });
  assert.equal(count(), 2);
});

test("nodes are asked up to a fifth of the period sooner, each at another time", async () => {
  const { watch, clock, tell, count } = subject({ jitter: 1 });
  watch.last();
  await tell(1);
  clock.advance(CACHE_MS * (1 - JITTER_SHARE) - 1);
  watch.last();
  assert.equal(count(), 1);
  clock.advance(1);
  watch.last();
  assert.equal(count(), 2);
});

test("figures that cannot be read anew are kept for three periods and are unknown from then on", async () => {
  const { watch, clock, tell, fail } = subject();
  watch.last();
  await tell(1);
  for (let period = 1; period < STALE_PERIODS; period++) {
    clock.advance(CACHE_MS);
    assert.deepEqual(watch.last(), { inflight: 1 });
    await fail(lasting);
  }
  clock.advance(CACHE_MS - 1);
  assert.deepEqual(watch.last(), { inflight: 1 });
  clock.advance(1);
  assert.deepEqual(watch.last(), {});
  await tell(2);
  assert.deepEqual(watch.last(), { inflight: 2 });
});

test("what passes by itself is tried again soon, what does not at the end of the period", async () => {
  const { watch, clock, fail, count } = subject();
  watch.last();
  await fail(passing);
  clock.advance(RETRY_MS);
  watch.last();
  assert.equal(count(), 2);
  await fail(lasting);
  clock.advance(CACHE_MS - 1);
  watch.last();
  assert.equal(count(), 2);
  clock.advance(1);
  watch.last();
  assert.equal(count(), 3);
});

test("a node that calls are kept away from is not asked", async () => {
  const { watch, state, count } = subject();
  state.available = false;
  watch.last();
  watch.refresh();
  assert.equal(count(), 0);
  state.available = true;
  watch.last();
  assert.equal(count(), 1);
});

test("the last failure and the time of the last success are known, and listeners hear of both", async () => {
  const { watch, clock, tell, fail, heard } = subject();
  assert.deepEqual(watch.state(), { readAtMs: undefined, error: undefined });
  watch.refresh();
  await tell(1);
  const readAtMs = clock.nowMs();
  assert.deepEqual(watch.state(), { readAtMs, error: undefined });
  clock.advance(10);
  watch.refresh();
  await fail(lasting);
  assert.deepEqual(watch.state(), { readAtMs, error: lasting });
  watch.refresh();
  await fail(new TypeError("a bug"));
  assert.equal(watch.state().error?.kind, "invalid");
  watch.refresh();
  await tell(2);
  assert.equal(watch.state().error, undefined);
  assert.deepEqual(heard, ["read 1", "failed access-denied", "failed invalid", "read 2"]);
});

test("figures are kept fresh while nobody looks at them, until the watch is stopped", async () => {
  const { watch, clock, tell, count } = subject();
  watch.keepFresh();
  clock.advance(RETRY_MS);
  assert.equal(count(), 1);
  await tell(1);
  for (let period = 2; period < 6; period++) {
    clock.advance(CACHE_MS + RETRY_MS);
    assert.equal(count(), period);
    await tell(period);
  }
  assert.equal(clock.timers, 1);
  watch.stop();
  assert.equal(clock.timers, 0);
  clock.advance(10 * CACHE_MS);
  watch.last();
  assert.equal(count(), 5);
});

test("what comes after the watch was stopped is told to nobody", async () => {
  const { watch, heard, tell, clock } = subject();
  watch.keepFresh();
  watch.refresh();
  watch.stop();
  await tell(1);
  watch.keepFresh();
  assert.deepEqual([heard, clock.timers], [[], 0]);
});
