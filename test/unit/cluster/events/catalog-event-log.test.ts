/** The event log: order, what is kept, and how gateways get each other's events. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Catalog, openCatalog } from "../../../../src/catalog/catalog.ts";
import { eventKey, eventsRange } from "../../../../src/catalog/keys.ts";
import { CatalogError } from "../../../../src/catalog/kv.ts";
import { memoryKv } from "../../../../src/catalog/memory/memory-kv.ts";
import {
  CatalogEventLog,
  EVENTS_AGE_MS,
  EVENTS_MAX,
  POLL_MS,
} from "../../../../src/cluster/events/catalog-event-log.ts";
import type { ClusterEvent } from "../../../../src/cluster/events/event.ts";
import { encodeEvent } from "../../../../src/cluster/events/event-record.ts";
import { silentLogger } from "../../../../src/observability/logger.ts";
import { idSource } from "../../../../src/shared/ids.ts";
import { seededRandom } from "../../../../src/shared/random.ts";
import { HookedKv } from "../../../support/hooked-kv.ts";
import { turns } from "../../../support/in-memory-gateway.ts";
import { ManualClock } from "../../../support/manual-clock.ts";

class World {
  readonly clock = new ManualClock();
  readonly kv = new HookedKv(memoryKv());
  #gateways = 0;

  async catalog(): Promise<Catalog> {
    const { clock, kv } = this;
    this.#gateways += 1;
    return openCatalog(kv, { clock, ids: idSource(clock, seededRandom(this.#gateways)), host: "t", pid: 1 });
  }

  async log(gateway: string): Promise<CatalogEventLog> {
    const log = new CatalogEventLog({
      catalog: await this.catalog(),
      clock: this.clock,
      logger: silentLogger,
      gateway,
    });
    await log.start();
    await turns();
    return log;
  }

  /** Lets both the clock and what waits for it go on. */
  async pass(ms = POLL_MS): Promise<void> {
    for (let passed = 0; passed < ms; passed += POLL_MS) {
      this.clock.advance(Math.min(POLL_MS, ms - passed));
      await turns();
    }
  }
}

function causes(events: readonly ClusterEvent[]): string[] {
  return events.map(({ cause }) => cause);
}

function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, at) => `${prefix}${at}`);
}

test("events are kept in the order in which they were told, with time, cause, node, domain and gateway", async () => {
  const world = new World();
  await using log = await world.log("g1");
  log.record({ kind: "NODE_OFFLINE", node: "a1", domain: "a", cause: "no answer" });
  log.record({ kind: "DOMAIN_DEGRADED", domain: "a", cause: "0 of 1" });
  await turns();
  const atMs = world.clock.nowMs();
  assert.deepEqual(await log.list({ limit: 10 }), [
    { sequence: 1, atMs, kind: "NODE_OFFLINE", node: "a1", domain: "a", cause: "no answer", gateway: "g1" },
    { sequence: 2, atMs, kind: "DOMAIN_DEGRADED", domain: "a", cause: "0 of 1", gateway: "g1" },
  ]);
  assert.deepEqual(causes(await log.list({ after: 1, limit: 10 })), ["0 of 1"]);
  assert.deepEqual(causes(await log.list({ limit: 1 })), ["0 of 1"], "without a place the newest");
  assert.deepEqual(await log.list({ after: 2, limit: 10 }), []);
});

test("two gateways number their events together, and each hears all of them once and in order", async () => {
  const world = new World();
  await using one = await world.log("g1");
  await using other = await world.log("g2");
  const heard: [string[], string[]] = [[], []];
  one.follow((event) => void heard[0].push(`${event.sequence} ${event.cause}`));
  other.follow((event) => void heard[1].push(`${event.sequence} ${event.cause}`));
  for (let round = 0; round < 40; round++) {
    one.record({ kind: "NODE_ONLINE", cause: `one ${round}` });
    other.record({ kind: "NODE_ONLINE", cause: `other ${round}` });
    if (round % 7 === 0) await turns();
  }
  await world.pass(3 * POLL_MS);
  assert.deepEqual(heard[0], heard[1]);
  assert.deepEqual(
    heard[0].map((text) => Number(text.split(" ")[0])),
    Array.from({ length: 80 }, (_, at) => at + 1),
  );
  for (const name of ["one", "other"]) {
    const own = heard[0].filter((text) => text.split(" ")[1] === name).map((text) => Number(text.split(" ")[2]));
    assert.deepEqual(
      own,
      Array.from({ length: 40 }, (_, at) => at),
      "an event was lost, doubled or out of its order",
    );
  }
});

