/** The scrub of a node: what it finds, in which order, how fast, and where it goes on (I5, I10). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { copiesRange, copyIndexKey } from "../../../src/catalog/keys.ts";
import { NodeError } from "../../../src/nodes/storage-node.ts";
import type { NodeScrubber } from "../../../src/replication/scrub/node-scrubber.ts";
import { scrubKey } from "../../../src/replication/scrub/scrub-state.ts";
import { copyKey, patternBytes } from "../../support/blobs.ts";
import { assertFullyRedundant, assertSound } from "../../support/catalog-audit.ts";
import { type InMemoryGateway, turns } from "../../support/in-memory-gateway.ts";
import { type Box, openBox } from "../../support/open-box.ts";
import { DAY_MS, never, scrubberOf } from "../../support/scrub.ts";
import { blobOf, changeSlot, copyIn, rot, slotsOf } from "../../support/slots.ts";

const BYTES = Buffer.from(patternBytes(600_000, 1));

/** Objects k0, k1, ... with a copy on d0-0 and one on d1-0 each, written 20 days ago. */
async function openWith(count: number, bytes = BYTES): Promise<Box> {
  const box = await openBox();
  for (let i = 0; i < count; i++) await box.client.put(`box/k${i}`, bytes);
  box.gateway.clock.advance(20 * DAY_MS);
  return box;
}

/** The objects of `openWith` in the order in which a scrub of d0-0 comes to their copies. */
async function inScrubOrder(gateway: InMemoryGateway, count: number): Promise<string[]> {
  const keys = await Promise.all(
    Array.from({ length: count }, async (_, i) => ({
      name: `k${i}`,
      copy: (await blobOf(gateway, `k${i}`)).blob.slots.find(
        ({ location }) => location?.nodeUuid === gateway.node("d0-0").uuid,
      )?.location?.key,
    })),
  );
  return keys.sort((a, b) => ((a.copy ?? "") < (b.copy ?? "") ? -1 : 1)).map(({ name }) => name);
}

async function slotOn(gateway: InMemoryGateway, name: string, node: string): Promise<number> {
  const { blob } = await blobOf(gateway, name);
  return blob.slots.findIndex(({ location }) => location?.nodeUuid === gateway.node(node).uuid);
}

/** Runs with as much time as it takes. */
async function run(gateway: InMemoryGateway, scrubber: NodeScrubber): Promise<void> {
  await gateway.whileTimePasses(scrubber.run(never()), 1_000);
}

test("a pass reads every copy of its node whole, and when each was verified is on record", async () => {
  const { gateway } = await openWith(3);
  const { scrubber, told } = scrubberOf(gateway, "d0-0");
  scrubber.request();
  await scrubber.run(never());
  assert.deepEqual(told, Array(3).fill(`verified d0-0 ${BYTES.length}`));
  assert.equal(gateway.node("d0-0").control.count("get"), 3);
  assert.equal(gateway.node("d1-0").control.count("get"), 0);
  for (const name of ["k0", "k1", "k2"]) {
    const { blob } = await blobOf(gateway, name);
    const slot = await slotOn(gateway, name, "d0-0");
    assert.equal(blob.slots[slot]?.verifiedAtMs, gateway.clock.nowMs());
    assert.notEqual(blob.slots[1 - slot]?.verifiedAtMs, gateway.clock.nowMs());
  }
  const { last, pass } = await scrubber.state();
  assert.equal(pass, undefined);
  assert.deepEqual(last, {
    startedAtMs: gateway.clock.nowMs(),
    endedAtMs: gateway.clock.nowMs(),
    requested: true,
    total: 3,
    seen: 3,
    verified: 3,
    verifiedBytes: 3 * BYTES.length,
    corrupt: 0,
    lost: 0,
    failed: 0,
  });
  await assertFullyRedundant(gateway);
});

