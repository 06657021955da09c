import assert from "node:assert/strict";
import { test } from "node:test";
import { linesOf, loaded } from "./support.ts";

const VARIABLE = "BULKHEAD_STORAGE_DURABILITY_ANNUALFAILURERATE";

test("the rate at which nodes fail is a percentage, 2 % when nothing is said", () => {
  const rateOf = (written: string): number =>
    loaded({ env: { [VARIABLE]: written } }).config.storage.durability.annualFailureRate;
  assert.equal(loaded({}).config.storage.durability.annualFailureRate, 0.02);
  assert.equal(rateOf("0.5%"), 0.005);
  assert.equal(rateOf("99 %"), 0.99);
  const yaml = "storage:\n  durability:\n    annual-failure-rate: 4%\n";
  assert.equal(loaded({ yaml }).config.storage.durability.annualFailureRate, 0.04);
});

test("what may mean a share as well as percent is refused, and so is what is none", () => {
  for (const wrong of ["0.02", "2", "0%", "100%", "-1%", "two"]) {
    const [line = "", ...others] = linesOf({ env: { [VARIABLE]: wrong } });
    assert.equal(others.length, 0);
    assert.match(line, /storage\.durability\.annual-failure-rate.*must be a percentage such as 2% or 0\.5%/);
  }
});
