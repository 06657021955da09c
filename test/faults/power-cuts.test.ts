/** A larger sample of the power cuts than `npm test` takes; every step is cut by `npm run power-loss`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { cutNodes } from "../power/node-cuts.ts";
import { LIVES, powerLoss, told } from "../power/power-loss.ts";
import { runSeed } from "../support/seeded.ts";

const SHARE = 0.1;
const NODE_ROUNDS = 120;

for (const nodes of [2, 3]) {
  test(`power cuts in a run of more than 1,000 operations over ${nodes} nodes lose nothing and bring nothing back`, async (t) => {
    const seed = runSeed();
    t.diagnostic(`BULKHEAD_TEST_SEED=${seed}`);
    const share = nodes === 2 ? SHARE : SHARE / 2;
    const { cuts, steps, acknowledged, violations } = await powerLoss({ seed, nodes, lives: LIVES, share });
    t.diagnostic(`${cuts} power cuts in ${steps} steps of ${acknowledged} operations`);
    assert.deepEqual(violations.map(told), [], `seed ${seed}`);
    assert.ok(acknowledged >= 1_000);
  });

  test(`one of ${nodes} nodes without power, time after time, loses nothing`, async (t) => {
    const seed = runSeed();
    t.diagnostic(`BULKHEAD_TEST_SEED=${seed}`);
    const { cuts, acknowledged, disasters, violations } = await cutNodes({ seed, nodes, rounds: NODE_ROUNDS });
    t.diagnostic(`${cuts} power cuts, ${disasters} losses of catalog and disk, ${acknowledged} operations`);
    assert.deepEqual(violations.map(told), [], `seed ${seed}`);
  });
}
