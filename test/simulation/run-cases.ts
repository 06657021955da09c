/** Runs cases one after the other until there were enough operations, or one of them went wrong. */
import { loadChecksums } from "../../src/shared/checksums.ts";
import { seedOf } from "./chance.ts";
import type { Mutation } from "./mutation.ts";
import { drawCase } from "./plan.ts";
import { type CaseResult, runCase } from "./run-case.ts";

export interface RunSummary {
  readonly operations: number;
  readonly cases: number;
  /** The first case that went wrong. */
  readonly failed?: { readonly caseSeed: number; readonly result: CaseResult };
}

/** Every n-th case from the m-th on, for several processes; and of those, the ones from one on. */
export interface Share {
  readonly number: number;
  readonly of: number;
  readonly from: number;
}

export interface RunCasesOptions {
  readonly seed: number;
  readonly operations: number;
  readonly mutation?: Mutation | undefined;
  /** All when absent. */
  readonly share?: Share | undefined;
  /** Told after each case; `false` ends the run. */
  readonly onCase?: ((soFar: RunSummary) => boolean) | undefined;
}

export async function runCases(options: RunCasesOptions): Promise<RunSummary> {
  const { seed, mutation = {}, share = { number: 0, of: 1, from: 0 } } = options;
  const checksums = await loadChecksums();
  let [operations, cases] = [0, 0];
  const first = share.number + share.from * share.of;
  for (let number = first; operations < options.operations; number += share.of) {
    const caseSeed = seedOf(seed, number);
    const result = await runCase(drawCase(caseSeed), { checksums, mutation });
    operations += result.operations;
    cases++;
    if (result.violations.length > 0) return { operations, cases, failed: { caseSeed, result } };
    if (options.onCase?.({ operations, cases }) === false) break;
  }
  return { operations, cases };
}
