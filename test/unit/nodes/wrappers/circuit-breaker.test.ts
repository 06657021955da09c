import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { NodeError, type NodeErrorKind } from "../../../../src/nodes/storage-node.ts";
import { type BreakerPass, type BreakerState, CircuitBreaker } from "../../../../src/nodes/wrappers/circuit-breaker.ts";
import type { BreakerLimits } from "../../../../src/nodes/wrappers/limits.ts";
import { NotAskedError } from "../../../../src/nodes/wrappers/not-asked-error.ts";
import { ManualClock } from "../../../support/manual-clock.ts";

const LIMITS: BreakerLimits = {
  consecutiveFailures: 5,
  failuresOf32: 16,
  cooldownMs: 1_000,
  cooldownMsMax: 8_000,
  probationSuccesses: 3,
};

interface Subject {
  readonly clock: ManualClock;
  readonly breaker: CircuitBreaker;
  /** States in the order in which they were announced. */
  readonly changes: BreakerState[];
}

function subject(): Subject {
  const clock = new ManualClock(0);
  const breaker = new CircuitBreaker(clock, LIMITS);
  const changes: BreakerState[] = [];
  breaker.onChange(({ state }) => changes.push(state));
  return { clock, breaker, changes };
}

function failure(kind: NodeErrorKind = "unreachable"): NodeError {
  return new NodeError(kind, "as the test says");
}

function fail(breaker: CircuitBreaker, times: number, kind: NodeErrorKind = "unreachable"): void {
  for (let i = 0; i < times; i++) breaker.enter("data").failed(failure(kind));
}

function succeed(breaker: CircuitBreaker, times: number): void {
  for (let i = 0; i < times; i++) breaker.enter("data").succeeded();
}

/** A breaker that has opened once. */
function opened(): Subject {
  const made = subject();
  fail(made.breaker, 5);
  assert.equal(made.breaker.state, "open");
  return made;
}

/** A breaker that a health check closed after it was open. */
function onProbation(): Subject {
  const made = opened();
  made.clock.advance(LIMITS.cooldownMs);
  made.breaker.enter("health").succeeded();
  assert.equal(made.breaker.state, "closed");
  return made;
}

function refuses(breaker: CircuitBreaker): void {
  assert.throws(() => breaker.enter("data"), NotAskedError);
}

for (const kind of ["unreachable", "timeout", "busy", "io", "access-denied"] as const) {
  test(`failures of kind ${kind} in a row open it, and one success in between starts the row again`, () => {
    const { breaker, changes } = subject();
    fail(breaker, 4, kind);
    succeed(breaker, 1);
    fail(breaker, 4, kind);
    assert.equal(breaker.state, "closed");
    fail(breaker, 1, kind);
    assert.equal(breaker.state, "open");
    assert.equal(breaker.cause?.kind, kind);
    assert.deepEqual(changes, ["open"]);
  });
}

for (const kind of ["full", "read-only", "corrupt", "refused", "aborted", "invalid"] as const) {
  test(`failures of kind ${kind} neither open it nor break a row of others`, () => {
    const { breaker } = subject();
    fail(breaker, 100, kind);
    assert.equal(breaker.state, "closed");
    fail(breaker, 4);
    fail(breaker, 100, kind);
    assert.equal(breaker.state, "closed");
    fail(breaker, 1);
    assert.equal(breaker.state, "open");
  });
}

test("an answer of not-found is a success: the node works", () => {
  const { breaker } = subject();
  fail(breaker, 4);
  fail(breaker, 1, "not-found");
  fail(breaker, 4);
  assert.equal(breaker.state, "closed");
});

test("what is no NodeError says nothing of the node", () => {
  const { breaker } = subject();
  for (let i = 0; i < 10; i++) breaker.enter("data").failed(new TypeError("a bug"));
  assert.equal(breaker.state, "closed");
});

