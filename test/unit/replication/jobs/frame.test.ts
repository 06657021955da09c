/** The frame of jobs: what is queued, what runs, and what becomes of it, whoever works on it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Job } from "../../../../src/catalog/records/job.ts";
import {
  JobFailedError,
  JobObsoleteError,
  type JobWork,
  RUNNING_MAX,
} from "../../../../src/replication/jobs/job-runner.ts";
import { FAILURES_KEPT_MAX, isOver, JOBS_KEPT_MAX, JobError } from "../../../../src/replication/jobs/job-store.ts";
import { sleep } from "../../../../src/shared/clock.ts";
import { type InMemoryGateway, openInMemoryGateway, turns } from "../../../support/in-memory-gateway.ts";
import { openJobs } from "../../../support/jobs.ts";

const WISH = { kind: "RESYNC", cause: "a test", askedBy: "test" } as const;

/** Work that lasts until the test ends it, a job at a time. */
class Workshop {
  readonly begun: string[] = [];
  readonly #ends = new Map<string, () => void>();

  readonly work: JobWork = (live) => {
    const { name } = live.record.subject;
    this.begun.push(name);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#ends.set(name, resolve);
    live.signal.addEventListener("abort", () => reject(live.signal.reason), { once: true });
    return promise;
  };

  end(name: string): void {
    this.#ends.get(name)?.();
  }
}

function openGateway(): Promise<InMemoryGateway> {
  return openInMemoryGateway({ domains: 2, nodesPerDomain: 4 });
}

test("no more than a few jobs run at a time; the others wait for their turn", async () => {
  const gateway = await openGateway();
  const shop = new Workshop();
  await using box = openJobs(gateway, { work: { RESYNC: shop.work } });
  const names = ["d0-0", "d0-1", "d0-2", "d0-3", "d1-0"];
  const ids = [];
  for (const node of names) {
    gateway.clock.advance(1);
    ids.push((await box.jobs.submit({ ...WISH, subject: { node } })).view.job.id);
  }
  gateway.clock.advance(0);
  await turns(50);
  assert.deepEqual(shop.begun, names.slice(0, RUNNING_MAX));
  shop.end("d0-1");
  await box.until(ids[1] ?? "", isOver);
  await box.until(ids[3] ?? "", ({ state }) => state === "running");
  assert.deepEqual(shop.begun, names.slice(0, RUNNING_MAX + 1));
});

test("jobs that restore redundancy begin before those that move copies, and those before a scrub", async () => {
  const gateway = await openGateway();
  const shop = new Workshop();
  const { work } = shop;
  await using box = openJobs(gateway, {
    work: { RESYNC: work, REBALANCE_TO_NEW: work, SCRUB: work, MIGRATE_FROM_FAILED: work },
  });
  for (const node of ["d0-0", "d0-1", "d0-2"]) await box.jobs.submit({ ...WISH, subject: { node } });
  gateway.clock.advance(0);
  await turns(50);
  await box.jobs.submit({ ...WISH, kind: "SCRUB", subject: { node: "d1-0" } });
  gateway.clock.advance(1);
  await box.jobs.submit({ ...WISH, kind: "REBALANCE_TO_NEW", subject: { node: "d1-1" } });
  gateway.clock.advance(1);
  await box.jobs.submit({ ...WISH, kind: "MIGRATE_FROM_FAILED", subject: { node: "d1-2" } });
  for (const node of ["d0-0", "d0-1", "d0-2"]) {
    shop.end(node);
    await turns(50);
    gateway.clock.advance(5_000);
    await turns(50);
  }
  assert.deepEqual(shop.begun.slice(3), ["d1-2", "d1-1", "d1-0"]);
});

test("a job that only waits for others gives its place to one that works", async () => {
  const gateway = await openGateway();
  const shop = new Workshop();
  const waits: JobWork = async (live) => {
    live.waiting = true;
    await sleep(gateway.clock, 1e9, live.signal);
  };
  await using box = openJobs(gateway, { work: { MIGRATE_FROM_FAILED: waits, RESYNC: shop.work } });
  for (const node of ["d0-0", "d0-1", "d0-2"]) {
    await box.jobs.submit({ ...WISH, kind: "MIGRATE_FROM_FAILED", subject: { node } });
  }
  gateway.clock.advance(0);
  await turns(50);
  const { view } = await box.jobs.submit({ ...WISH, subject: { node: "d1-0" } });
  await box.until(view.job.id, ({ state }) => state === "running");
});

