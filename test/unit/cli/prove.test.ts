import assert from "node:assert/strict";
import { test } from "node:test";
import type { DurabilityAnswer, ObjectProof } from "../../../src/admin/prove/prove-types.ts";
import { ProofJoiner } from "../../../src/cli/prove/join-proofs.ts";
import { ProveTally } from "../../../src/cli/prove/prove-summary.ts";
import { formatNines, formatProof, formatSummary, PROOF_HEAD } from "../../../src/cli/prove/prove-text.ts";

const NOW_MS = Date.parse("2026-11-22T12:00:00.000Z");
const DAY_MS = 86_400_000;

function ago(ms: number): string {
  return new Date(NOW_MS - ms).toISOString();
}

const PROOF: ObjectProof = {
  bucket: "box",
  key: "a",
  version_id: "null",
  size: 1_024,
  offset: 0,
  length: 1_024,
  blobs: 1,
  good_copies: 2,
  wanted_copies: 2,
  reachable_copies: 2,
  domain_count: 2,
  domains: ["a", "b"],
  verified_at: ago(3 * DAY_MS),
  states: { ok: 2, missing: 0, handoff: 0, unverified: 0, corrupt: 0, surplus: 0 },
  below_policy: false,
};

const SHORT: ObjectProof = {
  ...PROOF,
  key: "b\n\u001B[2J",
  good_copies: 1,
  reachable_copies: 0,
  domain_count: 1,
  domains: ["a"],
  states: { ...PROOF.states, ok: 1, missing: 1 },
  below_policy: true,
};

const EMPTY: ObjectProof = {
  ...PROOF,
  key: "empty",
  size: 0,
  length: 0,
  blobs: 0,
  good_copies: null,
  wanted_copies: null,
  reachable_copies: null,
  domain_count: null,
  domains: [],
  verified_at: null,
  states: { ...PROOF.states, ok: 0 },
};

const NOTHING_MEASURED: DurabilityAnswer = {
  copies: 2,
  annual_failure_rate: 0.02,
  restored_copies: 0,
  mean_time_to_restore_seconds: null,
  mean_time_to_loss_years: null,
  annual_loss_probability: null,
  nodes: [],
};

function tallyOf(proofs: readonly ObjectProof[], failUnder?: number): ProveTally {
  const tally = new ProveTally({ nowMs: NOW_MS, failUnder });
  for (const proof of proofs) tally.add(proof);
  return tally;
}

test("pieces of an object are put together, the worst of each", () => {
  const joiner = new ProofJoiner();
  const whole = { ...PROOF, size: 3_000, length: 1_000 };
  assert.equal(joiner.add(whole), undefined);
  assert.equal(joiner.add({ ...whole, offset: 1_000, domains: ["b", "c"], verified_at: ago(9 * DAY_MS) }), undefined);
  assert.deepEqual(joiner.add({ ...SHORT, key: "a", size: 3_000, offset: 2_000, length: 1_000, domains: ["b"] }), {
    ...SHORT,
    key: "a",
    size: 3_000,
    length: 3_000,
    blobs: 3,
    domains: ["b"],
    verified_at: ago(9 * DAY_MS),
    states: { ...PROOF.states, ok: 5, missing: 1 },
  });
});

test("pieces that do not follow each other make no object", () => {
  const joiner = new ProofJoiner();
  const piece = { ...PROOF, size: 3_000, length: 1_000 };
  joiner.add(piece);
  assert.equal(joiner.add({ ...piece, offset: 2_000 }), undefined);
  joiner.add(piece);
  assert.equal(joiner.add({ ...piece, key: "b", offset: 1_000 }), undefined);
  joiner.add(piece);
  assert.equal(joiner.add({ ...piece, size: 1_000 })?.size, 1_000);
});

test("a piece of which no verification is known makes that of the whole unknown, one without a good copy does not", () => {
  const joined = (change: Partial<ObjectProof>): ObjectProof | undefined => {
    const joiner = new ProofJoiner();
    joiner.add({ ...PROOF, size: 2_000, length: 1_000 });
    return joiner.add({ ...PROOF, size: 2_000, offset: 1_000, length: 1_000, ...change });
  };
  assert.equal(joined({ verified_at: null })?.verified_at, null);
  assert.equal(joined({ verified_at: null, domain_count: 0 })?.verified_at, PROOF.verified_at);
  assert.equal(joined({ verified_at: ago(1) })?.verified_at, PROOF.verified_at);
});

