import assert from "node:assert/strict";
import { test } from "node:test";
import {
  BLOCK_BYTES,
  type BlobStat,
  type Block,
  NodeError,
  type ProbeFinding,
  type PutReceipt,
  type StorageNode,
} from "../../../../src/nodes/storage-node.ts";
import { Deadlines } from "../../../../src/nodes/wrappers/deadlines.ts";
import type { TimeoutLimits } from "../../../../src/nodes/wrappers/limits.ts";
import { TimeoutNode } from "../../../../src/nodes/wrappers/timeout-node.ts";
import { assertFails } from "../../../contract/storage-node-contract.ts";
import { blocksOf, patternBytes } from "../../../support/blobs.ts";
import { ManualClock } from "../../../support/manual-clock.ts";
import { HeldCalls, HeldRead, KEY, putRequest, RANGE, stubNode, turns, watch } from "./stub-node.ts";

const LIMITS: TimeoutLimits = {
  reachMs: 5_000,
  admissionMs: 30_000,
  metadataMs: 10_000,
  listMs: 20_000,
  firstByteMs: 8_000,
  readStallMs: 6_000,
  putStallMs: 9_000,
  putBlockMs: 1_000,
  finishMs: 25_000,
};
/** How late a timeout may come. */
const TICK_MS = 100;
const KIB = 1_024;

function timed(calls: Partial<StorageNode>): { node: TimeoutNode; clock: ManualClock } {
  const clock = new ManualClock(0);
  return { node: new TimeoutNode(stubNode(calls), new Deadlines(clock, TICK_MS), LIMITS), clock };
}

