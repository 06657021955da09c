/** G8: a rebalance, or whatever else hangs, that blocks failure detection. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { INTERVAL_MS, openCluster } from "../cluster/test-cluster.ts";

test("H9: a node whose every call hangs, without hearing of its signal, is found, and delays the detection of no other", async () => {
  await using cluster = await openCluster();
  const [hanging, other] = [cluster.handle("a"), cluster.handle("b")];
  const never = (): Promise<never> => new Promise(() => {});
  Object.assign(hanging.node, { probe: never, readIdentity: never, capacity: never, get: never, put: never });
  other.node.down = true;
  await cluster.pass(3 * INTERVAL_MS + 500);
  assert.deepEqual([cluster.state("b"), cluster.members.get(other.uuid)?.missedProbes], ["degraded", 3]);
  await cluster.pass(2 * INTERVAL_MS);
  assert.deepEqual([cluster.state("b"), cluster.members.get(other.uuid)?.missedProbes], ["unreachable", 5]);
  // Each check that hangs is one missed probe; it ends 15 s after it began.
  await cluster.pass(INTERVAL_MS);
  assert.equal(cluster.state("a"), "unreachable");
});

test("G8: moving copies between nodes, however long their calls take, delays no probe", async () => {
  await using cluster = await openCluster();
  const moving = cluster.handle("a");
  // What a rebalance does: reads, puts and listings that are under way for as long as it takes.
  const never = (): Promise<never> => new Promise(() => {});
  Object.assign(moving.node, { get: never, put: never, list: never, capacity: never });
  for (let call = 0; call < 100; call++) void moving.node.list({ limit: 1 });
  const before = moving.probes;
  await cluster.pass(4 * INTERVAL_MS);
  assert.equal(moving.probes - before, 4);
  moving.node.down = true;
  await cluster.pass(5 * INTERVAL_MS);
  assert.equal(cluster.state("a"), "unreachable");
});
