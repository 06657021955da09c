/** The schedule of the fault run (test/chaos/): what a seed gives. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LOSING, nameOf, type Step, schedule } from "../../chaos/schedule.ts";
import { seeded } from "../../support/seeded.ts";

const SHAPE = { nodes: 5, domains: 2, activeNodes: 4, has: () => true };

function steps(seed: number, count: number, has: (name: string) => boolean = SHAPE.has): Step[] {
  return schedule(seeded(seed), { ...SHAPE, has })
    .take(count)
    .toArray();
}

test("a seed draws the same faults for the same times again, and another seed others", () => {
  assert.deepEqual(steps(7, 200), steps(7, 200));
  assert.notDeepEqual(steps(7, 20), steps(8, 20));
});

test("every fault comes once before any comes again", () => {
  const names = steps(1, 500).flatMap(({ faults }) => faults.map(nameOf));
  const all = new Set(names);
  assert.equal(all.size, 44);
  for (let start = 0; start + all.size <= names.length; start += all.size) {
    assert.equal(new Set(names.slice(start, start + all.size)).size, all.size, `from number ${start}`);
  }
});

test("what takes copies for good comes alone, and no two faults act on one node", () => {
  const pairs = steps(2, 2_000).filter(({ faults }) => faults.length > 1);
  assert.ok(pairs.length > 100);
  for (const { faults } of pairs) {
    assert.ok(!faults.some(({ kind }) => LOSING.has(kind) || kind === "all-nodes"));
    const nodes = faults.flatMap((fault) => ("node" in fault && fault.kind !== "job" ? fault.node : []));
    assert.equal(new Set(nodes).size, nodes.length);
  }
});

test("what a site cannot do is not drawn", () => {
  const names = steps(3, 300, (name) => name !== "loss").flatMap(({ faults }) => faults.map(nameOf));
  assert.ok(!names.includes("loss") && names.includes("kill"));
});
