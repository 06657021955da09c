import assert from "node:assert/strict";
import { test } from "node:test";
import { openMemoryNode } from "../../../../src/nodes/memory/memory-node.ts";
import { BLOCK_BYTES, NodeError, type NodeErrorKind, type StorageNode } from "../../../../src/nodes/storage-node.ts";
import { type WrappedNode, wrapNode } from "../../../../src/nodes/wrap.ts";
import { FaultyNode } from "../../../../src/nodes/wrappers/faulty-node.ts";
import { nodeLimits } from "../../../../src/nodes/wrappers/limits.ts";
import { seededRandom } from "../../../../src/shared/random.ts";
import { assertFails, CONTRACT_CLUSTER_ID } from "../../../contract/storage-node-contract.ts";
import { collect, streamOf } from "../../../support/blobs.ts";
import { ControlledNode } from "../../../support/controlled-node.ts";
import { ManualClock } from "../../../support/manual-clock.ts";
import { HeldCalls, HeldRead, KEY, putRequest, RANGE, stubNode, turns, watch } from "../wrappers/stub-node.ts";

const INFLIGHT_MAX = 8;
const LIMITS = nodeLimits({ writeStallMs: 10_000, readStallMs: 10_000, inflightMax: INFLIGHT_MAX });
const CACHE_MS = 60_000;

interface Subject extends WrappedNode {
  readonly clock: ManualClock;
  /** `operation outcome` of every call that ended. */
  readonly finished: string[];
}

function wrapped(driver: StorageNode): Subject {
  const clock = new ManualClock(0);
  const finished: string[] = [];
  const observer = {
    started() {},
    finished: (operation: string, outcome: string) => void finished.push(`${operation} ${outcome}`),
  };
  const limits = LIMITS;
  const deps = { clock, random: seededRandom(1), limits, observer, capacityCacheMs: CACHE_MS };
  return { ...wrapNode(driver, deps), clock, finished };
}

function failure(kind: NodeErrorKind): NodeError {
  return new NodeError(kind, "as the test says");
}

/** Lets time pass in small steps until the promise is settled. */
async function whileTimePasses<T>(clock: ManualClock, promise: Promise<T>): Promise<T> {
  const watched = watch(promise);
  while (watched.outcome === "pending") {
    await turns(1);
    clock.advance(50);
  }
  return promise;
}

test("metrics stand outside the retries: a call that succeeds at its second attempt is one success", async () => {
  let calls = 0;
  const { node, clock, finished } = wrapped(
    stubNode({
      async head() {
        calls += 1;
        if (calls === 1) throw failure("unreachable");
        return undefined;
      },
    }),
  );
  await whileTimePasses(clock, node.head(KEY));
  assert.equal(calls, 2);
  assert.deepEqual(finished, ["head ok"]);
});

test("the timeout bounds attempts, waits and turns together", async () => {
  const calls = new HeldCalls<undefined>();
  const { node, clock, finished } = wrapped(stubNode({ head: (_, signal) => calls.call(signal) }));
  const head = watch(node.head(KEY));
  clock.advance(LIMITS.timeout.metadataMs - 500);
  calls.reject("unreachable");
  await turns();
  clock.advance(50);
  await turns();
  assert.equal(calls.signals.length, 2);
  clock.advance(600);
  await turns();
  assert.equal(head.outcome, "timeout");
  assert.deepEqual(finished, ["head timeout"]);
});

test("a call waits without a turn between its attempts", async () => {
  const calls = new HeldCalls<undefined>();
  const { node, clock, load } = wrapped(stubNode({ head: (_, signal) => calls.call(signal) }));
  const head = watch(node.head(KEY));
  assert.deepEqual(load(), { inflight: 1, waiting: 0 });
  calls.reject("unreachable");
  await turns();
  assert.deepEqual(load(), { inflight: 0, waiting: 0 });
  clock.advance(50);
  await turns();
  assert.deepEqual(load(), { inflight: 1, waiting: 0 });
  calls.resolve(undefined);
  await turns();
  assert.equal(head.outcome, "ok");
});

test("calls that never reached the node say nothing of it: a full queue opens no breaker", async () => {
  const { node, clock, available, load } = wrapped(stubNode({ get: async () => new HeldRead() }));
  // Readers that are in no hurry hold all turns.
  for (let i = 0; i < INFLIGHT_MAX; i++) await node.get(KEY, RANGE);
  const heads = Array.from({ length: LIMITS.concurrency.waitingMax }, () => watch(node.head(KEY)));
  await turns();
  assert.deepEqual(load(), { inflight: INFLIGHT_MAX, waiting: LIMITS.concurrency.waitingMax });
  await assertFails(node.head(KEY), "busy");
  clock.advance(LIMITS.concurrency.waitMs + 100);
  await turns();
  assert.ok(heads.every(({ outcome }) => outcome === "busy"));
  assert.equal(available(), true);
});

