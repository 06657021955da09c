/**
 * The deterministic simulation (docs/testing.md):
 *
 *   npm run simulate -- [--operations N] [--seed S] [--minutes M] [--processes P] [--mutant NAME] [--replay FILE]
 *
 * Runs cases drawn from the seed until there were N operations (20,000), or M minutes have passed, or one went wrong. That
 * one is made smaller, printed as a trace and written to a file that --replay runs again. --mutant puts a deliberate bug
 * in, which is to be found. The last line is `N operations, seed S, N violations`; a violation makes the exit code 1.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { loadChecksums } from "../src/shared/checksums.ts";
import { minimize, tell } from "../test/simulation/minimize.ts";
import { MUTANTS } from "../test/simulation/mutants.ts";
import { type Case, drawCase } from "../test/simulation/plan.ts";
import { runCase } from "../test/simulation/run-case.ts";
import { runCases, type Share } from "../test/simulation/run-cases.ts";

const OPERATIONS = 20_000;
const MINUTE_MS = 60_000;
/** Time for making a case that went wrong smaller. */
const MINIMIZE_MS = 2 * MINUTE_MS;
/** Between two lines about how far the run is. */
const PROGRESS_MS = 10_000;
/**
 * After these a process makes way for another: what the gateways of the simulation left undone when they were killed is
 * never let go of (Node.js keeps signals that somebody listens to), some 3 KB an operation.
 */
const OPERATIONS_PER_PROCESS = 50_000;
/** Most of what a case makes lives for one message: with room for more of it a run takes an eighth less time. */
const YOUNG_SPACE = "--max-semi-space-size=128";

interface Options {
  readonly operations: number;
  readonly seed: number;
  readonly minutes: number;
  readonly processes: number;
  readonly mutant: string | undefined;
  readonly replay: string | undefined;
  /** Which cases are this process's: those of one of several shares, from one of its cases on. */
  readonly share: Share | undefined;
}

/** What a process tells the one that started it. */
interface Report {
  readonly operations: number;
  readonly cases: number;
  readonly failed?: { readonly caseSeed: number; readonly violation: string; readonly violations: number };
}

interface SavedCase extends Case {
  readonly mutant?: string;
}

function parseOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      operations: { type: "string" },
      seed: { type: "string" },
      minutes: { type: "string" },
      processes: { type: "string" },
      mutant: { type: "string" },
      replay: { type: "string" },
      share: { type: "string" },
    },
  });
  const number = (name: keyof typeof values, absent: number): number => {
    const value = values[name] === undefined ? absent : Number(values[name]);
    if (!Number.isFinite(value) || value < 0) throw new Error(`--${name} takes a number, not ${values[name]}`);
    return value;
  };
  const [shareNumber, of, from] = (values.share ?? "").split("/").map(Number);
  if (values.mutant !== undefined) mutationOf(values.mutant);
  return {
    operations: number("operations", values.minutes === undefined ? OPERATIONS : Number.MAX_SAFE_INTEGER),
    seed: number("seed", Math.floor(Math.random() * 2 ** 31)),
    minutes: number("minutes", Number.MAX_SAFE_INTEGER / MINUTE_MS),
    processes: Math.max(1, number("processes", 1)),
    mutant: values.mutant,
    replay: values.replay,
    share:
      shareNumber === undefined || of === undefined || from === undefined
        ? undefined
        : { number: shareNumber, of, from },
  };
}

function mutationOf(name: string | undefined): (typeof MUTANTS)[number]["mutation"] {
  if (name === undefined) return {};
  const mutant = MUTANTS.find((each) => each.name === name);
  if (mutant === undefined) {
    throw new Error(`There is no mutant ${name}: choose from ${MUTANTS.map((each) => each.name).join(", ")}`);
  }
  return mutant.mutation;
}

/** Runs this process's share and tells `onReport` after each case. */
async function runShare(options: Options, onReport: (report: Report) => void): Promise<Report> {
  const untilMs = performance.now() + options.minutes * MINUTE_MS;
  const summary = await runCases({
    seed: options.seed,
    operations: options.operations,
    mutation: mutationOf(options.mutant),
    share: options.share,
    onCase: ({ operations, cases }) => {
      onReport({ operations, cases });
      return performance.now() < untilMs;
    },
  });
  const { operations, cases, failed } = summary;
  if (failed === undefined) return { operations, cases };
  const { violations } = failed.result;
  const [violation = ""] = violations;
  return {
    operations,
    cases,
    failed: { caseSeed: failed.caseSeed, violation, violations: violations.length },
  };
}

