import assert from "node:assert/strict";
import { test } from "node:test";
import { type Acknowledgement, acknowledge, type CopyState, resolveQuorum } from "../../../src/placement/quorum.ts";
import type { HandoffScope, ReplicationPolicy } from "../../../src/placement/topology.ts";
import { policyOf } from "./topologies.ts";

test("quorum settings resolve as documented", () => {
  const table = [1, 2, 3, 4, 5, 6, 7].map((factor) => ({
    auto: resolveQuorum("auto", factor),
    majority: resolveQuorum("majority", factor),
    all: resolveQuorum("all", factor),
  }));
  assert.deepEqual(table, [
    { auto: 1, majority: 1, all: 1 },
    { auto: 2, majority: 2, all: 2 },
    { auto: 2, majority: 2, all: 3 },
    { auto: 3, majority: 3, all: 4 },
    { auto: 3, majority: 3, all: 5 },
    { auto: 4, majority: 4, all: 6 },
    { auto: 4, majority: 4, all: 7 },
  ]);
});

test("a number from 1 to the factor is a quorum, anything else is refused", () => {
  for (let factor = 1; factor <= 5; factor++) {
    for (let quorum = 1; quorum <= factor; quorum++) assert.equal(resolveQuorum(quorum, factor), quorum);
    for (const wrong of [0, -1, factor + 1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.throws(() => resolveQuorum(wrong, factor), RangeError);
    }
  }
  for (const factor of [0, -1, 1.5, Number.NaN]) assert.throws(() => resolveQuorum("auto", factor), RangeError);
});

const held = (domain: string): CopyState => ({ domain, durable: true, handoff: false });
const owed = (domain: string): CopyState => ({ domain, durable: false, handoff: false });
const handedTo = (domain: string): CopyState => ({ domain, durable: true, handoff: true });

interface Case {
  readonly name: string;
  readonly policy: ReplicationPolicy;
  readonly copies: readonly CopyState[];
  readonly otherDomainsWritable?: boolean;
  readonly writableNodes: number;
  readonly expected: Acknowledgement;
}

const strict = policyOf(2, { degradedWrite: { enabled: false, minReplicas: 1, handoff: "any" } });
const oneIsEnough = policyOf(2, { degradedWrite: { enabled: true, minReplicas: 1, handoff: "none" } });
const three = policyOf(2, { degradedWrite: { enabled: true, minReplicas: 3, handoff: "any" } });

const cases: readonly Case[] = [
  {
    name: "both domains hold it",
    policy: policyOf(2),
    copies: [held("a"), held("b")],
    writableNodes: 2,
    expected: "full",
  },
  {
    name: "a second copy inside a domain is still owed",
    policy: policyOf(2),
    copies: [held("a"), owed("a"), held("b"), held("b")],
    writableNodes: 4,
    expected: "quorum",
  },
  {
    name: "a hand-off copy in place of a second copy inside a domain is not that copy",
    policy: policyOf(1),
    copies: [held("a"), handedTo("b")],
    writableNodes: 2,
    expected: "quorum",
  },
  {
    name: "two copies of one domain make no quorum of two",
    policy: policyOf(2),
    copies: [held("a"), held("a"), owed("b"), owed("b")],
    otherDomainsWritable: true,
    writableNodes: 4,
    expected: "no",
  },
  {
    name: "two domains of three are a majority",
    policy: policyOf(3),
    copies: [held("a"), held("b"), owed("c")],
    otherDomainsWritable: true,
    writableNodes: 3,
    expected: "quorum",
  },
  {
    name: "the other domain still takes writes, or standby does: one copy is not enough",
    policy: policyOf(2),
    copies: [held("a"), owed("b")],
    otherDomainsWritable: true,
    writableNodes: 2,
    expected: "no",
  },
  {
    name: "a hand-off copy on standby makes the second",
    policy: policyOf(2),
    copies: [held("a"), owed("b"), handedTo("standby")],
    writableNodes: 2,
    expected: "degraded",
  },
  {
    name: "one domain is left, with two nodes: one copy is not enough",
    policy: policyOf(2),
    copies: [held("a"), owed("b")],
    writableNodes: 2,
    expected: "no",
  },
  {
    name: "one domain is left: a hand-off copy on its second node makes the second",
    policy: policyOf(2),
    copies: [held("a"), owed("b"), handedTo("a")],
    writableNodes: 2,
    expected: "degraded",
  },
  {
    name: "one node is left of all",
    policy: policyOf(2),
    copies: [held("a"), owed("b")],
    writableNodes: 1,
    expected: "degraded",
  },
  {
    name: "two copies in one domain wait for the hand-off that another domain could take",
    policy: policyOf(2),
    copies: [held("a"), held("a"), owed("b")],
    otherDomainsWritable: true,
    writableNodes: 3,
    expected: "no",
  },
  {
    name: "hand-off copies in a quorum of domains are enough although yet another domain takes writes",
    policy: policyOf(2),
    copies: [held("a"), owed("b"), handedTo("c")],
    otherDomainsWritable: true,
    writableNodes: 4,
    expected: "degraded",
  },
  {
    name: "only hand-off copies",
    policy: policyOf(2),
    copies: [owed("a"), owed("b"), handedTo("standby"), handedTo("standby")],
    writableNodes: 2,
    expected: "degraded",
  },
  {
    name: "a plan with fewer domains than the factor is never full",
    policy: policyOf(2),
    copies: [held("a")],
    writableNodes: 2,
    expected: "no",
  },
  { name: "no copy at all", policy: policyOf(2), copies: [owed("a"), owed("b")], writableNodes: 0, expected: "no" },
  {
    name: "degraded writes are switched off",
    policy: strict,
    copies: [held("a"), owed("b"), handedTo("standby")],
    writableNodes: 2,
    expected: "no",
  },
  {
    name: "without hand-off the least number alone counts",
    policy: oneIsEnough,
    copies: [held("a"), owed("b")],
    writableNodes: 2,
    expected: "degraded",
  },
  {
    name: "fewer copies than the least number",
    policy: three,
    copies: [held("a"), owed("b"), handedTo("a")],
    writableNodes: 2,
    expected: "no",
  },
  { name: "one domain wanted and held", policy: policyOf(1), copies: [held("a")], writableNodes: 1, expected: "full" },
];

for (const { name, expected, otherDomainsWritable = false, ...state } of cases) {
  test(`acknowledge answers ${expected}: ${name}`, () => {
    assert.equal(acknowledge({ ...state, otherDomainsWritable }), expected);
  });
}

test("every state of up to three domains is acknowledged by the rules, restated one by one", () => {
  let states = 0;
  for (const state of everyState()) {
    states += 1;
    assert.equal(acknowledge(state), restated(state), JSON.stringify(state));
  }
  assert.equal(states, 55_296);
});

type State = Parameters<typeof acknowledge>[0];

/** Up to two planned copies in each of the domains a, b and c, owed or held, and up to two hand-off copies. */
function* everyState(): Generator<State> {
  const inDomain = (domain: string): (readonly CopyState[])[] => [
    [],
    [owed(domain)],
    [held(domain)],
    [held(domain), owed(domain)],
  ];
  const handoffs: (readonly CopyState[])[] = [[], [handedTo("a")], [handedTo("s"), handedTo("b")]];
  const scopes: readonly HandoffScope[] = ["any", "none"];
  const policies = [1, 2, 3].flatMap((factor) =>
    Array.from({ length: factor }, (_, i) => i + 1).flatMap((quorum) =>
      [true, false].flatMap((enabled) =>
        [1, 3].flatMap((minReplicas) =>
          scopes.map((handoff) => policyOf(factor, { quorum, degradedWrite: { enabled, minReplicas, handoff } })),
        ),
      ),
    ),
  );
  for (const policy of policies)
    for (const a of inDomain("a"))
      for (const b of inDomain("b"))
        for (const c of inDomain("c"))
          for (const handoff of handoffs)
            for (const otherDomainsWritable of [true, false])
              for (const writableNodes of [0, 1, 4])
                yield { policy, copies: [...a, ...b, ...c, ...handoff], otherDomainsWritable, writableNodes };
}

function restated({ policy, copies, otherDomainsWritable, writableNodes }: State): Acknowledgement {
  let durable = 0;
  let owedCopies = 0;
  const planned = new Set<string>();
  const anywhere = new Set<string>();
  for (const copy of copies) {
    if (!copy.durable || copy.handoff) owedCopies += 1;
    if (!copy.durable) continue;
    durable += 1;
    anywhere.add(copy.domain);
    if (!copy.handoff) planned.add(copy.domain);
  }
  if (owedCopies === 0 && planned.size >= policy.factor) return "full";
  if (planned.size >= policy.quorum) return "quorum";
  if (!policy.degradedWrite.enabled) return "no";
  if (durable === 0 || durable < policy.degradedWrite.minReplicas) return "no";
  if (policy.degradedWrite.handoff !== "none" && durable === 1 && writableNodes > 1) return "no";
  if (otherDomainsWritable && anywhere.size < policy.quorum) return "no";
  return "degraded";
}
