/**
 * Cuts the power at every step of a recorded run, twice each: everywhere at once, and with the disk of a node lost.
 *
 *   npm run power-loss -- [--seed S]... [--nodes N] [--share 0.1] [--jobs J] [--rounds R]
 *
 * Afterwards one node alone loses its power, R rounds long. Prints cuts and violations, and ends with 1 where there is a
 * violation. `--share` takes a part of the steps; `--jobs` shares them among processes.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { cutNodes } from "../test/power/node-cuts.ts";
import { LIVES, type PowerLossReport, powerLoss, told } from "../test/power/power-loss.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", multiple: true, default: ["1"] },
    nodes: { type: "string", default: "2" },
    share: { type: "string", default: "1" },
    jobs: { type: "string", default: String(availableParallelism()) },
    rounds: { type: "string", default: "300" },
    /** For the processes that this one starts. */
    part: { type: "string" },
  },
});
const nodes = Number(values.nodes);
const jobs = Number(values.jobs);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Cuts one part of the steps, and says what came of it in one line of JSON. */
async function part(seed: number, number: number): Promise<void> {
  const report = await powerLoss({
    seed,
    nodes,
    lives: LIVES,
    share: Number(values.share),
    part: { number, of: jobs },
    onLife: ({ life, steps, cuts, acknowledged, jobs: done }) => {
      if (number > 0) return;
      const background = [...done].map(([name, count]) => `${count} ${name}`).join(", ");
      process.stderr.write(
        `life ${life}: ${steps} steps, ${acknowledged} operations, ${cuts} cuts here; ${background}\n`,
      );
    },
  });
  say(JSON.stringify(report));
}

async function startPart(seed: number, number: number): Promise<PowerLossReport> {
  const script = process.argv[1] ?? "";
  const own = ["--nodes", values.nodes, "--share", values.share, "--jobs", values.jobs];
  const child = spawn(process.execPath, [script, "--seed", String(seed), ...own, "--part", String(number)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  let last = "";
  for await (const line of createInterface({ input: child.stdout })) last = line;
  const [code] = (await ended) as [number | null];
  if (code !== 0) throw new Error(`a part of the power cuts ended with ${code}`);
  return JSON.parse(last) as PowerLossReport;
}

async function run(seed: number): Promise<boolean> {
  const startedAt = performance.now();
  const parts = await Promise.all(Array.from({ length: jobs }, (_, number) => startPart(seed, number)));
  const { steps = 0, acknowledged = 0 } = parts[0] ?? {};
  const cuts = parts.reduce((sum, report) => sum + report.cuts, 0);
  const violations = parts.flatMap((report) => report.violations);
  // A part that found something stops there.
  if (violations.length === 0 && new Set(parts.map(({ checksum }) => checksum)).size > 1) {
    throw new Error("the processes did not see the same run, so it is not known that every step was cut");
  }
  const alone = await cutNodes({ seed, nodes, rounds: Number(values.rounds) });
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  say(
    `seed ${seed}, ${nodes} nodes: ${acknowledged} operations, ${steps} steps, ${cuts} power cuts, ${violations.length} violations`,
  );
  say(
    `one node alone: ${alone.acknowledged} operations, ${alone.cuts} power cuts, ${alone.disasters} losses of catalog and disk, ${alone.violations.length} violations; ${seconds} s`,
  );
  for (const violation of [...violations, ...alone.violations]) say(told(violation));
  return violations.length + alone.violations.length === 0;
}

if (values.part !== undefined) await part(Number(values.seed[0]), Number(values.part));
else {
  for (const seed of values.seed) if (!(await run(Number(seed)))) process.exitCode = 1;
}
