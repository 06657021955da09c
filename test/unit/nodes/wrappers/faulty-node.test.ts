import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BLOCK_BYTES, type CopyKey, NodeError, type StorageNode } from "../../../../src/nodes/storage-node.ts";
import { type Fault, FaultyNode } from "../../../../src/nodes/wrappers/faulty-node.ts";
import { systemClock } from "../../../../src/shared/clock.ts";
import { seededRandom } from "../../../../src/shared/random.ts";
import { assertFails, storageNodeContract } from "../../../contract/storage-node-contract.ts";
import { collect, streamOf } from "../../../support/blobs.ts";
import { ManualClock } from "../../../support/manual-clock.ts";
import { HeldRead, KEY, putRequest, RANGE, stubNode, turns, watch } from "./stub-node.ts";
import { wrappedMemory } from "./wrapped-memory.ts";

storageNodeContract("memory, with a fault injector that has no faults", () =>
  wrappedMemory((open) => new FaultyNode(open(), { clock: systemClock, random: seededRandom(1) })),
);

const LENGTH = 2 * BLOCK_BYTES + 1_000;

function subject(under: StorageNode = stubNode(), seed = 1) {
  const clock = new ManualClock(0);
  return { clock, under, node: new FaultyNode(under, { clock, random: seededRandom(seed) }) };
}

async function stored(node: StorageNode): Promise<{ readonly key: CopyKey; readonly bytes: Buffer }> {
  const request = putRequest(LENGTH);
  await node.put(request);
  return { key: request.key, bytes: await whole(node, request.key) };
}

async function whole(node: StorageNode, key: CopyKey): Promise<Buffer> {
  return collect(await node.get(key, { start: 0, end: LENGTH }));
}

/** Places at which they differ. */
function differences(a: Buffer, b: Buffer): number {
  return a.reduce((count, byte, i) => count + (byte === b[i] ? 0 : 1), 0);
}

