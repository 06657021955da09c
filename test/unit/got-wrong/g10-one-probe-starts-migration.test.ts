/** G10: one failed probe that starts a migration. (A promotion that is lost at a restart has a test of its own.) */
import assert from "node:assert/strict";
import { test } from "node:test";
import { INTERVAL_MS, openCluster } from "../cluster/test-cluster.ts";

test("G10: a node that fails one probe of each two, for days, is never lost: nothing is made anew elsewhere", async () => {
  await using cluster = await openCluster();
  const { node, uuid } = cluster.handle("a");
  for (let round = 0; round < 50; round++) {
    node.down = true;
    await cluster.pass(INTERVAL_MS, INTERVAL_MS);
    assert.equal(cluster.members.isLost(uuid), false);
    node.down = false;
    await cluster.pass(INTERVAL_MS, 1_000);
    assert.equal(cluster.state("a"), "online");
  }
  assert.deepEqual(cluster.eventsOf("a"), ["NODE_ONLINE"]);
});

test("G10: the quick rechecks after one missed probe, however many fail, are no missed probes", async () => {
  await using cluster = await openCluster();
  const handle = cluster.handle("a");
  await cluster.pass(INTERVAL_MS - 1_000);
  handle.node.down = true;
  await cluster.pass(INTERVAL_MS);
  assert.equal(cluster.members.get(handle.uuid)?.missedProbes, 1);
  assert.deepEqual([cluster.state("a"), cluster.members.isLost(handle.uuid)], ["online", false]);
  assert.deepEqual(cluster.conditions("a"), ["suspect"]);
});

test("G10: a gateway that is restarted while a node is away counts from the start, and invents no loss", async () => {
  await using cluster = await openCluster();
  const { node, uuid } = cluster.handle("a");
  node.down = true;
  for (let restart = 0; restart < 5; restart++) {
    await cluster.pass(3 * INTERVAL_MS);
    await cluster.start();
    assert.deepEqual([cluster.state("a"), cluster.members.isLost(uuid)], ["degraded", false]);
  }
  await cluster.pass(4 * INTERVAL_MS);
  assert.deepEqual([cluster.state("a"), cluster.members.isLost(uuid)], ["unreachable", true]);
});