test("a flipped byte and a removed copy are found without any client's read, and replaced from good copies", async () => {
  const { gateway, client } = await openWith(3);
  await rot(gateway, "k0", await slotOn(gateway, "k0", "d0-0"), BYTES.length - 1);
  const { node, location } = await copyIn(gateway, "k1", await slotOn(gateway, "k1", "d0-0"));
  node.store.remove(location.key);
  const { scrubber, told } = scrubberOf(gateway, "d0-0");
  scrubber.request();
  await scrubber.run(never());
  assert.deepEqual(told.sort(), ["corrupt d0-0", "lost d0-0", `verified d0-0 ${BYTES.length}`]);
  const { last } = await scrubber.state();
  assert.deepEqual([last?.verified, last?.corrupt, last?.lost], [1, 1, 1]);
  assert.equal((await slotsOf(gateway, "k0")).filter((slot) => slot.startsWith("corrupt d0")).length, 1);
  await gateway.repair();
  await gateway.sweepPastGrace();
  await assertFullyRedundant(gateway);
  for (const name of ["k0", "k1", "k2"]) assert.deepEqual(await client.get(`box/${name}`), BYTES);
});

test("a copy that is on record as bad is left to repair, a dying one to the sweeper", async () => {
  const { gateway, client } = await openWith(2);
  await changeSlot(gateway, "k0", await slotOn(gateway, "k0", "d0-0"), (slot) => ({ ...slot, state: "corrupt" }));
  await client.delete("box/k1");
  const { scrubber, told } = scrubberOf(gateway, "d0-0");
  scrubber.request();
  await scrubber.run(never());
  assert.deepEqual(told, []);
  assert.equal((await scrubber.state()).last?.seen, 2);
});

test("a good copy that was unverified becomes ok; hand-off and surplus copies stay what they are", async () => {
  const { gateway } = await openWith(3);
  const states = ["unverified", "handoff", "surplus"] as const;
  for (const [i, state] of states.entries()) {
    await changeSlot(gateway, `k${i}`, await slotOn(gateway, `k${i}`, "d0-0"), (slot) => ({ ...slot, state }));
  }
  const { scrubber } = scrubberOf(gateway, "d0-0");
  scrubber.request();
  await scrubber.run(never());
  for (const [i, state] of ["ok", "handoff", "surplus"].entries()) {
    const { blob } = await blobOf(gateway, `k${i}`);
    const slot = blob.slots[await slotOn(gateway, `k${i}`, "d0-0")];
    assert.deepEqual([slot?.state, slot?.verifiedAtMs], [state, gateway.clock.nowMs()]);
  }
});

test("an unverified copy is read by every pass, whenever it was verified last", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  await client.put("box/b", BYTES);
  await changeSlot(gateway, "a", await slotOn(gateway, "a", "d0-0"), (slot) => ({ ...slot, state: "unverified" }));
  const { scrubber, told } = scrubberOf(gateway, "d0-0", { limits: { intervalMs: 2_000 } });
  await run(gateway, scrubber);
  assert.equal(told.length, 1);
});

test("a pass of its own skips what was verified within half of the interval, and reads all else once", async () => {
  const { gateway, client } = await openWith(3);
  await client.put("box/fresh", BYTES);
  const { scrubber, told } = scrubberOf(gateway, "d0-0", { limits: { intervalMs: 60_000 } });
  await run(gateway, scrubber);
  assert.equal(told.length, 3);
  const { last } = await scrubber.state();
  assert.deepEqual([last?.seen, last?.verified, last?.requested], [4, 3, false]);
});

test("no copy goes unread for longer than the interval, over many passes and with new copies coming", async () => {
  const { gateway, client } = await openBox();
  const intervalMs = 100_000;
  const { scrubber } = scrubberOf(gateway, "d0-0", { limits: { intervalMs } });
  for (let i = 0; i < 12; i++) {
    await client.put(`box/k${i}`, Buffer.from("x"));
    await run(gateway, scrubber);
    const ages = await Promise.all(
      Array.from({ length: i + 1 }, async (_, at) => {
        const { blob } = await blobOf(gateway, `k${at}`);
        const verifiedAtMs = blob.slots[await slotOn(gateway, `k${at}`, "d0-0")]?.verifiedAtMs ?? 0;
        return gateway.clock.nowMs() - verifiedAtMs;
      }),
    );
    // A step of the test's clock, and verified times in whole seconds.
    assert.ok(Math.max(...ages) <= intervalMs + 3_000, `ages ${ages.join()}`);
    gateway.clock.advance(10_000);
  }
});

