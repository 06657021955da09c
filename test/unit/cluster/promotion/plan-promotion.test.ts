/** Which standby nodes are promoted and demoted (P1, P3, P4, P5, P10 of docs/operations/standby-promotion.md). */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  NO_MEMORY,
  type NodeFacts,
  type PromotionDecision,
  type PromotionLimits,
  type PromotionMemory,
  planPromotion,
} from "../../../../src/cluster/promotion/plan-promotion.ts";
import type { Topology, TopologyNode } from "../../../../src/placement/topology.ts";
import { domainOf, nodeOf, policyOf, standbyDomain } from "../../placement/topologies.ts";

const LIMITS: PromotionLimits = { hysteresisMs: 60_000, coolDownMs: 300_000, autoDemote: false };

/** A cluster whose time and nodes a test turns; what is decided is carried out. */
class World {
  topology: Topology;
  nowMs = 1_000_000;
  readonly sick = new Set<string>();
  readonly facts = new Map<string, Partial<NodeFacts>>();
  readonly wantRepair = new Set<string>();
  #memory: PromotionMemory = NO_MEMORY;
  readonly #limits: PromotionLimits;

  constructor(nodes: readonly TopologyNode[], options: { limits?: Partial<PromotionLimits>; minNodes?: number } = {}) {
    this.#limits = { ...LIMITS, ...options.limits };
    const { minNodes = 1 } = options;
    this.topology = {
      epoch: 1,
      domains: [domainOf("a", { minNodes }), domainOf("b", { minNodes }), standbyDomain],
      nodes,
      virtualNodesPerNode: 8,
      replication: policyOf(2),
    };
  }

