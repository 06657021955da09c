/** G14: AccessDenied taken for offline, and full disks that are still written. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeToDecommission } from "../../../src/cluster/health/decommission.ts";
import { INTERVAL_MS, openCluster } from "../cluster/test-cluster.ts";

test("G14: a node that refuses our credentials is access-denied, never lost and never decommissioned, however long", async () => {
  await using cluster = await openCluster();
  const handle = cluster.handle("a");
  handle.find({ check: "access", passed: false, reason: "403 InvalidAccessKeyId" });
  for (let hours = 0; hours < 3; hours++) {
    await cluster.pass(3_600_000, INTERVAL_MS / 2);
    assert.equal(cluster.state("a"), "access-denied");
    assert.deepEqual([cluster.members.isLost(handle.uuid), cluster.accepts("a").writes], [false, false]);
  }
  assert.deepEqual(cluster.eventsOf("a"), ["NODE_ONLINE", "NODE_ACCESS_DENIED"]);
  assert.equal(cluster.members.get(handle.uuid)?.missedProbes, 0);
  const node = { uuid: handle.uuid, name: "a", state: "access-denied", missed: 50, holdsCopies: true } as const;
  const others = [1, 2, 3].map((n) => ({ ...node, uuid: String(n), state: "online" as const, missed: 0 }));
  const reports = new Map([[1, { beat: 1, missed: new Map([[handle.uuid, 50]]) }]]);
  assert.equal(nodeToDecommission({ nodes: [node, ...others], gateways: new Set([1]), reports }), undefined);
});

test("G14: a full node gets no new copies, and keeps serving and deleting what it has", async () => {
  await using cluster = await openCluster();
  const handle = cluster.handle("a");
  handle.room = false;
  assert.deepEqual(cluster.accepts("a"), { reads: true, writes: false });
  await cluster.pass(20 * INTERVAL_MS);
  assert.deepEqual([cluster.state("a"), cluster.conditions("a")], ["online", ["full"]]);
  assert.equal(cluster.members.isLost(handle.uuid), false);
});

test("G14: a disk that turns out to be full or read-only by its canary is full, and well again by the next one", async () => {
  for (const kind of ["full", "read-only"] as const) {
    await using cluster = await openCluster();
    const handle = cluster.handle("a");
    handle.node.hooks.probe = async (depth) => [
      { check: "reach", passed: true },
      ...(depth === "canary" ? [{ check: "read-after-write", passed: false, kind }] : []),
    ];
    await cluster.pass(11 * INTERVAL_MS);
    assert.deepEqual([cluster.state("a"), cluster.conditions("a")], ["online", ["full"]]);
    assert.deepEqual(cluster.accepts("a"), { reads: true, writes: false });
    handle.find();
    await cluster.pass(3 * INTERVAL_MS);
    assert.deepEqual(cluster.accepts("a"), { reads: true, writes: true });
  }
});