test("a summary counts objects by copies and domains, and those that are below their policy", () => {
  const { kind, ...rest } = tallyOf([PROOF, PROOF, SHORT, EMPTY]).summary(2, NOTHING_MEASURED);
  assert.equal(kind, "summary");
  assert.deepEqual(rest, {
    objects: 4,
    bytes: 3_072,
    blobs: 3,
    empty_objects: 1,
    replication_factor: 2,
    objects_by_good_copies: { 1: 1, 2: 2 },
    objects_by_domains: { 1: 1, 2: 2 },
    below_policy: 1,
    under: null,
    unreachable: 1,
    states: { ...PROOF.states, ok: 5, missing: 1 },
    oldest_verified_at: PROOF.verified_at,
    median_verified_age_seconds: rest.median_verified_age_seconds,
    verification_unknown: 0,
    durability: NOTHING_MEASURED,
  });
});

test("objects fail by their policy, or else by the copies that are asked for; empty ones never", () => {
  assert.equal(tallyOf([PROOF, SHORT, EMPTY]).failing, 1);
  assert.equal(tallyOf([PROOF, SHORT, EMPTY], 1).failing, 0);
  assert.equal(tallyOf([PROOF, SHORT, EMPTY], 3).failing, 2);
});

test("the median is that of the ages, and at most 5 % too high", () => {
  const hours = [1, 2, 3, 500, 1_000];
  const tally = tallyOf([
    ...hours.map((each) => ({ ...PROOF, verified_at: ago(each * 3_600_000) })),
    { ...PROOF, verified_at: null },
  ]);
  const summary = tally.summary(2, NOTHING_MEASURED);
  const median = summary.median_verified_age_seconds ?? 0;
  assert.ok(median >= 3 * 3_600 && median <= 1.05 * 3 * 3_600, String(median));
  assert.deepEqual([summary.verification_unknown, summary.oldest_verified_at], [1, ago(1_000 * 3_600_000)]);
});

test("a proof is a line, in columns, and a key is nothing but text", () => {
  const lines = [PROOF_HEAD, ...[PROOF, SHORT, EMPTY].map((proof) => formatProof(proof, NOW_MS))].join("");
  assert.equal(
    lines,
    `\
COPIES  DOMAINS  IN            VERIFIED  SIZE       OBJECT
2/2     2        a,b           3 d       1.0 KiB    box/a
1/2     1        a             3 d       1.0 KiB    box/b\\u{a}\\u{1b}[2J  [below policy; not reachable now; ok 1, missing 1]
-       -        -             -         0 B        box/empty
`,
  );
});

test("a summary says that nothing was measured where nothing was", () => {
  assert.equal(
    formatSummary(tallyOf([PROOF, SHORT, EMPTY]).summary(2, NOTHING_MEASURED), NOW_MS),
    `\
Objects:            3 (2.0 KiB), 1 of them empty
By good copies:     1 copy: 1, 2 copies: 1
By domains:         1 domain: 1, 2 domains: 1
Copies on record:   ok 3, missing 1
Below policy:       1 (replication factor 2)
Not reachable now:  1
Verified:           the oldest 3 d ago, the median 3 d ago
Time to restore:    not measured yet: no lost copy was made anew
Durability:         not measured yet
`,
  );
});

test("a summary tells the estimate with what it rests on", () => {
  const durability: DurabilityAnswer = {
    ...NOTHING_MEASURED,
    restored_copies: 12,
    mean_time_to_restore_seconds: 35.4,
    mean_time_to_loss_years: 1.09e9,
    annual_loss_probability: 9.2e-10,
  };
  const text = formatSummary(tallyOf([PROOF], 3).summary(2, durability), NOW_MS);
  assert.match(text, /^Under --fail-under: +1$/m);
  assert.match(text, /^Time to restore: +35 s from a copy's loss being known \(mean of 12\)$/m);
  assert.match(
    text,
    /^Durability: +99\.999999908 % a year for one object, by estimate \(2 copies, 2 % of nodes lost a year\)$/m,
  );
});

test("durability is told with all its nines, and never as certain", () => {
  assert.equal(formatNines(0.02), "98.00 %");
  assert.equal(formatNines(0.00012), "99.988 %");
  assert.equal(formatNines(1e-9), "99.99999990 %");
  assert.equal(formatNines(1e-30), "more than 99.999999999999 %");
});