test("a paused job stops where it stands and goes on from there; a cancelled one ends", async () => {
  const gateway = await openGateway();
  const cursors: (string | undefined)[] = [];
  const work: JobWork = async (live) => {
    cursors.push(live.cursor);
    live.moved(10);
    await live.reached(`${cursors.length}`, { save: true });
    await sleep(gateway.clock, 1e9, live.signal);
  };
  await using box = openJobs(gateway, { work: { RESYNC: work } });
  const { id } = (await box.jobs.submit({ ...WISH, subject: { node: "d0-0" } })).view.job;
  await box.until(id, ({ cursor }) => cursor === "1");
  await box.jobs.pause(id);
  const paused = await box.until(id, ({ state }) => state === "paused");
  assert.equal(paused.counts.moved, 1);
  gateway.clock.advance(60_000);
  await turns(50);
  assert.equal(cursors.length, 1, "a paused job ran");
  await box.jobs.resume(id);
  await box.until(id, ({ cursor }) => cursor === "2");
  assert.deepEqual(cursors, [undefined, "1"]);
  await box.jobs.cancel(id);
  const over = await box.until(id, isOver);
  assert.deepEqual([over.state, over.counts.moved, over.endedAtMs === undefined], ["cancelled", 2, false]);
  for (const call of ["pause", "resume", "cancel"] as const) {
    await assert.rejects(box.jobs[call](id), (error) => error instanceof JobError && error.kind === "refused");
  }
});

test("whoever does the work of a job is told when it is cancelled, also where its process is gone", async () => {
  const gateway = await openGateway();
  const told: string[] = [];
  const onCancelled = ({ kind, subject }: Job): void => void told.push(`${kind} ${subject.name}`);
  const work: JobWork = (live) => sleep(gateway.clock, 1e9, live.signal);
  const first = openJobs(gateway, { work: { SCRUB: work }, onCancelled });
  const submit = async (node: string): Promise<string> => {
    const { id } = (await first.jobs.submit({ ...WISH, kind: "SCRUB", subject: { node } })).view.job;
    await first.until(id, ({ state }) => state === "running");
    return id;
  };
  const [one, two] = [await submit("d0-0"), await submit("d0-1")];
  await first.jobs.cancel(one);
  await first.until(one, isOver);
  assert.deepEqual(told, ["SCRUB d0-0"]);
  await first[Symbol.asyncDispose]();
  await first.jobs.cancel(two);
  assert.deepEqual(told, ["SCRUB d0-0"]);
  await using second = openJobs(gateway, { work: { SCRUB: work }, onCancelled });
  await second.until(two, isOver);
  assert.deepEqual(told, ["SCRUB d0-0", "SCRUB d0-1"]);
});

test("a job that waits or is paused is cancelled at once", async () => {
  const gateway = await openGateway();
  const shop = new Workshop();
  await using box = openJobs(gateway, { work: { RESYNC: shop.work } });
  const { id } = (await box.jobs.submit({ ...WISH, subject: { node: "d0-0" } })).view.job;
  await box.jobs.pause(id);
  assert.equal((await box.jobs.cancel(id)).job.state, "cancelled");
  await turns(50);
  assert.deepEqual(shop.begun, []);
});

test("a process that another took a job from writes nothing of it any more", async () => {
  const gateway = await openGateway();
  const lives: Parameters<JobWork>[0][] = [];
  const work: JobWork = async (live) => {
    lives.push(live);
    await sleep(gateway.clock, 1e9, live.signal);
  };
  await using old = openJobs(gateway, { work: { RESYNC: work } });
  const { id } = (await old.jobs.submit({ ...WISH, subject: { node: "d0-0" } })).view.job;
  await old.until(id, ({ state }) => state === "running");
  const peer = await gateway.peer();
  await using next = openJobs(gateway, { work: { RESYNC: work }, catalog: peer.catalog });
  await next.until(id, ({ session }) => session === peer.catalog.session);
  const [deposed, taken] = lives;
  assert.ok(deposed !== undefined && taken !== undefined);
  taken.moved(1);
  await taken.reached("the new one's", { save: true });
  deposed.moved(1);
  await assert.rejects(deposed.reached("the old one's", { save: true }), { name: "JobStoppedError" });
  const stored = await next.store.load(id);
  assert.equal(stored?.job.cursor, "the new one's");
  assert.equal(stored.job.counts.moved, 1);
});

test("a job that was running when its process ended goes on in the next one", async () => {
  const gateway = await openGateway();
  const work: JobWork = async (live) => {
    if (live.cursor === "half") return;
    await live.reached("half", { save: true });
    await sleep(gateway.clock, 1e9, live.signal);
  };
  const first = openJobs(gateway, { work: { RESYNC: work } });
  const { id } = (await first.jobs.submit({ ...WISH, subject: { node: "d0-0" } })).view.job;
  await first.until(id, ({ cursor }) => cursor === "half");
  await first[Symbol.asyncDispose]();
  assert.equal((await first.store.load(id))?.job.state, "running");
  await gateway.restart();
  await using second = openJobs(gateway, { work: { RESYNC: work } });
  assert.equal((await second.until(id, isOver)).state, "done");
});