test("every attempt is evidence for the breaker; once it is open, calls fail at once and are not made again", async () => {
  let calls = 0;
  const { node, clock, available, onUnavailable } = wrapped(
    stubNode({
      async head() {
        calls += 1;
        throw failure("unreachable");
      },
    }),
  );
  let told = 0;
  onUnavailable(() => {
    told += 1;
  });
  await whileTimePasses(clock, assertFails(node.head(KEY), "unreachable"));
  assert.equal(available(), true);
  // The breaker opens on its way, and the call ends with that.
  await whileTimePasses(clock, assertFails(node.head(KEY), "busy"));
  assert.equal(calls, LIMITS.breaker.consecutiveFailures);
  assert.deepEqual([available(), told], [false, 1]);
  await assertFails(node.head(KEY), "busy");
  assert.equal(calls, LIMITS.breaker.consecutiveFailures);
});

test("a put that the breaker stopped between its attempts is reported as one that may have arrived", async () => {
  const { node, clock } = wrapped(stubNode({ put: () => Promise.reject(failure("unreachable")) }));
  await whileTimePasses(clock, assertFails(node.put(putRequest()), "unreachable"));
  await whileTimePasses(clock, assertFails(node.put(putRequest()), "unreachable"));
  await assertFails(node.put(putRequest()), "busy");
});

test("a node that hangs opens its breaker, though none of its calls ever ends", async () => {
  const { node, clock, available } = wrapped(stubNode({ put: () => new Promise<never>(() => {}) }));
  const puts = Array.from({ length: 20 }, () => watch(node.put(putRequest())));
  clock.advance(LIMITS.concurrency.waitMs + 100);
  await turns();
  assert.ok(puts.slice(INFLIGHT_MAX).every(({ outcome }) => outcome === "busy"));
  assert.equal(available(), true);
  clock.advance(LIMITS.timeout.putStallMs + LIMITS.timeout.putBlockMs);
  await turns();
  assert.ok(puts.slice(0, INFLIGHT_MAX).every(({ outcome }) => outcome === "timeout"));
  assert.equal(available(), false);
});

test("a read that the wrapper finds stalled fails before its reader would give it up, so that it counts", async () => {
  const { node, clock } = wrapped(stubNode({ get: async () => new HeldRead() }));
  const next = watch((await node.get(KEY, RANGE))[Symbol.asyncIterator]().next());
  clock.advance(10_000 - 1);
  await turns();
  assert.equal(next.outcome, "timeout");
});

for (const kind of ["full", "read-only"] as const) {
  test(`a node that answers ${kind} to a put has no room for a minute`, async () => {
    const { node, clock, hasRoom } = wrapped(stubNode({ put: () => Promise.reject(failure(kind)) }));
    assert.equal(hasRoom(), true);
    await assertFails(node.put(putRequest()), kind);
    assert.equal(hasRoom(), false);
    clock.advance(60_000);
    assert.equal(hasRoom(), true);
  });
}

test("the capacity that a node tells decides on its room, and is asked for behind the callers' backs", async () => {
  let freeBytes = 30;
  let asked = 0;
  const { clock, hasRoom, lastCapacity } = wrapped(
    stubNode({
      async capacity() {
        asked += 1;
        return { totalBytes: 1_000, usedBytes: 1_000 - freeBytes, freeBytes };
      },
    }),
  );
  assert.equal(hasRoom(), true);
  await turns();
  assert.equal(hasRoom(), false);
  assert.equal(lastCapacity()?.freeBytes, 30);
  freeBytes = 500;
  clock.advance(CACHE_MS);
  assert.equal(hasRoom(), false);
  await turns();
  assert.equal(hasRoom(), true);
  assert.equal(asked, 2);
});

test("closing ends calls that wait for a turn and calls that wait to be made again", async () => {
  const { node } = wrapped(stubNode({ get: async () => new HeldRead(), head: () => Promise.reject(failure("busy")) }));
  const again = watch(node.head(KEY));
  await turns();
  for (let i = 0; i < INFLIGHT_MAX; i++) await node.get(KEY, RANGE);
  const waiting = watch(node.delete(KEY));
  await turns();
  await node.close();
  await turns();
  assert.deepEqual([again.outcome, waiting.outcome], ["unreachable", "unreachable"]);
});

