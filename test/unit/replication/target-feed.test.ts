import assert from "node:assert/strict";
import { test } from "node:test";
import type { Block } from "../../../src/nodes/storage-node.ts";
import { TargetFeed } from "../../../src/replication/write/target-feed.ts";
import { blockOf } from "../../support/blobs.ts";
import { turns } from "../../support/in-memory-gateway.ts";

const block = (byte: number): Block => blockOf(Uint8Array.of(byte));

async function* rest(fromBlock: number): AsyncGenerator<Block> {
  for (let index = fromBlock; index < 6; index++) yield block(index);
}

function firstBytes(blocks: readonly Block[]): (number | undefined)[] {
  return blocks.map(({ chunks }) => chunks[0]?.[0]);
}

test("blocks come out as they were given, and room comes back as they are taken", async () => {
  const feed = new TargetFeed(2, rest);
  const taken = Array.fromAsync(feed.blocks());
  for (const index of [0, 1, 2, 3]) {
    await feed.room();
    feed.give(block(index));
  }
  feed.end();
  assert.deepEqual(firstBytes(await taken), [0, 1, 2, 3]);
  assert.equal(feed.attached, false);
});

test("a feed is full at its capacity, and whoever waits for room waits until a block is taken", async () => {
  const feed = new TargetFeed(2, rest);
  feed.give(block(0));
  assert.equal(feed.full, false);
  feed.give(block(1));
  assert.equal(feed.full, true);
  let room = false;
  void feed.room().then(() => {
    room = true;
  });
  await turns();
  assert.equal(room, false);
  const blocks = feed.blocks();
  await blocks.next();
  await turns();
  assert.equal(room, true);
});

test("a feed that is let go goes on from a survivor behind what it had, once that is taken", async () => {
  const feed = new TargetFeed(4, rest);
  feed.give(block(0));
  feed.give(block(1));
  feed.detach();
  assert.deepEqual([feed.attached, feed.detached], [false, true]);
  feed.give(block(2));
  feed.end();
  assert.deepEqual(firstBytes(await Array.fromAsync(feed.blocks())), [0, 1, 2, 3, 4, 5]);
});

test("letting go frees whoever waits for room and whoever waits for a block", async () => {
  const full = new TargetFeed(1, rest);
  full.give(block(0));
  const room = full.room();
  full.detach();
  await room;
  const empty = new TargetFeed(1, rest);
  const taken = Array.fromAsync(empty.blocks());
  await turns();
  empty.detach();
  assert.deepEqual(firstBytes(await taken), [0, 1, 2, 3, 4, 5]);
});

test("a feed that fails throws the reason to its put, frees its blocks and lets the reader go on", async () => {
  const reason = new Error("the client is gone");
  const feed = new TargetFeed(1, rest);
  const taken = Array.fromAsync(feed.blocks());
  await turns();
  feed.fail(reason);
  await assert.rejects(taken, reason);
  const unread = new TargetFeed(1, rest);
  unread.give(block(0));
  const room = unread.room();
  unread.fail(reason);
  unread.fail(new Error("another"));
  await room;
  assert.equal(unread.full, false);
  await assert.rejects(Array.fromAsync(unread.blocks()), reason);
});

test("a put that gives up in the midst lets the reader go on without it", async () => {
  const feed = new TargetFeed(1, rest);
  const blocks = feed.blocks();
  feed.give(block(0));
  await blocks.next();
  feed.give(block(1));
  const room = feed.room();
  await blocks.return();
  await room;
  assert.deepEqual([feed.attached, feed.full], [false, false]);
  feed.give(block(2));
  assert.equal(feed.full, false);
});
