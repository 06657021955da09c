/** The table of node states, exhaustively, by the invariants that docs/node-states.md lists. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { NODE_STATES_FILE, renderNodeStates } from "../../../../scripts/node-states-docs.ts";
import { HEALTH_INVARIANTS } from "../../../../src/cluster/health/invariants.ts";
import {
  EFFECTS,
  type Evidence,
  HEALTH_EVENTS,
  initialHealth,
  MISSED_UNREACHABLE,
  NODE_STATES,
  type NodeHealth,
  type NodeState,
  step,
  TRANSITIONS,
} from "../../../../src/cluster/health/transitions.ts";

const ANSWERED: Evidence = { kind: "answered", sound: true };
const MISSED: Evidence = { kind: "silent", counts: true };
const RECHECK: Evidence = { kind: "silent", counts: false };

const anEvidence: fc.Arbitrary<Evidence> = fc.oneof(
  fc.record({ kind: fc.constant("answered" as const), sound: fc.boolean() }),
  fc.record({ kind: fc.constant("silent" as const), counts: fc.boolean() }),
  fc.record({ kind: fc.constantFrom("denied", "identity-gone", "identity-wrong", "decommissioned", "rejoined") }),
);
const aHistory = fc.array(anEvidence, { maxLength: 40 });

function after(evidence: readonly Evidence[], from: NodeHealth = initialHealth(false)): NodeHealth {
  return evidence.reduce((health, each) => step(health, each).next, from);
}

function times(count: number, evidence: Evidence): Evidence[] {
  return Array.from({ length: count }, () => evidence);
}

/** Every history up to its end, and the health after each step. */
function everyStep(
  check: (before: NodeHealth, evidence: Evidence, next: NodeHealth, past: readonly Evidence[]) => void,
): void {
  fc.assert(
    fc.property(aHistory, (history) => {
      let health = initialHealth(false);
      for (const [at, evidence] of history.entries()) {
        const { next } = step(health, evidence);
        check(health, evidence, next, history.slice(0, at + 1));
        health = next;
      }
    }),
    { numRuns: 2_000 },
  );
}

test("H1: every state has one successor for every event, and every state is reached from joining", () => {
  const reached = new Set<NodeState>(["joining"]);
  for (let before = 0; before !== reached.size; ) {
    before = reached.size;
    for (const state of reached) {
      assert.deepEqual(Object.keys(TRANSITIONS[state]).toSorted(), [...HEALTH_EVENTS].toSorted(), state);
      for (const event of HEALTH_EVENTS) {
        assert.ok(NODE_STATES.includes(TRANSITIONS[state][event]), `${state} ${event}`);
        reached.add(TRANSITIONS[state][event]);
      }
    }
  }
  assert.deepEqual([...reached].toSorted(), [...NODE_STATES].toSorted());
});

test("H2: up to four missed probes in a row lose nothing, and up to two change no state that is known (G10)", () => {
  for (const state of NODE_STATES) {
    const stays = state === "joining" ? "degraded" : state;
    assert.equal(TRANSITIONS[state].missed, stays);
    for (const event of ["missed", "missed-3"] as const) {
      assert.ok(EFFECTS[state].lost || !EFFECTS[TRANSITIONS[state][event]].lost, `${state} ${event}`);
    }
  }
  everyStep((before, _evidence, { state, missed }) => {
    if (state === "unreachable" && before.state !== "unreachable") assert.ok(missed >= MISSED_UNREACHABLE);
  });
  const online = after([ANSWERED]);
  assert.deepEqual(
    [1, 2, 3, 4, 5, 9, 10].map((count) => after(times(count, MISSED), online).state),
    ["online", "online", "degraded", "degraded", "unreachable", "unreachable", "unreachable"],
  );
});

test("H2: probes that are missed, but not in a row, are no absence", () => {
  const flapping = times(30, MISSED).flatMap((missed) => [missed, missed, ANSWERED]);
  assert.equal(after([ANSWERED, ...flapping]).state, "online");
  const worse = times(30, MISSED).flatMap((missed) => [missed, missed, missed, missed, ANSWERED]);
  assert.equal(after([ANSWERED, ...worse]).state, "degraded");
});