/** Runs all shares, in processes of their own where there are several, until all ended or one failed. */
async function runAll(options: Options, onReport: (reports: readonly Report[]) => void): Promise<readonly Report[]> {
  const reports: Report[] = Array.from({ length: options.processes }, () => ({ operations: 0, cases: 0 }));
  const take = (at: number, report: Report): void => {
    reports[at] = report;
    onReport(reports);
  };
  if (options.processes === 1) {
    take(0, await runShare(options, (report) => take(0, report)));
    return reports;
  }
  const children = new Set<ChildProcess>();
  const over = (): boolean => reports.some(({ failed }) => failed !== undefined);
  const runInTurns = async (number: number): Promise<void> => {
    const wanted = options.operations / options.processes;
    const startedAtMs = performance.now();
    for (let before = reports[number]; before !== undefined && before.operations < wanted && !over(); ) {
      const minutes = options.minutes - (performance.now() - startedAtMs) / MINUTE_MS;
      if (minutes <= 0) return;
      const { operations, cases } = before;
      const child = forkShare(options, {
        operations: Math.min(OPERATIONS_PER_PROCESS, wanted - operations),
        minutes,
        share: { number, of: options.processes, from: cases },
      });
      children.add(child);
      await untilEnded(child, (report) => {
        take(number, { ...report, operations: operations + report.operations, cases: cases + report.cases });
        if (over()) for (const other of children) other.kill();
      }).catch((error: unknown) => {
        // Those that were ended because another one found something.
        if (!over()) throw error;
      });
      children.delete(child);
      before = reports[number];
    }
  };
  await Promise.all(reports.map((_, number) => runInTurns(number)));
  return reports;
}

function forkShare(
  { seed, mutant }: Options,
  { operations, minutes, share }: { operations: number; minutes: number; share: Share },
): ChildProcess {
  const args = ["--seed", `${seed}`, "--operations", `${operations}`, "--minutes", `${minutes}`];
  args.push("--share", `${share.number}/${share.of}/${share.from}`);
  return fork(import.meta.filename, mutant === undefined ? args : [...args, "--mutant", mutant], {
    execArgv: [YOUNG_SPACE],
  });
}

async function untilEnded(child: ChildProcess, onReport: (report: Report) => void): Promise<void> {
  child.on("message", onReport);
  // What it told last may be read after it ended.
  const told = once(child, "disconnect");
  const [code] = (await once(child, "exit")) as [number | null];
  await told;
  if (code !== 0) throw new Error(`a process of the simulation ended with exit code ${code}`);
}

/** Makes the case smaller, prints it and saves it. */
async function explain(caseSeed: number, violation: string, mutant: string | undefined): Promise<void> {
  const checksums = await loadChecksums();
  const mutation = mutationOf(mutant);
  process.stdout.write(`\ncase ${caseSeed}: ${violation}\nmaking it smaller ...\n`);
  const untilMs = performance.now() + MINIMIZE_MS;
  const small = await minimize(drawCase(caseSeed), violation, {
    checksums,
    mutation,
    goOn: () => performance.now() < untilMs,
  });
  const result = await runCase(small, { checksums, mutation, keepTrace: true });
  const file = join(tmpdir(), `bulkhead-simulation-${caseSeed}.json`);
  const saved: SavedCase = mutant === undefined ? small : { ...small, mutant };
  await writeFile(file, `${JSON.stringify(saved, undefined, 1)}\n`);
  process.stdout.write(`\n${tell(small, result)}\n\nagain: npm run simulate -- --replay ${file}\n`);
}

async function replay(file: string): Promise<number> {
  const saved = JSON.parse(await readFile(file, "utf8")) as SavedCase;
  const checksums = await loadChecksums();
  const result = await runCase(saved, { checksums, mutation: mutationOf(saved.mutant), keepTrace: true });
  process.stdout.write(`${tell(saved, result)}\n\ntrace ${result.traceHash}\n`);
  process.stdout.write(lastLine(result.operations, saved.config.seed, result.violations.length));
  return result.violations.length;
}

function lastLine(operations: number, seed: number, violations: number): string {
  return `${operations} operations, seed ${seed}, ${violations} violations\n`;
}

function sum(reports: readonly Report[], of: "operations" | "cases"): number {
  return reports.reduce((total, report) => total + report[of], 0);
}

/** @returns how many violations there were */
async function main(options: Options): Promise<number> {
  if (options.replay !== undefined) return replay(options.replay);
  if (options.share !== undefined) {
    process.send?.(await runShare(options, (report) => process.send?.(report)));
    return 0;
  }
  const { seed, processes } = options;
  process.stdout.write(`seed ${seed}, ${processes} ${processes === 1 ? "process" : "processes"}\n`);
  const startedAtMs = performance.now();
  let toldAtMs = startedAtMs;
  const reports = await runAll(options, (soFar) => {
    const nowMs = performance.now();
    if (nowMs < toldAtMs + PROGRESS_MS) return;
    toldAtMs = nowMs;
    const operations = sum(soFar, "operations");
    const rate = Math.round((1000 * operations) / (nowMs - startedAtMs));
    process.stdout.write(`${operations} operations, ${sum(soFar, "cases")} cases, ${rate} operations/s\n`);
  });
  const failed = reports.find((report) => report.failed !== undefined)?.failed;
  if (failed !== undefined) await explain(failed.caseSeed, failed.violation, options.mutant);
  process.stdout.write(lastLine(sum(reports, "operations"), seed, failed?.violations ?? 0));
  return failed?.violations ?? 0;
}

try {
  process.exitCode = (await main(parseOptions(process.argv.slice(2)))) > 0 ? 1 : 0;
  process.disconnect?.();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exitCode = 2;
}
