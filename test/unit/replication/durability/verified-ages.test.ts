import assert from "node:assert/strict";
import { test } from "node:test";
import { isLocal } from "../../../../src/catalog/kv-atomic.ts";
import { AGE_BOUNDS_SECONDS } from "../../../../src/observability/verified-age-metrics.ts";
import {
  type AgeState,
  copiesIn,
  medianSeconds,
  NO_AGES,
  verifiedAgesCodec,
  verifiedAgesKey,
  withAges,
} from "../../../../src/replication/durability/age-tally.ts";
import { type NodeAges, VerifiedAges } from "../../../../src/replication/durability/verified-ages.ts";
import { patternBytes } from "../../../support/blobs.ts";
import type { InMemoryGateway } from "../../../support/in-memory-gateway.ts";
import { openBox } from "../../../support/open-box.ts";
import { DAY_MS, never } from "../../../support/scrub.ts";
import { changeSlot } from "../../../support/slots.ts";

const NODE = "0123456789abcdef0123456789abcdef";
const BYTES = patternBytes(1_000, 1);
const PRIORITY = { policy: { domainChoice: "priority" } } as const;

function agesOf(gateway: InMemoryGateway): VerifiedAges {
  return new VerifiedAges({ catalog: gateway.process.catalog, members: () => gateway.members, clock: gateway.clock });
}

async function run(gateway: InMemoryGateway, ages: VerifiedAges): Promise<void> {
  await gateway.whileTimePasses(ages.run(never()));
}

function of(ages: VerifiedAges, name: string): NodeAges {
  return ages.last.find(({ node }) => node === name) ?? assert.fail(`no pass over ${name} has ended`);
}

test("a gateway that does not measure tells what another one has put on record", async () => {
  const { gateway, client } = await openBox(PRIORITY);
  await client.put("box/k", BYTES);
  const [leader, other] = [agesOf(gateway), agesOf(gateway)];
  await other.refresh();
  assert.deepEqual(other.last, []);
  await run(gateway, leader);
  await other.refresh();
  assert.deepEqual(other.last, leader.last);
  assert.equal(other.last.length, 2);
  // It goes on from there when it leads.
  gateway.clock.advance(2 * DAY_MS);
  await run(gateway, other);
  await run(gateway, leader);
  assert.deepEqual(leader.last, other.last);
});

test("a pass tells of every good copy on a node how long ago it was verified", async () => {
  const { gateway, client } = await openBox(PRIORITY);
  await client.put("box/old", BYTES);
  gateway.clock.advance(10 * DAY_MS);
  for (const key of ["new", "missing", "corrupt", "doubtful"]) await client.put(`box/${key}`, BYTES);
  await changeSlot(gateway, "missing", 0, ({ domain }) => ({ state: "missing", domain }));
  await changeSlot(gateway, "corrupt", 0, (slot) => ({ ...slot, state: "corrupt" }));
  await changeSlot(gateway, "doubtful", 0, ({ domain, location }) => ({
    state: "unverified",
    domain,
    ...(location === undefined ? {} : { location }),
  }));
  const ages = agesOf(gateway);
  assert.deepEqual(ages.last, []);
  await run(gateway, ages);
  const { tally } = of(ages, "d0-0");
  assert.deepEqual([copiesIn(tally), tally.never], [2, 1]);
  assert.ok(Math.abs(tally.oldestSeconds - 10 * 86_400) < 10);
  assert.equal(copiesIn(of(ages, "d1-0").tally), 5);
});

test("a pass begins a day after the one before it began, and not sooner", async () => {
  const { gateway, client } = await openBox(PRIORITY);
  await client.put("box/a", BYTES);
  const ages = agesOf(gateway);
  await run(gateway, ages);
  await client.put("box/b", BYTES);
  gateway.clock.advance(DAY_MS - 60_000);
  await run(gateway, ages);
  assert.equal(copiesIn(of(ages, "d0-0").tally), 1);
  gateway.clock.advance(60_000);
  await run(gateway, ages);
  assert.equal(copiesIn(of(ages, "d0-0").tally), 2);
});

