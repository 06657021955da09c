/** docs/operations/standby-promotion.md has the table of promotion states as the code has it. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";
import { PROMOTION_EVENTS, PROMOTION_STATES, PROMOTION_TABLE } from "../../../src/cluster/promotion/promotion-state.ts";

const PAGE = resolve(import.meta.dirname, "../../../docs/operations/standby-promotion.md");

test("the table of promotion states in the docs is the code's", () => {
  const lines = readFileSync(PAGE, "utf8").split("\n");
  assert.ok(lines.includes(`| state | ${PROMOTION_EVENTS.map((event) => `\`${event}\``).join(" | ")} |`));
  const rows = lines.flatMap((line) => {
    const [, state, cells] = /^\| `(\w+)`: [^|]*\| (.*) \|$/.exec(line) ?? [];
    return state === undefined || cells === undefined ? [] : [[state, ...cells.split(" | ")]];
  });
  const wanted = PROMOTION_STATES.map((state) => [
    state,
    ...PROMOTION_EVENTS.map((event) => {
      const step = PROMOTION_TABLE[state][event];
      if ("refused" in step) return "refused";
      return step.to === state ? `\`${state}\`` : `→ \`${step.to}\``;
    }),
  ]);
  assert.deepEqual(rows, wanted);
});
