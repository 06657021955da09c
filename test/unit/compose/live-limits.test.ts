/** Which limits background work goes by: what was set live, else what is configured now. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Catalog } from "../../../src/catalog/catalog.ts";
import { setPolicy } from "../../../src/cluster/change-policy.ts";
import type { LiveLimitsChange } from "../../../src/cluster/live-limits.ts";
import { WorkLimitsInForce } from "../../../src/compose/live-limits.ts";
import type { MoveRates } from "../../../src/replication/jobs/move-limits.ts";
import type { RestoreRates } from "../../../src/replication/jobs/restore-pace.ts";
import type { ScrubRates } from "../../../src/replication/scrub/copy-scrubber.ts";
import { openInMemoryGateway } from "../../support/in-memory-gateway.ts";

const MIB = 2 ** 20;
const CONFIGURED = {
  rebalance: { enabled: true, automatic: true, rateLimitPerSecond: 10, cleanupSource: false },
  repair: { rateLimitPerSecond: "auto", bandwidthLimitBytesPerSecond: "auto" },
  scrub: { enabled: true, intervalMs: 1, copiesPerSecond: 100, bytesPerSecond: 20 * MIB },
} as const;

async function openLimits() {
  const gateway = await openInMemoryGateway();
  const { catalog } = gateway.process;
  const set: { moving?: MoveRates; restoring?: RestoreRates; scrubbing?: ScrubRates } = {};
  const open = (): WorkLimitsInForce =>
    new WorkLimitsInForce(catalog.kv, CONFIGURED, {
      moving: { set: (rates) => void (set.moving = rates) },
      restoring: { set: (rates) => void (set.restoring = rates) },
      scrubbing: { setRates: (rates) => void (set.scrubbing = rates) },
    });
  const change = (limits: LiveLimitsChange, by: Catalog = catalog): Promise<void> =>
    setPolicy({ catalog: by, clock: gateway.clock }, { limits });
  return { limits: open(), open, set, change };
}

test("what is set live is taken up by every gateway, and outlives a restart", async () => {
  const { limits, open, set, change } = await openLimits();
  await limits.refresh();
  assert.deepEqual(set, {
    moving: { copiesPerSecond: 10, bytesPerSecond: undefined },
    restoring: { copiesPerSecond: "auto", bytesPerSecond: "auto" },
    scrubbing: { copiesPerSecond: 100, bytesPerSecond: 20 * MIB },
  });
  await change({
    rebalance: { bandwidthMib: 3 },
    repair: { copiesPerSecond: 5, bandwidthMib: "auto" },
    scrub: { copiesPerSecond: 1 },
  });
  const expected = {
    moving: { copiesPerSecond: 10, bytesPerSecond: 3 * MIB },
    restoring: { copiesPerSecond: 5, bytesPerSecond: "auto" },
    scrubbing: { copiesPerSecond: 1, bytesPerSecond: 20 * MIB },
  };
  await limits.refresh();
  assert.deepEqual(set, expected);
  await open().refresh();
  assert.deepEqual(set, expected);
});

test("a configuration that is read again holds where nothing is set live", async () => {
  const { limits, set, change } = await openLimits();
  await change({ rebalance: { copiesPerSecond: 77 } });
  await limits.refresh();
  const rebalance = {
    ...CONFIGURED.rebalance,
    rateLimitPerSecond: 20,
    bandwidthLimitBytesPerSecond: MIB,
    automatic: false,
  };
  limits.configure({ ...CONFIGURED, rebalance });
  assert.deepEqual(set.moving, { copiesPerSecond: 77, bytesPerSecond: MIB });
  assert.equal(limits.rebalance.automatic, false);
  await change({ rebalance: { copiesPerSecond: null } });
  await limits.refresh();
  assert.deepEqual(set.moving, { copiesPerSecond: 20, bytesPerSecond: MIB });
});

test("two changes at the same time both hold", async () => {
  const { limits, set, change } = await openLimits();
  await Promise.all([change({ rebalance: { copiesPerSecond: 1 } }), change({ scrub: { copiesPerSecond: 2 } })]);
  await limits.refresh();
  assert.deepEqual([set.moving?.copiesPerSecond, set.scrubbing?.copiesPerSecond], [1, 2]);
});