test("a pass is spread over half of the interval, and the next one begins with its other half", async () => {
  const { gateway } = await openWith(4);
  const startMs = gateway.clock.nowMs();
  const { scrubber, told } = scrubberOf(gateway, "d0-0", { limits: { intervalMs: 80_000 } });
  const running = scrubber.run(never());
  for (const [ms, count] of [
    [0, 1],
    [5_000, 1],
    [10_000, 2],
    [20_000, 3],
    [30_000, 4],
  ] as const) {
    gateway.clock.advance(startMs + ms - gateway.clock.nowMs());
    await turns(20);
    assert.equal(told.length, count, `after ${ms} ms`);
  }
  await running;
  assert.equal(scrubber.nextAtMs(await scrubber.state()), startMs + 40_000);
  await scrubber.run(never());
  assert.equal(told.length, 4, "a pass began before its time");
});

test("bytes and copies come no faster than their limits", async () => {
  const { gateway } = await openWith(3);
  for (const [limits, seconds] of [
    [{ bytesPerSecond: 100_000 }, 18],
    [{ copiesPerSecond: 0.5 }, 4],
  ] as const) {
    const { scrubber, told } = scrubberOf(gateway, "d0-0", { limits });
    scrubber.request();
    const startMs = gateway.clock.monotonicMs();
    await gateway.whileTimePasses(scrubber.run(never()), 100);
    const tookMs = gateway.clock.monotonicMs() - startMs;
    assert.equal(told.length, 3);
    // What comes last is not waited for.
    assert.ok(tookMs >= seconds * 1000 - 3_000 && tookMs <= seconds * 1000 + 1_000, `took ${tookMs} ms`);
  }
});

test("a copy that is read slowly gives its bytes piece by piece, not all at first", async () => {
  const { gateway } = await openWith(1);
  const chunks: number[] = [];
  gateway.node("d0-0").control.hooks.get = async ({ key, range, signal }, pass) => {
    const bytes = await pass(key, range, signal);
    return (async function* () {
      for await (const chunk of bytes) {
        chunks.push(gateway.clock.monotonicMs());
        yield chunk;
      }
    })();
  };
  const { scrubber } = scrubberOf(gateway, "d0-0", { limits: { bytesPerSecond: 262_144 } });
  scrubber.request();
  const startMs = gateway.clock.monotonicMs();
  await gateway.whileTimePasses(scrubber.run(never()), 100);
  assert.equal(chunks.length, 3);
  assert.ok((chunks[2] ?? 0) - startMs >= 1_000);
});

test("clients go first: nothing is read while the node is busy, one copy after ten seconds of that", async () => {
  const { gateway } = await openWith(3);
  let busy = true;
  const { scrubber, told } = scrubberOf(gateway, "d0-0", { busy: () => busy });
  scrubber.request();
  const running = scrubber.run(never());
  const pass = async (ms: number): Promise<void> => {
    for (let at = 0; at < ms; at += 250) {
      await turns(5);
      gateway.clock.advance(250);
    }
    await turns(20);
  };
  await pass(9_500);
  assert.equal(told.length, 0);
  await pass(500);
  assert.equal(told.length, 1);
  busy = false;
  await pass(500);
  assert.equal(told.length, 3);
  await running;
});

test("it stops at once when it is told to, and another process goes on behind what was read", async () => {
  const { gateway } = await openWith(5);
  const stop = new AbortController();
  const limits = { copiesPerSecond: 1 };
  const before = scrubberOf(gateway, "d0-0", { limits });
  before.scrubber.request();
  const running = before.scrubber.run(stop.signal).catch((error: unknown) => error);
  await turns(20);
  gateway.clock.advance(1_000);
  await turns(20);
  assert.equal(before.told.length, 2);
  stop.abort();
  await running;
  const timers = gateway.clock.timers;
  await gateway.restart();
  const { control } = gateway.node("d0-0");
  control.calls.length = 0;
  const after = scrubberOf(gateway, "d0-0", { limits });
  assert.equal((await after.scrubber.state()).pass?.seen, 2);
  await run(gateway, after.scrubber);
  assert.equal(after.told.length, 3);
  const { last } = await after.scrubber.state();
  assert.deepEqual([last?.seen, last?.verified, last?.requested], [5, 5, true]);
  assert.equal(timers, 0);
});

