/** A short fault run; `npm run test:faults -- --minutes N --seed S` is the long one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runFaults } from "../chaos/run.ts";
import { runSeed } from "../support/seeded.ts";

/** What is looked at in the end takes about as long again. */
const MINUTES = 0.5;

test("clients see no wrong answer while faults come and go, and everything is whole in the end", async (t) => {
  const seed = runSeed();
  t.diagnostic(`BULKHEAD_TEST_SEED=${seed}`);
  const lines: string[] = [];
  const result = await runFaults({ seed, minutes: MINUTES, log: (line) => lines.push(line) });
  if ("skip" in result) {
    t.skip(result.skip);
    return;
  }
  // What is left out on this machine is told as a skip of its own: where none is allowed, it has to be there.
  await t.test("nothing is left out", (inner) => {
    if (result.leftOut.length > 0) inner.skip(result.leftOut.join("; "));
  });
  assert.deepEqual(result.violations, [], `seed ${seed}:\n${lines.slice(-30).join("\n")}`);
  assert.ok(result.faults.size > 0 && result.operations > result.refused, lines.join("\n"));
  t.diagnostic(`${result.operations} operations, ${result.refused} refused, faults ${[...result.faults].join(" ")}`);
});
