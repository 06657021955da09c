/**
 * The power is cut at steps drawn from a recorded run, and each deliberate fault is found by it. Every step is cut by
 * `npm run power-loss`, more of them by test/faults/power-cuts.test.ts.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MUTANTS } from "../../power/mutants.ts";
import { cutNodes } from "../../power/node-cuts.ts";
import { powerLoss, SHORT_LIVES, told } from "../../power/power-loss.ts";
import { runSeed } from "../../support/seeded.ts";

const SHARE = 0.08;
const NODE_ROUNDS = 20;
const MUTANT_SEEDS = [1, 2, 3, 4, 5];
const MUTANT_SHARE = 0.25;

test("at whatever step the power is cut everywhere, what was acknowledged is there, what was deleted stays away, the rest is whole or absent", async (t) => {
  const seed = runSeed();
  t.diagnostic(`BULKHEAD_TEST_SEED=${seed}`);
  const { cuts, steps, acknowledged, violations } = await powerLoss({
    seed,
    nodes: 2,
    lives: SHORT_LIVES,
    share: SHARE,
  });
  t.diagnostic(`${cuts} power cuts in ${steps} steps of ${acknowledged} operations`);
  assert.deepEqual(violations.map(told), [], `seed ${seed}`);
  assert.ok(cuts > 20);
});

test("while one node loses its power, the gateway goes on, and the node comes back with nothing lost", async (t) => {
  const seed = runSeed();
  t.diagnostic(`BULKHEAD_TEST_SEED=${seed}`);
  const { cuts, acknowledged, violations } = await cutNodes({ seed, nodes: 3, rounds: NODE_ROUNDS });
  t.diagnostic(`${cuts} power cuts, ${acknowledged} operations acknowledged`);
  assert.deepEqual(violations.map(told), [], `seed ${seed}`);
  assert.ok(cuts > 0);
});

for (const mutant of MUTANTS) {
  test(`finds ${mutant.name}`, async (t) => {
    let cuts = 0;
    for (const seed of MUTANT_SEEDS) {
      const report = await powerLoss({ seed, nodes: 2, lives: SHORT_LIVES, share: MUTANT_SHARE, mutant });
      cuts += report.cuts;
      if (report.violations.length === 0) continue;
      t.diagnostic(`found after ${cuts} power cuts`);
      return;
    }
    assert.fail(`not found in ${cuts} power cuts`);
  });
}
