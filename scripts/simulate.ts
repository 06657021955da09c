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
import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { loadChecksums } from "../src/shared/checksums.ts";
import { minimize, tell } from "../test/simulation/minimize.ts";
import { MUTANTS } from "../test/simulation/mutants.ts";
import { type Case, drawCase } from "../test/simulation/plan.ts";
import { runCase } from "../test/simulation/run-case.ts";
import { runCases } from "../test/simulation/run-cases.ts";

const OPERATIONS = 20_000;
const MINUTE_MS = 60_000;
/** Time for making a case that went wrong smaller. */
const MINIMIZE_MS = 2 * MINUTE_MS;
/** Between two lines about how far the run is. */
const PROGRESS_MS = 10_000;
/** Most of what a case makes lives for one message: with room for more of it a run takes an eighth less time. */
const YOUNG_SPACE = "--max-semi-space-size=128";

interface Options {
  readonly operations: number;
  readonly seed: number;
  readonly minutes: number;
  readonly processes: number;
  readonly mutant: string | undefined;
  readonly replay: string | undefined;
  /** Which of several processes this is. */
  readonly share: { readonly number: number; readonly of: number } | undefined;
}

/** What a process tells the one that started it. */
interface Report {
  readonly operations: number;
  readonly cases: number;
  readonly ended: boolean;
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
  const [shareNumber, shareOf] = (values.share ?? "").split("/").map(Number);
  if (values.mutant !== undefined) mutationOf(values.mutant);
  return {
    operations: number("operations", values.minutes === undefined ? OPERATIONS : Number.MAX_SAFE_INTEGER),
    seed: number("seed", Math.floor(Math.random() * 2 ** 31)),
    minutes: number("minutes", Number.MAX_SAFE_INTEGER / MINUTE_MS),
    processes: Math.max(1, number("processes", 1)),
    mutant: values.mutant,
    replay: values.replay,
    share: shareNumber === undefined || shareOf === undefined ? undefined : { number: shareNumber, of: shareOf },
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
    operations: options.operations / options.processes,
    mutation: mutationOf(options.mutant),
    share: options.share,
    onCase: ({ operations, cases }) => {
      onReport({ operations, cases, ended: false });
      return performance.now() < untilMs;
    },
  });
  const { operations, cases, failed } = summary;
  if (failed === undefined) return { operations, cases, ended: true };
  const { violations } = failed.result;
  const [violation = ""] = violations;
  return {
    operations,
    cases,
    ended: true,
    failed: { caseSeed: failed.caseSeed, violation, violations: violations.length },
  };
}

/** Runs all shares, in processes of their own where there are several, until all ended or one failed. */
async function runAll(options: Options, onReport: (reports: readonly Report[]) => void): Promise<readonly Report[]> {
  const reports: Report[] = Array.from({ length: options.processes }, () => ({
    operations: 0,
    cases: 0,
    ended: false,
  }));
  const take = (at: number, report: Report): void => {
    reports[at] = report;
    onReport(reports);
  };
  if (options.processes === 1) {
    take(0, await runShare(options, (report) => take(0, report)));
    return reports;
  }
  const children: ChildProcess[] = [];
  const ends = reports.map(
    (_, at) =>
      new Promise<void>((resolve, reject) => {
        const share = ["--seed", `${options.seed}`, "--share", `${at}/${options.processes}`];
        const child = fork(import.meta.filename, [...process.argv.slice(2), ...share], { execArgv: [YOUNG_SPACE] });
        children.push(child);
        child.on("message", (report: Report) => {
          take(at, report);
          if (report.failed !== undefined) for (const other of children) other.kill();
        });
        child.on("error", reject);
        child.on("exit", (code) => {
          const over = reports.some(({ failed }) => failed !== undefined) || reports[at]?.ended === true;
          if (over) resolve();
          else reject(new Error(`a process of the simulation ended with exit code ${code}`));
        });
      }),
  );
  await Promise.all(ends);
  return reports;
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
