/**
 * Measured scenarios (docs/testing.md): what becomes of a store of many objects, and of its clients, when something
 * happens to its nodes.
 *
 *   npm run scenario -- lost-node|fourth-node|leave-domain [--objects N] [--size BYTES] [--seed S] [--quiet-seconds N]
 *
 * Prints the figures. The exit code is 1 where a promise was broken, 2 where it could not be tried.
 */
import { parseArgs } from "node:util";
import type { Findings } from "../test/scenarios/figures.ts";
import { fourthNode } from "../test/scenarios/fourth-node.ts";
import { leaveDomain } from "../test/scenarios/leave-domain.ts";
import { lostNode } from "../test/scenarios/lost-node.ts";
import type { Scale } from "../test/scenarios/site.ts";
import { runSeed } from "../test/support/seeded.ts";

interface Scenario {
  readonly objects: number;
  readonly run: (scale: Scale) => Promise<Findings | { readonly skip: string }>;
}

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  "lost-node": { objects: 100_000, run: lostNode },
  "fourth-node": { objects: 20_000, run: fourthNode },
  "leave-domain": { objects: 10_000, run: leaveDomain },
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    objects: { type: "string" },
    size: { type: "string", default: "4096" },
    seed: { type: "string" },
    "quiet-seconds": { type: "string", default: "30" },
  },
});

function wholeNumber(option: string, text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new Error(`--${option} takes a whole number from 1 on, not ${text}`);
}

async function main(): Promise<number> {
  const [name = "", ...others] = positionals;
  const scenario = SCENARIOS[name];
  if (scenario === undefined || others.length > 0) {
    throw new Error(`name one scenario: ${Object.keys(SCENARIOS).join(", ")}`);
  }
  const startedMs = performance.now();
  const seed = values.seed === undefined ? runSeed() : wholeNumber("seed", values.seed);
  const findings = await scenario.run({
    objects: wholeNumber("objects", values.objects ?? String(scenario.objects)),
    size: wholeNumber("size", values.size),
    seed,
    quietSeconds: wholeNumber("quiet-seconds", values["quiet-seconds"]),
    say: (line) =>
      process.stdout.write(`${((performance.now() - startedMs) / 1000).toFixed(1).padStart(7)} s  ${line}\n`),
  });
  if ("skip" in findings) {
    process.stderr.write(`${findings.skip}\n`);
    return 2;
  }
  process.stdout.write(`\n${name}, seed ${seed}\n${findings.lines.map((line) => `  ${line}\n`).join("")}`);
  const broken = [...findings.broken, ...findings.slow];
  for (const what of broken) process.stdout.write(`broken: ${what}\n`);
  process.stdout.write(`${broken.length} promises broken\n`);
  return broken.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 2;
}