test("nothing is left running when all calls have ended", async () => {
  const { node, clock, load } = wrapped(stubNode());
  const requests = Array.from({ length: 50 }, () => putRequest(2 * BLOCK_BYTES));
  await Promise.all(
    requests.map(async (request, i) => {
      assert.ok(!(Symbol.asyncIterator in request.blocks));
      await node.put(i % 2 === 0 ? request : { ...request, blocks: streamOf(request.blocks) });
      const chunks = await node.get(request.key, { start: 0, end: 2 * BLOCK_BYTES });
      if (i % 3 === 0) await chunks[Symbol.asyncIterator]().return?.();
      else await collect(chunks);
      await node.delete(request.key);
    }),
  );
  assert.deepEqual(load(), { inflight: 0, waiting: 0 });
  clock.advance(100);
  assert.equal(clock.timers, 0);
});

test("a caller's signal keeps no listener of a call that has ended", async () => {
  const { node } = wrapped(stubNode());
  const abort = new AbortController();
  let listeners = 0;
  const { signal } = abort;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners += 1;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners -= 1;
    remove(...args);
  };
  const request = putRequest(10, { signal });
  await node.put(request);
  await collect(await node.get(request.key, { start: 0, end: 10 }, signal));
  await (await node.get(request.key, { start: 0, end: 10 }, signal))[Symbol.asyncIterator]().return?.();
  await assertFails(node.get(KEY, RANGE, signal), "not-found");
  await node.head(request.key, signal);
  assert.equal(listeners, 0);
});

test("a node that goes down and comes back is usable within a cool-down and one health check", async () => {
  const driver = new ControlledNode(openMemoryNode({ name: "m1", clusterId: CONTRACT_CLUSTER_ID }));
  const { node, clock, available } = wrapped(driver);
  for (const outageMs of [0, 10_000, 3_600_000]) {
    driver.down = true;
    while (available()) await whileTimePasses(clock, assert.rejects(node.head(KEY), NodeError));
    for (let passed = 0; passed < outageMs; passed += 2_000) {
      await assertFails(node.probe("reach"), "unreachable");
      clock.advance(2_000);
    }
    driver.down = false;
    clock.advance(2_000);
    await node.probe("reach");
    assert.equal(available(), true, `after ${outageMs} ms`);
    for (let i = 0; i < LIMITS.breaker.probationSuccesses; i++) await node.head(KEY);
  }
});

test("over a node with faults of every kind, no acknowledged blob is lost and every failure is a NodeError", async () => {
  const clock = new ManualClock(0);
  const random = seededRandom(20_261_122);
  const driver = new FaultyNode(openMemoryNode({ name: "m1", clusterId: CONTRACT_CLUSTER_ID }), { clock, random }, [
    { effect: { kind: "latency", upToMs: 400 }, probability: 0.3 },
    { effect: { kind: "error", error: "unreachable" }, probability: 0.05 },
    { effect: { kind: "error", error: "busy" }, probability: 0.05 },
    { effect: { kind: "lost-answer" }, operations: ["put", "delete"], probability: 0.05 },
    { effect: { kind: "stall" }, operations: ["put", "get", "head"], probability: 0.01 },
    { effect: { kind: "break-off", error: "unreachable" }, probability: 0.05 },
  ]);
  const observer = { started() {}, finished() {} };
  const { node, load } = wrapNode(driver, { clock, random, limits: LIMITS, observer, capacityCacheMs: CACHE_MS });
  const acknowledged: string[] = [];
  let failures = 0;
  const work = async (): Promise<void> => {
    for (let i = 0; i < 40; i++) {
      const request = putRequest(1_000 + i);
      try {
        await node.put(request);
        acknowledged.push(request.key);
        const bytes = await collect(await node.get(request.key, { start: 0, end: 1_000 }));
        assert.equal(bytes.length, 1_000);
      } catch (error) {
        assert.ok(error instanceof NodeError, String(error));
        failures += 1;
        await whileProbing();
      }
    }
  };
  /** What membership does while a breaker is open. */
  const whileProbing = async (): Promise<void> => {
    await node.probe("reach").catch((error: unknown) => assert.ok(error instanceof NodeError));
  };
  await whileTimePasses(clock, Promise.all(Array.from({ length: 6 }, work)));
  driver.faults = [];
  clock.advance(60_000);
  await node.probe("reach");
  assert.ok(acknowledged.length > 50 && failures > 5, `${acknowledged.length} acknowledged, ${failures} failures`);
  for (const key of acknowledged) assert.ok(await node.head(key));
  assert.deepEqual(load(), { inflight: 0, waiting: 0 });
});
