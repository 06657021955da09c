/** The jobs that restore redundancy: what they put on record, and how they follow repair to its end. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLogger } from "../../../../src/observability/logger.ts";
import { isOver } from "../../../../src/replication/jobs/job-store.ts";
import { createBlobReader } from "../../../../src/replication/read/blob-reader.ts";
import { Repairer } from "../../../../src/replication/repair/repairer.ts";
import { patternBytes } from "../../../support/blobs.ts";
import { assertFullyRedundant } from "../../../support/catalog-audit.ts";
import { type InMemoryGateway, turns } from "../../../support/in-memory-gateway.ts";
import { openJobs } from "../../../support/jobs.ts";
import { openBox } from "../../../support/open-box.ts";
import { changeSlot, slotsOf } from "../../../support/slots.ts";

const KEYS = Array.from({ length: 24 }, (_, at) => `k${at}`);
const BYTES = Buffer.from(patternBytes(1_500, 5));
const ASKED = { cause: "a test", askedBy: "test" };
const NEVER = new AbortController().signal;

/** Repair that is told which nodes are given up. */
function repairerOf(gateway: InMemoryGateway, isLost: (uuid: string) => boolean): Repairer {
  const { catalog, ledger, discarder, members } = gateway.process;
  const { clock, random } = gateway;
  const limits = { hedgeDelayMs: 250, stallTimeoutMs: 10_000 };
  const reader = createBlobReader({ members: () => members, clock, random, limits, onDamage: () => {} });
  const { discard } = discarder;
  const rest = { logger: silentLogger, onRestored: () => {}, isLost };
  return new Repairer({ catalog, members: () => members, reader, ledger, discard, clock, random, ...rest });
}

test("the copies of a failed node are made anew elsewhere while a job says so, and the job ends when they are", async () => {
  const { gateway, client } = await openBox({ nodesPerDomain: 3 });
  for (const key of KEYS) await client.put(`box/${key}`, BYTES);
  const { uuid, store } = gateway.node("d0-1");
  const held = store.blobs.size;
  gateway.nodeDown("d0-1");
  let isRepairing = false;
  await using box = openJobs(gateway, {
    meanwhile: async () => {
      if (isRepairing) await gateway.whileTimePasses(repairer.run(NEVER));
    },
  });
  const repairer = repairerOf(gateway, (node) => box.jobs.isGivenUp(node));
  await repairer.run(NEVER);
  const { id } = (await box.jobs.submit({ kind: "MIGRATE_FROM_FAILED", subject: { node: "d0-1" }, ...ASKED })).view.job;
  await box.until(id, ({ cursor }) => cursor === "following");
  assert.ok(box.jobs.isGivenUp(uuid));
  isRepairing = true;
  const job = await box.until(id, isOver);
  assert.deepEqual([job.state, job.total, job.counts.moved], ["done", held, held]);
  assert.equal(job.counts.bytes, held * BYTES.length);
  assert.equal(box.jobs.isGivenUp(uuid), false);
  for (const key of KEYS) assert.ok((await slotsOf(gateway, key)).every((slot) => !slot.endsWith("d0-1")));
  // Its old copies are deleted when it is back, and do not come back to life.
  gateway.nodeUp("d0-1");
  await gateway.quiesce();
  await assertFullyRedundant(gateway);
  assert.equal(store.blobs.size, 0);
});

test("the copies of a node that came back are checked, and the job ends when they are", async () => {
  const { gateway, client } = await openBox();
  for (const key of KEYS) await client.put(`box/${key}`, BYTES);
  for (const key of KEYS) await changeSlot(gateway, key, 0, (slot) => ({ ...slot, state: "unverified" }));
  await using box = openJobs(gateway);
  const { id } = (await box.jobs.submit({ kind: "RESYNC", subject: { node: "d0-0" }, ...ASKED })).view.job;
  assert.equal((await box.until(id, ({ total }) => total === KEYS.length)).state, "running");
  await gateway.repair();
  const job = await box.until(id, isOver);
  assert.deepEqual([job.state, job.counts.moved, job.counts.failed], ["done", KEYS.length, 0]);
  await assertFullyRedundant(gateway);
});