test("what another process left keeps to the number that runs, and comes before what waits", async () => {
  const gateway = await openGateway();
  const names = ["d0-0", "d0-1", "d0-2", "d0-3", "d1-0"];
  const waits: JobWork = async (live) => {
    live.waiting = true;
    await sleep(gateway.clock, 1e9, live.signal);
  };
  const first = openJobs(gateway, { work: { RESYNC: waits } });
  for (const node of names) {
    gateway.clock.advance(1);
    const { id } = (await first.jobs.submit({ ...WISH, subject: { node } })).view.job;
    await first.until(id, ({ state }) => state === "running");
  }
  await first[Symbol.asyncDispose]();
  await gateway.restart();
  const shop = new Workshop();
  await using second = openJobs(gateway, { work: { RESYNC: shop.work, MIGRATE_FROM_FAILED: shop.work } });
  gateway.clock.advance(1);
  await second.jobs.submit({ ...WISH, kind: "MIGRATE_FROM_FAILED", subject: { node: "d1-1" } });
  gateway.clock.advance(0);
  await turns(100);
  assert.deepEqual(shop.begun, names.slice(0, RUNNING_MAX));
  for (const name of names.slice(0, RUNNING_MAX)) {
    shop.end(name);
    await turns(50);
    gateway.clock.advance(5_000);
    await turns(50);
  }
  assert.deepEqual(shop.begun, [...names, "d1-1"]);
});

test("a job whose subject has left ends as cancelled and says so", async () => {
  const gateway = await openGateway();
  const work: JobWork = async () => {
    throw new JobObsoleteError("the node is no member any more");
  };
  await using box = openJobs(gateway, { work: { RESYNC: work } });
  const job = await box.run({ ...WISH, subject: { node: "d0-0" } });
  assert.deepEqual([job.state, job.detail], ["cancelled", "the node is no member any more"]);
});

test("what ends unforeseen is begun again a few times, then it failed; what cannot succeed fails at once", async () => {
  const gateway = await openGateway();
  let begun = 0;
  const broken: JobWork = async () => {
    begun += 1;
    throw new Error("something unforeseen");
  };
  const hopeless: JobWork = async () => {
    throw new JobFailedError("the node is no member any more");
  };
  await using box = openJobs(gateway, { work: { RESYNC: broken, SCRUB: hopeless } });
  const job = await box.run({ ...WISH, subject: { node: "d0-0" } });
  assert.deepEqual([job.state, begun], ["failed", 6]);
  const other = await box.run({ ...WISH, kind: "SCRUB", subject: { node: "d0-0" } });
  assert.deepEqual([other.state, other.detail], ["failed", "the node is no member any more"]);
});

test("failures are all counted, and so many of them kept", async () => {
  const gateway = await openGateway();
  const work: JobWork = async (live) => {
    for (let at = 0; at < FAILURES_KEPT_MAX + 5; at++) {
      await live.failed(at.toString(16).padStart(32, "0"), 0, "no luck");
    }
  };
  await using box = openJobs(gateway, { work: { RESYNC: work } });
  const job = await box.run({ ...WISH, subject: { node: "d0-0" } });
  assert.deepEqual([job.state, job.counts.failed], ["done-with-failures", FAILURES_KEPT_MAX + 5]);
  assert.equal((await box.jobs.failures(job.id)).length, FAILURES_KEPT_MAX);
});

test("jobs that are over are kept up to a number, then forgotten with their failures", async () => {
  const gateway = await openGateway();
  const work: JobWork = (live) => live.failed("0".repeat(32), 0, "no luck");
  await using box = openJobs(gateway, { work: { RESYNC: work } });
  const first = await box.run({ ...WISH, subject: { node: "d0-0" } });
  for (let at = 0; at < JOBS_KEPT_MAX; at++) {
    gateway.clock.advance(1);
    await box.run({ ...WISH, subject: { node: "d0-0" } });
  }
  assert.equal((await box.jobs.list()).length, JOBS_KEPT_MAX);
  await assert.rejects(box.jobs.get(first.id), { name: "JobError" });
  assert.deepEqual(await box.store.failures(first.id), []);
});

test("what makes no sense is refused with a reason, and nothing is queued", async () => {
  const gateway = await openGateway();
  await using box = openJobs(gateway, { rebalanceEnabled: false });
  const refused = async (wish: Parameters<typeof box.run>[0], message: RegExp): Promise<void> => {
    await assert.rejects(box.jobs.submit({ ...WISH, ...wish }), message);
  };
  await refused({ kind: "RESYNC", subject: { node: "none" } }, /there is no node none/);
  await refused({ kind: "RESYNC", subject: { domain: "d0" } }, /RESYNC is for a node/);
  await refused({ kind: "DRAIN", subject: { domain: "d0" } }, /say which domain takes over/);
  await refused({ kind: "DRAIN", subject: { node: "d0-0" }, toDomain: "d1" }, /only a domain/);
  await refused({ kind: "REBALANCE_TO_NEW", subject: { node: "d0-0" } }, /rebalance.enabled is false/);
  assert.deepEqual(await box.jobs.list(), []);
});

const KEPT: readonly (keyof Job)[] = ["kind", "subject", "cause", "askedBy", "createdAtMs"];

test("what was asked for stays on record as it was asked for", async () => {
  const gateway = await openGateway();
  await using box = openJobs(gateway, { work: { RESYNC: async () => {} } });
  const { job } = (await box.jobs.submit({ ...WISH, subject: { node: "d0-0" } })).view;
  const over = await box.until(job.id, isOver);
  for (const field of KEPT) assert.deepEqual(over[field], job[field]);
});