describe("a node with injected faults", () => {
  test("answers the error of its fault without doing anything, for the operations and as often as it says", async () => {
    const { node, under } = subject();
    const { key } = await stored(under);
    const fault: Fault = { effect: { kind: "error", error: "full" }, operations: ["put", "delete"], times: 2 };
    node.faults = [fault];
    await assertFails(node.put(putRequest()), "full");
    assert.equal((await node.head(key))?.length, LENGTH);
    await assertFails(node.delete(key), "full");
    assert.equal((await under.head(key))?.length, LENGTH);
    assert.equal(node.struck(fault), 2);
    await node.delete(key);
    assert.equal(await under.head(key), undefined);
  });

  test("does what it was told though its answer is lost", async () => {
    const { node, under } = subject();
    node.faults = [{ effect: { kind: "lost-answer" } }];
    const request = putRequest(10);
    await assertFails(node.put(request), "timeout");
    assert.equal((await under.head(request.key))?.length, 10);
    await assertFails(node.delete(request.key), "timeout");
    assert.equal(await under.head(request.key), undefined);
  });

  test("takes its time", async () => {
    const { node, clock } = subject();
    node.faults = [{ effect: { kind: "latency", upToMs: 1_000 } }];
    const head = watch(node.head(KEY));
    await turns();
    assert.equal(head.outcome, "pending");
    clock.advance(1_000);
    await turns();
    assert.equal(head.outcome, "ok");
  });

  test("stalls until the signal aborts or the node is closed", async () => {
    const { node } = subject();
    node.faults = [{ effect: { kind: "stall" } }];
    const abort = new AbortController();
    const aborted = watch(node.head(KEY, abort.signal));
    const closed = watch(node.head(KEY));
    abort.abort();
    await turns();
    assert.deepEqual([aborted.outcome, closed.outcome], ["aborted", "pending"]);
    await node.close();
    await turns();
    assert.equal(closed.outcome, "unreachable");
  });

  test("changes exactly one byte of a read, and the stored bytes stay as they are", async () => {
    const { node, under } = subject();
    const { key, bytes } = await stored(under);
    node.faults = [{ effect: { kind: "corrupt" }, operations: ["get"] }];
    for (let i = 0; i < 20; i++) assert.equal(differences(await whole(node, key), bytes), 1);
    assert.deepEqual(await whole(under, key), bytes);
  });

  for (const streamed of [false, true]) {
    test(`stores one byte wrong of a put that is ${streamed ? "streamed" : "in memory"}, and says that all is well`, async () => {
      const { node, under } = subject();
      const good = putRequest(LENGTH);
      await under.put(good);
      const bytes = await whole(under, good.key);
      node.faults = [{ effect: { kind: "corrupt" } }];
      const bad = putRequest(LENGTH);
      assert.ok(!(Symbol.asyncIterator in bad.blocks));
      await node.put(streamed ? { ...bad, blocks: streamOf(bad.blocks) } : bad);
      assert.equal(differences(await whole(under, bad.key), bytes), 1);
      // What the caller holds is as it was.
      assert.deepEqual(bad.blocks, good.blocks);
    });
  }

  test("ends reads too early, with what came before unchanged", async () => {
    const { node, under } = subject();
    const { key, bytes } = await stored(under);
    node.faults = [{ effect: { kind: "truncate" } }];
    for (let i = 0; i < 20; i++) {
      const part = await whole(node, key);
      assert.ok(part.length < LENGTH);
      assert.deepEqual(part, bytes.subarray(0, part.length));
    }
  });

  test("breaks reads off, with what came before unchanged", async () => {
    const { node, under } = subject();
    const { key, bytes } = await stored(under);
    node.faults = [{ effect: { kind: "break-off", error: "unreachable" } }];
    const parts: Uint8Array[] = [];
    const reading = async (): Promise<void> => {
      for await (const chunk of await node.get(key, { start: 0, end: LENGTH })) parts.push(chunk);
    };
    await assertFails(reading(), "unreachable");
    const part = Buffer.concat(parts);
    assert.ok(part.length < LENGTH);
    assert.deepEqual(part, bytes.subarray(0, part.length));
  });

  test("stalls reads in the middle until their signal aborts", async () => {
    const { node, under } = subject();
    const { key } = await stored(under);
    node.faults = [{ effect: { kind: "stall" } }];
    const abort = new AbortController();
    const reading = watch(collect(await node.get(key, { start: 0, end: LENGTH }, abort.signal)));
    await turns();
    assert.equal(reading.outcome, "pending");
    abort.abort();
    await turns();
    assert.equal(reading.outcome, "aborted");
  });

  for (const kind of ["corrupt", "truncate", "stall"] as const) {
    test(`lets the node go when a read with the fault ${kind} is let go before its first chunk`, async () => {
      const read = new HeldRead();
      const { node } = subject(stubNode({ get: async () => read }));
      node.faults = [{ effect: { kind } }];
      await (await node.get(KEY, RANGE))[Symbol.asyncIterator]().return?.();
      assert.equal(read.released, 1);
    });
  }

  test("lets a source go that it never looked at", async () => {
    const { node } = subject();
    node.faults = [{ effect: { kind: "error", error: "unreachable" } }];
    const read = { released: 0 };
    const blocks = {
      [Symbol.asyncIterator]: () => ({
        next: () => Promise.reject(new Error("nobody asks")),
        async return() {
          read.released += 1;
          return { done: true as const, value: undefined };
        },
      }),
    };
    await assertFails(node.put({ ...putRequest(10), blocks }), "unreachable");
    assert.equal(read.released, 1);
  });

  test("has the same faults again under the same seed, and others under another", async () => {
    const run = async (seed: number): Promise<string> => {
      const { node } = subject(stubNode(), seed);
      node.faults = [
        { effect: { kind: "error", error: "busy" }, probability: 0.3 },
        { effect: { kind: "error", error: "io" }, probability: 0.3 },
      ];
      let outcomes = "";
      for (let i = 0; i < 100; i++) {
        outcomes += await node.head(KEY).then(
          () => ".",
          (error: unknown) => (error instanceof NodeError && error.kind === "io" ? "i" : "b"),
        );
      }
      return outcomes;
    };
    const first = await run(1);
    assert.equal(await run(1), first);
    assert.notEqual(await run(2), first);
    for (const outcome of ".bi") assert.ok(first.split(outcome).length > 5, first);
  });
});
