import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDurationMs, parseSizeBytes } from "../../../src/config/schema/units.ts";

test("durations are read with any of their units", () => {
  assert.equal(parseDurationMs("250ms"), 250);
  assert.equal(parseDurationMs("10s"), 10_000);
  assert.equal(parseDurationMs("10 min"), 600_000);
  assert.equal(parseDurationMs("1.5m"), 90_000);
  assert.equal(parseDurationMs("2h"), 7_200_000);
  assert.equal(parseDurationMs("7d"), 604_800_000);
});

test("sizes are read with binary and decimal units", () => {
  assert.equal(parseSizeBytes("512B"), 512);
  assert.equal(parseSizeBytes("64MiB"), 67_108_864);
  assert.equal(parseSizeBytes("1.5 KiB"), 1536);
  assert.equal(parseSizeBytes("1 GB"), 1_000_000_000);
});

test("what is no quantity, or too large to be exact, is not read", () => {
  for (const text of ["", "10", "s", "-1s", "1e3s", "10 seconds", "1,5s", "10  s", " 10s", "9007199254740993ms"]) {
    assert.equal(parseDurationMs(text), undefined, text);
  }
  for (const text of ["64", "64M", "64mib", "1 constructor", "999999999999999TiB"]) {
    assert.equal(parseSizeBytes(text), undefined, text);
  }
});
