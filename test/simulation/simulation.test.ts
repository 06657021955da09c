/**
 * Whole gateways under faults, from a seed: I1, I2, I3, I4, I6, I7, I8, I10, I11. A few thousand operations by default;
 * BULKHEAD_TEST_MINUTES gives it more time, BULKHEAD_TEST_SEED another seed.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { loadChecksums } from "../../src/shared/checksums.ts";
import { seedOf } from "./chance.ts";
import { drawCase } from "./plan.ts";
import { runCase } from "./run-case.ts";
import { runCases } from "./run-cases.ts";

const MINUTE_MS = 60_000;
const OPERATIONS = 3_000;
const SEED = Number(process.env["BULKHEAD_TEST_SEED"] ?? 1);
const MINUTES = Number(process.env["BULKHEAD_TEST_MINUTES"] ?? 0);

test("gateways that crash, nodes that fail and a network that loses and repeats break none of the promises", async (t) => {
  const untilMs = performance.now() + MINUTES * MINUTE_MS;
  let cases = 0;
  let operations = 0;
  const summary = await runCases({
    seed: SEED,
    operations: MINUTES > 0 ? Number.MAX_SAFE_INTEGER : OPERATIONS,
    onCase: (soFar) => {
      ({ cases, operations } = soFar);
      return MINUTES === 0 || performance.now() < untilMs;
    },
  });
  t.diagnostic(`${operations} operations in ${cases} cases, seed ${SEED}`);
  const { failed } = summary;
  assert.deepEqual(failed?.result.violations ?? [], [], `npm run simulate -- --seed ${SEED}, case ${failed?.caseSeed}`);
});

test("a case has the same trace again, in this process and in another", async () => {
  const checksums = await loadChecksums();
  const seeds = Array.from({ length: 4 }, (_, number) => seedOf(SEED, number));
  const traceOf = async (seed: number): Promise<string> => (await runCase(drawCase(seed), { checksums })).traceHash;
  const traces: string[] = [];
  for (const seed of seeds) traces.push(await traceOf(seed));
  assert.equal(new Set(traces).size, seeds.length, "different cases have different traces");

  const again: string[] = [];
  for (const seed of seeds) again.push(await traceOf(seed));
  assert.deepEqual(again, traces);

  const program = new URL("print-traces.ts", import.meta.url).pathname;
  const { stdout } = await promisify(execFile)(process.execPath, [program, ...seeds.map(String)]);
  assert.deepEqual(stdout.trim().split("\n"), traces);
});

test("a case that is written down and read again is the same case", async () => {
  const checksums = await loadChecksums();
  const drawn = drawCase(seedOf(SEED, 1));
  const read = JSON.parse(JSON.stringify(drawn)) as typeof drawn;
  assert.equal((await runCase(read, { checksums })).traceHash, (await runCase(drawn, { checksums })).traceHash);
});