test("the copies that a domain lacks are followed until its promoted node has them", async () => {
  const { gateway, client } = await openBox({ nodesPerDomain: 1 });
  gateway.nodeDown("d1-0");
  for (const key of KEYS.slice(0, 6)) await client.put(`box/${key}`, BYTES);
  gateway.nodeUp("d1-0");
  await using box = openJobs(gateway);
  const { id } = (await box.jobs.submit({ kind: "COPY_TO_PROMOTED", subject: { node: "d1-0" }, ...ASKED })).view.job;
  await box.until(id, ({ total }) => total === 6);
  gateway.clock.advance(120_000);
  await gateway.repair();
  const job = await box.until(id, isOver);
  assert.deepEqual([job.state, job.counts.moved], ["done", 6]);
});

test("a job that repair does not get on with ends after hours, and names what is left", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  await changeSlot(gateway, "a", 0, (slot) => ({ ...slot, state: "unverified" }));
  gateway.nodeDown("d0-0");
  await using box = openJobs(gateway);
  const { id } = (await box.jobs.submit({ kind: "RESYNC", subject: { node: "d0-0" }, ...ASKED })).view.job;
  for (let hour = 0; hour < 8; hour++) {
    await turns(30);
    gateway.clock.advance(3_600_000);
  }
  const job = await box.until(id, isOver);
  assert.deepEqual([job.state, job.counts.failed], ["done-with-failures", 1]);
  assert.match((await box.jobs.failures(id))[0]?.reason ?? "", /repair has not restored it/);
});

test("a scrub is shown as a job from when it was asked for to its end", async () => {
  const { gateway } = await openBox();
  const { uuid } = gateway.node("d0-0");
  const requests: (string | undefined)[] = [];
  const pass = {
    startedAtMs: 0,
    requested: true,
    total: 10,
    verified: 8,
    verifiedBytes: 800,
    corrupt: 1,
    lost: 0,
    failed: 1,
  };
  let seen = 0;
  await using box = openJobs(gateway, {
    deps: {
      scrubbing: {
        request: (name) => requests.push(name) > 0,
        report: async () => {
          seen += 5;
          const scrub =
            seen <= 10
              ? { pass: { ...pass, startedAtMs: gateway.clock.nowMs(), seen } }
              : { last: { ...pass, startedAtMs: 1, seen: 10, endedAtMs: gateway.clock.nowMs() } };
          return [{ nodeUuid: uuid, node: "d0-0", scrub, requested: false, nextAtMs: undefined, comparison: {} }];
        },
      },
    },
  });
  const job = await box.run({ kind: "SCRUB", subject: { node: "d0-0" } });
  assert.deepEqual(requests, ["d0-0"]);
  assert.deepEqual([job.state, job.counts.moved, job.total], ["done", 10, 10]);
  assert.equal(job.detail, "8 copies are right, 1 corrupt, 0 lost, 1 could not be read");
});

test("a scrub that was asked for before the clock was set back ends with the pass that began after", async () => {
  const { gateway } = await openBox();
  const { uuid } = gateway.node("d0-0");
  const counts = {
    startedAtMs: 0,
    requested: true,
    total: 1,
    seen: 1,
    verifiedBytes: 1,
    corrupt: 0,
    lost: 0,
    failed: 0,
  };
  const older = { ...counts, verified: 3, endedAtMs: gateway.clock.nowMs() - 1 };
  let last = older;
  await using box = openJobs(gateway, {
    deps: {
      scrubbing: {
        request: () => {
          gateway.clock.jump(-5 * 3_600_000);
          return true;
        },
        report: async () => [
          {
            nodeUuid: uuid,
            node: "d0-0",
            scrub: { last },
            requested: last === older,
            nextAtMs: undefined,
            comparison: {},
          },
        ],
      },
    },
  });
  const { id } = (await box.jobs.submit({ kind: "SCRUB", subject: { node: "d0-0" }, ...ASKED })).view.job;
  await box.until(id, ({ cursor }) => cursor !== undefined);
  last = { ...counts, verified: 1, endedAtMs: gateway.clock.nowMs() };
  const job = await box.until(id, isOver);
  assert.deepEqual([job.state, job.detail], ["done", "1 copies are right, 0 corrupt, 0 lost, 0 could not be read"]);
});
