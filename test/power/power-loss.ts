/** The recorded run whose power is cut, as the tests and `npm run power-loss` share it. */

import { crc32c } from "../../src/shared/crc32c.ts";
import { seededRandom } from "../../src/shared/random.ts";
import { type CutReport, cutLife, type Loss, type Violation } from "./cuts.ts";
import type { Mutant } from "./mutants.ts";
import { type Life, type LifePlan, RunError, record } from "./recording.ts";
import { seedOf } from "./seed-of.ts";

/** One life without snapshots is so long that the segments of its journal are merged. They end in both ways. */
export const LIVES: readonly LifePlan[] = [
  { operations: 40, snapshots: true, end: "cut" },
  { operations: 720, snapshots: false, end: "cut" },
  { operations: 80, snapshots: true, end: "stop" },
  { operations: 40, snapshots: true, end: "cut" },
  { operations: 100, snapshots: true, end: "cut" },
  { operations: 40, snapshots: false, end: "cut" },
  { operations: 80, snapshots: true, end: "stop" },
  { operations: 60, snapshots: true, end: "cut" },
];
/** Enough for each kind of step, few enough to be quick. */
export const SHORT_LIVES: readonly LifePlan[] = [
  { operations: 40, snapshots: true, end: "cut" },
  { operations: 60, snapshots: true, end: "stop" },
  { operations: 40, snapshots: true, end: "cut" },
];

export interface PowerLossOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly lives: readonly LifePlan[];
  /** Share of the steps after which the power is cut, 0 to 1. */
  readonly share: number;
  /** Of these parts of all cuts only this one is done, so that processes can share them. */
  readonly part?: { readonly number: number; readonly of: number };
  readonly mutant?: Mutant;
  readonly onLife?: (summary: LifeSummary) => void;
}

export interface LifeSummary extends CutReport {
  readonly life: number;
  readonly steps: number;
  readonly acknowledged: number;
  readonly jobs: ReadonlyMap<string, number>;
}

export interface PowerLossReport extends CutReport {
  readonly steps: number;
  readonly acknowledged: number;
  /** Of all steps: the same run has the same. */
  readonly checksum: number;
}

/** Steps after which what is left goes on for a while, once in so many. */
const GOES_ON_EVERY = 19;
const BOTH: readonly Loss[] = ["power", "disk"];

export async function powerLoss(options: PowerLossOptions): Promise<PowerLossReport> {
  const { seed, nodes, lives, share, mutant, part = { number: 0, of: 1 } } = options;
  const random = seededRandom(seedOf(seed, part.number));
  // A mutant is to be found by the power cuts alone, where it can be.
  const losses = mutant === undefined || mutant.losesDisks === true ? BOTH : BOTH.slice(0, 1);
  const violations: Violation[] = [];
  let [cuts, steps, acknowledged, checksum] = [0, 0, 0, 0];
  const faults = mutant === undefined ? {} : { faults: mutant.faults };
  const turnsMax = mutant?.turnsMax === undefined ? {} : { turnsMax: mutant.turnsMax };
  try {
    for await (const life of record({ seed, nodes, lives, ...faults, ...turnsMax })) {
      const report = await cutLife(life, {
        seed,
        cutsAt: (step) => {
          if (step % part.of !== part.number) return [];
          if (share === 1) return losses;
          return random.float() < share ? losses.slice(Math.floor(random.float() * losses.length)).slice(0, 1) : [];
        },
        goesOnAt: (step) => mutant === undefined && step % GOES_ON_EVERY === 0,
        ...faults,
      });
      checksum = checksumOf(life, checksum);
      cuts += report.cuts;
      steps += life.steps.length;
      acknowledged += life.acknowledged;
      violations.push(...report.violations);
      options.onLife?.({
        ...report,
        life: life.number,
        steps: life.steps.length,
        acknowledged: life.acknowledged,
        jobs: life.jobs,
      });
      if (violations.length > 0) break;
    }
  } catch (error) {
    // What a life finds in what the one before left is a find as well.
    if (!(error instanceof RunError)) throw error;
    violations.push({ life: error.life, step: 0, what: "the run itself", problems: [String(error)] });
  }
  return { cuts, steps, acknowledged, checksum, violations };
}

function checksumOf({ steps }: Life, before: number): number {
  let checksum = before;
  for (const { node, event } of steps) {
    checksum = crc32c(Buffer.from(`${node} ${event.kind}`), checksum);
    if (event.kind === "write") checksum = crc32c(event.bytes, checksum);
  }
  return checksum;
}

/** One line for each, with what it takes to see it again. */
export function told({ life, step, what, problems }: Violation): string {
  return `life ${life}, step ${step}: ${what}: ${problems.join("; ")}`;
}
