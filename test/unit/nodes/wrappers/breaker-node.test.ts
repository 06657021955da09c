import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeError, type ProbeFinding, type StorageNode } from "../../../../src/nodes/storage-node.ts";
import { BreakerNode } from "../../../../src/nodes/wrappers/breaker-node.ts";
import { CircuitBreaker } from "../../../../src/nodes/wrappers/circuit-breaker.ts";
import { BREAKER_LIMITS } from "../../../../src/nodes/wrappers/limits.ts";
import { NotAskedError } from "../../../../src/nodes/wrappers/not-asked-error.ts";
import { assertFails } from "../../../contract/storage-node-contract.ts";
import { ManualClock } from "../../../support/manual-clock.ts";
import { HeldRead, KEY, putRequest, RANGE, stubNode, turns, watch } from "./stub-node.ts";

/** Failures in a row that open it. */
const FAILURES = BREAKER_LIMITS.consecutiveFailures;

function subject(calls: Partial<StorageNode>) {
  const clock = new ManualClock(0);
  const breaker = new CircuitBreaker(clock, BREAKER_LIMITS);
  return { clock, breaker, node: new BreakerNode(stubNode(calls), breaker) };
}

function down(): Promise<never> {
  return Promise.reject(new NodeError("unreachable", "the node is down"));
}

for (const [name, call] of [
  ["put", (node: StorageNode) => node.put(putRequest())],
  ["get", (node: StorageNode) => node.get(KEY, RANGE)],
  ["head", (node: StorageNode) => node.head(KEY)],
  ["delete", (node: StorageNode) => node.delete(KEY)],
  ["list", (node: StorageNode) => node.list({ limit: 1 })],
  ["foreign", (node: StorageNode) => node.foreign()],
  ["capacity", (node: StorageNode) => node.capacity()],
] as const) {
  test(`a ${name} that fails counts, and is turned away once the breaker is open, without the node being asked`, async () => {
    let asked = 0;
    const { node, breaker } = subject({
      [name]: () => {
        asked += 1;
        return down();
      },
    });
    for (let i = 0; i < FAILURES; i++) await assertFails(call(node), "unreachable");
    assert.equal(breaker.state, "open");
    const error = await assertFails(call(node), "busy");
    assert.ok(error instanceof NotAskedError);
    assert.ok(error.cause instanceof NodeError && error.cause.kind === "unreachable");
    assert.equal(asked, FAILURES);
  });
}

for (const [name, call] of [
  ["probe", (node: StorageNode) => node.probe("reach")],
  ["readIdentity", (node: StorageNode) => node.readIdentity()],
  ["writeIdentity", (node: StorageNode) => node.writeIdentity(new Uint8Array(1))],
] as const) {
  test(`a ${name} passes an open breaker, so that the node's return is found out`, async () => {
    const { node, breaker } = subject({});
    breaker.open(new NodeError("io", "as the test says"));
    await call(node);
    assert.equal(breaker.state, "open");
  });
}

for (const [findings, state] of [
  [[{ check: "reach", passed: true }], "closed"],
  [[{ check: "reach", passed: false }], "open"],
  [
    [
      { check: "reach", passed: true },
      { check: "access", passed: false },
    ],
    "open",
  ],
  [
    [
      { check: "reach", passed: true },
      { check: "versioning-off", passed: false },
    ],
    "open",
  ],
] satisfies [ProbeFinding[], string][]) {
  test(`a probe that finds ${JSON.stringify(findings)} leaves a breaker ${state} that has cooled down`, async () => {
    const { node, breaker, clock } = subject({ probe: async () => findings });
    breaker.open(new NodeError("io", "as the test says"));
    clock.advance(BREAKER_LIMITS.cooldownMs);
    await node.probe("reach");
    assert.equal(breaker.state, state);
  });
}

test("probes that find the node away count like calls that fail", async () => {
  const { node, breaker } = subject({ probe: async () => [{ check: "reach", passed: false }] });
  for (let i = 0; i < FAILURES; i++) await node.probe("reach");
  assert.equal(breaker.state, "open");
  assert.equal(breaker.cause?.kind, "unreachable");
});