/** A source whose blocks the test hands over one by one. */
class HeldSource implements AsyncIterableIterator<Block, undefined> {
  asked = 0;
  released = 0;
  #waiting: PromiseWithResolvers<IteratorResult<Block, undefined>> | undefined;

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Block, undefined>> {
    this.asked += 1;
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  async return(): Promise<IteratorResult<Block, undefined>> {
    this.released += 1;
    return { done: true, value: undefined };
  }

  give(block: Block | undefined): void {
    this.#waiting?.resolve(block === undefined ? { done: true, value: undefined } : { done: false, value: block });
  }

  fail(error: unknown): void {
    this.#waiting?.reject(error);
  }
}

for (const [name, limitMs, call] of [
  ["head", LIMITS.metadataMs, (node: StorageNode) => node.head(KEY)],
  ["delete", LIMITS.metadataMs, (node: StorageNode) => node.delete(KEY)],
  ["list", LIMITS.listMs, (node: StorageNode) => node.list({ limit: 1 })],
  ["foreign", LIMITS.listMs, (node: StorageNode) => node.foreign()],
  ["capacity", LIMITS.metadataMs, (node: StorageNode) => node.capacity()],
  ["readIdentity", LIMITS.metadataMs, (node: StorageNode) => node.readIdentity()],
  ["writeIdentity", LIMITS.metadataMs, (node: StorageNode) => node.writeIdentity(new Uint8Array(1))],
  ["probe", LIMITS.reachMs, (node: StorageNode) => node.probe("reach")],
  ["probe", LIMITS.admissionMs, (node: StorageNode) => node.probe("admission")],
  ["get", LIMITS.firstByteMs, (node: StorageNode) => node.get(KEY, RANGE)],
  ["put", LIMITS.putStallMs + LIMITS.putBlockMs, (node: StorageNode) => node.put(putRequest(10))],
  ["put", LIMITS.putStallMs + 3 * LIMITS.putBlockMs, (node: StorageNode) => node.put(putRequest(3 * BLOCK_BYTES))],
] as const) {
  test(`a ${name} that the node never answers fails with timeout after ${limitMs} ms, whatever it makes of its signal`, async () => {
    const { node, clock } = timed({ [name]: () => new Promise<never>(() => {}) });
    const waited = watch<unknown>(call(node));
    clock.advance(limitMs - 1);
    await turns();
    assert.equal(waited.outcome, "pending");
    clock.advance(1 + TICK_MS);
    await turns();
    assert.equal(waited.outcome, "timeout");
    clock.advance(TICK_MS);
    assert.equal(clock.timers, 0);
  });
}

test("a call that times out is ended on the node too, with the timeout as the reason", async () => {
  const calls = new HeldCalls<BlobStat | undefined>();
  const { node, clock } = timed({ head: (_, signal) => calls.call(signal) });
  const head = assertFails(node.head(KEY), "timeout");
  clock.advance(LIMITS.metadataMs + TICK_MS);
  const error = await head;
  assert.equal(calls.signals[0]?.reason, error);
});

test("a caller who gives up is answered at once, and the node hears the caller's reason", async () => {
  const calls = new HeldCalls<readonly ProbeFinding[]>({ deaf: true });
  const { node } = timed({ probe: (_, signal) => calls.call(signal) });
  const abort = new AbortController();
  const probe = assertFails(node.probe("reach", abort.signal), "aborted");
  const reason = new Error("the client went away");
  abort.abort(reason);
  assert.equal((await probe).cause, reason);
  assert.equal(calls.signals[0]?.reason, reason);
});

test("a call that was answered is neither ended nor told of later aborts", async () => {
  const calls = new HeldCalls<BlobStat | undefined>();
  const { node, clock } = timed({ head: (_, signal) => calls.call(signal) });
  const abort = new AbortController();
  const head = node.head(KEY, abort.signal);
  calls.resolve({ key: KEY, length: 1 });
  assert.equal((await head)?.length, 1);
  clock.advance(60_000);
  abort.abort();
  assert.equal(calls.signals[0]?.aborted, false);
});

test("what the node throws comes through unchanged", async () => {
  const error = new NodeError("io", "the disk is bad");
  const { node } = timed({ head: () => Promise.reject(error) });
  assert.equal(await assertFails(node.head(KEY), "io"), error);
});

test("a get fails when the node stalls between chunks, and is let go", async () => {
  const read = new HeldRead();
  const { node, clock } = timed({ get: async () => read });
  const chunks = (await node.get(KEY, RANGE))[Symbol.asyncIterator]();
  const first = chunks.next();
  read.give(KIB);
  assert.equal((await first).value?.length, KIB);
  const second = watch(chunks.next());
  clock.advance(LIMITS.readStallMs - 1);
  await turns();
  assert.equal(second.outcome, "pending");
  clock.advance(1 + TICK_MS);
  await turns();
  assert.equal(second.outcome, "timeout");
  assert.equal(read.released, 1);
});

test("the time that a reader takes between chunks does not count", async () => {
  const read = new HeldRead();
  const { node, clock } = timed({ get: async () => read });
  const chunks = (await node.get(KEY, RANGE))[Symbol.asyncIterator]();
  for (let i = 0; i < 3; i++) {
    clock.advance(3_600_000);
    const next = chunks.next();
    clock.advance(LIMITS.readStallMs - TICK_MS);
    read.give(KIB);
    assert.equal((await next).done, false);
  }
  const last = chunks.next();
  read.end();
  assert.equal((await last).done, true);
  clock.advance(TICK_MS);
  assert.equal(clock.timers, 0);
});

test("a get that the node begins to answer after it timed out is let go", async () => {
  const calls = new HeldCalls<AsyncIterable<Uint8Array>>({ deaf: true });
  const { node, clock } = timed({ get: (_key, _range, signal) => calls.call(signal) });
  const get = assertFails(node.get(KEY, RANGE), "timeout");
  clock.advance(LIMITS.firstByteMs + TICK_MS);
  await get;
  const late = new HeldRead();
  calls.resolve(late);
  await turns();
  assert.equal(late.released, 1);
});

test("a get whose signal aborts while nobody waits for a chunk lets the node go at once", async () => {
  const read = new HeldRead();
  const { node } = timed({ get: async () => read });
  const abort = new AbortController();
  const chunks = (await node.get(KEY, RANGE, abort.signal))[Symbol.asyncIterator]();
  abort.abort();
  assert.equal(read.released, 1);
  await assertFails(chunks.next(), "aborted");
});

test("a get that is let go before its first chunk lets the node go", async () => {
  const read = new HeldRead();
  const { node, clock } = timed({ get: async () => read });
  const chunks = (await node.get(KEY, RANGE))[Symbol.asyncIterator]();
  await chunks.return?.();
  assert.equal(read.released, 1);
  clock.advance(TICK_MS);
  assert.equal(clock.timers, 0);
});

/** A put of three blocks from a held source; the node takes blocks when the test says so. */
function streamedPut(): {
  readonly clock: ManualClock;
  readonly source: HeldSource;
  readonly put: ReturnType<typeof watch<PutReceipt>>;
  /** The node asks for the next block. */
  readonly take: () => Promise<IteratorResult<Block>>;
  readonly answer: HeldCalls<PutReceipt>;
  readonly blocks: readonly Block[];
} {
  const answer = new HeldCalls<PutReceipt>({ deaf: true });
  let iterator: AsyncIterator<Block> | undefined;
  const { node, clock } = timed({
    put(request) {
      if (Symbol.asyncIterator in request.blocks) iterator = request.blocks[Symbol.asyncIterator]();
      return answer.call(request.signal);
    },
  });
  const source = new HeldSource();
  const request = putRequest(3 * BLOCK_BYTES);
  const put = watch(node.put({ ...request, blocks: source }));
  const take = (): Promise<IteratorResult<Block>> => {
    assert.ok(iterator);
    return iterator.next();
  };
  return { clock, source, put, take, answer, blocks: blocksOf(patternBytes(3 * BLOCK_BYTES, 1)) };
}

test("the time that a put waits for its own source does not count, however long it is", async () => {
  const { clock, source, put, take, answer, blocks } = streamedPut();
  for (const block of [...blocks, undefined]) {
    clock.advance(LIMITS.putStallMs - TICK_MS);
    const taken = take();
    clock.advance(3_600_000);
    source.give(block);
    assert.equal((await taken).value, block);
  }
  clock.advance(LIMITS.finishMs - TICK_MS);
  answer.resolve({ proof: "fsync" });
  await turns();
  assert.equal(put.outcome, "ok");
});

test("a put fails when the node does not ask for its first block", async () => {
  const { clock, source, put } = streamedPut();
  clock.advance(LIMITS.putStallMs + TICK_MS);
  await turns();
  assert.equal(put.outcome, "timeout");
  assert.equal(source.released, 1);
});

test("a put fails when the node does not take the next block though it is waiting, and its source is let go", async () => {
  const { clock, source, put, take, answer, blocks } = streamedPut();
  const taken = take();
  source.give(blocks[0]);
  await taken;
  clock.advance(LIMITS.putStallMs - 1);
  await turns();
  assert.equal(put.outcome, "pending");
  clock.advance(1 + TICK_MS);
  await turns();
  assert.equal(put.outcome, "timeout");
  assert.equal(source.released, 1);
  assert.equal(answer.signals[0]?.aborted, true);
});

test("a put has the finish time after its last block, and no more", async () => {
  const { clock, source, put, take, blocks } = streamedPut();
  for (const block of [...blocks, undefined]) {
    const taken = take();
    source.give(block);
    await taken;
  }
  clock.advance(LIMITS.finishMs - 1);
  await turns();
  assert.equal(put.outcome, "pending");
  clock.advance(1 + TICK_MS);
  await turns();
  assert.equal(put.outcome, "timeout");
});

test("a node that does not end a put whose source failed is given up too", async () => {
  const { clock, source, put, take } = streamedPut();
  const taken = watch(take());
  source.fail(new Error("the client went away"));
  await turns();
  assert.equal(taken.outcome, "unknown");
  clock.advance(LIMITS.putStallMs + TICK_MS);
  await turns();
  assert.equal(put.outcome, "timeout");
});

test("a put whose blocks are an array hands that array to the node, which may send it in one piece", async () => {
  let seen: unknown;
  const { node } = timed({
    async put(request) {
      seen = request.blocks;
      return { proof: "fsync" };
    },
  });
  const request = putRequest(10);
  await node.put(request);
  assert.equal(seen, request.blocks);
});
