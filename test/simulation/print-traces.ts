/** Prints the trace hashes of the cases of the seeds given, for the test that compares two processes. */
import { loadChecksums } from "../../src/shared/checksums.ts";
import { drawCase } from "./plan.ts";
import { runCase } from "./run-case.ts";

const checksums = await loadChecksums();
for (const seed of process.argv.slice(2)) {
  const { traceHash } = await runCase(drawCase(Number(seed)), { checksums });
  process.stdout.write(`${traceHash}\n`);
}
