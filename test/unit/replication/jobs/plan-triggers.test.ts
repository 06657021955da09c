/** Which jobs begin by themselves, from what a node was and what it is. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SeenNode } from "../../../../src/catalog/records/seen-node.ts";
import { type NodeNow, planTriggers, seenAsItIs } from "../../../../src/replication/jobs/triggers/plan-triggers.ts";

const GIB = 2 ** 30;
const NODE: NodeNow = {
  name: "a1",
  domain: "a",
  promoted: false,
  inActiveDomain: true,
  ringWeight: 100,
  decommissioned: false,
  online: true,
  unverified: false,
  capacity: { totalBytes: 100 * GIB, usedBytes: 10 * GIB },
};

function jobsOf(seen: SeenNode | undefined, now: Partial<NodeNow>): string[] {
  return planTriggers(seen, { ...NODE, ...now }).jobs.map(({ kind, cause }) => `${kind}: ${cause}`);
}

/** The causes of the jobs after each of several looks. */
function looks(from: SeenNode, ...nodes: Partial<NodeNow>[]): string[][] {
  let seen = from;
  return nodes.map((now) => {
    const plan = planTriggers(seen, { ...NODE, ...now });
    seen = plan.seen;
    return plan.jobs.map(({ kind, cause }) => `${kind}: ${cause}`);
  });
}

const SEEN = seenAsItIs(NODE);

test("a node that is as it was asks for nothing, and stays on record as it is", () => {
  assert.deepEqual(planTriggers(SEEN, NODE), { jobs: [], events: [], seen: SEEN });
});

test("a node that joins the ring of its domain gets its copies, once", () => {
  const added = ["REBALANCE_TO_NEW: the node was added"];
  assert.deepEqual(jobsOf(undefined, {}), added);
  assert.deepEqual(jobsOf(planTriggers(undefined, NODE).seen, {}), []);
  assert.deepEqual(jobsOf({ ...SEEN, domain: "b" }, {}), ["REBALANCE_TO_NEW: the node was moved into a"]);
  // One that is to take no copies yet gets them when it does.
  assert.deepEqual(looks(planTriggers(undefined, { ...NODE, ringWeight: 0 }).seen, { ringWeight: 0 }, {}, {}), [
    [],
    ["REBALANCE_TO_NEW: the node takes copies now"],
    [],
  ]);
  assert.deepEqual(jobsOf(undefined, { ringWeight: 0 }), []);
  assert.deepEqual(jobsOf(undefined, { inActiveDomain: false }), []);
});

test("a weight that rises by a tenth or more moves copies, at once or step by step; a lower one does not", () => {
  const rises = (from: number, to: number) => [`REBALANCE_TO_NEW: the node's weight was ${from} and is ${to}`];
  assert.deepEqual(
    looks(SEEN, { ringWeight: 109 }, { ringWeight: 110 }, { ringWeight: 50 }, { ringWeight: 50 }, { ringWeight: 100 }),
    [[], rises(100, 110), [], [], rises(50, 100)],
  );
});

test("a disk that grows by a tenth or more moves copies; each change of so much is told, whichever way it goes", () => {
  const capacity = (totalGib: number, usedGib: number) => ({
    capacity: { totalBytes: totalGib * GIB, usedBytes: usedGib * GIB },
  });
  const grown = ["REBALANCE_TO_NEW: the node's disk has grown"];
  assert.deepEqual(
    looks(
      SEEN,
      capacity(109, 10),
      capacity(110, 10),
      capacity(110, 30),
      capacity(50, 30),
      { capacity: undefined },
      capacity(50, 30),
    ),
    [[], grown, [], [], [], []],
  );
  const told = planTriggers(SEEN, { ...NODE, ...capacity(200, 10) }).events;
  assert.deepEqual(
    told.map(({ kind, node, domain }) => [kind, node, domain]),
    [["NODE_CAPACITY_CHANGED", "a1", "a"]],
  );
  assert.match(told[0]?.cause ?? "", /it had 107374182400 bytes, 10737418240 of them used; it has 214748364800 bytes/);
  assert.equal(planTriggers(SEEN, { ...NODE, ...capacity(100, 20) }).events.length, 1, "a fuller node is told");
  assert.equal(planTriggers(SEEN, { ...NODE, ...capacity(100, 19) }).events.length, 0);
  const { capacity: _, ...unknown } = SEEN;
  assert.deepEqual(planTriggers(unknown, NODE).events, [], "what is known for the first time is no change");
});

test("a promoted node gets what its domain lacks, and no rebalance; one that is home again gets nothing", () => {
  const seen = { ...SEEN, domain: "standby" };
  const promoted = { promoted: true };
  assert.deepEqual(
    looks(seen, promoted, { ...promoted, ringWeight: 200 }, { domain: "standby", inActiveDomain: false }),
    [["COPY_TO_PROMOTED: the node was promoted into a"], [], []],
  );
});

test("a node that is decommissioned has its copies made anew, once; taken back, it gets its share again", () => {
  const away = { decommissioned: true, online: false, ringWeight: 0 };
  assert.deepEqual(looks(SEEN, away, away, {}, {}), [
    ["MIGRATE_FROM_FAILED: the node was decommissioned"],
    [],
    ["REBALANCE_TO_NEW: the node takes copies now"],
    [],
  ]);
});

test("a node whose copies became unverified while it was away has them checked when it is back, once", () => {
  const away = { online: false };
  const back = ["RESYNC: the node is back, and its copies have to be checked"];
  assert.deepEqual(looks(SEEN, { ...away, unverified: true }, away, {}, {}), [[], [], back, []]);
  assert.deepEqual(looks(SEEN, away, {}), [[], []], "one that was away for a moment lost nothing");
});
