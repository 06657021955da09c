import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compatible, compatibleNodes, nextCandidate } from "../../../src/placement/constraints.ts";
import { createHasher } from "../../../src/placement/hasher.ts";
import { createPlacement, HANDOFFS_PER_KIND_MAX, STAND_INS_MAX } from "../../../src/placement/placement.ts";
import type { PlacementPlan } from "../../../src/placement/plan.ts";
import type { Topology, TopologyNode } from "../../../src/placement/topology.ts";
import { domainOf, evenTopology, nodeOf, policyOf, standbyDomain, topologyOf, troubledTopology } from "./topologies.ts";

const hasher = await createHasher();
const everyNode = (): boolean => true;
const keys = (count: number): string[] => Array.from({ length: count }, (_, i) => `blob ${i}`);

const firstsOf = (plan: PlacementPlan): string[] => plan.slots.flatMap((slot) => slot.candidates.slice(0, 1));

function shareOf(values: readonly string[]): Map<string, number> {
  const shares = new Map<string, number>();
  for (const value of values) shares.set(value, (shares.get(value) ?? 0) + 1 / values.length);
  return shares;
}

function takesNew(topology: Topology, node: TopologyNode | undefined): boolean {
  const domain = topology.domains.find((each) => each.name === node?.domain);
  return node !== undefined && node.acceptsWrites && node.weight > 0 && domain !== undefined;
}

test("a plan has one slot in each domain when the factor is their number, in order of priority", () => {
  const placement = createPlacement(evenTopology(3, 4, policyOf(3)), hasher);
  for (const key of keys(100)) {
    const { slots, handoff } = placement.plan({ key, writable: everyNode });
    assert.deepEqual(
      slots.map((slot) => slot.domain),
      ["d0", "d1", "d2"],
    );
    for (const slot of slots) {
      assert.equal(slot.candidates.length, 4);
      assert.equal(new Set(slot.candidates).size, 4);
      for (const id of slot.candidates) assert.equal(placement.index.get(id)?.domain, slot.domain);
    }
    assert.ok(handoff.every((id) => !firstsOf({ slots, handoff }).includes(id)));
  }
});

test("the same key has the same plan, in whatever order the nodes are configured", () => {
  const topology = evenTopology(4, 5, policyOf(2));
  const one = createPlacement(topology, hasher);
  const other = createPlacement({ ...topology, nodes: topology.nodes.toReversed() }, hasher);
  for (const key of keys(200)) {
    const [a, b] = [one, other].map((placement) => placement.plan({ key, writable: everyNode }));
    assert.deepEqual(a?.slots, b?.slots);
    assert.deepEqual(a?.handoff, b?.handoff);
  }
});

test("with fewer copies than domains every domain is used, by its weight", () => {
  const weights = [1, 2, 3, 4].map((n) => n * 100);
  const nodes = weights.map((weight, i) => nodeOf(`n${i}`, `d${i}`, { weight }));
  const topology = topologyOf(
    weights.map((_, i) => domainOf(`d${i}`)),
    nodes,
    policyOf(1),
  );
  const placement = createPlacement(topology, hasher);
  const shares = shareOf(keys(40_000).flatMap((key) => firstsOf(placement.plan({ key, writable: everyNode }))));
  weights.forEach((weight, i) => {
    const off = (shares.get(`n${i}`) ?? 0) / (weight / 1000) - 1;
    assert.ok(Math.abs(off) < 0.05, `d${i} is off by ${off}`);
  });
});

test("with fewer copies than domains a domain that comes or goes moves only its own share", () => {
  const four = evenTopology(4, 1, policyOf(2));
  const three = evenTopology(3, 1, policyOf(2));
  const [before, after] = [three, four].map((topology) => createPlacement(topology, hasher));
  for (const key of keys(1_000)) {
    const old = firstsOf(before?.plan({ key, writable: everyNode }) ?? assert.fail());
    const now = firstsOf(after?.plan({ key, writable: everyNode }) ?? assert.fail());
    const fresh = now.filter((id) => !old.includes(id));
    assert.ok(fresh.length === 0 || (fresh.length === 1 && fresh[0] === "d3-0"), `${old.join()} ${now.join()}`);
  }
});

