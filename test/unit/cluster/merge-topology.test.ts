/** What a changed file means for a topology that was changed in the catalog as well. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ConfiguredNode, ConfiguredTopology } from "../../../src/cluster/configured-topology.ts";
import { mergeTopology, TopologyConflictError } from "../../../src/cluster/merge-topology.ts";
import { domainOf, policyOf, standbyDomain } from "../placement/topologies.ts";

function nodeOf(name: string, change: Partial<ConfiguredNode> = {}): ConfiguredNode {
  const rest = { weight: 100, acceptsWrites: true, host: name, diskType: "ssd" } as const;
  return { name, domain: "d0", physicalStorageId: name, ...rest, ...change };
}

function topologyOf(nodes: readonly ConfiguredNode[], change: Partial<ConfiguredTopology> = {}): ConfiguredTopology {
  return {
    domains: [domainOf("d0"), domainOf("d1")],
    nodes,
    virtualNodesPerNode: 16,
    replication: policyOf(2),
    ...change,
  };
}

const FILE = topologyOf([nodeOf("a"), nodeOf("b", { domain: "d1" })]);

function conflictsOf(lastFile: ConfiguredTopology, current: ConfiguredTopology, file: ConfiguredTopology): string[] {
  try {
    mergeTopology(lastFile, current, file);
    return [];
  } catch (error) {
    if (!(error instanceof TopologyConflictError)) throw error;
    return error.conflicts.map(({ path }) => path);
  }
}

test("a file that says what it said leaves what was changed since", () => {
  const current = topologyOf([nodeOf("a", { weight: 50 }), nodeOf("c")], { replication: policyOf(2, { quorum: 1 }) });
  assert.deepEqual(mergeTopology(FILE, current, FILE), current);
});

test("what the file says anew is carried over, beside what was changed otherwise", () => {
  const current = topologyOf([nodeOf("a", { weight: 50 }), nodeOf("b", { domain: "d1" }), nodeOf("added")]);
  const file = topologyOf([nodeOf("a", { rack: "r1" }), nodeOf("new")], {
    domains: [domainOf("d1"), domainOf("d0", { minNodes: 2 })],
    virtualNodesPerNode: 32,
  });
  assert.deepEqual(mergeTopology(FILE, current, file), {
    ...file,
    nodes: [nodeOf("a", { weight: 50, rack: "r1" }), nodeOf("new"), nodeOf("added")],
  });
});

test("priorities that were changed stay while the file names the same domains in its order; standby comes last", () => {
  const [d0, d1, added] = [domainOf("d0"), domainOf("d1"), domainOf("added")];
  const current = topologyOf(FILE.nodes, { domains: [added, d1, d0] });
  const order = (file: ConfiguredTopology, of = current): string =>
    mergeTopology(FILE, of, file)
      .domains.map(({ name }) => name)
      .join(" ");
  assert.equal(order(FILE), "added d1 d0");
  assert.equal(order({ ...FILE, domains: [d1, d0] }), "d1 d0 added");
  const withStandby = topologyOf(FILE.nodes, { domains: [d0, d1, standbyDomain, added] });
  assert.equal(order(FILE, withStandby), "d0 d1 added standby");
});

test("the same change in both is none to decide about", () => {
  const changed = topologyOf([nodeOf("a", { weight: 7 }), nodeOf("b", { domain: "d1" }), nodeOf("c")]);
  assert.deepEqual(mergeTopology(FILE, changed, changed), changed);
});

test("different changes of one thing are told, each by its path, and what each of them says", () => {
  const degradedWrite = { enabled: true, minReplicas: 1, handoff: "any" } as const;
  const current = topologyOf([nodeOf("a", { weight: 50 })], {
    replication: policyOf(2, { degradedWrite: { ...degradedWrite, handoff: "none" } }),
  });
  const file = topologyOf([nodeOf("a", { weight: 60 }), nodeOf("b", { domain: "d1", weight: 1 })], {
    replication: policyOf(2, { quorum: 1, degradedWrite: { ...degradedWrite, handoff: "active" } }),
  });
  assert.deepEqual(conflictsOf(FILE, current, file).toSorted(), [
    "nodes.a.weight",
    "nodes.b",
    "replication.degradedWrite.handoff",
  ]);
  assert.throws(
    () => mergeTopology(FILE, current, file),
    /nodes\.a\.weight was 100, is 60 in the file, and was made 50/,
  );
});

test("a node that the file drops is gone, whatever was changed of it; one that only the catalog has stays", () => {
  const current = topologyOf([nodeOf("a", { weight: 50 }), nodeOf("b", { domain: "d1" }), nodeOf("added")]);
  const file = topologyOf([nodeOf("b", { domain: "d1" })]);
  assert.deepEqual(
    mergeTopology(FILE, current, file).nodes.map(({ name }) => name),
    ["b", "added"],
  );
});

test("of changes to different settings none is lost (property)", () => {
  const weight = fc.integer({ min: 0, max: 300 });
  const arbitrary = fc.record({
    weights: fc.array(weight, { minLength: 3, maxLength: 3 }),
    vnodes: fc.integer({ min: 1, max: 200 }),
  });
  const make = ({ weights, vnodes }: { weights: number[]; vnodes: number }): ConfiguredTopology =>
    topologyOf(
      weights.map((each, number) => nodeOf(`n${number}`, { weight: each })),
      { virtualNodesPerNode: vnodes },
    );
  fc.assert(
    fc.property(arbitrary, arbitrary, (a, b) => {
      const [before, after] = [make(a), make(b)];
      assert.deepEqual(mergeTopology(before, before, after), after);
      assert.deepEqual(mergeTopology(before, after, before), after);
      assert.deepEqual(mergeTopology(before, after, after), after);
    }),
  );
});
