/**
 * The fault suite on real processes (docs/testing.md):
 *
 *   npm run test:faults                                    the suite test/faults/, as CI runs it
 *   npm run test:faults -- --minutes N [--seed S]          faults drawn from the seed for N minutes
 *   npm run test:faults -- --minutes N --only 'clock|loss' those whose names fit
 *
 * The last line of the second is `N operations, N faults, seed S, N violations`; a violation makes the exit code 1.
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runFaults } from "../test/chaos/run.ts";
import { runSeed } from "../test/support/seeded.ts";

async function faults(minutes: number, seed: number, only: RegExp | undefined): Promise<number> {
  // What was started is ended, and what was made of networks is removed, when the process exits; not when a signal ends it.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
  process.stdout.write(`seed ${seed}\n`);
  const result = await runFaults({ seed, minutes, only, log: (line) => process.stdout.write(`${line}\n`) });
  if ("skip" in result) {
    process.stderr.write(`${result.skip}\n`);
    return 2;
  }
  const { operations, refused, violations } = result;
  const injected = [...result.faults.values()].reduce((sum, count) => sum + count, 0);
  for (const [fault, count] of result.faults) process.stdout.write(`${String(count).padStart(5)}  ${fault}\n`);
  for (const [job, count] of result.jobs) process.stdout.write(`${String(count).padStart(5)}  job ${job}\n`);
  for (const what of result.leftOut) process.stdout.write(`left out: ${what}\n`);
  for (const violation of violations) process.stdout.write(`violation: ${violation}\n`);
  process.stdout.write(
    `${operations} operations (${refused} refused), ${injected} faults, seed ${seed}, ${violations.length} violations\n`,
  );
  return violations.length === 0 ? 0 : 1;
}

function suite(args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "test.ts"), "--suite", "faults", ...args], {
    stdio: "inherit",
  });
  return new Promise((resolve) => child.on("exit", (code) => resolve(code ?? 1)));
}

const { values } = parseArgs({
  strict: false,
  allowPositionals: true,
  options: { minutes: { type: "string" }, seed: { type: "string" }, only: { type: "string" } },
});
const minutes = Number(values.minutes);
const seed = Number(values.seed ?? runSeed());
const only = typeof values.only === "string" ? new RegExp(values.only) : undefined;
process.exitCode =
  values.minutes === undefined ? await suite(process.argv.slice(2)) : await faults(minutes, seed, only);
