/** The scrub of all nodes together: when it runs, what has it run sooner, and how it ends. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { scrubs } from "../../../src/admin/scrub-view.ts";
import { Scrubbing } from "../../../src/replication/scrub/scrubbing.ts";
import { patternBytes } from "../../support/blobs.ts";
import { assertFullyRedundant } from "../../support/catalog-audit.ts";
import { type InMemoryGateway, turns } from "../../support/in-memory-gateway.ts";
import { type Box, openBox } from "../../support/open-box.ts";
import { DAY_MS, scrubDeps } from "../../support/scrub.ts";
import { rot } from "../../support/slots.ts";

const BYTES = Buffer.from(patternBytes(1_000, 1));

interface Subject extends Box {
  readonly scrubbing: Scrubbing;
  readonly told: string[];
}

async function open(settings: Parameters<typeof scrubDeps>[2] = {}): Promise<Subject> {
  const box = await openBox();
  for (let i = 0; i < 3; i++) await box.client.put(`box/k${i}`, BYTES);
  box.gateway.clock.advance(20 * DAY_MS);
  const told: string[] = [];
  const { limits: scrub, ...deps } = scrubDeps(box.gateway, told, settings);
  const comparison = { enabled: true, intervalMs: DAY_MS };
  return { ...box, told, scrubbing: new Scrubbing({ ...deps, scrub, comparison }) };
}

async function pass(gateway: InMemoryGateway, ms: number): Promise<void> {
  for (let at = 0; at < ms; at += 1_000) {
    gateway.clock.advance(1_000);
    await turns(10);
  }
}

test("nodes are compared and scrubbed some time after the start, and again when their time has come", async () => {
  const { gateway, scrubbing, told } = await open({ limits: { intervalMs: 60_000 } });
  scrubbing.start();
  await pass(gateway, 20_000);
  assert.equal(told.length, 0);
  // A pass is spread over 30 seconds, and it is looked every minute whether one is due.
  await pass(gateway, 60_000);
  assert.deepEqual(told.toSorted(), [...Array(3).fill("verified d0-0 1000"), ...Array(3).fill("verified d1-0 1000")]);
  assert.equal(gateway.node("d0-0").control.count("list"), 1);
  await pass(gateway, 100_000);
  assert.equal(told.length, 12);
  await scrubbing[Symbol.asyncDispose]();
  assert.equal(gateway.clock.timers, 0);
});

test("what an operator asks for begins at once, on one node or on all", async () => {
  const { gateway, scrubbing, told } = await open();
  await rot(gateway, "k0", 0);
  await rot(gateway, "k1", 1);
  assert.equal(scrubbing.request("d0-0"), true);
  await pass(gateway, 1_000);
  assert.equal(told.filter((each) => each.endsWith("d1-0") || each.includes("d1-0 ")).length, 0);
  assert.equal(scrubbing.request("none"), false);
  assert.equal(scrubbing.request(), true);
  await pass(gateway, 2_000);
  assert.equal(told.filter((each) => each.startsWith("corrupt")).length, 2);
  await gateway.repair();
  await gateway.sweepPastGrace();
  await assertFullyRedundant(gateway);
  await scrubbing[Symbol.asyncDispose]();
});

test("a pass that was asked for and is given up ends where it stands, begun or not, and the usual ones go on", async () => {
  const { gateway, scrubbing, told } = await open({ limits: { copiesPerSecond: 0.01, intervalMs: 60_000 } });
  const { uuid } = gateway.node("d0-0");
  const scrubOf = async () => (await scrubbing.report()).find(({ nodeUuid }) => nodeUuid === uuid);
  scrubbing.start();
  scrubbing.request("d0-0");
  await pass(gateway, 2_000);
  assert.equal((await scrubOf())?.scrub.pass?.requested, true);
  assert.equal(told.length, 1);
  scrubbing.cancel(uuid);
  await pass(gateway, 2_000);
  const given = await scrubOf();
  assert.deepEqual([given?.requested, given?.scrub.pass?.requested ?? false], [false, false]);
  // What is asked for after that is not taken for what was given up.
  scrubbing.request("d0-0");
  await pass(gateway, 2_000);
  assert.equal((await scrubOf())?.scrub.pass?.requested, true);
  gateway.nodeDown("d0-0");
  scrubbing.cancel(uuid);
  await pass(gateway, 2_000);
  assert.deepEqual((await scrubOf())?.scrub.pass?.requested ?? false, false, "also of a node that is away");
  gateway.nodeUp("d0-0");
  scrubbing.setRates({ copiesPerSecond: 1_000, bytesPerSecond: 1e9 });
  await pass(gateway, 600_000);
  assert.equal((await scrubOf())?.scrub.last?.requested, false);
  await scrubbing[Symbol.asyncDispose]();
});

test("how fast nodes are read is changed in the middle of a pass", async () => {
  const { gateway, scrubbing, told } = await open({ limits: { copiesPerSecond: 0.1 } });
  scrubbing.start();
  scrubbing.request();
  await pass(gateway, 2_000);
  assert.equal(told.length, 2, "one on each node, and the next in ten seconds");
  scrubbing.setRates({ copiesPerSecond: 1_000, bytesPerSecond: 1e9 });
  await pass(gateway, 12_000);
  assert.equal(told.length, 6);
  await scrubbing[Symbol.asyncDispose]();
});

test("what was asked for while a node was away begins when it is back", async () => {
  const { gateway, scrubbing, told } = await open();
  gateway.nodeDown("d0-0");
  scrubbing.request("d0-0");
  await pass(gateway, 5_000);
  const context = { members: () => gateway.members, scrubbing };
  assert.equal((await scrubs(context)).nodes[0]?.state, "waiting");
  gateway.nodeUp("d0-0");
  await pass(gateway, 1_000);
  assert.equal(told.length, 3);
  assert.equal((await scrubs(context)).nodes[0]?.state, "idle");
  await scrubbing[Symbol.asyncDispose]();
});

test("the report tells how far a pass is, how the last one went, and what the comparison found", async () => {
  const { gateway, scrubbing } = await open({ limits: { copiesPerSecond: 0.2 } });
  gateway.node("d0-0").control.hooks.foreign = async () => ({ names: ["photos/"], count: 1, more: false });
  const startedAt = new Date(gateway.clock.nowMs() + 1_000).toISOString();
  scrubbing.request("d0-0");
  await pass(gateway, 8_000);
  const context = { members: () => gateway.members, scrubbing };
  const { uuid } = gateway.node("d0-0");
  const [running] = (await scrubs(context)).nodes;
  const counts = { started_at: startedAt, requested: true, copies_total: 3, corrupt: 0, lost: 0, failed: 0 };
  assert.deepEqual(running, {
    node: "d0-0",
    node_id: uuid,
    state: "running",
    pass: { ...counts, copies_seen: 2, copies_verified: 2, bytes_verified: 2_000 },
    last_pass: null,
    next_pass_at: null,
    comparison: {
      started_at: startedAt,
      ended_at: startedAt,
      copies_listed: 3,
      lost: 0,
      orphans: 0,
      unknown: 0,
      failed: 0,
    },
    foreign: { names: ["photos/"], count: 1, more: false, checked_at: startedAt },
  });
  await pass(gateway, 5_000);
  const [idle, other] = (await scrubs(context)).nodes;
  assert.equal(idle?.state, "idle");
  assert.deepEqual(
    [idle?.last_pass?.copies_verified, idle?.last_pass?.bytes_verified, idle?.last_pass?.requested],
    [3, 3_000, true],
  );
  assert.equal(idle?.next_pass_at, new Date(Date.parse(startedAt) + 15 * DAY_MS).toISOString());
  assert.deepEqual([other?.pass, other?.last_pass, other?.comparison, other?.foreign], [null, null, null, null]);
  await scrubbing[Symbol.asyncDispose]();
});

test("it stops in the middle of passes, at once and without a trace", async () => {
  const { gateway, scrubbing, told } = await open({ limits: { copiesPerSecond: 0.01 } });
  scrubbing.request();
  await pass(gateway, 1_000);
  assert.equal(told.length, 2);
  await scrubbing[Symbol.asyncDispose]();
  assert.equal(gateway.clock.timers, 0);
  gateway.nodeDown("d0-0");
  gateway.nodeUp("d0-0");
  await pass(gateway, 200_000);
  assert.equal(told.length, 2);
});
