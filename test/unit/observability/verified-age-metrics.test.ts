import assert from "node:assert/strict";
import { test } from "node:test";
import { createMetrics } from "../../../src/observability/metrics.ts";
import { AGE_BOUNDS_SECONDS, type VerifiedAgeGauges } from "../../../src/observability/verified-age-metrics.ts";

const NAME = "bulkhead_copy_verified_age";

test("ages are a histogram of each node, as of the last pass, and gone with the node", async () => {
  const metrics = createMetrics({ version: "1.2.3", processMetrics: false });
  const lines = async (): Promise<string[]> =>
    (await metrics.render()).body.split("\n").filter((line) => line.startsWith(NAME));
  let nodes: readonly VerifiedAgeGauges[] | Error = [];
  metrics.watchVerifiedAges(() => {
    if (nodes instanceof Error) throw nodes;
    return nodes;
  });
  assert.deepEqual(await lines(), []);
  const counts: number[] = [...AGE_BOUNDS_SECONDS, 0].map((_, bucket) => (bucket === 0 ? 3 : bucket === 1 ? 1 : 0));
  counts[AGE_BOUNDS_SECONDS.length] = 2;
  nodes = [{ node: "a1", domain: "a", counts, sumSeconds: 12_345, passEndedAtMs: 1_800_000_000_000 }];
  const told = await lines();
  const labels = 'node="a1",domain="a"';
  assert.equal(told[0], `${NAME}_seconds_bucket{${labels},le="3600"} 3`);
  assert.equal(told[1], `${NAME}_seconds_bucket{${labels},le="21600"} 4`);
  assert.ok(told.includes(`${NAME}_seconds_bucket{${labels},le="31536000"} 4`));
  assert.ok(told.includes(`${NAME}_seconds_bucket{${labels},le="+Inf"} 6`));
  assert.ok(told.includes(`${NAME}_seconds_sum{${labels}} 12345`));
  assert.ok(told.includes(`${NAME}_seconds_count{${labels}} 6`));
  assert.ok(told.includes(`${NAME}_pass_timestamp_seconds{node="a1"} 1800000000`));
  nodes = new Error("no ages");
  assert.deepEqual(await lines(), []);
});
