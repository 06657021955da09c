/** Objects that somebody else put in a node's bucket: told from ours by their place, at the price of a few listings. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CONTRACT_CLUSTER_ID } from "../../../contract/storage-node-contract.ts";
import type { FakeS3 } from "../../../support/fake-s3.ts";
import { putCopy, startFakeNode } from "../../../support/s3-nodes.ts";

function add(fake: FakeS3, ...names: string[]): void {
  for (const name of names) {
    fake.buckets.get("bucket")?.set(name, { bytes: Buffer.from("x"), headers: {}, etag: '"e"' });
  }
}

test("another cluster's objects and names that only begin like ours are foreign; all under our prefix is ours", async (t) => {
  const { fake, node } = await startFakeNode(t);
  await putCopy(node, 10);
  await node.writeIdentity(Buffer.from("identity"));
  add(fake, `.bulkhead/${CONTRACT_CLUSTER_ID}/blobs/not ours by its name`, `.bulkhead/${CONTRACT_CLUSTER_ID}/new`);
  assert.equal((await node.foreign()).count, 0);
  add(fake, ".bulkhead/", ".bulkhead/other/blobs/1", ".bulkhead/other/blobs/2");
  add(
    fake,
    `.bulkhead/${CONTRACT_CLUSTER_ID}x`,
    `.bulkhead/${CONTRACT_CLUSTER_ID}`,
    ".bulkhead/identity2",
    ".bulkhead",
  );
  const { names, count, more } = await node.foreign();
  assert.deepEqual([...names].sort(), [
    ".bulkhead",
    ".bulkhead/",
    `.bulkhead/${CONTRACT_CLUSTER_ID}`,
    `.bulkhead/${CONTRACT_CLUSTER_ID}x`,
    ".bulkhead/identity2",
    ".bulkhead/other/",
  ]);
  assert.deepEqual([count, more], [6, false]);
});

test("a tree of theirs is one name and costs no more than one object", async (t) => {
  const { fake, node } = await startFakeNode(t);
  add(fake, ...Array.from({ length: 5_000 }, (_, i) => `photos/${i}`));
  fake.calls.length = 0;
  assert.deepEqual(await node.foreign(), { names: ["photos/"], count: 1, more: false });
  assert.equal(fake.calls.length, 2);
});

test("what is more than a thousand names is not counted, and said to be there", async (t) => {
  const { fake, node } = await startFakeNode(t);
  add(fake, ...Array.from({ length: 1_000 }, (_, i) => `photo-${i}`));
  const exactly = await node.foreign();
  assert.deepEqual([exactly.count, exactly.more], [1_000, false]);
  add(fake, ...Array.from({ length: 4_000 }, (_, i) => `photo-${i}.jpg`));
  fake.calls.length = 0;
  const { names, count, more } = await node.foreign();
  assert.deepEqual([names.length, count, more], [10, 1_000, true]);
  assert.ok(fake.calls.length <= 4);
});
