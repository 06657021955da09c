import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { BlobStat, StorageNode } from "../../../../src/nodes/storage-node.ts";
import { Deadlines } from "../../../../src/nodes/wrappers/deadlines.ts";
import { LimitedNode } from "../../../../src/nodes/wrappers/limited-node.ts";
import type { ConcurrencyLimits } from "../../../../src/nodes/wrappers/limits.ts";
import { NotAskedError } from "../../../../src/nodes/wrappers/not-asked-error.ts";
import { assertFails } from "../../../contract/storage-node-contract.ts";
import { collect } from "../../../support/blobs.ts";
import { ManualClock } from "../../../support/manual-clock.ts";
import { HeldCalls, HeldRead, KEY, RANGE, stubNode, turns, watch } from "./stub-node.ts";

const LIMITS: ConcurrencyLimits = { inflightMax: 2, waitingMax: 3, waitMs: 3_000 };
const TICK_MS = 100;

function limited(calls: Partial<StorageNode>, limits: Partial<ConcurrencyLimits> = {}) {
  const clock = new ManualClock(0);
  const node = new LimitedNode(stubNode(calls), new Deadlines(clock, TICK_MS), { ...LIMITS, ...limits });
  return { node, clock };
}

test("no more calls than allowed are made at a time, and the others follow as these end", async () => {
  const calls = new HeldCalls<BlobStat | undefined>();
  const { node } = limited({ head: (_, signal) => calls.call(signal) });
  const heads = Array.from({ length: 5 }, () => watch(node.head(KEY)));
  await turns();
  assert.equal(calls.held.length, 2);
  assert.deepEqual(node.load(), { inflight: 2, waiting: 3 });
  calls.resolve(undefined);
  await turns();
  assert.equal(calls.held.length, 2);
  assert.deepEqual(node.load(), { inflight: 2, waiting: 2 });
  calls.reject("unreachable");
  while (calls.held.length > 0) {
    calls.resolve(undefined);
    await turns();
  }
  assert.deepEqual(
    heads.map(({ outcome }) => outcome),
    ["ok", "unreachable", "ok", "ok", "ok"],
  );
  assert.deepEqual(node.load(), { inflight: 0, waiting: 0 });
});

test("whoever came first has the first turn", async () => {
  const order: number[] = [];
  const calls = new HeldCalls<BlobStat | undefined>();
  const { node } = limited(
    {
      head(key, signal) {
        order.push(Number.parseInt(key.slice(-2), 16));
        return calls.call(signal);
      },
    },
    { inflightMax: 1, waitingMax: 20 },
  );
  const heads = Array.from({ length: 20 }, (_, i) =>
    node.head(`${KEY.slice(0, -2)}${i.toString(16).padStart(2, "0")}`),
  );
  for (let i = 0; i < 20; i++) {
    await turns(1);
    calls.resolve(undefined);
  }
  await Promise.all(heads);
  assert.deepEqual(
    order,
    Array.from({ length: 20 }, (_, i) => i),
  );
});

test("a call that finds the queue full is answered busy at once, without the node being asked", async () => {
  const calls = new HeldCalls<BlobStat | undefined>();
  const { node } = limited({ head: (_, signal) => calls.call(signal) });
  for (let i = 0; i < 5; i++) watch(node.head(KEY));
  const error = await assertFails(node.head(KEY), "busy");
  assert.ok(error instanceof NotAskedError);
  await turns();
  assert.equal(calls.signals.length, 2);
});

test("a call that waits too long for its turn is answered busy", async () => {
  const calls = new HeldCalls<BlobStat | undefined>();
  const { node, clock } = limited({ head: (_, signal) => calls.call(signal) });
  const heads = Array.from({ length: 3 }, () => watch(node.head(KEY)));
  clock.advance(LIMITS.waitMs - 1);
  await turns();
  assert.equal(heads[2]?.outcome, "pending");
  clock.advance(1 + TICK_MS);
  await turns();
  assert.deepEqual(
    heads.map(({ outcome }) => outcome),
    ["pending", "pending", "busy"],
  );
  assert.ok(heads[2]?.error instanceof NotAskedError);
  assert.deepEqual(node.load(), { inflight: 2, waiting: 0 });
});

test("a call whose signal aborts while it waits leaves the queue", async () => {
  const calls = new HeldCalls<BlobStat | undefined>();
  const { node } = limited({ head: (_, signal) => calls.call(signal) });
  const abort = new AbortController();
  for (let i = 0; i < 2; i++) watch(node.head(KEY));
  const gone = watch(node.head(KEY, abort.signal));
  const next = watch(node.head(KEY));
  abort.abort();
  await turns();
  assert.equal(gone.outcome, "aborted");
  assert.deepEqual(node.load(), { inflight: 2, waiting: 1 });
  for (let i = 0; i < 3; i++) {
    calls.resolve(undefined);
    await turns();
  }
  assert.equal(next.outcome, "ok");
  assert.equal(calls.signals.length, 3);
});