test("with the choice by priority the first domains are always chosen, also while one is away", () => {
  const placement = createPlacement(evenTopology(3, 2, policyOf(2, { domainChoice: "priority" })), hasher);
  for (const key of keys(50)) {
    const plan = placement.plan({ key, writable: (id) => !id.startsWith("d1") });
    assert.deepEqual(
      plan.slots.map((slot) => [slot.domain, slot.candidates.length]),
      [
        ["d0", 2],
        ["d1", 0],
      ],
    );
    assert.ok(plan.handoff[0]?.startsWith("d2"));
  }
});

test("with the choice by hash a domain that is away owes no copies while enough others are there", () => {
  const placement = createPlacement(evenTopology(3, 2, policyOf(2)), hasher);
  for (const key of keys(50)) {
    const plan = placement.plan({ key, writable: (id) => !id.startsWith("d1") });
    assert.deepEqual(plan.slots.map((slot) => slot.domain).toSorted(), ["d0", "d2"]);
  }
});

test("a domain takes replicaCount copies on distinct nodes and hosts", () => {
  const nodes = [0, 1, 2, 3].map((i) => nodeOf(`n${i}`, "a", { host: `h${i % 2}` }));
  const topology = topologyOf([domainOf("a", { replicaCount: 2 })], nodes, policyOf(1));
  const placement = createPlacement(topology, hasher);
  for (const key of keys(100)) {
    const hosts = firstsOf(placement.plan({ key, writable: everyNode })).map((id) => placement.index.get(id)?.host);
    assert.deepEqual(new Set(hosts), new Set(["h0", "h1"]));
  }
});

test("the only other host is found among many nodes of one host", () => {
  const crowd = Array.from({ length: 40 }, (_, i) => nodeOf(`n${i}`, "a", { host: "h0" }));
  const topology = topologyOf(
    [domainOf("a", { replicaCount: 2 })],
    [...crowd, nodeOf("far", "a", { host: "h1" })],
    policyOf(1),
  );
  const placement = createPlacement(topology, hasher);
  for (const key of keys(100)) assert.ok(firstsOf(placement.plan({ key, writable: everyNode })).includes("far"));
});

test("a domain with one host to choose from has its way, the others make room", () => {
  const nodes = [
    nodeOf("a1", "a", { host: "h1" }),
    nodeOf("a2", "a", { host: "h2" }),
    nodeOf("b1", "b", { host: "h1" }),
  ];
  const placement = createPlacement(topologyOf([domainOf("a"), domainOf("b")], nodes, policyOf(2)), hasher);
  for (const key of keys(50)) {
    assert.deepEqual(firstsOf(placement.plan({ key, writable: everyNode })), ["a2", "b1"]);
    // With one host left they share it rather than leave a slot empty.
    assert.deepEqual(firstsOf(placement.plan({ key, writable: (id) => id !== "a2" })), ["a1", "b1"]);
  }
});

test("two nodes of one physical storage never hold a copy each", () => {
  const nodes = [nodeOf("a1", "a", { physicalStorageId: "array" }), nodeOf("b1", "b", { physicalStorageId: "array" })];
  const placement = createPlacement(topologyOf([domainOf("a"), domainOf("b")], nodes, policyOf(2)), hasher);
  for (const key of keys(50)) assert.equal(firstsOf(placement.plan({ key, writable: everyNode })).length, 1);
});

