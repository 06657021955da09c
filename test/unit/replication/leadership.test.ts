import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import fc from "fast-check";
import { type Catalog, endOtherSessions, openCatalog, SessionEndedError } from "../../../src/catalog/catalog.ts";
import { bucketKey, leaderKey } from "../../../src/catalog/keys.ts";
import { CatalogError, type KvAtomic, type KvStore } from "../../../src/catalog/kv.ts";
import { memoryKv } from "../../../src/catalog/memory/memory-kv.ts";
import { decodeLeader } from "../../../src/catalog/records/leader.ts";
import { type Coordinator, CoordinatorError } from "../../../src/coordination/coordinator.ts";
import { embeddedCoordinator } from "../../../src/coordination/embedded/embedded-coordinator.ts";
import { EmbeddedState } from "../../../src/coordination/embedded/embedded-state.ts";
import { silentLogger } from "../../../src/observability/logger.ts";
import { Leadership, LeadershipLostError } from "../../../src/replication/leadership.ts";
import { idSource } from "../../../src/shared/ids.ts";
import { seededRandom } from "../../../src/shared/random.ts";
import { HookedKv } from "../../support/hooked-kv.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const VALUE = Buffer.of(1);

/** A process of the cluster, whose way to the coordinator can be cut. */
interface Gateway {
  readonly name: string;
  readonly catalog: Catalog;
  readonly leadership: Leadership;
  readonly told: boolean[];
  cut(): void;
  mend(): void;
}

let clock: ManualClock;
let state: EmbeddedState;
let kv: KvStore;
let opened: Gateway[];

beforeEach(() => {
  clock = new ManualClock();
  state = new EmbeddedState(clock);
  kv = memoryKv();
  opened = [];
});
afterEach(async () => {
  for (const { leadership } of opened) await leadership[Symbol.asyncDispose]();
});

async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
}

async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 250) {
    clock.advance(250);
    await settle();
  }
}

