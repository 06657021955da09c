/** What every coordinator does (src/coordination/coordinator.ts), run unchanged on all of them. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { type Coordinator, CoordinatorError, LeaseEndedError } from "../../src/coordination/coordinator.ts";
import {
  LEASE_MS_MAX,
  MESSAGE_BYTES_MAX,
  NAME_CHARS_MAX,
  SAMPLE_BYTES_MAX,
  STATE_BYTES_MAX,
  STATE_MS_MAX,
} from "../../src/coordination/limits.ts";
import { eventually } from "../support/eventually.ts";

/** One cluster's coordinator, empty. */
export interface CoordinatorWorld extends AsyncDisposable {
  /** Another process of the cluster; available. */
  join(): Promise<Coordinator>;
  /** Lets time pass, and what is due happen. */
  pass(ms: number): Promise<void>;
  /** Time of a lease: long enough that a busy machine renews it. */
  readonly leaseMs: number;
}

const PATIENCE = { timeoutMs: 10_000, intervalMs: 20 };

function isInvalid(error: unknown): boolean {
  return error instanceof CoordinatorError && error.kind === "invalid";
}

function isUnavailable(error: unknown): boolean {
  return error instanceof CoordinatorError && error.kind === "unavailable";
}

/** @param missing why there is no such coordinator, for a skip */
export function coordinatorContract(kind: string, missing: string | undefined, open: () => Promise<CoordinatorWorld>) {
  describe(`the ${kind} coordinator`, { skip: missing ?? false }, () => {
    let world: CoordinatorWorld;
    let one: Coordinator;
    let other: Coordinator;
    beforeEach(async () => {
      world = await open();
      one = await world.join();
      other = await world.join();
    });
    afterEach(async () => {
      await one[Symbol.asyncDispose]();
      await other[Symbol.asyncDispose]();
      await world[Symbol.asyncDispose]();
    });

    describe("leases", () => {
      test("one has one holder, and another name another", async () => {
        const lease = await one.acquire("repair", world.leaseMs);
        assert.equal(lease?.name, "repair");
        assert.equal(lease.held, true);
        assert.equal(lease.lost.aborted, false);
        assert.equal(await other.acquire("repair", world.leaseMs), undefined);
        assert.equal(await one.acquire("repair", world.leaseMs), undefined, "not even twice by one process");
        assert.equal((await other.acquire("scrub", world.leaseMs))?.held, true);
      });

      test("one that is renewed is kept for longer than its time", async () => {
        const lease = await one.acquire("repair", world.leaseMs);
        for (let round = 0; round < 3; round++) {
          await world.pass(world.leaseMs / 2);
          assert.equal(lease?.held, true);
          assert.equal(await other.acquire("repair", world.leaseMs), undefined);
        }
      });

      test("one that is given back is free at once, and giving it back again takes it from nobody", async () => {
        const lease = await one.acquire("repair", world.leaseMs);
        await lease?.release();
        assert.equal(lease?.held, false);
        assert.ok(lease.lost.reason instanceof LeaseEndedError);
        assert.equal(lease.lost.reason.reason, "released");
        const next = await other.acquire("repair", world.leaseMs);
        assert.equal(next?.held, true);
        await lease.release();
        await world.pass(world.leaseMs);
        assert.equal(next.held, true);
        assert.equal(await one.acquire("repair", world.leaseMs), undefined);
      });

      test("of those who try at the same time one gets it, whenever they try", async () => {
        const third = await world.join();
        for (let round = 0; round < 30; round++) {
          const got = await Promise.all([one, other, third, one].map((each) => each.acquire("repair", world.leaseMs)));
          const held = got.filter((lease) => lease !== undefined);
          assert.equal(held.length, 1);
          await held[0]?.release();
        }
        await third[Symbol.asyncDispose]();
      });

      test("a process that ends gives back what it holds", async () => {
        const lease = await one.acquire("repair", world.leaseMs);
        await one[Symbol.asyncDispose]();
        assert.equal(lease?.held, false);
        assert.equal((await other.acquire("repair", world.leaseMs))?.held, true);
      });
    });

    test("an event reaches all who listen to its channel, and nobody who listens no more", async () => {
      const heard: string[] = [];
      const listen = (who: string, each: Coordinator, channel: string): (() => void) =>
        each.subscribe(channel, (message) => heard.push(`${who} ${message}`));
      const end = listen("one", one, "nodes");
      listen("other", other, "nodes");
      listen("elsewhere", other, "jobs");
      // An event may get lost while a subscription is on its way; it is sent until everybody listens.
      await eventually("both hear", PATIENCE, async () => {
        await one.publish("nodes", "node-a");
        await new Promise(setImmediate);
        assert.deepEqual([...new Set(heard)].toSorted(), ["one node-a", "other node-a"]);
      });
      end();
      await eventually("only the other one hears", PATIENCE, async () => {
        const from = heard.length;
        await other.publish("nodes", "node-b");
        await new Promise(setImmediate);
        assert.ok(heard.slice(from).includes("other node-b"));
      });
      assert.ok(!heard.includes("one node-b"));
      assert.ok(!heard.some((event) => event.startsWith("elsewhere")));
    });

    test("a rate is shared: what one takes the other has not, and it comes back with time", async () => {
      const rate = { perSecond: 4, burst: 8 };
      assert.equal(await one.take("copies", 6, rate), 0);
      const waitMs = await other.take("copies", 6, rate);
      assert.ok(waitMs > 500 && waitMs <= 1_000, `1 s for four copies, not ${waitMs} ms`);
      assert.equal(await other.take("other", 8, rate), 0, "another name is another bucket");
      await world.pass(waitMs);
      assert.equal(await other.take("copies", 6, rate), 0);
      assert.ok((await one.take("copies", 4, rate)) > 0);
    });

    test("a bucket holds no more than its burst", async () => {
      const rate = { perSecond: 1_000, burst: 2 };
      assert.equal(await one.take("copies", 2, rate), 0);
      await world.pass(100);
      assert.equal(await one.take("copies", 2, rate), 0);
      const slow = { perSecond: 0.001, burst: 2 };
      assert.ok((await one.take("copies", 2, slow)) > 0);
    });

    test("a live state is what was put last, seen by all, listed by the beginning of its name", async () => {
      await one.putState("job/b", { done: 1 }, 60_000);
      await other.putState("job/a", { done: 2 }, 60_000);
      await one.putState("job/b", { done: 3, of: ["x", null] }, 60_000);
      await one.putState("jobs", {}, 60_000);
      assert.deepEqual(await other.states("job/"), [
        { name: "job/a", document: { done: 2 } },
        { name: "job/b", document: { done: 3, of: ["x", null] } },
      ]);
      assert.deepEqual(
        (await one.states("")).map(({ name }) => name),
        ["job/a", "job/b", "jobs"],
      );
      await other.dropState("job/b");
      await other.dropState("job/none");
      assert.deepEqual(await one.states("job/b"), []);
    });

    test("a live state is gone when its time has passed without another", async () => {
      await one.putState("node/a", { state: "online" }, 300);
      await one.putState("node/b", { state: "online" }, 60_000);
      await world.pass(400);
      assert.deepEqual(
        (await other.states("node/")).map(({ name }) => name),
        ["node/b"],
      );
      await one.putState("node/a", { state: "offline" }, 60_000);
      assert.equal((await other.states("node/")).length, 2);
    });

    test("the history of a series is its samples since a time, oldest first", async () => {
      await one.addSample("job/a", { moved: 1 });
      await world.pass(50);
      await other.addSample("job/a", { moved: 2 });
      await one.addSample("job/b", { moved: 9 });
      const all = await one.samples("job/a", 0);
      assert.deepEqual(
        all.map(({ sample }) => sample),
        [{ moved: 1 }, { moved: 2 }],
      );
      const [first, second] = all;
      assert.ok(first !== undefined && second !== undefined && first.atMs < second.atMs);
      assert.deepEqual(await other.samples("job/a", second.atMs), [second]);
      assert.deepEqual(await other.samples("job/a", second.atMs + 1), []);
      assert.deepEqual(await other.samples("none", 0), []);
    });

    test("what is out of bounds is refused, and nothing is done", async () => {
      const rate = { perSecond: 1, burst: 10 };
      const long = "n".repeat(NAME_CHARS_MAX + 1);
      for (const name of ["", long, "two words", "ä", "a\n"]) {
        await assert.rejects(one.acquire(name, world.leaseMs), isInvalid);
        await assert.rejects(one.publish(name, ""), isInvalid);
        assert.throws(() => one.subscribe(name, () => {}), isInvalid);
        await assert.rejects(one.take(name, 1, rate), isInvalid);
        await assert.rejects(one.putState(name, {}, 1_000), isInvalid);
        await assert.rejects(one.dropState(name), isInvalid);
        await assert.rejects(one.addSample(name, {}), isInvalid);
        await assert.rejects(one.samples(name, 0), isInvalid);
      }
      await assert.rejects(one.states(long), isInvalid);
      for (const ttlMs of [0, 999, LEASE_MS_MAX + 1, 1_000.5, Number.NaN]) {
        await assert.rejects(one.acquire("repair", ttlMs), isInvalid);
      }
      for (const ttlMs of [0, STATE_MS_MAX + 1, 1.5]) await assert.rejects(one.putState("a", {}, ttlMs), isInvalid);
      await assert.rejects(one.publish("nodes", "x".repeat(MESSAGE_BYTES_MAX + 1)), isInvalid);
      await assert.rejects(one.putState("a", { text: "x".repeat(STATE_BYTES_MAX) }, 1_000), isInvalid);
      await assert.rejects(one.addSample("a", { text: "x".repeat(SAMPLE_BYTES_MAX) }), isInvalid);
      for (const amount of [0, -1, 10.5, Number.NaN]) await assert.rejects(one.take("a", amount, rate), isInvalid);
      await assert.rejects(one.take("a", 1, { perSecond: 0, burst: 10 }), isInvalid);
      await assert.rejects(one.take("a", 1, { perSecond: 1, burst: Number.POSITIVE_INFINITY }), isInvalid);
      assert.deepEqual(await one.states(""), []);
    });

    test("is not available once it is closed: every call fails", async () => {
      await one[Symbol.asyncDispose]();
      assert.equal(one.available, false);
      await assert.rejects(one.acquire("repair", world.leaseMs), isUnavailable);
      await assert.rejects(one.publish("nodes", ""), isUnavailable);
      await assert.rejects(one.take("copies", 1, { perSecond: 1, burst: 1 }), isUnavailable);
      await assert.rejects(one.putState("a", {}, 1_000), isUnavailable);
      await assert.rejects(one.dropState("a"), isUnavailable);
      await assert.rejects(one.states(""), isUnavailable);
      await assert.rejects(one.addSample("a", {}), isUnavailable);
      await assert.rejects(one.samples("a", 0), isUnavailable);
      assert.equal(other.available, true);
    });
  });
}
