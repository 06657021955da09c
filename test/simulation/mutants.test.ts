/**
 * That the simulation can fail: it finds each of the deliberate bugs. By default only those that it finds soon;
 * with BULKHEAD_TEST_MINUTES all of them.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { loadChecksums } from "../../src/shared/checksums.ts";
import { minimize } from "./minimize.ts";
import { MUTANTS } from "./mutants.ts";
import { drawCase } from "./plan.ts";
import { runCase } from "./run-case.ts";
import { runCases } from "./run-cases.ts";

const SEED = 1;
/** Mutants that are found within so many operations are looked for in every run of the tests. */
const SOON_OPERATIONS = 5_000;
const ALL = process.env["BULKHEAD_TEST_MINUTES"] !== undefined;

for (const { name, what, operationsMax, mutation } of MUTANTS) {
  if (!ALL && operationsMax > SOON_OPERATIONS) continue;
  test(`${name} is found within ${operationsMax} operations: ${what}`, async (t) => {
    const { operations, failed } = await runCases({ seed: SEED, operations: operationsMax, mutation });
    assert.notEqual(failed, undefined, `${operations} operations and nothing noticed`);
    t.diagnostic(`${name}: ${operations} operations, ${failed?.result.violations[0]?.split("\n")[0]}`);
  });
}

test("a case that goes wrong is made smaller, and goes wrong in the same way", async () => {
  const mutant = MUTANTS.find(({ name }) => name === "reference-count");
  assert.ok(mutant !== undefined);
  const { mutation, operationsMax: operations } = mutant;
  const { failed } = await runCases({ seed: SEED, operations, mutation });
  assert.ok(failed !== undefined);
  const checksums = await loadChecksums();
  const original = drawCase(failed.caseSeed);
  let runs = 0;
  const small = await minimize(original, failed.result.violations[0] ?? "", {
    checksums,
    mutation,
    goOn: () => ++runs < RUNS_MAX,
  });
  assert.ok(small.steps.length < original.steps.length / 4, `${small.steps.length} steps are left`);
  const { violations } = await runCase(small, { checksums, mutation });
  assert.match(violations[0] ?? "", /a reference leads to/);
});

/** Runs that the minimizer gets here. */
const RUNS_MAX = 60;