/** What is asked while it is cut fails, and it tells of that. */
function cuttable(inner: Coordinator): { coordinator: Coordinator; setCut: (cut: boolean) => void } {
  const listeners = new Set<(available: boolean) => void>();
  let isCut = false;
  const guarded = <T>(call: () => Promise<T>): Promise<T> =>
    isCut ? Promise.reject(new CoordinatorError("unavailable", "cut")) : call();
  const coordinator: Coordinator = {
    ...inner,
    get available() {
      return !isCut;
    },
    onAvailability(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    acquire: (name, ttlMs) => guarded(() => inner.acquire(name, ttlMs)),
    publish: (channel, message) => guarded(() => inner.publish(channel, message)),
  };
  return {
    coordinator,
    setCut(cut) {
      isCut = cut;
      for (const listener of listeners) listener(!cut);
    },
  };
}

async function open(name: string, over: KvStore = kv): Promise<Gateway> {
  const ids = idSource(clock, seededRandom(opened.length));
  const catalog = await openCatalog(over, { clock, ids, host: name, pid: 1 });
  // Cut from everybody else while its own view of the coordinator's state is frozen: renewals fail.
  let frozen = false;
  const ownState = Object.assign(Object.create(state) as EmbeddedState, {
    acquire: (...args: Parameters<EmbeddedState["acquire"]>) => state.acquire(...args),
    release: (...args: Parameters<EmbeddedState["release"]>) => (frozen ? undefined : state.release(...args)),
    publish: (...args: Parameters<EmbeddedState["publish"]>) => state.publish(...args),
    subscribe: (...args: Parameters<EmbeddedState["subscribe"]>) => state.subscribe(...args),
    renew: (...args: Parameters<EmbeddedState["renew"]>) => {
      if (frozen) throw new CoordinatorError("unavailable", "cut");
      return state.renew(...args);
    },
  });
  const { coordinator, setCut } = cuttable(embeddedCoordinator(clock, ownState));
  const leadership = new Leadership({ coordinator, catalog, host: name, clock, logger: silentLogger });
  const told: boolean[] = [];
  leadership.onChange((leading) => told.push(leading));
  leadership.start();
  await settle();
  const cut = (isCut: boolean) => (): void => {
    frozen = isCut;
    setCut(isCut);
  };
  const gateway = { name, catalog, leadership, told, cut: cut(true), mend: cut(false) };
  opened.push(gateway);
  return gateway;
}

async function write({ leadership }: Gateway, bucket: string): Promise<boolean> {
  const { catalog } = leadership;
  return (await catalog.commit(catalog.begin().set(bucketKey(bucket), VALUE))).committed;
}

const isLost = (error: unknown): boolean => error instanceof LeadershipLostError;

test("the first one leads at once, under an epoch that the catalog has", async () => {
  const one = await open("gw-1");
  assert.equal(one.leadership.isLeader, true);
  assert.equal(one.leadership.epoch, 1);
  assert.deepEqual(one.told, [true]);
  const entry = await kv.get(leaderKey());
  assert.deepEqual(entry && decodeLeader(entry.value), { epoch: 1, session: one.catalog.session, host: "gw-1" });
  assert.equal(await write(one, "a"), true);
});

test("one leads, and keeps leading; the others cannot commit background work", async () => {
  const one = await open("gw-1");
  const two = await open("gw-2");
  await pass(60_000);
  assert.deepEqual([one.leadership.isLeader, two.leadership.isLeader], [true, false]);
  assert.deepEqual([one.told, two.told], [[true], []]);
  await assert.rejects(write(two, "a"), isLost);
  assert.throws(() => two.leadership.catalog.begin(), isLost);
  assert.equal(await kv.get(bucketKey("a")), undefined);
  // What clients do is nobody's lead.
  assert.equal((await two.catalog.commit(two.catalog.begin().set(bucketKey("b"), VALUE))).committed, true);
});

test("when the leader goes, the next one leads at once, under the next epoch", async () => {
  const one = await open("gw-1");
  const two = await open("gw-2");
  await one.leadership[Symbol.asyncDispose]();
  await settle();
  assert.deepEqual([one.leadership.isLeader, two.leadership.isLeader], [false, true]);
  assert.equal(two.leadership.epoch, 2);
});

test("without the coordinator nobody leads once the lease has run out, and runs are aborted; with it somebody does again", async () => {
  const one = await open("gw-1");
  const signals: AbortSignal[] = [];
  let runs = 0;
  const run = one.leadership.whileLeading(async (signal) => {
    runs++;
    signals.push(signal);
    await new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  });
  const running = run(new AbortController().signal);
  one.cut();
  await pass(8_000);
  assert.equal(one.leadership.isLeader, true, "it is still certain that nobody else does");
  await pass(2_000);
  assert.equal(one.leadership.isLeader, false);
  assert.ok(signals[0]?.reason instanceof LeadershipLostError);
  await running;
  await run(new AbortController().signal);
  assert.equal(runs, 1, "no run begins while nobody leads");
  await assert.rejects(write(one, "a"), isLost);

  one.mend();
  await settle();
  assert.equal(one.leadership.isLeader, true);
  assert.equal(one.leadership.epoch, 2);
  assert.deepEqual(one.told, [true, false, true]);
  assert.equal(await write(one, "a"), true);
});

test("a leader that does not know that another one leads commits nothing, and learns of it by trying", async () => {
  const one = await open("gw-1");
  const begun = one.leadership.catalog.begin();
  // The coordinator was emptied: the lease is given to the next one while the first believes to hold it.
  const other = new EmbeddedState(clock);
  const ids = idSource(clock, seededRandom(9));
  const catalog = await openCatalog(kv, { clock, ids, host: "gw-2", pid: 1 });
  const usurper = new Leadership({
    coordinator: embeddedCoordinator(clock, other),
    catalog,
    host: "gw-2",
    clock,
    logger: silentLogger,
  });
  usurper.start();
  await settle();
  assert.deepEqual([one.leadership.isLeader, usurper.isLeader], [true, true], "both believe it");

  await assert.rejects(one.leadership.catalog.commit(begun.set(bucketKey("a"), VALUE)), isLost);
  assert.equal(await kv.get(bucketKey("a")), undefined);
  assert.equal(one.leadership.isLeader, false);
  assert.deepEqual(one.told, [true, false]);
  const atomic = usurper.catalog.begin().set(bucketKey("a"), VALUE);
  assert.equal((await usurper.catalog.commit(atomic)).committed, true);
  await usurper[Symbol.asyncDispose]();
});

test("a commit that was begun under an earlier epoch of the same process fails, and does not end the present one", async () => {
  const one = await open("gw-1");
  const begun = one.leadership.catalog.begin();
  one.cut();
  await pass(12_000);
  one.mend();
  await settle();
  assert.equal(one.leadership.epoch, 2);
  await assert.rejects(one.leadership.catalog.commit(begun.set(bucketKey("a"), VALUE)), isLost);
  assert.equal(one.leadership.isLeader, true);
});

test("an ordinary conflict stays one", async () => {
  const one = await open("gw-1");
  const { catalog } = one.leadership;
  const result = await catalog.commit(catalog.begin().check(bucketKey("a"), 7).set(bucketKey("a"), VALUE));
  assert.equal(result.committed, false);
  assert.equal(one.leadership.isLeader, true);
});

test("while the catalog takes no epoch nobody leads, the lease is free, and it is tried again", async () => {
  const failing = new HookedKv(kv);
  failing.hooks.get = async ([key]) => {
    if (key !== undefined && Buffer.compare(key, leaderKey()) === 0) throw new CatalogError("unavailable", "closed");
  };
  const one = await open("gw-1", failing);
  assert.equal(one.leadership.isLeader, false);
  const two = await open("gw-2");
  assert.equal(two.leadership.isLeader, true);
  await two.leadership[Symbol.asyncDispose]();
  failing.hooks = {};
  await pass(12_000);
  assert.equal(one.leadership.isLeader, true);
});

test("a process whose session was ended leads no more, and keeps nobody else from it", async () => {
  const one = await open("gw-1");
  const two = await open("gw-2");
  await endOtherSessions(two.catalog);
  await assert.rejects(write(one, "a"), SessionEndedError);
  assert.equal(one.leadership.isLeader, false);
  await pass(3_000);
  assert.deepEqual([one.leadership.isLeader, two.leadership.isLeader], [false, true]);
  await two.leadership[Symbol.asyncDispose]();
  await pass(60_000);
  assert.equal(one.leadership.isLeader, false);
});

/** What befalls gateways, by the number of the gateway. */
const event = fc.oneof(
  { weight: 4, arbitrary: fc.record({ what: fc.constant("pass" as const), ms: fc.integer({ min: 250, max: 4_000 }) }) },
  { weight: 3, arbitrary: fc.record({ what: fc.constant("begin" as const) }) },
  { weight: 4, arbitrary: fc.record({ what: fc.constant("commit" as const), who: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constantFrom("cut" as const, "mend" as const), who: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("empty" as const) }) },
);

test("whatever becomes of the coordinator, nothing is committed under an epoch after a later one was minted", async () => {
  let leads = 0;
  let fenced = 0;
  const gateways = async (): Promise<Gateway[]> => {
    clock = new ManualClock();
    state = new EmbeddedState(clock);
    kv = memoryKv();
    return [await open("gw-0"), await open("gw-1"), await open("gw-2")];
  };
  await fc.assert(
    fc.asyncProperty(fc.array(event, { minLength: 15, maxLength: 40 }), async (events) => {
      const all = await gateways();
      /** Begun some time ago: what a process does that stood still meanwhile. */
      const begun = new Map<Gateway, { readonly atomic: KvAtomic; readonly epoch: number }>();
      for (const step of events) {
        const gateway = "who" in step ? all[step.who] : undefined;
        if (step.what === "pass") await pass(step.ms);
        if (step.what === "empty") state.clear();
        if (step.what === "cut") gateway?.cut();
        if (step.what === "mend") gateway?.mend();
        for (const each of step.what === "begin" ? all : []) {
          const { epoch, catalog } = each.leadership;
          if (epoch !== undefined) begun.set(each, { atomic: catalog.begin(), epoch });
        }
        const pending = gateway && begun.get(gateway);
        if (step.what !== "commit" || gateway === undefined || pending === undefined) continue;
        begun.delete(gateway);
        const before = await kv.get(leaderKey());
        const outcome = await gateway.leadership.catalog
          .commit(pending.atomic.set(bucketKey("work"), Buffer.from(String(pending.epoch))))
          .catch((error: unknown) => error);
        const last = before === undefined ? 0 : decodeLeader(before.value).epoch;
        if (outcome instanceof LeadershipLostError) {
          fenced++;
          assert.ok(pending.epoch < last, `epoch ${pending.epoch} was refused and is the last`);
        } else {
          leads++;
          assert.equal(pending.epoch, last, "committed under the last epoch");
        }
      }
      for (const { leadership } of opened.splice(0)) await leadership[Symbol.asyncDispose]();
    }),
    { numRuns: 60 },
  );
  assert.ok(leads > 20 && fenced > 3, `${leads} commits, ${fenced} fenced: the property looked at something`);
});

test("a run's own failure is passed on, and one that the worker ended is the worker's", async () => {
  const one = await open("gw-1");
  const failure = new Error("of its own");
  const run = one.leadership.whileLeading(() => Promise.reject(failure));
  await assert.rejects(run(new AbortController().signal), failure);
  const stop = new AbortController();
  const ended = one.leadership.whileLeading(async (signal) => {
    stop.abort(failure);
    signal.throwIfAborted();
  });
  await assert.rejects(ended(stop.signal), failure);
});