test("nodes promoted from standby into two domains never hold a copy each", () => {
  const nodes = [
    nodeOf("s1", "a", { homeDomain: "standby" }),
    nodeOf("s2", "b", { homeDomain: "standby" }),
    nodeOf("b1", "b"),
  ];
  const topology = topologyOf([domainOf("a"), domainOf("b"), standbyDomain], nodes, policyOf(2));
  const placement = createPlacement(topology, hasher);
  for (const key of keys(50)) {
    assert.deepEqual(firstsOf(placement.plan({ key, writable: everyNode })), ["s1", "b1"]);
    assert.equal(firstsOf(placement.plan({ key, writable: (id) => id !== "b1" })).length, 1);
  }
});

test("a domain that takes no writes gets no copy, planned or handed off, and the factor yields", () => {
  const topology = evenTopology(2, 2, policyOf(2));
  const domains = [domainOf("d0"), domainOf("d1", { acceptsWrites: false })];
  const plan = createPlacement({ ...topology, domains }, hasher).plan({ key: "blob", writable: everyNode });
  assert.deepEqual(
    plan.slots.map((slot) => slot.domain),
    ["d0"],
  );
  assert.ok(plan.handoff.every((id) => id.startsWith("d0")));
});

test("a policy of its own may want fewer copies than the cluster's", () => {
  const placement = createPlacement(evenTopology(3, 2, policyOf(3)), hasher);
  assert.equal(placement.plan({ key: "blob", policy: policyOf(1), writable: everyNode }).slots.length, 1);
});

test("hand-off goes to other active domains, then standby, then the slots' own domains, as the scope allows", () => {
  const domains = [domainOf("a"), domainOf("b"), domainOf("c"), standbyDomain];
  const nodes = ["a", "b", "c", "standby"].flatMap((name) => [1, 2].map((i) => nodeOf(`${name}-${i}`, name)));
  const placement = createPlacement(topologyOf(domains, nodes, policyOf(2)), hasher);
  const orderOf = (handoff: "any" | "active" | "none"): string[] => {
    const policy = policyOf(2, {
      domainChoice: "priority",
      degradedWrite: { enabled: true, minReplicas: 1, handoff },
    });
    const plan = placement.plan({ key: "blob", policy, writable: (id) => id !== "c-2" });
    return plan.handoff.map((id) => id.split("-")[0] ?? "");
  };
  assert.deepEqual(orderOf("any"), ["c", "standby", "standby", "a", "b"]);
  assert.deepEqual(orderOf("active"), ["c", "a", "b"]);
  assert.deepEqual(orderOf("none"), []);
});

test("hand-off takes the other domains in turn and prefers hosts that hold no copy", () => {
  const nodes = [
    nodeOf("a1", "a", { host: "h0" }),
    nodeOf("s1", "standby", { host: "h0" }),
    nodeOf("s2", "standby", { host: "h1" }),
  ];
  const placement = createPlacement(topologyOf([domainOf("a"), standbyDomain], nodes, policyOf(1)), hasher);
  for (const key of keys(20)) assert.deepEqual(placement.plan({ key, writable: everyNode }).handoff, ["s2", "s1"]);

  const many = createPlacement(evenTopology(5, 3, policyOf(2)), hasher).plan({ key: "blob", writable: everyNode });
  const firstThree = many.handoff.slice(0, 3).map((id) => id.slice(0, 2));
  assert.equal(new Set([...firstThree, ...many.slots.map((slot) => slot.domain)]).size, 5);
});

test("a stand-in has no storage or home domain in common with the copies there are, and if it can no host", () => {
  const nodes = [
    nodeOf("a1", "a", { host: "h1" }),
    nodeOf("b1", "b", { physicalStorageId: "a1" }),
    nodeOf("b2", "b", { homeDomain: "a" }),
    nodeOf("b3", "b", { host: "h1" }),
    nodeOf("b4", "b", { host: "h2" }),
  ];
  const { index } = createPlacement(topologyOf([domainOf("a"), domainOf("b")], nodes, policyOf(2)), hasher);
  const possible = ["a1", "b1", "b2", "b3", "b4", "gone"].filter((id) => compatible(index, ["a1"], id));
  assert.deepEqual(possible, ["b3", "b4"]);
  assert.equal(nextCandidate(index, ["a1"], ["b1", "b2", "b3", "b4"]), "b4");
  assert.equal(nextCandidate(index, ["a1"], ["b1", "b2", "b3"]), "b3");
  assert.equal(nextCandidate(index, ["a1"], ["b1", "b2"]), undefined);
  // A hand-off copy may lie in the home domain of another, and goes by the order of its list.
  assert.equal(nextCandidate(index, ["a1"], ["b1", "b2", "b4"], "handoff"), "b2");
  // A copy on a node that left the topology excludes nothing else.
  assert.equal(compatible(index, ["gone"], "a1"), true);
});

