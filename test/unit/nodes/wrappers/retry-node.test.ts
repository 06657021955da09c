import assert from "node:assert/strict";
import { test } from "node:test";
import {
  BLOCK_BYTES,
  NodeError,
  type NodeErrorKind,
  type PutRequest,
  type StorageNode,
} from "../../../../src/nodes/storage-node.ts";
import type { RetryLimits } from "../../../../src/nodes/wrappers/limits.ts";
import { NotAskedError } from "../../../../src/nodes/wrappers/not-asked-error.ts";
import { RetryNode } from "../../../../src/nodes/wrappers/retry-node.ts";
import type { Random } from "../../../../src/shared/random.ts";
import { assertFails } from "../../../contract/storage-node-contract.ts";
import { collect, streamOf } from "../../../support/blobs.ts";
import { ManualClock } from "../../../support/manual-clock.ts";
import { HeldRead, KEY, putRequest, RANGE, stubNode, turns, watch } from "./stub-node.ts";

const LIMITS: RetryLimits = {
  attemptsMax: 3,
  backoffMs: 100,
  backoffMsMax: 150,
  budgetMax: 100,
  budgetPerSuccess: 0.5,
};
/** The longest wait that can be drawn, so that tests know when it is over. */
const LONGEST: Random = { bytes: (length) => new Uint8Array(length), float: () => 0.999_999 };

function retried(
  calls: Partial<StorageNode>,
  limits: Partial<RetryLimits> = {},
): { readonly node: RetryNode; readonly clock: ManualClock } {
  const clock = new ManualClock(0);
  const deps = { clock, random: LONGEST, limits: { ...LIMITS, ...limits } };
  return { node: new RetryNode(stubNode(calls), deps), clock };
}

/** Fails with these, one a call, then succeeds with `result`. Counts its calls. */
function failing<T>(kinds: readonly (NodeErrorKind | Error)[], result: T): { (): Promise<T>; calls: number } {
  const call = async (): Promise<T> => {
    const kind = kinds[call.calls++];
    if (kind === undefined) return result;
    throw typeof kind === "string" ? new NodeError(kind, `attempt ${call.calls}`) : kind;
  };
  call.calls = 0;
  return call;
}

async function pass(clock: ManualClock): Promise<void> {
  for (let i = 0; i < 4; i++) {
    await turns();
    clock.advance(LIMITS.backoffMsMax);
  }
  await turns();
}

const SAFE = [
  ["get", (node: StorageNode) => node.get(KEY, RANGE)],
  ["head", (node: StorageNode) => node.head(KEY)],
  ["delete", (node: StorageNode) => node.delete(KEY)],
  ["list", (node: StorageNode) => node.list({ limit: 1 })],
  ["foreign", (node: StorageNode) => node.foreign()],
  ["capacity", (node: StorageNode) => node.capacity()],
  ["put", (node: StorageNode) => node.put(putRequest(10))],
] as const;

for (const [name, call] of SAFE) {
  test(`a ${name} whose blocks, if any, are in memory is made again after a failure that may pass`, async () => {
    const inner = failing<never>(["unreachable", "timeout"], undefined as never);
    const { node, clock } = retried({ [name]: inner });
    const outcome = watch<unknown>(call(node));
    await pass(clock);
    assert.equal(outcome.outcome, "ok");
    assert.equal(inner.calls, 3);
  });

  test(`a ${name} is made no more often than allowed, and then fails with its last failure`, async () => {
    const inner = failing<never>(["busy", "busy", "timeout", "busy"], undefined as never);
    const { node, clock } = retried({ [name]: inner });
    const outcome = watch<unknown>(call(node));
    await pass(clock);
    assert.equal(outcome.outcome, "timeout");
    assert.equal(inner.calls, 3);
  });
}

for (const [name, call] of [
  ["probe", (node: StorageNode) => node.probe("reach")],
  ["readIdentity", (node: StorageNode) => node.readIdentity()],
  ["writeIdentity", (node: StorageNode) => node.writeIdentity(new Uint8Array(1))],
  [
    "put",
    (node: StorageNode) => {
      const request = putRequest(2 * BLOCK_BYTES);
      assert.ok(!(Symbol.asyncIterator in request.blocks));
      return node.put({ ...request, blocks: streamOf(request.blocks) });
    },
  ],
] as const) {
  test(`a ${name} that is a health check or streamed is made once`, async () => {
    const inner = failing<never>(["unreachable"], undefined as never);
    const { node, clock } = retried({ [name]: inner });
    await assertFails(call(node), "unreachable");
    assert.equal(inner.calls, 1);
    assert.equal(clock.timers, 0);
  });
}