test("a pass takes its time: a thousand copies a second", async () => {
  const { gateway, client } = await openBox(PRIORITY);
  for (let i = 0; i < 250; i++) await client.put(`box/${i}`, BYTES);
  const startedAtMs = gateway.clock.nowMs();
  await run(gateway, agesOf(gateway));
  assert.ok(gateway.clock.nowMs() - startedAtMs >= 400);
});

test("the last pass outlives a restart, and one under way goes on where it was", async () => {
  const { gateway, client } = await openBox(PRIORITY);
  for (const key of ["a", "b", "c"]) await client.put(`box/${key}`, BYTES);
  const before = agesOf(gateway);
  await run(gateway, before);
  const { uuid } = gateway.node("d0-0");
  const { last } = verifiedAgesCodec.decode((await gateway.kv.get(verifiedAgesKey(uuid)))?.value ?? assert.fail());
  const [first] = [...gateway.node("d0-0").store.blobs.keys()].sort();
  assert.ok(first !== undefined && last !== undefined);
  // As it would have been saved after the first copy.
  const under: AgeState = { last, pass: { startedAtMs: 1, tally: withAges(NO_AGES, [5_000]), after: first } };
  await gateway.kv.atomic().set(verifiedAgesKey(uuid), verifiedAgesCodec.encode(under)).commit();
  await gateway.restart();
  const after = agesOf(gateway);
  await run(gateway, after);
  assert.deepEqual([of(after, "d0-0").startedAtMs, copiesIn(of(after, "d0-0").tally)], [1, 3]);
  assert.deepEqual(of(after, "d1-0"), of(before, "d1-0"));
});

test("ages are counted by the first bound that they do not exceed, and the median is told by it", () => {
  const seconds = [0, 3_600, 3_601, 400 * 86_400];
  const tally = withAges(NO_AGES, [...seconds.map((each) => each * 1000), undefined]);
  assert.deepEqual(tally.counts.slice(0, 3), [2, 1, 0]);
  assert.equal(tally.counts.at(-1), 1);
  assert.deepEqual([tally.never, tally.oldestSeconds, copiesIn(tally)], [1, 400 * 86_400, 4]);
  assert.equal(medianSeconds(tally), 3_600);
  assert.equal(medianSeconds(withAges(NO_AGES, [5_000])), 5);
  assert.equal(medianSeconds(withAges(NO_AGES, [400 * DAY_MS])), 400 * 86_400);
  assert.equal(medianSeconds(NO_AGES), undefined);
  assert.equal(withAges(NO_AGES, [-5_000]).sumSeconds, 0);
});

test("what was counted in other buckets is counted anew", () => {
  const tally = { ...NO_AGES, counts: NO_AGES.counts.slice(1) };
  assert.deepEqual(verifiedAgesCodec.decode(verifiedAgesCodec.encode({ pass: { startedAtMs: 1, tally } })), {});
});

test("the record is byte for byte as docs/formats.md says, and this store's own", () => {
  const state: AgeState = {
    pass: { startedAtMs: 1, tally: withAges(NO_AGES, [1_000]), after: `00000007/${"ab".repeat(16)}` },
    last: { startedAtMs: 2, tally: NO_AGES, endedAtMs: 3 },
  };
  assert.deepEqual(verifiedAgesCodec.decode(verifiedAgesCodec.encode(state)), state);
  assert.deepEqual(verifiedAgesCodec.decode(verifiedAgesCodec.encode({})), {});
  const buckets = (first: string): string =>
    `9f${AGE_BOUNDS_SECONDS.map((bound, at) => `92${packed(bound)}${at === 0 ? first : "00"}`).join("")}92c000`;
  assert.equal(
    Buffer.from(verifiedAgesCodec.encode(state)).toString("hex"),
    `0192929501${buckets("01")}010100c41400000007${"ab".repeat(16)}929502${buckets("00")}00000003`,
  );
  assert.equal(
    Buffer.from(verifiedAgesKey(NODE)).toString("hex"),
    `026d7064626d00027766736a676a66652e626866740001${NODE}00`,
  );
  assert.ok(isLocal(verifiedAgesKey(NODE)));
});

/** MessagePack's shortest form of a whole number above 127. */
function packed(value: number): string {
  return value < 65_536 ? `cd${value.toString(16).padStart(4, "0")}` : `ce${value.toString(16).padStart(8, "0")}`;
}