test("who follows hears of what comes, not of what was; who stopped hears nothing; one that throws keeps nobody from it", async () => {
  const world = new World();
  await using log = await world.log("g1");
  log.record({ kind: "NODE_ONLINE", cause: "before" });
  await turns();
  const heard: string[] = [];
  log.follow(() => {
    throw new Error("a bug");
  });
  const stop = log.follow(({ cause }) => void heard.push(cause));
  log.record({ kind: "NODE_ONLINE", cause: "then" });
  await turns();
  stop();
  log.record({ kind: "NODE_ONLINE", cause: "after" });
  await turns();
  assert.deepEqual(heard, ["then"]);
  await using restarted = await world.log("g1");
  restarted.follow(({ cause }) => void heard.push(cause));
  await world.pass();
  assert.deepEqual(heard, ["then"], "a start tells nothing anew");
});

test("while the catalog takes nothing events wait, in order, and telling them never throws (G9)", async () => {
  const world = new World();
  await using log = await world.log("g1");
  const heard: string[] = [];
  log.follow(({ cause }) => void heard.push(cause));
  world.kv.hooks.commit = () => Promise.reject(new CatalogError("unavailable", "closed"));
  const told = numbered("event ", 250);
  for (const cause of told) log.record({ kind: "NODE_SLOW", cause });
  await world.pass(5 * POLL_MS);
  assert.deepEqual(heard, []);
  world.kv.hooks = {};
  await world.pass(2 * POLL_MS);
  assert.deepEqual(heard, told);
});

test("an event whose commit's answer was lost is kept once, and nothing is out of order", async () => {
  const world = new World();
  await using log = await world.log("g1");
  let lost = false;
  world.kv.hooks.commit = async (_, pass) => {
    const result = await pass();
    if (lost) return result;
    lost = true;
    throw new CatalogError("unknown-outcome", "the answer was lost");
  };
  log.record({ kind: "NODE_OFFLINE", cause: "first" });
  await turns();
  log.record({ kind: "NODE_ONLINE", cause: "second" });
  await world.pass(2 * POLL_MS);
  const kept = causes(await log.list({ limit: 10 }));
  assert.deepEqual(kept, ["first", "second"]);
});

test("the log is bounded by number and by age, and never gives a number out again", async () => {
  const world = new World();
  const catalog = await world.catalog();
  const atMs = world.clock.nowMs();
  const record = (at: number): Buffer =>
    encodeEvent({ kind: "NODE_ONLINE", cause: "", gateway: "g", atMs: at <= 50 ? atMs - EVENTS_AGE_MS - 1 : atMs });
  for (let batch = 0; batch < EVENTS_MAX + 250; batch += 250) {
    const atomic = catalog.kv.atomic();
    for (let at = batch + 1; at <= batch + 250; at++) atomic.set(eventKey(at), record(at));
    await atomic.commit();
  }
  await using log = await world.log("g1");
  await turns(60);
  const first = await catalog.kv.list(eventsRange(), { limit: 1 });
  const [oldest] = await log.list({ after: 0, limit: 1 });
  assert.equal(first.length, 1);
  assert.equal(oldest?.sequence, 251);
  world.clock.advance(EVENTS_AGE_MS + 1);
  await turns(600);
  await world.pass();
  await turns(600);
  assert.deepEqual(
    (await log.list({ after: 0, limit: 10 })).map(({ sequence }) => sequence),
    [EVENTS_MAX + 250],
    "all but the last were too old",
  );
  log.record({ kind: "NODE_ONLINE", cause: "next" });
  await turns();
  assert.equal((await log.list({ limit: 1 }))[0]?.sequence, EVENTS_MAX + 251);
});

test("a log that ends puts what it was told on record first", async () => {
  const world = new World();
  const log = await world.log("g1");
  log.record({ kind: "NODE_ONLINE", cause: "last words" });
  await log[Symbol.asyncDispose]();
  await using next = await world.log("g2");
  assert.deepEqual(causes(await next.list({ limit: 10 })), ["last words"]);
  assert.ok(world.clock.timers <= 1, "it left a timer");
});
