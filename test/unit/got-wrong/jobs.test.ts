/** What the earlier system got wrong about its jobs, shown right: G5 to G9. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isOver } from "../../../src/replication/jobs/job-store.ts";
import { sleep } from "../../../src/shared/clock.ts";
import { patternBytes } from "../../support/blobs.ts";
import { assertFullyRedundant } from "../../support/catalog-audit.ts";
import { turns } from "../../support/in-memory-gateway.ts";
import { closeNode, heldBy, openJobs, setAccepting } from "../../support/jobs.ts";
import { type Box, MIB, openBox } from "../../support/open-box.ts";
import { slotsOf } from "../../support/slots.ts";

const KEYS = Array.from({ length: 80 }, (_, at) => `k${at}`);
const BYTES = Buffer.from(patternBytes(2_000, 3));
const ASKED = { cause: "a test", askedBy: "test" };

async function openWithNewNode(): Promise<Box> {
  const box = await openBox({ nodesPerDomain: 3 });
  closeNode(box.gateway, "d0-2");
  for (const key of KEYS) await box.client.put(`box/${key}`, BYTES);
  setAccepting(box.gateway, "d0-2", true);
  return box;
}

test("G5: limits count what is moved, not what is looked at, and a job that stops goes on at its cursor", async () => {
  const { gateway } = await openWithNewNode();
  await using box = openJobs(gateway);
  const wish = { kind: "REBALANCE_TO_NEW", subject: { node: "d0-2" } } as const;
  const first = await box.run(wish);
  assert.equal(first.counts.considered, KEYS.length);
  assert.ok(first.counts.moved > 0 && first.counts.moved < KEYS.length / 2);
  assert.deepEqual(box.asked, { objects: first.counts.moved, bytes: first.counts.moved * BYTES.length });
  const again = await box.run(wish);
  assert.equal(again.counts.moved, 0);
  assert.equal(box.asked.objects, first.counts.moved, "a limit was asked for copies that stay");
  assert.ok(first.cursor !== undefined);
});

test("G6: keys that are healthy do not move on account of a node that failed; those that it held are restored", async () => {
  const { gateway, client } = await openBox({ nodesPerDomain: 3 });
  for (const key of KEYS) await client.put(`box/${key}`, BYTES);
  const before = new Map(await Promise.all(KEYS.map(async (key) => [key, await slotsOf(gateway, key)] as const)));
  gateway.nodeDown("d0-1");
  await using box = openJobs(gateway);
  const idle = await box.run({ kind: "REBALANCE_TO_NEW", subject: { domain: "d0" } });
  assert.deepEqual([idle.counts.moved, idle.counts.failed], [0, 0]);
  for (const key of KEYS) assert.deepEqual(await slotsOf(gateway, key), before.get(key), key);
  const job = await (async () => {
    const { view } = await box.jobs.submit({ kind: "MIGRATE_FROM_FAILED", subject: { node: "d0-1" }, ...ASKED });
    return box.until(view.job.id, ({ cursor }) => cursor === "following");
  })();
  const held = KEYS.filter((key) => before.get(key)?.some((slot) => slot.endsWith(" d0-1")));
  assert.equal(job.total, held.length);
  for (const key of KEYS) {
    const now = await slotsOf(gateway, key);
    const was = before.get(key)?.map((slot) => (slot.endsWith(" d0-1") ? slot.replace("ok", "unverified") : slot));
    assert.deepEqual(now, was, key);
  }
  await box.jobs.cancel(job.id);
  await box.until(job.id, isOver);
});

test("G7: an object of more than 100 MB moves whole with all that is said of it, and a job with failures says so", async () => {
  const { gateway, client } = await openBox({ nodesPerDomain: 2, segmentBytes: 128 * MIB });
  closeNode(gateway, "d0-1");
  const large = Buffer.from(patternBytes(101 * MIB, 9));
  await client.put("box/large", large);
  const head = await client.head("box/large");
  setAccepting(gateway, "d0-1", true);
  await using box = openJobs(gateway, { meanwhile: () => gateway.sweep() });
  gateway.node("d0-1").control.hooks.put = () => Promise.reject(new Error("the node does not want it"));
  const failed = await box.run({ kind: "DRAIN", subject: { node: "d0-0" } });
  assert.deepEqual([failed.state, failed.counts.moved, failed.counts.failed], ["done-with-failures", 0, 1]);
  assert.equal((await box.jobs.failures(failed.id)).length, 1);
  gateway.node("d0-1").control.hooks = {};
  const done = await box.run({ kind: "DRAIN", subject: { node: "d0-0" } });
  assert.deepEqual([done.state, done.counts.moved, done.counts.bytes], ["done", 1, large.length]);
  assert.equal(heldBy(gateway, "d0-0"), 0);
  assert.deepEqual(await client.head("box/large"), head);
  assert.ok((await client.get("box/large")).equals(large));
  await assertFullyRedundant(gateway);
});

test("G7: a copy that does not come to its target as it was sent is no success: the record keeps the old one", async () => {
  const { gateway, client } = await openBox({ nodesPerDomain: 2 });
  closeNode(gateway, "d0-1");
  await client.put("box/a", BYTES);
  setAccepting(gateway, "d0-1", true);
  const { control, store } = gateway.node("d0-1");
  control.hooks.put = async (request, pass) => {
    const receipt = await pass(request);
    const kept = store.blobs.get(request.key)?.bytes;
    if (kept !== undefined) kept[0] = (kept[0] ?? 0) ^ 1;
    return receipt;
  };
  await using box = openJobs(gateway, { meanwhile: () => gateway.sweep() });
  const job = await box.run({ kind: "DRAIN", subject: { node: "d0-0" } });
  assert.equal(job.state, "done-with-failures");
  assert.deepEqual((await slotsOf(gateway, "a"))[0], "ok d0 d0-0");
  assert.ok((await client.get("box/a")).equals(BYTES));
});

test("G8: while a rebalance hangs on a node, other work of the same process goes on", async () => {
  const { gateway, client } = await openWithNewNode();
  let hanging = 0;
  gateway.node("d0-2").control.hooks.put = ({ signal }) => {
    hanging += 1;
    return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(new Error("given up"))));
  };
  let probes = 0;
  await using box = openJobs(gateway, {
    work: {
      RESYNC: async (live) => {
        probes += 1;
        await sleep(gateway.clock, 10, live.signal);
      },
    },
  });
  const { id } = (await box.jobs.submit({ kind: "REBALANCE_TO_NEW", subject: { node: "d0-2" }, ...ASKED })).view.job;
  await box.until(id, () => hanging > 0);
  assert.equal((await box.run({ kind: "RESYNC", subject: { node: "d1-0" } })).state, "done");
  assert.equal(probes, 1);
  assert.ok((await client.get("box/k1")).equals(BYTES));
  await gateway.repair();
  await box.jobs.cancel(id);
  assert.equal((await box.until(id, isOver)).state, "cancelled");
});

test("G9: a trigger that finds a job waiting joins it; one that finds it running waits behind it, and is never dropped", async () => {
  const { gateway } = await openBox();
  const ends: (() => void)[] = [];
  await using box = openJobs(gateway, { work: { RESYNC: () => new Promise((resolve) => ends.push(resolve)) } });
  const wish = { kind: "RESYNC", subject: { node: "d0-0" }, ...ASKED } as const;
  const first = await box.jobs.submit(wish);
  const joined = await box.jobs.submit(wish);
  assert.deepEqual([first.joined, joined.joined, joined.view.job.id], [false, true, first.view.job.id]);
  await box.until(first.view.job.id, ({ state }) => state === "running");
  const second = await box.jobs.submit(wish);
  assert.equal(second.joined, false);
  assert.notEqual(second.view.job.id, first.view.job.id);
  assert.equal((await box.jobs.submit(wish)).view.job.id, second.view.job.id);
  gateway.clock.advance(60_000);
  await turns(50);
  assert.equal(ends.length, 1, "the second ran beside the first");
  ends[0]?.();
  await box.until(second.view.job.id, ({ state }) => state === "running");
  await turns(20);
  ends[1]?.();
  assert.equal((await box.until(second.view.job.id, isOver)).state, "done");
});