test("whatever the topology, a plan keeps its promises", () => {
  fc.assert(
    fc.property(troubledTopology, fc.string(), fc.nat(4_095), (topology, key, awayBits) => {
      const placement = createPlacement({ ...topology, virtualNodesPerNode: 5 }, hasher);
      const writable = (id: string): boolean => ((awayBits >>> Number(id.slice(1))) & 1) === 0;
      const plan = placement.plan({ key, writable });
      const may = (id: string): boolean => writable(id) && takesNew(topology, placement.index.get(id));
      const planned = topology.domains.filter((domain) => domain.role === "active" && domain.acceptsWrites);

      const perDomain = Map.groupBy(plan.slots, (slot) => slot.domain);
      assert.equal(perDomain.size, Math.min(topology.replication.factor, planned.length));
      for (const [name, slots] of perDomain) {
        const domain = planned.find((each) => each.name === name);
        assert.equal(slots.length, domain?.replicaCount);
        for (const { candidates } of slots) {
          assert.ok(candidates.length <= 1 + STAND_INS_MAX);
          assert.equal(new Set(candidates).size, candidates.length);
          assert.ok(candidates.every((id) => may(id) && placement.index.get(id)?.domain === name));
        }
      }
      const firsts = firstsOf(plan);
      firsts.forEach((id, i) => assert.ok(compatible(placement.index, firsts.slice(0, i), id)));
      assert.deepEqual(costOf(plan, placement.index), bestCost(plan, topology, may));

      assert.ok(plan.handoff.length <= 3 * HANDOFFS_PER_KIND_MAX);
      assert.equal(new Set(plan.handoff).size, plan.handoff.length);
      for (const id of plan.handoff) {
        assert.ok(may(id) && !firsts.includes(id));
        const domain = topology.domains.find((each) => each.name === placement.index.get(id)?.domain);
        assert.ok(domain?.role === "standby" || domain?.acceptsWrites === true);
      }
    }),
    { numRuns: 300 },
  );
});

/** Empty slots, and copies that share a host with an earlier one. */
function costOf(plan: PlacementPlan, index: ReadonlyMap<string, TopologyNode>): [number, number] {
  const firsts = firstsOf(plan);
  const hosts = new Set(firsts.map((id) => index.get(id)?.host));
  return [plan.slots.length - firsts.length, firsts.length - hosts.size];
}

/** The same for the best choice that there is, found by trying all of them. */
function bestCost(plan: PlacementPlan, topology: Topology, may: (id: string) => boolean): [number, number] {
  let best: [number, number] = [Number.POSITIVE_INFINITY, 0];
  const descend = (depth: number, chosen: readonly TopologyNode[]): void => {
    const slot = plan.slots[depth];
    if (slot === undefined) {
      const shared = chosen.length - new Set(chosen.map((node) => node.host)).size;
      const empty = plan.slots.length - chosen.length;
      if (empty < best[0] || (empty === best[0] && shared < best[1])) best = [empty, shared];
      return;
    }
    for (const node of topology.nodes) {
      if (node.domain !== slot.domain || !may(node.uuid)) continue;
      if (chosen.every((other) => compatibleNodes(other, node))) descend(depth + 1, [...chosen, node]);
    }
    descend(depth + 1, chosen);
  };
  descend(0, []);
  return best;
}
