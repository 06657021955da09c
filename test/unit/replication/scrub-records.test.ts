/** What the scrub and the comparison keep: read back as it was written, byte for byte as it is described. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isLocal } from "../../../src/catalog/kv-atomic.ts";
import {
  type ComparisonState,
  comparisonCodec,
  comparisonKey,
} from "../../../src/replication/scrub/comparison-state.ts";
import { NO_COUNTS, type ScrubState, scrubCodec, scrubKey } from "../../../src/replication/scrub/scrub-state.ts";

const NODE = "0123456789abcdef0123456789abcdef";
const KEY = `00000007/${"ab".repeat(16)}`;

const SCRUB: ScrubState = {
  pass: { ...NO_COUNTS, startedAtMs: 1_800_000_000_000, requested: true, total: 300, seen: 2, verified: 1, after: KEY },
  last: { ...NO_COUNTS, startedAtMs: 1, requested: false, total: 4, corrupt: 5, lost: 6, failed: 7, endedAtMs: 8 },
};

const COMPARISON: ComparisonState = {
  pass: { startedAtMs: 1, listed: 2, lost: 3, orphans: 4, unknown: 5, failed: 6, after: KEY },
  last: { startedAtMs: 1, listed: 2, lost: 3, orphans: 4, unknown: 5, failed: 6, endedAtMs: 7 },
  foreign: { names: ["a/", "ü\u0000"], count: 1_000, more: true, checkedAtMs: 8 },
};

const GOLDEN_SCRUB =
  "01929299cb427a3185c5000000c3cd012c020100000000c41400000007abababababababababababababababab929901c20400000005060708";
const GOLDEN_COMPARISON =
  "01939296010203040506c41400000007abababababababababababababababab929601020304050607949291a2612f91a3c3bc00cd03e8c308";
const GOLDEN_SCRUB_KEY = "026d7064626d0002746473766300010123456789abcdef0123456789abcdef00";

test("states are read back as they were written, whatever part of them is absent", () => {
  const { pass: _, ...noPass } = SCRUB;
  const { last: __, ...noLast } = SCRUB;
  for (const state of [SCRUB, noPass, noLast, {}]) assert.deepEqual(scrubCodec.decode(scrubCodec.encode(state)), state);
  const { foreign, ...noForeign } = COMPARISON;
  for (const state of [COMPARISON, noForeign, foreign === undefined ? {} : { foreign }]) {
    assert.deepEqual(comparisonCodec.decode(comparisonCodec.encode(state)), state);
  }
});

test("records and keys are byte for byte as docs/formats.md says", () => {
  assert.equal(Buffer.from(scrubCodec.encode(SCRUB)).toString("hex"), GOLDEN_SCRUB);
  assert.equal(Buffer.from(comparisonCodec.encode(COMPARISON)).toString("hex"), GOLDEN_COMPARISON);
  assert.equal(Buffer.from(scrubKey(NODE)).toString("hex"), GOLDEN_SCRUB_KEY);
});

test("both are this store's own, so that the journal carries neither", () => {
  for (const key of [scrubKey(NODE), comparisonKey(NODE)]) assert.ok(isLocal(key));
});