test("H3: a quick recheck that fails changes nothing and counts nothing", () => {
  for (const state of NODE_STATES) {
    assert.equal(TRANSITIONS[state]["recheck-failed"], state);
    const { next } = step({ state, missed: 4, good: 1 }, RECHECK);
    assert.deepEqual(next, { state, missed: 4, good: 0 });
  }
  assert.equal(after([ANSWERED, ...times(100, RECHECK)]).state, "online");
});

test("H4: a node that was degraded or unreachable is online again only after two good probes in a row", () => {
  everyStep((before, _evidence, { state }, past) => {
    if (state !== "online" || (before.state !== "degraded" && before.state !== "unreachable")) return;
    for (const evidence of past.slice(-2)) assert.equal(evidence.kind, "answered");
  });
  const away = after([ANSWERED, ...times(7, MISSED)]);
  assert.equal(after([ANSWERED], away).state, "unreachable");
  assert.equal(after([ANSWERED, RECHECK, ANSWERED], away).state, "unreachable");
  assert.equal(after([ANSWERED, ANSWERED], away).state, "online");
});

test("H5: only an operator takes a node out of decommissioned, and only the catalog puts it there", () => {
  for (const event of HEALTH_EVENTS) {
    assert.equal(TRANSITIONS.decommissioned[event], event === "rejoined" ? "joining" : "decommissioned");
    for (const state of NODE_STATES) {
      if (state === "decommissioned") continue;
      assert.equal(TRANSITIONS[state][event] === "decommissioned", event === "decommissioned", `${state} ${event}`);
    }
  }
});

test("H6: refused credentials lose no copy, however long they are refused (G14)", () => {
  assert.deepEqual(EFFECTS["access-denied"], { reads: "never", writes: false, lost: false });
  for (const state of NODE_STATES) {
    if (state !== "decommissioned") assert.equal(TRANSITIONS[state].denied, "access-denied");
  }
  const denied = after([ANSWERED, ...times(100, { kind: "denied" })]);
  assert.deepEqual([denied.state, denied.missed], ["access-denied", 0]);
});

test("H7: new copies go to nodes that are online, and lost ones are those whose copies are not to be counted on", () => {
  assert.deepEqual(
    NODE_STATES.filter((state) => EFFECTS[state].writes),
    ["online"],
  );
  assert.deepEqual(
    NODE_STATES.filter((state) => EFFECTS[state].lost),
    ["unreachable", "decommissioned", "replaced"],
  );
  // One that says it is not ours is never asked for a copy.
  for (const state of ["joining", "access-denied", "replaced", "refused"] as const) {
    assert.equal(EFFECTS[state].reads, "never");
  }
});

test("H8: a process that starts knows nothing bad of a node but what the catalog says", () => {
  assert.deepEqual(initialHealth(false), { state: "joining", missed: 0, good: 0 });
  assert.deepEqual(initialHealth(true), { state: "decommissioned", missed: 0, good: 0 });
  assert.equal(EFFECTS.joining.lost, false);
  assert.equal(after(times(4, MISSED)).state, "degraded");
  assert.equal(after(times(5, MISSED)).state, "unreachable");
});

test("a node that answers, and is held by a deeper probe, takes no new copies and is not lost", () => {
  const held = after([ANSWERED, ...times(20, { kind: "answered", sound: false })]);
  assert.equal(held.state, "degraded");
  assert.equal(after([ANSWERED], held).state, "online");
});

test("docs/node-states.md has the tables as the code has them (else run scripts/node-states-docs.ts)", () => {
  const document = readFileSync(NODE_STATES_FILE, "utf8");
  assert.equal(document, renderNodeStates(document));
});

test("every invariant is numbered in order and names a test that mentions it", () => {
  for (const [at, { number, test: file }] of HEALTH_INVARIANTS.entries()) {
    assert.equal(number, `H${at + 1}`);
    const path = resolve(import.meta.dirname, "../../..", file);
    assert.ok(existsSync(path), file);
    assert.match(readFileSync(path, "utf8"), new RegExp(`"${number}: `), `${file} has no test of ${number}`);
  }
});
