/**
 * The test runner behind `npm test`: node:test, one process a file, one line a passed file, failures in full.
 *
 *   sh bin/run-node scripts/test.ts [--suite NAME]... [--no-skips] [--seed S] [--minutes N] [PATTERN]...
 *
 * Suites are the folders unit, simulation, integration, acceptance and faults of test/; without --suite all but faults
 * run. `all` is every one of them. A PATTERN keeps the files whose path contains it. --no-skips fails where a test was
 * skipped. --seed and --minutes reach the tests as BULKHEAD_TEST_SEED and BULKHEAD_TEST_MINUTES.
 *
 * What node:test lets pass is refused here: a suite or a pattern that matches no file, a file that runs no test, and a
 * file whose process ends before its tests did. The last line is `N passed, N failed, N skipped`.
 */
import { globSync } from "node:fs";
import { availableParallelism } from "node:os";
import { relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { type FileResult, formatFile, formatSkips, formatTotal, total } from "./test/report.ts";
import { runFile } from "./test/run-file.ts";

const ROOT = resolve(import.meta.dirname, "..");

interface Suite {
  readonly name: string;
  /** Files at the same time. Those with servers of their own load the machine themselves, and wait most of the time. */
  readonly concurrency: number;
  /** Runs at the same time as the others of this kind: they wait for servers and clients more than they work. */
  readonly beside: boolean;
  /** A file that has not ended by then is killed and has failed. */
  readonly fileTimeoutMs: number;
  readonly byDefault: boolean;
}

const MINUTE_MS = 60_000;
const CORES = Math.min(4, availableParallelism());

const SUITES: readonly Suite[] = [
  { name: "unit", concurrency: CORES, beside: false, fileTimeoutMs: 5 * MINUTE_MS, byDefault: true },
  { name: "simulation", concurrency: 2, beside: false, fileTimeoutMs: 10 * MINUTE_MS, byDefault: true },
  { name: "integration", concurrency: 1, beside: true, fileTimeoutMs: 5 * MINUTE_MS, byDefault: true },
  { name: "acceptance", concurrency: 1, beside: true, fileTimeoutMs: 30 * MINUTE_MS, byDefault: true },
  { name: "faults", concurrency: 2, beside: true, fileTimeoutMs: 20 * MINUTE_MS, byDefault: false },
];

interface Options {
  readonly suites: readonly Suite[];
  readonly patterns: readonly string[];
  readonly noSkips: boolean;
  readonly env: Readonly<Record<string, string>>;
  readonly extraTimeMs: number;
}

function parseOptions(args: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      suite: { type: "string", multiple: true },
      "no-skips": { type: "boolean", default: false },
      seed: { type: "string" },
      minutes: { type: "string" },
    },
  });
  const known = SUITES.map((suite) => suite.name);
  for (const name of values.suite ?? []) {
    if (name !== "all" && !known.includes(name)) {
      throw new Error(`There is no suite ${name}: choose from ${known.join(", ")}, all`);
    }
  }
  const minutes = Number(values.minutes ?? 0);
  if (!(minutes >= 0)) throw new Error(`--minutes takes a number, not ${values.minutes}`);
  const wanted = (suite: Suite): boolean =>
    values.suite === undefined ? suite.byDefault : values.suite.includes("all") || values.suite.includes(suite.name);
  return {
    suites: SUITES.filter(wanted),
    patterns: positionals,
    noSkips: values["no-skips"],
    env: {
      ...(values.seed === undefined ? {} : { BULKHEAD_TEST_SEED: values.seed }),
      ...(values.minutes === undefined ? {} : { BULKHEAD_TEST_MINUTES: values.minutes }),
    },
    extraTimeMs: minutes * MINUTE_MS,
  };
}

/** The test files of a suite, in a fixed order. A folder without any is a mistake in the layout, so it is an error. */
function filesOf(suite: Suite, patterns: readonly string[]): string[] {
  const files = globSync(`test/${suite.name}/**/*.test.ts`, { cwd: ROOT }).sort();
  if (files.length === 0) throw new Error(`Suite ${suite.name} has no file test/${suite.name}/**/*.test.ts`);
  return patterns.length === 0 ? files : files.filter((file) => patterns.some((part) => file.includes(part)));
}

async function runSuite(suite: Suite, files: readonly string[], options: Options): Promise<FileResult[]> {
  const results: FileResult[] = [];
  const queue = files.values();
  const worker = async (): Promise<void> => {
    for (const file of queue) {
      const result = await runFile(resolve(ROOT, file), {
        timeoutMs: suite.fileTimeoutMs + options.extraTimeMs,
        env: options.env,
      });
      results.push(result);
      process.stdout.write(formatFile(result, relative(ROOT, result.file)));
    }
  };
  await Promise.all(Array.from({ length: suite.concurrency }, worker));
  return results;
}

/** Returns the process's exit code. */
async function main(args: readonly string[]): Promise<number> {
  const options = parseOptions(args);
  const plan = options.suites.map((suite) => ({ suite, files: filesOf(suite, options.patterns) }));
  if (plan.every(({ files }) => files.length === 0)) {
    throw new Error(`No test file's path contains ${options.patterns.join(" or ")}`);
  }
  const results: FileResult[] = [];
  const run = async ({ suite, files }: (typeof plan)[number]): Promise<void> => {
    results.push(...(await runSuite(suite, files, options)));
  };
  for (const each of plan.filter(({ suite }) => !suite.beside)) await run(each);
  await Promise.all(plan.filter(({ suite }) => suite.beside).map(run));
  const sum = total(results);
  process.stdout.write(formatSkips(results));
  if (options.noSkips && sum.skipped > 0) process.stdout.write("\n--no-skips: a skipped test is a failure here\n");
  process.stdout.write(`\n${formatTotal(sum)}\n`);
  return sum.failed > 0 || sum.passed === 0 || (options.noSkips && sum.skipped > 0) ? 1 : 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
