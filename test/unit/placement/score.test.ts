import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  busier,
  EQUAL_WITHIN,
  loadScore,
  pickReader,
  type ReaderCandidate,
  readPriority,
} from "../../../src/placement/score.ts";
import { type Random, seededRandom } from "../../../src/shared/random.ts";
import { evenTopology, policyOf } from "./topologies.ts";

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

test("scores are equal while they differ by less than two hundredths", () => {
  const barely = EQUAL_WITHIN * 0.99;
  assert.deepEqual(drawn([candidate(0.4, 1), candidate(0.4 + barely, 0)], 1_000), [0, 1]);
  assert.deepEqual(drawn([candidate(0.4, 1), candidate(0.4 + EQUAL_WITHIN * 1.01, 0)], 1_000), [1, 0]);
  about(drawn([candidate(0.4, 0), candidate(0.4 + barely, 0)]), [0.5, 0.5]);
  about(drawn([candidate(0.4, 0), candidate(0.4 + barely, 0), candidate(0.4 + barely / 2, 0)]), [1 / 3, 1 / 3, 1 / 3]);
});

test("equal scores in one domain are spread evenly", () => {
  about(drawn([candidate(0.5, 0), candidate(0.5, 0)]), [0.5, 0.5]);
  about(drawn([candidate(0.5, 0), candidate(0.5, 0), candidate(0.5, 0)]), [1 / 3, 1 / 3, 1 / 3]);
});

test("of more than two the better of two drawn is picked, so that the worst one never is", () => {
  about(drawn([candidate(0.3, 0), candidate(0.1, 0), candidate(0.2, 0)]), [0, 2 / 3, 1 / 3]);
});

test("a copy is never read whose node is clearly busier than every other one", () => {
  const scores = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 2, maxLength: 8 });
  fc.assert(
    fc.property(scores, fc.array(fc.nat(3)), fc.nat(), (all, priorities, seed) => {
      const candidates = all.map((score, i) => candidate(score, priorities[i] ?? 0));
      const picked = pickReader(candidates, seededRandom(seed));
      assert.ok(picked !== undefined && candidates.includes(picked));
      const others = candidates.filter((other) => other !== picked);
      assert.ok(others.some(({ score }) => picked.score < score + EQUAL_WITHIN));
    }),
  );
});

test("a node is as busy as the larger of the own count and the one that it told", () => {
  assert.deepEqual([busier(3, undefined), busier(3, 0), busier(3, 7), busier(0, 0)], [3, 3, 7, 0]);
});

test("domains have an order among reads only where they are chosen by it", () => {
  for (const domainChoice of ["hash", "priority"] as const) {
    const topology = evenTopology(3, 1, policyOf(2, { domainChoice }));
    const priorities = topology.nodes.map((node) => readPriority(topology, node));
    assert.deepEqual(priorities, domainChoice === "hash" ? [0, 0, 0] : [0, 1, 2]);
  }
});

test("reads of idle nodes are spread over all of them, over domains too, and by priority to the first", () => {
  // What is known of nodes is never the same: disks fill by slightly different bytes.
  const idle = [0.301, 0.3, 0.302].map((diskUsage) => loadScore({ diskUsage, inflight: 0, waiting: 0 }));
  for (const [domainChoice, expected] of [
    ["hash", [1 / 3, 1 / 3, 1 / 3]],
    ["priority", [2 / 3, 1 / 3, 0]],
  ] as const) {
    const topology = evenTopology(3, 1, policyOf(3, { domainChoice }));
    const candidates = topology.nodes.map((node, i) => candidate(idle[i] ?? 0, readPriority(topology, node)));
    about(drawn(candidates), expected);
  }
});

test("reads leave a node that others keep busy and spread evenly over the rest", () => {
  const random = seededRandom(7);
  const inflight = [60, 0, 0];
  const reads = [0, 0, 0];
  for (let i = 0; i < 3_000; i++) {
    const candidates = inflight.map((count, index) => ({
      ...candidate(loadScore({ diskUsage: 0.5, inflight: count, waiting: 0 }), 0),
      index,
    }));
    const { index } = pickReader(candidates, random) ?? assert.fail("there is a candidate");
    reads[index] = (reads[index] ?? 0) + 1;
    // Reads end after a while, but the others' load on the first node stays.
    inflight[index] = Math.min(40, (inflight[index] ?? 0) + 1);
    if (i % 2 === 0) for (const other of [1, 2]) inflight[other] = Math.max(0, (inflight[other] ?? 0) - 1);
    inflight[0] = 60;
  }
  const [busy = 0, second = 0, third = 0] = reads;
  assert.equal(busy, 0);
  assert.ok(Math.abs(second - third) < 0.1 * (second + third), reads.join());
});