test("calls that wait when the node is closed are answered unreachable", async () => {
  const calls = new HeldCalls<BlobStat | undefined>();
  const { node } = limited({ head: (_, signal) => calls.call(signal) });
  const heads = Array.from({ length: 5 }, () => watch(node.head(KEY)));
  await node.close();
  await turns();
  assert.deepEqual(
    heads.slice(2).map(({ outcome }) => outcome),
    ["unreachable", "unreachable", "unreachable"],
  );
  await assertFails(node.head(KEY), "unreachable");
});

test("health checks wait for nobody and take nobody's turn", async () => {
  const calls = new HeldCalls<BlobStat | undefined>();
  const { node } = limited({ head: (_, signal) => calls.call(signal) });
  for (let i = 0; i < 5; i++) watch(node.head(KEY));
  assert.equal((await node.probe("reach")).length, 1);
  await node.writeIdentity(new Uint8Array(1));
  assert.equal((await node.readIdentity())?.length, 1);
  assert.deepEqual(node.load(), { inflight: 2, waiting: 3 });
});

for (const [how, end] of [
  [
    "read to its end",
    async (read: HeldRead, chunks: AsyncIterator<Uint8Array>) => {
      const last = chunks.next();
      read.end();
      await last;
    },
  ],
  [
    "let go before its first chunk",
    async (_: HeldRead, chunks: AsyncIterator<Uint8Array>) => {
      await chunks.return?.();
    },
  ],
  [
    "let go twice",
    async (_: HeldRead, chunks: AsyncIterator<Uint8Array>) => {
      await chunks.return?.();
      await chunks.return?.();
    },
  ],
  [
    "broken off by the node",
    async (read: HeldRead, chunks: AsyncIterator<Uint8Array>) => {
      const next = chunks.next();
      read.fail("unreachable");
      await assertFails(next, "unreachable");
      await chunks.return?.();
    },
  ],
] as const) {
  test(`a get keeps its turn until it is ${how}, and gives it back once`, async () => {
    const read = new HeldRead();
    const { node } = limited({ get: async () => read });
    const chunks = (await node.get(KEY, RANGE))[Symbol.asyncIterator]();
    const other = (await node.get(KEY, RANGE))[Symbol.asyncIterator]();
    assert.deepEqual(node.load(), { inflight: 2, waiting: 0 });
    await end(read, chunks);
    assert.deepEqual(node.load(), { inflight: 1, waiting: 0 });
    await other.return?.();
    assert.deepEqual(node.load(), { inflight: 0, waiting: 0 });
  });
}

test("a get that fails gives its turn back", async () => {
  const { node } = limited({});
  await assertFails(node.get(KEY, RANGE), "not-found");
  await assertFails(collect(await limited({ get: async () => failingRead() }).node.get(KEY, RANGE)), "io");
  assert.deepEqual(node.load(), { inflight: 0, waiting: 0 });
});

function failingRead(): HeldRead {
  const read = new HeldRead();
  setImmediate(() => read.fail("io"));
  return read;
}

test("however calls come, end and abort, no turn is lost and none is given out twice", async () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.constant("call" as const) },
    { weight: 3, arbitrary: fc.constant("end" as const) },
    { weight: 2, arbitrary: fc.constant("abort" as const) },
    { weight: 1, arbitrary: fc.constant("pass" as const) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const calls = new HeldCalls<BlobStat | undefined>({ deaf: true });
      const { node, clock } = limited({ head: (_, signal) => calls.call(signal) });
      const aborts: AbortController[] = [];
      for (const what of steps) {
        if (what === "call") {
          const abort = new AbortController();
          aborts.push(abort);
          watch(node.head(KEY, abort.signal));
        } else if (what === "end") calls.resolve(undefined);
        else if (what === "abort") aborts.shift()?.abort();
        else clock.advance(2_000);
        await turns(1);
        const { inflight, waiting } = node.load();
        assert.ok(inflight <= LIMITS.inflightMax && waiting <= LIMITS.waitingMax);
        // Nobody waits while there is a turn to be had.
        assert.ok(waiting === 0 || inflight === LIMITS.inflightMax);
        assert.equal(calls.held.length, inflight);
      }
      for (const abort of aborts) abort.abort();
      while (calls.held.length > 0) {
        calls.resolve(undefined);
        await turns(1);
      }
      assert.deepEqual(node.load(), { inflight: 0, waiting: 0 });
    }),
    { numRuns: 60 },
  );
});