  look(): readonly PromotionDecision[] {
    const { topology, nowMs } = this;
    const view = {
      topology,
      nowMs,
      factsOf: (uuid: string): NodeFacts => ({
        healthy: !this.sick.has(uuid),
        loadScore: 0.5,
        freeBytes: undefined,
        ...this.facts.get(uuid),
      }),
      wantsRepair: (domain: string) => this.wantRepair.has(domain),
    };
    const { decisions, memory } = planPromotion(view, this.#memory, this.#limits);
    this.#memory = memory;
    for (const { kind, node, domain } of decisions) {
      const serves = kind === "promote" ? domain : node.homeDomain;
      this.topology = {
        ...this.topology,
        epoch: this.topology.epoch + 1,
        nodes: this.topology.nodes.map((each) => (each.uuid === node.uuid ? { ...each, domain: serves } : each)),
      };
    }
    return decisions;
  }

  /** Looks every second for so long. @returns what was decided, as `promote s1 a` */
  pass(seconds: number): string[] {
    const told: string[] = [];
    for (let second = 0; second < seconds; second++) {
      this.nowMs += 1_000;
      for (const { kind, node, domain } of this.look()) told.push(`${kind} ${node.name} ${domain}`);
    }
    return told;
  }

  /** Another process takes over: it remembers nothing. */
  restart(): void {
    this.#memory = NO_MEMORY;
  }
}

const TWO_DOMAINS = [nodeOf("a1", "a"), nodeOf("b1", "b"), nodeOf("s1", "standby"), nodeOf("s2", "standby")];

test("P3 a domain that is short of healthy nodes for the whole hysteresis gets a standby node, and not before", () => {
  const world = new World(TWO_DOMAINS);
  assert.deepEqual(world.pass(100), []);
  world.sick.add("a1");
  assert.deepEqual(world.pass(60), []);
  assert.deepEqual(world.pass(1), ["promote s1 a"]);
  assert.deepEqual(world.pass(1_000), [], "it is short no more");
});

test("P3 a failed probe now and then promotes nobody: each recovery begins the hysteresis anew", () => {
  const world = new World(TWO_DOMAINS);
  for (let times = 0; times < 20; times++) {
    world.sick.add("a1");
    assert.deepEqual(world.pass(59), []);
    world.sick.delete("a1");
    assert.deepEqual(world.pass(1), []);
  }
});

test("P3 a process that takes over counts from its own start", () => {
  const world = new World(TWO_DOMAINS);
  world.sick.add("a1");
  world.pass(59);
  world.restart();
  assert.deepEqual(world.pass(60), []);
  assert.deepEqual(world.pass(1), ["promote s1 a"]);
});

test("P4 a scarce standby node goes to the domain of higher priority", () => {
  const world = new World([nodeOf("a1", "a"), nodeOf("b1", "b"), nodeOf("s1", "standby")]);
  world.sick.add("a1").add("b1");
  assert.deepEqual(world.pass(61), ["promote s1 a"]);
  assert.deepEqual(world.pass(1_000), [], "there is none for the other");
});

test("P4 the standby node with the least load goes first, then the one with the most room, then by name", () => {
  const spare = ["s1", "s2", "s3"].map((name) => nodeOf(name, "standby"));
  for (const { facts, first } of [
    { facts: { s1: { loadScore: 0.9 }, s2: { loadScore: 0.1 }, s3: { loadScore: 0.5 } }, first: "s2" },
    { facts: { s1: { freeBytes: 1 }, s2: { freeBytes: 2 }, s3: { freeBytes: 3 } }, first: "s3" },
    { facts: {}, first: "s1" },
    { facts: { s1: { healthy: false } }, first: "s2" },
  ]) {
    const world = new World([nodeOf("a1", "a"), nodeOf("b1", "b"), ...spare.toReversed()]);
    for (const [name, each] of Object.entries(facts)) world.facts.set(name, each);
    world.sick.add("a1");
    assert.deepEqual(world.pass(61), [`promote ${first} a`]);
  }
});

test("P4 a standby node that takes no copies is not promoted", () => {
  const idle = [nodeOf("s1", "standby", { acceptsWrites: false }), nodeOf("s2", "standby", { weight: 0 })];
  const world = new World([nodeOf("a1", "a"), nodeOf("b1", "b"), ...idle]);
  world.sick.add("a1");
  assert.deepEqual(world.pass(500), []);
});

test("P5 a domain that is still short gets the next node only after the cool-down", () => {
  const world = new World(
    [nodeOf("a1", "a"), nodeOf("a2", "a"), nodeOf("b1", "b"), nodeOf("b2", "b"), ...TWO_DOMAINS.slice(2)],
    { minNodes: 2 },
  );
  world.sick.add("a1").add("a2");
  assert.deepEqual(world.pass(61), ["promote s1 a"]);
  assert.deepEqual(world.pass(299), []);
  assert.deepEqual(world.pass(1), ["promote s2 a"]);
});

test("a promoted node that fails is replaced by the next one", () => {
  const world = new World(TWO_DOMAINS, { limits: { coolDownMs: 0 } });
  world.sick.add("a1");
  world.pass(61);
  world.sick.add("s1");
  assert.deepEqual(world.pass(61), ["promote s2 a"]);
});

test("P10 a node is demoted by itself only when configured, the domain has recovered, and nothing of it wants repair", () => {
  const promoted = [nodeOf("a1", "a"), nodeOf("b1", "b"), nodeOf("s1", "a", { homeDomain: "standby" })];
  assert.deepEqual(new World(promoted).pass(1_000), [], "it is not configured");
  const world = new World(promoted, { limits: { autoDemote: true } });
  world.sick.add("a1");
  assert.deepEqual(world.pass(1_000), [], "the domain has not recovered");
  world.sick.delete("a1");
  world.wantRepair.add("a");
  assert.deepEqual(world.pass(1_000), [], "its data are not back");
  world.wantRepair.delete("a");
  assert.deepEqual(world.pass(1), ["demote s1 a"]);
  assert.deepEqual(world.pass(1_000), []);
});

test("P10 a domain that has just recovered waits for the hysteresis before it gives its node back", () => {
  const promoted = [nodeOf("a1", "a"), nodeOf("b1", "b"), nodeOf("s1", "a", { homeDomain: "standby" })];
  const world = new World(promoted, { limits: { autoDemote: true } });
  world.sick.add("a1");
  world.pass(10);
  world.sick.delete("a1");
  assert.deepEqual(world.pass(60), []);
  assert.deepEqual(world.pass(1), ["demote s1 a"]);
});

test("P1, P5 whatever fails and recovers, only healthy standby nodes are promoted, to active domains, no faster than allowed", () => {
  const steps = fc.array(
    fc.record({ node: fc.constantFrom("a1", "a2", "b1", "b2", "s1", "s2"), sick: fc.boolean(), seconds: fc.nat(200) }),
    { maxLength: 20 },
  );
  fc.assert(
    fc.property(steps, fc.boolean(), (taken, autoDemote) => {
      const world = new World(
        [
          ...["a1", "a2"].map((name) => nodeOf(name, "a")),
          ...["b1", "b2"].map((name) => nodeOf(name, "b")),
          ...TWO_DOMAINS.slice(2),
        ],
        { minNodes: 2, limits: { autoDemote } },
      );
      const changedMs = new Map<string, number>();
      for (const { node, sick, seconds } of taken) {
        if (sick) world.sick.add(node);
        else world.sick.delete(node);
        for (let second = 0; second <= seconds; second++) {
          world.nowMs += 1_000;
          const before = world.topology;
          for (const { node: changed, domain } of world.look()) {
            assert.equal(changed.homeDomain, "standby");
            assert.ok(!world.sick.has(changed.uuid), "it is not healthy");
            assert.ok(["a", "b"].includes(domain));
            const lastMs = changedMs.get(domain);
            assert.ok(lastMs === undefined || world.nowMs >= lastMs + LIMITS.coolDownMs);
            changedMs.set(domain, world.nowMs);
            assert.equal(
              before.nodes.find(({ uuid }) => uuid === changed.uuid),
              changed,
            );
          }
        }
      }
      for (const { name, homeDomain, domain } of world.topology.nodes) {
        if (homeDomain !== "standby") assert.equal(domain, homeDomain, `${name} is no standby node`);
      }
    }),
    { numRuns: 60 },
  );
});