test("half of the last 32 calls failing opens it, however they are mixed; a little less does not", () => {
  const mixed = subject();
  for (let i = 0; i < 15; i++) {
    fail(mixed.breaker, 1);
    succeed(mixed.breaker, 1);
  }
  assert.equal(mixed.breaker.state, "closed");
  fail(mixed.breaker, 1);
  assert.equal(mixed.breaker.state, "open");

  const fewer = subject();
  for (let i = 0; i < 200; i++) {
    fail(fewer.breaker, 3);
    succeed(fewer.breaker, 4);
  }
  assert.equal(fewer.breaker.state, "closed");
});

test("while it is open, calls are turned away at once with the cause, and health checks pass", () => {
  const { breaker } = opened();
  assert.throws(
    () => breaker.enter("data"),
    (error: unknown) =>
      error instanceof NotAskedError &&
      error.kind === "busy" &&
      error.message.includes("breaker is open") &&
      error.cause === breaker.cause,
  );
  breaker.enter("health").failed(failure());
  refuses(breaker);
});

test("a health check that succeeds closes it, but only once the cool-down is over", () => {
  const { breaker, clock, changes } = opened();
  clock.advance(LIMITS.cooldownMs - 1);
  breaker.enter("health").succeeded();
  assert.equal(breaker.state, "open");
  clock.advance(1);
  breaker.enter("health").succeeded();
  assert.equal(breaker.state, "closed");
  assert.deepEqual(changes, ["open", "closed"]);
});

test("health checks that fail through a long outage do not delay the return", () => {
  const { breaker, clock } = opened();
  for (let i = 0; i < 1_000; i++) {
    clock.advance(2_000);
    breaker.enter("health").failed(failure());
  }
  clock.advance(2_000);
  breaker.enter("health").succeeded();
  assert.equal(breaker.state, "closed");
});

test("after the cool-down one call is tried while the others are turned away; its success closes it", () => {
  const { breaker, clock, changes } = opened();
  clock.advance(LIMITS.cooldownMs);
  const trial = breaker.enter("data");
  assert.equal(breaker.state, "half-open");
  refuses(breaker);
  trial.succeeded();
  succeed(breaker, 1);
  assert.deepEqual(changes, ["open", "half-open", "closed"]);
});

test("a call that is tried and fails opens it again for twice as long, up to the longest cool-down", () => {
  const { breaker, clock } = opened();
  let cooldownMs = LIMITS.cooldownMs;
  for (let i = 0; i < 5; i++) {
    clock.advance(cooldownMs - 1);
    refuses(breaker);
    clock.advance(1);
    fail(breaker, 1);
    assert.equal(breaker.state, "open");
    cooldownMs = Math.min(2 * cooldownMs, LIMITS.cooldownMsMax);
  }
  assert.equal(cooldownMs, LIMITS.cooldownMsMax);
});

test("a call that is tried and says nothing of the node lets another one be tried", () => {
  const { breaker, clock } = opened();
  clock.advance(LIMITS.cooldownMs);
  fail(breaker, 1, "aborted");
  assert.equal(breaker.state, "half-open");
  succeed(breaker, 1);
  assert.equal(breaker.state, "closed");
});

test("on probation the first failure opens it again, for twice as long", () => {
  const { breaker, clock } = onProbation();
  succeed(breaker, LIMITS.probationSuccesses - 1);
  fail(breaker, 1);
  assert.equal(breaker.state, "open");
  clock.advance(2 * LIMITS.cooldownMs - 1);
  breaker.enter("health").succeeded();
  assert.equal(breaker.state, "open");
  clock.advance(1);
  breaker.enter("health").succeeded();
  assert.equal(breaker.state, "closed");
});

test("a health check that fails on probation opens it again, but for no longer than before", () => {
  const { breaker, clock } = onProbation();
  breaker.enter("health").failed(failure());
  assert.equal(breaker.state, "open");
  clock.advance(LIMITS.cooldownMs);
  breaker.enter("health").succeeded();
  assert.equal(breaker.state, "closed");
});