test("a process that died goes on where the cursor was saved last", async () => {
  const { gateway } = await openWith(6);
  const limits = { copiesPerSecond: 0.05 };
  const before = scrubberOf(gateway, "d0-0", { limits });
  before.scrubber.request();
  void before.scrubber.run(never()).catch(() => undefined);
  for (let i = 0; i < 4; i++) {
    await turns(20);
    gateway.clock.advance(20_000);
  }
  await turns(20);
  assert.equal(before.told.length, 5);
  await gateway.restart();
  const after = scrubberOf(gateway, "d0-0", { limits });
  const at = (await after.scrubber.state()).pass?.seen ?? 0;
  assert.ok(at >= 3 && at <= 5, `the cursor is at ${at}`);
  await run(gateway, after.scrubber);
  assert.equal((await after.scrubber.state()).last?.seen, 6);
});

test("a node that goes away in mid-pass is left, and nothing is passed over when it is back", async () => {
  const { gateway } = await openWith(6);
  const { control, uuid } = gateway.node("d0-0");
  const { scrubber, told } = scrubberOf(gateway, "d0-0");
  let reads = 0;
  control.hooks.get = ({ key, range, signal }, pass) => {
    reads += 1;
    // The gateway notices only at the third copy that it does not answer any more.
    if (reads === 5) gateway.members.setState(uuid, "degraded");
    if (reads >= 3) throw new NodeError("timeout", "no answer");
    return pass(key, range, signal);
  };
  scrubber.request();
  await scrubber.run(never());
  assert.deepEqual([reads, told.length], [5, 2]);
  assert.equal((await scrubber.state()).pass?.seen, 2);
  await scrubber.run(never());
  assert.equal((await scrubber.state()).pass?.seen, 2, "a node that is away was gone on with");
  gateway.nodeUp("d0-0");
  control.hooks = {};
  await scrubber.run(never());
  const { last } = await scrubber.state();
  assert.deepEqual([told.length, last?.verified, last?.failed], [6, 6, 0]);
});

test("a node that does not answer or was replaced is not asked, and its cursor stays", async () => {
  const { gateway } = await openWith(2);
  for (const state of ["degraded", "replaced", "refused", "joining", "access-denied"] as const) {
    gateway.members.setState(gateway.node("d0-0").uuid, state);
    const { scrubber } = scrubberOf(gateway, "d0-0");
    scrubber.request();
    await scrubber.run(never());
    assert.equal(gateway.node("d0-0").control.count("get"), 0);
    assert.equal(scrubber.requested, true);
    assert.deepEqual(await scrubber.state(), {});
  }
});

test("one copy that always times out on a node that is well is counted, and the pass goes on", async () => {
  const { gateway } = await openWith(4);
  const [, second = ""] = await inScrubOrder(gateway, 4);
  const bad = await copyIn(gateway, second, await slotOn(gateway, second, "d0-0"));
  bad.node.control.hooks.get = ({ key, range, signal }, pass) => {
    if (key === bad.location.key) throw new NodeError("timeout", "no answer");
    return pass(key, range, signal);
  };
  const { scrubber } = scrubberOf(gateway, "d0-0");
  scrubber.request();
  await scrubber.run(never());
  const { last } = await scrubber.state();
  assert.deepEqual([last?.seen, last?.verified, last?.failed], [4, 3, 1]);
  await assertFullyRedundant(gateway);
});

test("a copy that its node cannot read is not taken for bad", async () => {
  const { gateway } = await openWith(2);
  gateway.node("d0-0").control.hooks.get = () => Promise.reject(new NodeError("io", "a volume cannot be read"));
  const { scrubber, told } = scrubberOf(gateway, "d0-0");
  scrubber.request();
  await scrubber.run(never());
  assert.deepEqual(told, []);
  assert.equal((await scrubber.state()).last?.failed, 2);
  await assertFullyRedundant(gateway);
});

test("failures of a node come so slowly that its circuit breaker need not open, and copies among them are read", async () => {
  const { gateway } = await openWith(12);
  const failing = new Set((await inScrubOrder(gateway, 12)).slice(2, 8));
  const keys = new Set<string>();
  for (const name of failing) {
    keys.add((await copyIn(gateway, name, await slotOn(gateway, name, "d0-0"))).location.key);
  }
  const failedAt: number[] = [];
  gateway.node("d0-0").control.hooks.get = ({ key, range, signal }, pass) => {
    if (!keys.has(key)) return pass(key, range, signal);
    failedAt.push(gateway.clock.monotonicMs());
    throw new NodeError("io", "a volume cannot be read");
  };
  const { scrubber } = scrubberOf(gateway, "d0-0");
  scrubber.request();
  await run(gateway, scrubber);
  const { last } = await scrubber.state();
  assert.deepEqual([last?.verified, last?.failed], [6, 6]);
  for (const [at, ms] of failedAt.entries()) assert.ok(ms - (failedAt[at - 3] ?? Number.NEGATIVE_INFINITY) >= 60_000);
});