test("probes that find the node misconfigured say nothing of whether it works", async () => {
  const { node, breaker } = subject({ probe: async () => [{ check: "versioning-off", passed: false }] });
  for (let i = 0; i < 2 * FAILURES; i++) await node.probe("admission");
  assert.equal(breaker.state, "closed");
});

test("reads that begin and then break off count as failures", async () => {
  let read = new HeldRead();
  const { node, breaker } = subject({ get: async () => read });
  for (let i = 0; i < FAILURES; i++) {
    assert.equal(breaker.state, "closed");
    read = new HeldRead();
    const next = (await node.get(KEY, RANGE))[Symbol.asyncIterator]().next();
    read.fail("io");
    await assertFails(next, "io");
  }
  assert.equal(breaker.state, "open");
});

test("a read that its reader leaves is no failure, and the node is let go", async () => {
  let read = new HeldRead();
  const { node, breaker } = subject({ get: async () => read });
  for (let i = 0; i < 2 * FAILURES; i++) {
    read = new HeldRead();
    await (await node.get(KEY, RANGE))[Symbol.asyncIterator]().return?.();
    assert.equal(read.released, 1);
  }
  assert.equal(breaker.state, "closed");
});

test("a call that hangs counts when its timeout aborts it, though it never ends", async () => {
  const { node, breaker } = subject({ head: () => new Promise<never>(() => {}) });
  for (let i = 0; i < FAILURES; i++) {
    const abort = new AbortController();
    watch(node.head(KEY, abort.signal));
    abort.abort(new NodeError("timeout", "the node did not answer in time"));
  }
  assert.equal(breaker.state, "open");
  assert.equal(breaker.cause?.kind, "timeout");
});

test("a read that hangs between chunks counts when its timeout aborts it", async () => {
  const { node, breaker } = subject({ get: async () => new HeldRead() });
  for (let i = 0; i < FAILURES; i++) {
    const abort = new AbortController();
    watch((await node.get(KEY, RANGE, abort.signal))[Symbol.asyncIterator]().next());
    abort.abort(new NodeError("timeout", "the node did not answer in time"));
  }
  assert.equal(breaker.state, "open");
});

test("a call that its caller gives up says nothing of the node", async () => {
  const { node, breaker } = subject({ head: () => new Promise<never>(() => {}) });
  for (let i = 0; i < 2 * FAILURES; i++) {
    const abort = new AbortController();
    watch(node.head(KEY, abort.signal));
    abort.abort();
  }
  assert.equal(breaker.state, "closed");
});

test("a call that is tried and given up while it hangs does not keep others from being tried", async () => {
  let hang = true;
  const { node, breaker, clock } = subject({
    head: () => (hang ? new Promise<never>(() => {}) : Promise.resolve(undefined)),
  });
  breaker.open(new NodeError("io", "as the test says"));
  clock.advance(BREAKER_LIMITS.cooldownMs);
  const abort = new AbortController();
  watch(node.head(KEY, abort.signal));
  await assertFails(node.head(KEY), "busy");
  abort.abort();
  hang = false;
  await node.head(KEY);
  assert.equal(breaker.state, "closed");
});

test("a read that is tried closes the breaker when it begins, however long its reader takes", async () => {
  const { node, breaker, clock } = subject({ get: async () => new HeldRead() });
  breaker.open(new NodeError("io", "as the test says"));
  clock.advance(BREAKER_LIMITS.cooldownMs);
  await node.get(KEY, RANGE);
  assert.equal(breaker.state, "closed");
});

test("a node that is closed says so itself, and that opens no breaker", async () => {
  const { node, breaker } = subject({});
  breaker.open(new NodeError("io", "as the test says"));
  await node.close();
  for (let i = 0; i < 2 * FAILURES; i++) await assertFails(node.head(KEY), "unreachable");
  breaker.close();
  for (let i = 0; i < 2 * FAILURES; i++) await assertFails(node.head(KEY), "unreachable");
  assert.equal(breaker.state, "closed");
  await turns();
});