for (const kind of [
  "not-found",
  "access-denied",
  "full",
  "read-only",
  "io",
  "corrupt",
  "refused",
  "aborted",
  "invalid",
] as const) {
  test(`a failure of kind ${kind} does not pass by itself, so the call is made once`, async () => {
    const inner = failing([kind], undefined);
    await assertFails(retried({ head: inner }).node.head(KEY), kind);
    assert.equal(inner.calls, 1);
  });
}

test("a call that a wrapper turned away is not made again, since that wrapper would only turn it away again", async () => {
  const inner = failing([new NotAskedError("the breaker is open")], undefined);
  await assertFails(retried({ head: inner }).node.head(KEY), "busy");
  assert.equal(inner.calls, 1);
});

test("what is no NodeError is thrown on as it is", async () => {
  const bug = new TypeError("a bug");
  const inner = failing([bug], undefined);
  await assert.rejects(retried({ head: inner }).node.head(KEY), bug);
});

test("the waits double up to their longest, each drawn below that", async () => {
  const inner = failing(["busy", "busy", "busy"], undefined);
  const { node, clock } = retried({ head: inner }, { attemptsMax: 4 });
  const head = watch(node.head(KEY));
  for (const [waitMs, calls] of [
    [100, 1],
    [150, 2],
    [150, 3],
  ] as const) {
    await turns();
    clock.advance(waitMs - 1);
    await turns();
    assert.equal(inner.calls, calls);
    clock.advance(1);
    await turns();
    assert.equal(inner.calls, calls + 1);
  }
  assert.equal(head.outcome, "ok");
});

test("a put is sent again under its own key with the same blocks", async () => {
  const seen: PutRequest[] = [];
  const answer = failing(["unreachable"], { proof: "fsync" } as const);
  const { node, clock } = retried({
    put(request) {
      seen.push(request);
      return answer();
    },
  });
  const request = putRequest(10);
  const put = watch(node.put(request));
  await pass(clock);
  assert.equal(put.outcome, "ok");
  assert.deepEqual(seen, [request, request]);
});

test("a put that may have arrived is not reported as never sent because its second attempt was turned away", async () => {
  for (const second of [new NotAskedError("the queue is full"), "refused", "invalid"] as const) {
    const inner = failing<never>(["timeout", second], undefined as never);
    const { node, clock } = retried({ put: inner });
    const put = watch(node.put(putRequest(10)));
    await pass(clock);
    assert.equal(put.outcome, "timeout");
  }
  for (const second of ["full", "corrupt"] as const) {
    const inner = failing<never>(["timeout", second], undefined as never);
    const { node, clock } = retried({ put: inner });
    const put = watch(node.put(putRequest(10)));
    await pass(clock);
    assert.equal(put.outcome, second);
  }
});

test("retries stop when their budget is spent, and successes earn it back", async () => {
  let kinds: NodeErrorKind[] = [];
  let calls = 0;
  const { node, clock } = retried(
    {
      async head() {
        calls += 1;
        const kind = kinds.shift();
        if (kind !== undefined) throw new NodeError(kind, "as the test says");
        return undefined;
      },
    },
    { budgetMax: 3, attemptsMax: 2 },
  );
  const headFailing = async (): Promise<number> => {
    const before = calls;
    kinds = ["unreachable", "unreachable"];
    const head = watch(node.head(KEY));
    await pass(clock);
    assert.equal(head.outcome, "unreachable");
    return calls - before;
  };
  assert.deepEqual([await headFailing(), await headFailing(), await headFailing()], [2, 2, 2]);
  assert.equal(await headFailing(), 1);
  kinds = [];
  await node.head(KEY);
  assert.equal(await headFailing(), 1);
  kinds = [];
  await node.head(KEY);
  assert.equal(await headFailing(), 2);
});

test("a get that has begun is not begun again: its reader may have had bytes", async () => {
  const read = new HeldRead();
  let calls = 0;
  const { node } = retried({
    async get() {
      calls += 1;
      return read;
    },
  });
  const reading = assertFails(collect(await node.get(KEY, RANGE)), "unreachable");
  read.fail("unreachable");
  await reading;
  assert.equal(calls, 1);
});

test("a call that waits to be made again ends at once with its signal, or when the node is closed", async () => {
  const abort = new AbortController();
  const first = retried({ head: failing(["busy"], undefined) });
  const aborted = watch(first.node.head(KEY, abort.signal));
  await turns();
  abort.abort();
  await turns();
  assert.equal(aborted.outcome, "aborted");

  const second = retried({ head: failing(["busy"], undefined) });
  const closed = watch(second.node.head(KEY));
  await turns();
  await second.node.close();
  await turns();
  assert.equal(closed.outcome, "unreachable");
});

test("once the node is closed, calls fail at once and nothing waits", async () => {
  const { node, clock } = retried({});
  await node.close();
  await assertFails(node.head(KEY), "unreachable");
  assert.equal(clock.timers, 0);
});
