/** Jobs that begin by themselves, in a real process: nobody asks for any, and each change of the cluster has its own. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { change } from "../support/change-cluster.ts";
import { storageOver } from "../support/clusters.ts";
import { eventually } from "../support/eventually.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { bulkhead, type JobReport, jobOver } from "../support/job-client.ts";
import { strictClientOf } from "../support/s3-client.ts";

const OBJECTS = 60;
const TIMEOUT_MS = 60_000;

interface SubjectJob extends JobReport {
  readonly subject: { readonly name: string };
  readonly asked_by: string;
  readonly cause: string;
}

async function openCluster(t: TestContext, rebalance: object = {}) {
  const folder = await mkdtemp(join(tmpdir(), "bulkhead-triggers-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const endpoint = (name: string): string => `volume:${join(folder, name)}`;
  const node = (name: string, faultDomain: string) => ({ name, endpoint: endpoint(name), faultDomain });
  const storage = {
    ...storageOver([]),
    "active-domains": ["a", "b"],
    rebalance: { "rate-limit-per-second": 1000, ...rebalance },
    nodes: [node("a1", "a"), node("b1", "b")],
  };
  const gateway = await startGateway({ dataDir: join(folder, "data"), config: { storage } });
  t.after(() => gateway[Symbol.asyncDispose]());
  const client = strictClientOf(gateway);
  t.after(() => client.destroy());
  await client.send(new CreateBucketCommand({ Bucket: "box" }));
  for (let at = 0; at < OBJECTS; at++) {
    await client.send(new PutObjectCommand({ Bucket: "box", Key: `k${at}`, Body: `object ${at}` }));
  }
  return { gateway, client, add: (name: string) => change(gateway, "POST nodes", { ...added(name), domain: "a" }) };

  function added(name: string): object {
    return { name, endpoint: endpoint(name), physical_storage_id: name };
  }
}

async function jobs(gateway: Gateway): Promise<readonly SubjectJob[]> {
  return ((await gateway.admin("/api/v1/storage/cluster/jobs")) as { jobs: readonly SubjectJob[] }).jobs;
}

/** Waits until the newest job of a cause is over. */
async function jobOf(gateway: Gateway, cause: string): Promise<SubjectJob> {
  const { id } = await eventually(`a job: ${cause}`, { timeoutMs: TIMEOUT_MS, intervalMs: 100 }, async () => {
    const all = await jobs(gateway);
    return all.find((job) => job.cause === cause) ?? assert.fail(JSON.stringify(all));
  });
  await jobOver(gateway, id);
  return (await jobs(gateway)).find((job) => job.id === id) ?? assert.fail("the job is gone");
}

async function assertReadable(client: S3Client): Promise<void> {
  for (let at = 0; at < OBJECTS; at++) {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: "box", Key: `k${at}` }));
    assert.equal(await Body?.transformToString(), `object ${at}`);
  }
}

test("a node that is added, and one that gets more weight, gets its share by itself, and is drained as any other", async (t) => {
  const { gateway, client, add } = await openCluster(t);
  await add("a2");
  const joined = await jobOf(gateway, "the node was added");
  assert.deepEqual([joined.kind, joined.subject.name, joined.asked_by], ["REBALANCE_TO_NEW", "a2", "bulkhead"]);
  assert.equal(joined.state, "done");
  assert.ok(joined.objects_moved > OBJECTS / 5, `${joined.objects_moved} of ${OBJECTS} moved to the new node`);
  await change(gateway, "PATCH nodes/a2", { weight: 300 });
  const weighed = await jobOf(gateway, "the node's weight was 100 and is 300");
  assert.ok(weighed.state === "done" && weighed.objects_moved > 0, JSON.stringify(weighed));
  const { events } = (await gateway.admin("/api/v1/storage/cluster/events")) as {
    events: readonly { kind: string; node: string; cause: string }[];
  };
  const told = events.filter(({ kind }) => kind === "NODE_CAPACITY_CHANGED");
  assert.equal(told.length, 1, JSON.stringify(events));
  assert.match(told[0]?.cause ?? "", /its weight was 100 and is 300/);
  await gateway.restart();
  await assertReadable(client);
  const drain = (await bulkhead(gateway, "nodes", "drain", "a2")) as JobReport;
  assert.equal((await jobOver(gateway, drain.id)).state, "done");
  await change(gateway, "DELETE nodes/a2");
  await assertReadable(client);
  const kinds = (await jobs(gateway)).map(({ kind }) => kind).toSorted();
  assert.deepEqual(kinds, ["DRAIN", "REBALANCE_TO_NEW", "REBALANCE_TO_NEW"], "a restart queues nothing anew");
});

test("limits that are set live hold for the job under way, and the live ones over a restart", async (t) => {
  const { gateway, client, add } = await openCluster(t, { "rate-limit-per-second": 1 });
  await add("a2");
  await eventually("the job moves copies", { timeoutMs: TIMEOUT_MS, intervalMs: 100 }, async () => {
    assert.ok((await jobs(gateway)).some(({ objects_moved: moved }) => moved > 0));
  });
  await bulkhead(gateway, "config", "set", "--rebalance-rate", "1000", "--scrub-bandwidth", "7");
  const job = await jobOf(gateway, "the node was added");
  assert.equal(job.state, "done");
  await gateway.restart();
  const { limits } = (await bulkhead(gateway, "config", "get")) as { limits: Record<string, object> };
  assert.deepEqual(limits["rebalance"], {
    rate_limit_per_second: 1000,
    bandwidth_limit_mib: "none",
    set_live: ["rate_limit_per_second"],
  });
  assert.deepEqual(limits["scrub"], {
    rate_limit_per_second: 100,
    bandwidth_limit_mib: 7,
    set_live: ["bandwidth_limit_mib"],
  });
  await assertReadable(client);
});

test("a job whose node is removed ends as cancelled", async (t) => {
  const { gateway, client, add } = await openCluster(t, { "rate-limit-per-second": 1 });
  await add("a2");
  await eventually("the job moves copies", { timeoutMs: TIMEOUT_MS, intervalMs: 100 }, async () => {
    assert.ok((await jobs(gateway)).some(({ objects_moved: moved }) => moved > 0));
  });
  await change(gateway, "DELETE nodes/a2?lost=true");
  const job = await jobOf(gateway, "the node was added");
  assert.deepEqual([job.state, job.detail], ["cancelled", "the node is no member any more"]);
  await assertReadable(client);
});
