/** The small form of a scenario, as a test: every promise but those of speed, which a busy machine cannot keep. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { runSeed } from "../support/seeded.ts";
import type { Findings } from "./figures.ts";
import type { Scale } from "./site.ts";

const OBJECTS = 300;
const BYTES = 4_096;

export function testSmall(name: string, run: (scale: Scale) => Promise<Findings | { readonly skip: string }>): void {
  test(name, async (t: TestContext) => {
    const seed = runSeed();
    t.diagnostic(`BULKHEAD_TEST_SEED=${seed}`);
    const say = (line: string): void => t.diagnostic(line);
    const findings = await run({ objects: OBJECTS, size: BYTES, seed, quietSeconds: 2, say });
    if ("skip" in findings) return t.skip(findings.skip);
    for (const line of findings.lines) t.diagnostic(line);
    assert.deepEqual(findings.broken, []);
  });
}