test("one record that cannot be read keeps nobody from looking at the next copies", async () => {
  const { gateway } = await openWith(3);
  const [entry] = await gateway.kv.list(copiesRange(gateway.node("d0-0").uuid), { limit: 1 });
  assert.ok(entry !== undefined);
  await gateway.kv.atomic().set(entry.key, Buffer.from("garbage")).commit();
  const { scrubber, told } = scrubberOf(gateway, "d0-0");
  scrubber.request();
  await scrubber.run(never());
  assert.equal(told.length, 2);
  assert.equal((await scrubber.state()).last?.failed, 1);
});

test("a copy that is replaced while it is read is not reported", async () => {
  const { gateway, client } = await openWith(1);
  gateway.node("d0-0").control.hooks.get = async ({ key }) => {
    await client.put("box/k0", BYTES);
    throw new NodeError("not-found", `${key} is gone`);
  };
  const { scrubber, told } = scrubberOf(gateway, "d0-0");
  scrubber.request();
  await scrubber.run(never());
  assert.deepEqual(told, []);
  await gateway.settle();
  await assertSound(gateway);
});

test("a pass that is asked for takes the place of one under way, and a second request changes nothing", async () => {
  const { gateway } = await openWith(4);
  const { scrubber, told } = scrubberOf(gateway, "d0-0");
  const spread = scrubber.run(never());
  await turns(20);
  assert.equal(told.length, 1);
  scrubber.request();
  await spread;
  assert.equal((await scrubber.state()).pass?.requested, false);
  assert.equal(gateway.clock.timers, 0);
  gateway.clock.advance(1_000);
  gateway.node("d0-0").control.hooks.get = ({ key, range, signal }, pass) => {
    scrubber.request();
    return pass(key, range, signal);
  };
  await scrubber.run(never());
  assert.equal(scrubber.requested, false);
  assert.deepEqual([told.length, (await scrubber.state()).last?.verified], [5, 4]);
});

test("where scrubbing is disabled only passes that were asked for run", async () => {
  const { gateway } = await openWith(2);
  const { scrubber, told } = scrubberOf(gateway, "d0-0", { limits: { enabled: false } });
  await scrubber.run(never());
  assert.deepEqual([told, scrubber.nextAtMs(await scrubber.state())], [[], undefined]);
  scrubber.request();
  await scrubber.run(never());
  assert.equal(told.length, 2);
});

test("two scrubbers of one node cannot both go on", async () => {
  const { gateway } = await openWith(3);
  const [one, other] = [scrubberOf(gateway, "d0-0"), scrubberOf(gateway, "d0-0")];
  one.scrubber.request();
  other.scrubber.request();
  const outcomes = await Promise.allSettled([one.scrubber.run(never()), other.scrubber.run(never())]);
  assert.deepEqual(outcomes.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
});

test("what bears the session of the journal is left alone", async () => {
  const { gateway } = await openWith(1);
  const { uuid } = gateway.node("d0-0");
  const [entry] = await gateway.kv.list(copiesRange(uuid), { limit: 1 });
  assert.ok(entry !== undefined);
  await gateway.kv
    .atomic()
    .set(copyIndexKey(uuid, copyKey(0, gateway.random)), entry.value)
    .commit();
  const { scrubber, told } = scrubberOf(gateway, "d0-0");
  scrubber.request();
  await scrubber.run(never());
  assert.equal(told.length, 1);
  assert.equal(gateway.node("d0-0").control.count("get"), 1);
});

test("a record of a later format is refused, and nothing is written over it", async () => {
  const { gateway } = await openWith(1);
  const key = scrubKey(gateway.node("d0-0").uuid);
  await gateway.kv.atomic().set(key, Buffer.of(9, 0x90)).commit();
  await assert.rejects(scrubberOf(gateway, "d0-0").scrubber.run(never()), { name: "RecordError" });
  assert.deepEqual((await gateway.kv.get(key))?.value, Buffer.of(9, 0x90));
});
