/**
 * That the simulation can fail: it finds each of the deliberate bugs. By default only those that it finds soon;
 * with BULKHEAD_TEST_MINUTES those that take long. The other half is in more-mutants.test.ts.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { loadChecksums } from "../../src/shared/checksums.ts";
import { findMutants } from "./find-mutants.ts";
import { minimize } from "./minimize.ts";
import { MUTANTS } from "./mutants.ts";
import { drawCase } from "./plan.ts";
import { runCase } from "./run-case.ts";
import { runCases } from "./run-cases.ts";

findMutants(0, 2);

test("a case that goes wrong is made smaller, and goes wrong in the same way", async () => {
  const mutant = MUTANTS.find(({ name }) => name === "reference-count");
  assert.ok(mutant !== undefined);
  const { mutation, operationsMax: operations } = mutant;
  const { failed } = await runCases({ seed: 1, operations, mutation });
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
