import assert from "node:assert/strict";
import { test } from "node:test";
import type { LogFields, Logger } from "../../../src/observability/logger.ts";
import { silentLogger } from "../../../src/observability/logger.ts";
import { forEachConcurrently, Worker } from "../../../src/replication/worker.ts";
import { turns } from "../../support/in-memory-gateway.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const INTERVAL_MS = 1_000;

/** A worker whose runs last until the test ends them. */
class TestWorker {
  readonly clock = new ManualClock();
  readonly errors: LogFields[] = [];
  readonly worker: Worker;
  runs = 0;
  underWay = 0;
  /** What a run does beside counting; ends at once when absent. */
  task: ((signal: AbortSignal) => Promise<void>) | undefined;

  constructor() {
    const logger: Logger = { ...silentLogger, error: (fields) => void this.errors.push(fields) };
    const run = async (signal: AbortSignal): Promise<void> => {
      this.runs++;
      this.underWay++;
      assert.equal(this.underWay, 1, "two runs at the same time");
      try {
        await this.task?.(signal);
      } finally {
        this.underWay--;
      }
    };
    this.worker = new Worker({ name: "test", intervalMs: INTERVAL_MS, clock: this.clock, logger, run });
  }

  /** Lets time pass and everything run that comes due. */
  async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    await turns();
  }
}

test("a worker runs first after its delay, and then an interval after the end of each run", async () => {
  const test = new TestWorker();
  await using worker = test.worker;
  worker.start(300);
  await test.pass(299);
  assert.equal(test.runs, 0);
  await test.pass(1);
  assert.equal(test.runs, 1);
  const end = Promise.withResolvers<void>();
  test.task = () => end.promise;
  await test.pass(INTERVAL_MS);
  await test.pass(5 * INTERVAL_MS);
  assert.equal(test.runs, 2);
  end.resolve();
  await turns();
  await test.pass(INTERVAL_MS - 1);
  assert.equal(test.runs, 2);
  await test.pass(1);
  assert.equal(test.runs, 3);
});

test("a worker that is woken runs at once, and the interval counts from there", async () => {
  const test = new TestWorker();
  await using worker = test.worker;
  worker.start(300);
  worker.wake();
  worker.wake();
  await test.pass(0);
  assert.equal(test.runs, 1);
  await test.pass(300);
  assert.equal(test.runs, 1);
  await test.pass(INTERVAL_MS - 300);
  assert.equal(test.runs, 2);
});

test("a worker that is woken during a run, however often, runs once more right after it", async () => {
  const test = new TestWorker();
  await using worker = test.worker;
  const end = Promise.withResolvers<void>();
  test.task = () => end.promise;
  worker.start();
  await test.pass(0);
  worker.wake();
  worker.wake();
  test.task = undefined;
  end.resolve();
  await turns();
  await test.pass(0);
  assert.equal(test.runs, 2);
  await test.pass(INTERVAL_MS - 1);
  assert.equal(test.runs, 2);
});

test("a run that fails is logged, and the next comes as usual", async () => {
  const test = new TestWorker();
  await using worker = test.worker;
  const error = new Error("the catalog is away");
  test.task = () => Promise.reject(error);
  worker.start();
  await test.pass(0);
  assert.deepEqual(test.errors, [{ err: error, worker: "test" }]);
  test.task = undefined;
  await test.pass(INTERVAL_MS);
  assert.equal(test.runs, 2);
});

test("a worker that ends tells its run, waits for it, logs nothing of it and never runs again", async () => {
  const test = new TestWorker();
  let told = false;
  test.task = (signal) =>
    new Promise((_, reject) => {
      signal.addEventListener("abort", () => {
        told = true;
        setImmediate(() => reject(new Error("stopped")));
      });
    });
  test.worker.start();
  await test.pass(0);
  test.worker.wake();
  await test.worker[Symbol.asyncDispose]();
  assert.ok(told);
  assert.deepEqual([test.underWay, test.errors], [0, []]);
  test.worker.wake();
  await test.pass(10 * INTERVAL_MS);
  assert.equal(test.runs, 1);
  assert.equal(test.clock.timers, 0);
});

async function* upTo(count: number): AsyncGenerator<number> {
  for (let item = 0; item < count; item++) yield item;
}

const NEVER = new AbortController().signal;

test("a task runs on every item, no more of them at a time than allowed", async () => {
  const done = new Set<number>();
  let [underWay, most] = [0, 0];
  await forEachConcurrently(upTo(20), 4, NEVER, async (item) => {
    most = Math.max(most, ++underWay);
    await turns(item % 3);
    underWay--;
    done.add(item);
  });
  assert.deepEqual([done.size, most], [20, 4]);
});

test("a task that fails keeps nobody from the others, and all failures are thrown in the end", async () => {
  const done: number[] = [];
  let underWay = 0;
  const tasks = forEachConcurrently(upTo(20), 4, NEVER, async (item) => {
    underWay++;
    await turns(1 + item);
    underWay--;
    if (item % 7 === 3) throw new Error(`item ${item}`);
    done.push(item);
  });
  await assert.rejects(tasks, (error) => {
    assert.ok(error instanceof AggregateError);
    assert.deepEqual(error.errors.map(String).sort(), ["Error: item 10", "Error: item 17", "Error: item 3"]);
    return true;
  });
  assert.deepEqual([done.length, underWay], [17, 0]);
});

test("when everything fails, a run ends early", async () => {
  let begun = 0;
  const tasks = forEachConcurrently(upTo(10_000), 4, NEVER, async () => {
    begun++;
    throw new Error("no");
  });
  await assert.rejects(tasks, AggregateError);
  assert.ok(begun >= 100 && begun < 200, `${begun} were begun`);
});

test("a failure of an item that is followed slowly by others is thrown too", async () => {
  async function* slow(): AsyncGenerator<number> {
    yield 1;
    await turns();
    yield 2;
    await turns();
  }
  const tasks = forEachConcurrently(slow(), 8, NEVER, async (item) => {
    if (item === 1) throw new Error("the first");
  });
  await assert.rejects(tasks, /the first/);
});

test("when the items cannot be had to the end, the tasks under way are waited for all the same", async () => {
  async function* broken(): AsyncGenerator<number> {
    yield 1;
    throw new Error("the catalog is away");
  }
  let ended = false;
  const tasks = forEachConcurrently(broken(), 8, NEVER, async () => {
    await turns();
    ended = true;
  });
  await assert.rejects(tasks, /the catalog is away/);
  assert.ok(ended);
});

test("after the signal no further task is begun, and those under way are waited for", async () => {
  const stop = new AbortController();
  let [begun, ended] = [0, 0];
  await forEachConcurrently(upTo(20), 3, stop.signal, async (item) => {
    begun++;
    if (item === 4) stop.abort();
    await turns();
    ended++;
  });
  assert.ok(begun <= 6 && begun === ended, `${begun} begun, ${ended} ended`);
});
