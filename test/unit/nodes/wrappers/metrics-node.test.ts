import assert from "node:assert/strict";
import { test } from "node:test";
import type { PutReceipt, StorageNode } from "../../../../src/nodes/storage-node.ts";
import { MetricsNode, type NodeObserver } from "../../../../src/nodes/wrappers/metrics-node.ts";
import { createMetrics } from "../../../../src/observability/metrics.ts";
import { assertFails } from "../../../contract/storage-node-contract.ts";
import { collect } from "../../../support/blobs.ts";
import { ManualClock } from "../../../support/manual-clock.ts";
import { HeldCalls, HeldRead, KEY, putRequest, RANGE, stubNode } from "./stub-node.ts";

class Recorder implements NodeObserver {
  readonly seen: (string | number)[][] = [];
  started(...what: Parameters<NodeObserver["started"]>): void {
    this.seen.push(["started", ...what]);
  }
  finished(...what: Parameters<NodeObserver["finished"]>): void {
    this.seen.push(["finished", ...what]);
  }
}

function subject(calls: Partial<StorageNode>) {
  const clock = new ManualClock(0);
  const observer = new Recorder();
  return { clock, observer, node: new MetricsNode(stubNode(calls), observer, clock) };
}

test("every call is reported with its name, outcome and duration", async () => {
  const { node, observer } = subject({});
  await node.head(KEY);
  await node.delete(KEY);
  await node.list({ limit: 1 });
  await node.capacity();
  await node.probe("reach");
  await node.writeIdentity(new Uint8Array(1));
  await node.readIdentity();
  await assertFails(node.get(KEY, RANGE), "not-found");
  const operations = ["head", "delete", "list", "capacity", "probe", "write-identity", "read-identity"];
  assert.deepEqual(observer.seen, [
    ...operations.flatMap((operation) => [
      ["started", operation],
      ["finished", operation, "ok", 0, 0],
    ]),
    ["started", "get"],
    ["finished", "get", "not-found", 0, 0],
  ]);
});

test("a put is reported with the time it took, and its bytes only when they are stored", async () => {
  const calls = new HeldCalls<PutReceipt>();
  const { node, observer, clock } = subject({ put: () => calls.call(undefined) });
  const first = node.put(putRequest(1_234));
  clock.advance(70);
  calls.resolve({ proof: "fsync" });
  await first;
  const second = assertFails(node.put(putRequest(1_234)), "full");
  clock.advance(5);
  calls.reject("full");
  await second;
  assert.deepEqual(observer.seen, [
    ["started", "put"],
    ["finished", "put", "ok", 70, 1_234],
    ["started", "put"],
    ["finished", "put", "full", 5, 0],
  ]);
});

test("a get is reported when it ends, with the bytes handed out and the time that the node took", async () => {
  const calls = new HeldCalls<AsyncIterable<Uint8Array>>();
  const { node, observer, clock } = subject({ get: () => calls.call(undefined) });
  const read = new HeldRead();
  const opened = node.get(KEY, RANGE);
  clock.advance(100);
  calls.resolve(read);
  const chunks = (await opened)[Symbol.asyncIterator]();
  for (const length of [1_000, 500]) {
    clock.advance(3_600_000);
    const next = chunks.next();
    clock.advance(10);
    read.give(length);
    await next;
  }
  assert.deepEqual(observer.seen, [["started", "get"]]);
  const last = chunks.next();
  clock.advance(1);
  read.end();
  await last;
  await chunks.return?.();
  assert.deepEqual(observer.seen.slice(1), [["finished", "get", "ok", 121, 1_500]]);
});

test("a get that its reader leaves is ok; one that breaks off is reported as what broke it, with the bytes before", async () => {
  let read = new HeldRead();
  const { node, observer } = subject({ get: async () => read });
  const left = (await node.get(KEY, RANGE))[Symbol.asyncIterator]();
  const first = left.next();
  read.give(10);
  await first;
  await left.return?.();
  read = new HeldRead();
  const broken = (await node.get(KEY, RANGE))[Symbol.asyncIterator]();
  const next = broken.next();
  read.give(20);
  await next;
  const bad = assertFails(broken.next(), "unreachable");
  read.fail("unreachable");
  await bad;
  assert.deepEqual(observer.seen, [
    ["started", "get"],
    ["finished", "get", "ok", 0, 10],
    ["started", "get"],
    ["finished", "get", "unreachable", 0, 20],
  ]);
});

test("what is no NodeError is reported as unknown", async () => {
  const { node, observer } = subject({ head: () => Promise.reject(new TypeError("a bug")) });
  await assert.rejects(node.head(KEY), TypeError);
  assert.deepEqual(observer.seen[1], ["finished", "head", "unknown", 0, 0]);
});

test("Prometheus' metrics take the reports as they are", async () => {
  const metrics = createMetrics({ version: "1", processMetrics: false });
  const node = new MetricsNode(stubNode(), metrics.node("n1"), new ManualClock(0));
  const request = putRequest(400_000);
  await node.put(request);
  await collect(await node.get(request.key, RANGE));
  await assertFails(node.get(KEY, RANGE), "not-found");
  const { body } = await metrics.render();
  for (const line of [
    's3_node_operations_total{node="n1",operation="put",outcome="ok"} 1',
    's3_node_operations_total{node="n1",operation="get",outcome="ok"} 1',
    's3_node_operations_total{node="n1",operation="get",outcome="not-found"} 1',
    's3_node_bytes_total{node="n1",operation="put"} 400000',
    's3_node_bytes_total{node="n1",operation="get"} 300000',
    's3_node_operations_in_flight{node="n1"} 0',
  ]) {
    assert.ok(body.includes(line), line);
  }
});
