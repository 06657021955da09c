import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { loadScore, pickReader, type ReaderCandidate } from "../../../src/placement/score.ts";
import { type Random, seededRandom } from "../../../src/shared/random.ts";

const near = (actual: number, expected: number): void => assert.ok(Math.abs(actual - expected) < 1e-9, `${actual}`);

test("the load score weighs disk, requests under way and requests waiting", () => {
  near(loadScore({ diskUsage: 0, inflight: 0, waiting: 0 }), 0);
  near(loadScore({ diskUsage: 1, inflight: 0, waiting: 0 }), 0.4);
  near(loadScore({ diskUsage: 0, inflight: 50, waiting: 0 }), 0.175);
  near(loadScore({ diskUsage: 0, inflight: 0, waiting: 25 }), 0.125);
  near(loadScore({ diskUsage: 0.5, inflight: 20, waiting: 10 }), 0.2 + 0.07 + 0.05);
});

test("requests count up to their caps", () => {
  near(loadScore({ diskUsage: 0, inflight: 100, waiting: 0 }), 0.35);
  near(loadScore({ diskUsage: 0, inflight: 10_000, waiting: 0 }), 0.35);
  near(loadScore({ diskUsage: 0, inflight: 0, waiting: 10_000 }), 0.25);
});

test("each part that is not known counts as half", () => {
  near(loadScore({}), 0.5);
  near(loadScore({ inflight: 0, waiting: 0 }), 0.2);
  near(loadScore({ diskUsage: 0, waiting: 0 }), 0.175);
  near(loadScore({ diskUsage: Number.NaN, inflight: undefined, waiting: Number.POSITIVE_INFINITY }), 0.5);
});

test("a score lies between 0 and 1 and never falls as load grows", () => {
  const amount = fc.double({ min: -10, max: 1_000, noNaN: true });
  fc.assert(
    fc.property(amount, amount, amount, amount, (diskUsage, inflight, waiting, more) => {
      const score = loadScore({ diskUsage, inflight, waiting });
      assert.ok(score >= 0 && score <= 1);
      assert.ok(loadScore({ diskUsage, inflight: inflight + Math.abs(more), waiting }) >= score);
    }),
  );
});

const candidate = (score: number, priority: number): ReaderCandidate => ({ score, priority });

function drawn(candidates: readonly ReaderCandidate[], times = 30_000, random: Random = seededRandom(1)): number[] {
  const counts = candidates.map(() => 0);
  for (let i = 0; i < times; i++) {
    const picked = pickReader(candidates, random);
    const index = picked === undefined ? -1 : candidates.indexOf(picked);
    counts[index] = (counts[index] ?? 0) + 1;
  }
  return counts.map((count) => Math.round((count / times) * 100) / 100);
}

const about = (shares: readonly number[], expected: readonly number[]): void => {
  expected.forEach((share, i) => assert.ok(Math.abs((shares[i] ?? 0) - share) <= 0.02, shares.join()));
};

test("there is nothing to pick from no candidate, and no choice with one", () => {
  assert.equal(pickReader([], seededRandom(1)), undefined);
  const only = candidate(1, 3);
  assert.equal(pickReader([only], seededRandom(1)), only);
});

test("of two the one with the lower score is picked, whatever its priority", () => {
  assert.deepEqual(drawn([candidate(0.4, 0), candidate(0.3, 1)], 1_000), [0, 1]);
});

test("of two with equal scores the domain that comes first is picked", () => {
  assert.deepEqual(drawn([candidate(0.4, 1), candidate(0.4, 0)], 1_000), [0, 1]);
});

test("equal scores in one domain are spread evenly", () => {
  about(drawn([candidate(0.5, 0), candidate(0.5, 0)]), [0.5, 0.5]);
  about(drawn([candidate(0.5, 0), candidate(0.5, 0), candidate(0.5, 0)]), [1 / 3, 1 / 3, 1 / 3]);
});

test("of more than two the better of two drawn is picked, so that the worst one never is", () => {
  about(drawn([candidate(0.3, 0), candidate(0.1, 0), candidate(0.2, 0)]), [0, 2 / 3, 1 / 3]);
});
