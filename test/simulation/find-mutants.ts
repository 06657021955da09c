/** That the simulation finds deliberate bugs, in several files, which run beside each other. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MUTANTS } from "./mutants.ts";
import { runCases } from "./run-cases.ts";

/** Mutants that are found within so many operations are looked for in every run of the tests, the others where there is time. */
const SOON_OPERATIONS = 5_000;
const TAKES_TIME = process.env["BULKHEAD_TEST_MINUTES"] !== undefined;

/** Tests of every `of`th mutant, beginning with number `part`; with BULKHEAD_TEST_MINUTES of those that take long, else of the others. */
export function findMutants(part: number, of: number): void {
  for (const [number, { name, what, operationsMax, mutation, seed = 1 }] of MUTANTS.entries()) {
    const takesTime = operationsMax > SOON_OPERATIONS;
    if (number % of !== part || takesTime !== TAKES_TIME) continue;
    test(`${name} is found within ${operationsMax} operations: ${what}`, async (t) => {
      const { operations, failed } = await runCases({ seed, operations: operationsMax, mutation });
      assert.notEqual(failed, undefined, `${operations} operations and nothing noticed`);
      t.diagnostic(`${name}: ${operations} operations, ${failed?.result.violations[0]?.split("\n")[0]}`);
    });
  }
}
