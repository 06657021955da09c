/** Bodies that are too long to be held: slow targets, targets lost in the midst, bounded memory (I1, I9). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BLOCK_BYTES, type Block, NodeError, type PutRequest } from "../../../src/nodes/storage-node.ts";
import { patternBytes } from "../../support/blobs.ts";
import { assertFullyRedundant, assertSound } from "../../support/catalog-audit.ts";
import { type GatewayOptions, type InMemoryGateway, turns, WRITE_LIMITS } from "../../support/in-memory-gateway.ts";
import { assertCode, chunksOf } from "../../support/object-client.ts";
import { type Box, MIB, openBox } from "../../support/open-box.ts";
import { copyCount, copyIn, slotsOf } from "../../support/slots.ts";

const BLOCKS = 24;
const BYTES = Buffer.from(patternBytes(BLOCKS * BLOCK_BYTES, 1));
/** What a target's buffer holds. */
const BUFFER_BLOCKS = WRITE_LIMITS.bufferBytes / BLOCK_BYTES;

function openStreaming(options: GatewayOptions = {}): Promise<Box> {
  return openBox({ segmentBytes: 64 * MIB, ...options });
}

async function* asIterable(blocks: PutRequest["blocks"]): AsyncGenerator<Block> {
  yield* blocks;
}

/** Puts on the node wait for the answer to be called before they take the block of this index. */
function stallAt(gateway: InMemoryGateway, name: string, index: number): () => void {
  const gate = Promise.withResolvers<void>();
  gateway.node(name).control.hooks.put = (request, pass) => {
    async function* slowly(): AsyncGenerator<Block> {
      let at = 0;
      for await (const block of asIterable(request.blocks)) {
        if (at++ === index) await gate.promise;
        yield block;
      }
    }
    return pass({ ...request, blocks: slowly() });
  };
  return gate.resolve;
}

/** Puts on the node fail before they take the block of this index. */
function failAt(gateway: InMemoryGateway, name: string, index: number): void {
  gateway.node(name).control.hooks.put = (request, pass) => {
    async function* broken(): AsyncGenerator<Block> {
      let at = 0;
      for await (const block of asIterable(request.blocks)) {
        if (at++ === index) throw new NodeError("unreachable", "the connection broke");
        yield block;
      }
    }
    return pass({ ...request, blocks: broken() });
  };
}

/** A body that tells how much of it was read. */
function countedBody(bytes: Uint8Array): {
  body: Parameters<Box["client"]["put"]>[1];
  read: () => number;
  ended: () => boolean;
} {
  let [read, ended] = [0, false];
  async function* stream(): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of chunksOf(bytes)) {
        read += chunk.length;
        yield chunk;
      }
    } finally {
      ended = true;
    }
  }
  return { body: { length: bytes.length, stream: stream(), expected: {} }, read: () => read, ended: () => ended };
}

test("a target that cannot keep up is let go once a quorum does, and goes on from a survivor", async () => {
  for (const index of [0, 1, 5, BLOCKS - 1]) {
    const { gateway, client } = await openStreaming({ domains: 3 });
    const release = stallAt(gateway, "d1-0", index);
    await gateway.whileTimePasses(client.put("box/a", BYTES));
    assert.deepEqual(gateway.writes, ["quorum"]);
    assert.deepEqual((await slotsOf(gateway, "a")).sort(), ["missing d1", "ok d0 d0-0", "ok d2 d2-0"]);
    const started = gateway.clock.nowMs();
    release();
    await gateway.settle();
    await turns(200);
    await assertFullyRedundant(gateway);
    for (const slot of [0, 1, 2]) assert.ok(BYTES.equals((await copyIn(gateway, "a", slot)).bytes));
    assert.equal(gateway.clock.nowMs(), started);
  }
});

test("a target holds the others up no longer than the lag time, and no shorter where it catches up", async () => {
  const { gateway, client } = await openStreaming({ domains: 3 });
  const release = stallAt(gateway, "d1-0", 2);
  const put = client.put("box/a", BYTES);
  await turns(100);
  gateway.clock.advance(WRITE_LIMITS.lagTimeoutMs - 1);
  await turns(20);
  release();
  await put;
  assert.deepEqual(gateway.writes, ["full"]);
});

test("no more of a body is read than the slowest target's buffer takes, while a quorum needs that target", async () => {
  for (const [domains, stalled] of [
    [2, ["d1-0"]],
    [3, ["d1-0", "d2-0"]],
    [2, ["d0-0", "d1-0"]],
  ] as const) {
    const { gateway, client } = await openStreaming({ domains });
    const releases = stalled.map((name) => stallAt(gateway, name, 3));
    const { body, read } = countedBody(BYTES);
    const put = client.put("box/a", body);
    for (let second = 0; second < 20; second++) {
      await turns(20);
      gateway.clock.advance(1_000);
    }
    // What the node has taken, what its buffer holds, and the block that is being read.
    const bound = (4 + BUFFER_BLOCKS + 1) * BLOCK_BYTES + 100_000;
    assert.ok(read() <= bound, `${read()} bytes were read, ${bound} may be`);
    for (const release of releases) release();
    await put;
    assert.deepEqual(gateway.writes, ["full"]);
    await assertFullyRedundant(gateway);
  }
});

