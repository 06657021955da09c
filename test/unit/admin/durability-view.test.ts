import assert from "node:assert/strict";
import { test } from "node:test";
import { type DurabilityContext, durabilityView } from "../../../src/admin/prove/durability-view.ts";
import { type DurabilityAnswer, durabilitySchema } from "../../../src/admin/prove/prove-types.ts";
import { NO_AGES, withAges } from "../../../src/replication/durability/age-tally.ts";
import { adminContext } from "../../support/admin-context.ts";
import { type GatewayOptions, openInMemoryGateway } from "../../support/in-memory-gateway.ts";

const HOUR_MS = 3_600_000;

/** The answer, provided that it is what the API describes. */
async function view(
  options: GatewayOptions,
  durability: Partial<DurabilityContext["durability"]> = {},
): Promise<DurabilityAnswer> {
  const context = adminContext(await openInMemoryGateway(options));
  const answer = durabilityView({ ...context, durability: { ...context.durability, ...durability } });
  assert.deepEqual(durabilitySchema.parse(answer), answer);
  return answer;
}

test("nothing is estimated before anything was measured", async () => {
  assert.deepEqual(await view({}), {
    copies: 2,
    annual_failure_rate: 0.02,
    restored_copies: 0,
    mean_time_to_restore_seconds: null,
    mean_time_to_loss_years: null,
    annual_loss_probability: null,
    nodes: [],
  });
});

test("the estimate is for the copies of the policy, from the mean that was measured", async () => {
  const restoreTimes = { mean: { count: 12, meanMs: HOUR_MS } };
  const two = await view({}, { restoreTimes });
  assert.deepEqual([two.copies, two.restored_copies, two.mean_time_to_restore_seconds], [2, 12, 3_600]);
  const loss = two.annual_loss_probability ?? 1;
  // About 2 l^2 / m.
  assert.ok(loss > 0.9e-7 && loss < 1e-7, String(loss));
  const four = await view({ domains: 3, replicaCount: 2, nodesPerDomain: 2, policy: { factor: 2 } }, { restoreTimes });
  assert.equal(four.copies, 4);
  assert.ok((four.annual_loss_probability ?? 1) < loss);
});

test("one copy is lost as often as its node, which wants no measurement", async () => {
  const { copies, annual_loss_probability, mean_time_to_restore_seconds } = await view({ domains: 1 });
  assert.deepEqual([copies, mean_time_to_restore_seconds], [1, null]);
  assert.ok(Math.abs((annual_loss_probability ?? 0) - 0.02) < 1e-9);
});

test("the ages of each node are told as of the last pass", async () => {
  const last = [
    {
      nodeUuid: "00",
      node: "a1",
      domain: "a",
      startedAtMs: 0,
      endedAtMs: HOUR_MS,
      tally: withAges(NO_AGES, [5 * HOUR_MS, 30 * HOUR_MS, 40 * HOUR_MS, undefined]),
    },
    { nodeUuid: "01", node: "b1", domain: "b", startedAtMs: 0, endedAtMs: HOUR_MS, tally: NO_AGES },
  ];
  const { nodes } = await view({}, { verifiedAges: { last } });
  const at = "1970-01-01T01:00:00.000Z";
  assert.deepEqual(nodes, [
    {
      node: "a1",
      domain: "a",
      pass_ended_at: at,
      copies: 4,
      never_verified: 1,
      median_age_seconds: 40 * 3_600,
      oldest_age_seconds: 40 * 3_600,
    },
    {
      node: "b1",
      domain: "b",
      pass_ended_at: at,
      copies: 0,
      never_verified: 0,
      median_age_seconds: null,
      oldest_age_seconds: null,
    },
  ]);
});
