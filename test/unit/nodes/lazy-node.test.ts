import assert from "node:assert/strict";
import { test } from "node:test";
import { LazyNode } from "../../../src/nodes/lazy-node.ts";
import { openMemoryNode } from "../../../src/nodes/memory/memory-node.ts";
import { NodeError, type StorageNode } from "../../../src/nodes/storage-node.ts";
import { assertFails, CONTRACT_CLUSTER_ID, storageNodeContract } from "../../contract/storage-node-contract.ts";
import { collect } from "../../support/blobs.ts";
import { KEY, putRequest, RANGE } from "./wrappers/stub-node.ts";
import { wrappedMemory } from "./wrappers/wrapped-memory.ts";

storageNodeContract("memory, opened by its first probe", () =>
  wrappedMemory(async (open) => {
    const node = new LazyNode("m1", async () => open());
    await node.probe("reach");
    return node;
  }),
);

/** A node that is opened when the test says so. */
function subject() {
  const attempts: PromiseWithResolvers<StorageNode>[] = [];
  const node = new LazyNode("n1", () => {
    const attempt = Promise.withResolvers<StorageNode>();
    attempts.push(attempt);
    return attempt.promise;
  });
  return { node, attempts };
}

/** A memory node that counts how often it is closed. */
function countedNode(): { readonly node: StorageNode; closed: number } {
  const memory = openMemoryNode({ name: "n1", clusterId: CONTRACT_CLUSTER_ID });
  const counted = {
    closed: 0,
    node: new Proxy(memory, {
      get(target, property) {
        if (property === "close") counted.closed += 1;
        const member: unknown = Reflect.get(target, property);
        return typeof member === "function" ? member.bind(target) : member;
      },
    }),
  };
  return counted;
}

test("every call but a probe answers unreachable until the node is open, and opens nothing", async () => {
  const { node, attempts } = subject();
  await assertFails(node.put(putRequest()), "unreachable");
  await assertFails(node.get(KEY, RANGE), "unreachable");
  await assertFails(node.head(KEY), "unreachable");
  await assertFails(node.delete(KEY), "unreachable");
  await assertFails(node.list({ limit: 1 }), "unreachable");
  await assertFails(node.capacity(), "unreachable");
  await assertFails(node.readIdentity(), "unreachable");
  await assertFails(node.writeIdentity(new Uint8Array(1)), "unreachable");
  assert.equal(attempts.length, 0);
  await node.close();
});

test("probes at the same time open the node once, and calls go to it from then on", async () => {
  const { node, attempts } = subject();
  const probes = [node.probe("reach"), node.probe("reach")];
  await assertFails(node.head(KEY), "unreachable");
  attempts[0]?.resolve(countedNode().node);
  await Promise.all(probes);
  await node.probe("canary");
  assert.equal(attempts.length, 1);
  const request = putRequest(10);
  await node.put(request);
  assert.equal((await collect(await node.get(request.key, { start: 0, end: 10 }))).length, 10);
});

test("a probe fails with what opening fails with, and the next one tries again", async () => {
  const { node, attempts } = subject();
  const first = assertFails(node.probe("reach"), "io");
  attempts[0]?.reject(new NodeError("io", "the disk is gone"));
  await first;
  await assertFails(node.head(KEY), "unreachable");
  const second = node.probe("reach");
  attempts[1]?.resolve(countedNode().node);
  await second;
  assert.equal(await node.head(KEY), undefined);
});

test("closing closes the node that was opened, and later calls answer unreachable", async () => {
  const { node, attempts } = subject();
  const opened = countedNode();
  const probe = node.probe("reach");
  attempts[0]?.resolve(opened.node);
  await probe;
  await node.close();
  assert.equal(opened.closed, 1);
  await assertFails(node.head(KEY), "unreachable");
  await assertFails(node.probe("reach"), "unreachable");
});

test("a node that is closed while it is being opened is closed when it is open, and stays so", async () => {
  const { node, attempts } = subject();
  const opened = countedNode();
  const probe = node.probe("reach");
  const closing = node.close();
  attempts[0]?.resolve(opened.node);
  await closing;
  assert.equal(opened.closed, 1);
  // It came before the end, or it did not.
  await Promise.allSettled([probe]);
  await assertFails(node.probe("reach"), "unreachable");
});

test("a node that was never opened is closed without being opened", async () => {
  const { node, attempts } = subject();
  await node.close();
  await assertFails(node.probe("reach"), "unreachable");
  assert.equal(attempts.length, 0);
});