test("probation ends with successes of calls, not of health checks, and the cool-down is short again", () => {
  const { breaker, clock } = onProbation();
  for (let i = 0; i < 10; i++) breaker.enter("health").succeeded();
  fail(breaker, 1);
  assert.equal(breaker.state, "open");
  clock.advance(2 * LIMITS.cooldownMs);
  breaker.enter("health").succeeded();
  succeed(breaker, LIMITS.probationSuccesses);
  fail(breaker, 4);
  assert.equal(breaker.state, "closed");
  fail(breaker, 1);
  clock.advance(LIMITS.cooldownMs);
  breaker.enter("health").succeeded();
  assert.equal(breaker.state, "closed");
});

test("calls that began before a change say nothing after it", () => {
  const { breaker, clock } = subject();
  const slow = Array.from({ length: 20 }, () => breaker.enter("data"));
  const lucky = breaker.enter("data");
  fail(breaker, 5);
  lucky.succeeded();
  assert.equal(breaker.state, "open");
  clock.advance(LIMITS.cooldownMs);
  breaker.enter("health").succeeded();
  for (const pass of slow) pass.failed(failure("timeout"));
  assert.equal(breaker.state, "closed");
});

test("only the first outcome of a call counts", () => {
  const { breaker } = subject();
  fail(breaker, 4);
  const pass = breaker.enter("data");
  pass.failed(failure("aborted"));
  pass.failed(failure());
  assert.equal(breaker.state, "closed");
});

test("other evidence can open it and close it", () => {
  const { breaker, changes } = subject();
  breaker.open(failure("io"));
  refuses(breaker);
  assert.equal(breaker.cause?.kind, "io");
  breaker.close();
  // No probation: who closed it knows.
  fail(breaker, 4);
  assert.equal(breaker.state, "closed");
  assert.deepEqual(changes, ["open", "closed"]);
});

test("whatever happens, it turns away exactly while it is not closed, tries one call at a time, and says so once a change", () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("enter" as const), kind: fc.constantFrom("data" as const, "health" as const) }),
    fc.record({
      do: fc.constant("end" as const),
      which: fc.nat(9),
      outcome: fc.constantFrom<NodeErrorKind | "ok">("ok", "unreachable", "io", "aborted", "not-found"),
    }),
    fc.record({ do: fc.constant("pass" as const), ms: fc.integer({ min: 1, max: 3_000 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const { breaker, clock, changes } = subject();
      let running: BreakerPass[] = [];
      let trials: BreakerPass[] = [];
      for (const each of steps) {
        if (each.do === "pass") clock.advance(each.ms);
        else if (each.do === "end") {
          const pass = running[each.which % Math.max(1, running.length)];
          running = running.filter((other) => other !== pass);
          trials = trials.filter((other) => other !== pass);
          if (each.outcome === "ok") pass?.succeeded();
          else pass?.failed(failure(each.outcome));
        } else {
          const before = breaker.state;
          try {
            const pass = breaker.enter(each.kind);
            running.push(pass);
            if (pass.trial) trials.push(pass);
            assert.equal(pass.trial, before !== "closed" && each.kind === "data");
          } catch (error) {
            assert.ok(error instanceof NotAskedError);
            assert.equal(each.kind, "data");
            assert.notEqual(before, "closed");
          }
        }
        // A trial is over with its state: those of an earlier one no longer count.
        if (breaker.state !== "half-open") trials = [];
        assert.ok(trials.length <= 1);
        assert.ok(changes.every((state, i) => state !== changes[i - 1]));
        assert.equal(breaker.state, changes.at(-1) ?? "closed");
      }
      clock.advance(LIMITS.cooldownMsMax);
      breaker.enter("health").succeeded();
      assert.equal(breaker.state, "closed");
    }),
    { numRuns: 300 },
  );
});
