import assert from "node:assert/strict";
import { test } from "node:test";
import { createMetrics } from "../../../src/observability/metrics.ts";

test("it is told whether the coordinator answers and whether this gateway leads, as it is at each scrape", async () => {
  const metrics = createMetrics({ version: "1.2.3", processMetrics: false });
  const now = { available: true, leader: true };
  metrics.watchCoordinator(() => now);
  const lines = async (): Promise<string[]> => {
    const { body } = await metrics.render();
    return body.split("\n").filter((line) => /^bulkhead_(coordinator_up|leader) /.test(line));
  };
  assert.deepEqual(await lines(), ["bulkhead_coordinator_up 1", "bulkhead_leader 1"]);
  now.leader = false;
  assert.deepEqual(await lines(), ["bulkhead_coordinator_up 1", "bulkhead_leader 0"]);
  now.available = false;
  assert.deepEqual(await lines(), ["bulkhead_coordinator_up 0", "bulkhead_leader 0"]);
});