test("a target that is lost in the midst is refilled from a survivor onto its stand-in", async () => {
  for (const index of [0, 1, 7, BLOCKS - 1]) {
    const { gateway, client } = await openStreaming({ nodesPerDomain: 2 });
    for (const name of ["d1-0", "d1-1"]) {
      failAt(gateway, name, index);
      const failing = gateway.node(name).control.hooks.put;
      gateway.node(name).control.hooks.put = (request, pass) => {
        // Whichever is asked first fails, the other does not.
        for (const either of ["d1-0", "d1-1"]) gateway.node(either).control.hooks = {};
        return failing?.(request, pass) ?? assert.fail();
      };
    }
    await client.put("box/a", BYTES);
    assert.deepEqual(gateway.writes, ["full"]);
    await gateway.settle();
    await assertFullyRedundant(gateway);
    assert.equal(copyCount(gateway), 2);
    for (const slot of [0, 1]) assert.ok(BYTES.equals((await copyIn(gateway, "a", slot)).bytes));
  }
});

test("a target that is lost in the midst without a stand-in is missing on record where the rest is a quorum", async () => {
  const { gateway, client } = await openStreaming({ domains: 3 });
  failAt(gateway, "d1-0", 9);
  await gateway.whileTimePasses(client.put("box/a", BYTES));
  assert.deepEqual(gateway.writes, ["quorum"]);
  await gateway.settle();
  assert.deepEqual((await slotsOf(gateway, "a")).sort(), ["missing d1", "ok d0 d0-0", "ok d2 d2-0"]);
  gateway.node("d1-0").control.hooks = {};
  await gateway.repair();
  await assertFullyRedundant(gateway);
});

test("a hand-off copy of a streamed body is made from a survivor", async () => {
  const { gateway, client } = await openStreaming({ nodesPerDomain: 2 });
  for (const name of ["d1-0", "d1-1"]) failAt(gateway, name, 3);
  await gateway.whileTimePasses(client.put("box/a", BYTES));
  assert.deepEqual(gateway.writes, ["degraded"]);
  for (const slot of [0, 1]) assert.ok(BYTES.equals((await copyIn(gateway, "a", slot)).bytes));
});

test("when all targets are lost in the midst the write ends at once, and lets the body go", async () => {
  const { gateway, client } = await openStreaming({ nodesPerDomain: 2 });
  for (const { name } of gateway.nodes.values()) failAt(gateway, name, 5);
  const { body, read, ended } = countedBody(BYTES);
  await gateway.whileTimePasses(assertCode(client.put("box/a", body), "not-enough-copies"));
  assert.ok(read() < BYTES.length, "the body was read to its end for nobody");
  assert.ok(ended());
  await gateway.settle();
  assert.equal(copyCount(gateway), 0);
  await assertSound(gateway);
});

test("a target that was let go and loses its survivors is missing on record", async () => {
  const { gateway, client } = await openStreaming({ domains: 3 });
  const release = stallAt(gateway, "d1-0", 2);
  await gateway.whileTimePasses(client.put("box/a", BYTES));
  gateway.nodeDown("d0-0");
  gateway.nodeDown("d2-0");
  release();
  for (let second = 0; second < 70; second++) {
    await turns(20);
    gateway.clock.advance(1_000);
  }
  await gateway.settle();
  assert.deepEqual((await slotsOf(gateway, "a")).sort(), ["missing d1", "ok d0 d0-0", "ok d2 d2-0"]);
  gateway.nodeUp("d0-0");
  await gateway.repair();
  await gateway.settle();
  await assertFullyRedundant(gateway);
});

test("a body that breaks off ends the puts of all its targets, and nothing is left of it", async () => {
  for (const stalled of [[], ["d1-0"], ["d0-0", "d1-0", "d2-0"]]) {
    const { gateway, client } = await openStreaming({ domains: 3 });
    const releases = stalled.map((name) => stallAt(gateway, name, 1));
    const broken = new Error("the client is gone");
    async function* stream(): AsyncGenerator<Uint8Array> {
      yield* chunksOf(BYTES.subarray(0, BLOCK_BYTES));
      throw broken;
    }
    const body = { length: BYTES.length, stream: stream(), expected: {} };
    await assert.rejects(gateway.whileTimePasses(client.put("box/a", body)), broken);
    for (const release of releases) release();
    await gateway.settle();
    assert.equal(copyCount(gateway), 0);
    await assertSound(gateway);
  }
});

test("a caller that gives up while all targets stall is let go within the lag time", async () => {
  const { gateway, client } = await openStreaming();
  const releases = ["d0-0", "d1-0"].map((name) => stallAt(gateway, name, 2));
  const caller = new AbortController();
  const { body, ended } = countedBody(BYTES);
  const put = assertCode(client.put("box/a", body, { signal: caller.signal }), "aborted");
  await turns(50);
  caller.abort();
  await turns(20);
  gateway.clock.advance(WRITE_LIMITS.lagTimeoutMs);
  await put;
  assert.ok(ended());
  for (const release of releases) release();
  await gateway.settle();
  assert.equal(copyCount(gateway), 0);
});
