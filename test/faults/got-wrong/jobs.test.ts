/** What the earlier system got wrong of its jobs (G5 to G9 of the design), on real MinIO servers that are looked at directly. */
import assert from "node:assert/strict";
import { GetObjectCommand, HeadObjectCommand } from "@aws-sdk/client-s3";
import { nodeReport } from "../../support/admin.ts";
import { change } from "../../support/change-cluster.ts";
import { eventually } from "../../support/eventually.ts";
import { bulkhead, type JobReport, jobMoved, jobOver, jobReport } from "../../support/job-client.ts";
import { BUCKET, overSharedServers, PATIENCE, type Site } from "../../support/minio-site.ts";
import { MIB } from "../../support/sizes.ts";

const onMinio = overSharedServers(4);
const TWO_DOMAINS = [
  ["a", "a1"],
  ["a", "a2"],
  ["b", "b1"],
] as const;

async function askFor(site: Site, kind: string, node: string): Promise<JobReport> {
  return (await change(site.gateway, "POST jobs", { kind, node })) as JobReport;
}

/** Adds a node that the configuration left out; it takes its share of what is written from then on. */
async function add(site: Site, name: string, weight: number): Promise<void> {
  const { settings, domain } = site.node(name);
  const { accessKey: access_key, secretKey: secret_key, endpoint, bucket, host } = settings;
  await change(site.gateway, "POST nodes", { name, domain, weight, endpoint, bucket, host, access_key, secret_key });
}

async function untilState(site: Site, name: string, state: string): Promise<void> {
  await eventually(`${name} is ${state}`, PATIENCE, async () => {
    assert.equal((await nodeReport(site.gateway, name)).state, state);
  });
}

async function eventsOf(site: Site, node: string): Promise<string[]> {
  const path = "/api/v1/storage/cluster/events?after=0&limit=1000";
  const { events } = (await site.gateway.admin(path)) as {
    readonly events: readonly { readonly kind: string; readonly node: string | null }[];
  };
  return events.filter((event) => event.node === node).map(({ kind }) => kind);
}

onMinio(
  "G5: limits count what is moved, not what is looked at, and a job goes on at its cursor after its gateway was killed",
  {
    nodes: TWO_DOMAINS,
    later: ["a2"],
    // So slow that a job which paid for what it looks at would take far longer than is waited for.
    storage: { rebalance: { automatic: false, "rate-limit-per-second": 4, "cleanup-source": true } },
  },
  async (site) => {
    await site.putMany(600, 2_000);
    await add(site, "a2", 4);
    const { id } = await askFor(site, "REBALANCE_TO_NEW", "a2");
    await jobMoved(site.gateway, id, 10);
    const met = await jobReport(site.gateway, id);
    await site.gateway.kill9();
    await site.gateway.start();
    const job = await jobOver(site.gateway, id, PATIENCE.timeoutMs);
    assert.equal(job.state, "done", JSON.stringify(job));
    const moved = await site.blobsOn("a2");
    assert.ok(moved.size < 600 / 8, `${moved.size} copies are more than its share`);
    // From its cursor: few were looked at twice. What was moved since that was saved is not met again.
    const { objects_considered, objects_moved } = job;
    assert.ok(objects_considered > met.objects_considered && objects_considered <= 632, JSON.stringify([met, job]));
    assert.ok(objects_moved > 0 && objects_moved <= moved.size, JSON.stringify(job));
    await eventually("what was moved has left the old node", PATIENCE, () => site.assertExact(2));
    await site.readAll();
  },
);

onMinio(
  "G6: only what the failed node held is made anew; copies of healthy nodes stay where they are",
  { nodes: [...TWO_DOMAINS, ["a", "a3"]] },
  async (site) => {
    await site.putMany(60, 20_000);
    const before = new Map<string, Set<string>>();
    for (const { name } of site.nodes) before.set(name, await site.blobsOn(name));
    const held = before.get("a1")?.size ?? 0;
    assert.ok(held > 0);
    await site.kill("a1");
    await untilState(site, "a1", "unreachable");
    const { id } = await askFor(site, "MIGRATE_FROM_FAILED", "a1");
    const job = await eventually("it is known what is to be made anew", PATIENCE, async () => {
      const now = await jobReport(site.gateway, id);
      assert.notEqual(now.objects_total, null);
      return now;
    });
    assert.ok((job.objects_total ?? 0) <= held, `${JSON.stringify(job)} of ${held}`);
    await eventually("all copies are on nodes that are there", PATIENCE, () => site.assertExact(2, ["a1"]));
    let made = 0;
    for (const name of ["a2", "a3", "b1"]) {
      const now = await site.blobsOn(name);
      for (const key of before.get(name) ?? []) assert.ok(now.has(key), `${key} left ${name}, which is healthy`);
      made += now.size - (before.get(name)?.size ?? 0);
    }
    assert.equal(made, held, "copies that were made");
    await site.readAll();
  },
);

onMinio(
  "G7: an object of more than 100 MB moves whole with its metadata; what is damaged on its way is a failure, not a success",
  { nodes: TWO_DOMAINS, storage: { write: { "segment-size": "128MiB" } } },
  async (site) => {
    const { gateway, client } = site;
    await change(gateway, "PATCH nodes/a2", { enabled: false });
    const described = {
      ContentType: "video/mp4",
      CacheControl: "max-age=5",
      ContentDisposition: 'attachment; filename="a.mp4"',
      Metadata: { colour: "blue", "taken-at": "dawn" },
    };
    await site.put("large", 101 * MIB, described);
    const head = async (): Promise<object> => {
      const { $metadata: _metadata, ...rest } = await client.send(
        new HeadObjectCommand({ Bucket: BUCKET, Key: "large" }),
      );
      return rest;
    };
    const before = await head();
    const [copyBefore] = (await site.copies()).get("large") ?? [];
    await change(gateway, "PATCH nodes/a2", { enabled: true });
    // What comes back of it is not what is on it: no copy there can be verified.
    site.node("a2").proxy.faults = { corruptShare: 0.2 };
    const { id } = (await bulkhead(gateway, "nodes", "drain", "a1")) as JobReport;
    await eventually("the job says that it does not succeed", PATIENCE, async () => {
      const { failures } = (await gateway.admin(`/api/v1/storage/cluster/jobs/${id}/failures`)) as {
        readonly failures: readonly unknown[];
      };
      assert.notEqual(failures.length, 0);
    });
    assert.equal((await jobReport(gateway, id)).objects_moved, 0);
    assert.deepEqual((await site.copies()).get("large")?.[0], copyBefore, "the record keeps the copy that is good");
    await bulkhead(gateway, "jobs", "cancel", id);
    assert.notEqual((await jobOver(gateway, id)).state, "done");

    site.node("a2").proxy.faults = {};
    await untilState(site, "a2", "online");
    const again = (await bulkhead(gateway, "nodes", "drain", "a1")) as JobReport;
    const done = await jobOver(gateway, again.id, PATIENCE.timeoutMs);
    assert.deepEqual([done.state, done.objects_failed], ["done", 0], JSON.stringify(done));
    assert.ok(done.bytes_moved >= 101 * MIB);
    await eventually("the copy is on the other node", PATIENCE, () => site.assertExact(2));
    assert.equal((await site.blobsOn("a1")).size, 0);
    assert.deepEqual(await head(), before);
    assert.deepEqual({ ...before, ...described }, before);
    await site.kill("b1");
    const { Body } = await client.send(new GetObjectCommand({ Bucket: BUCKET, Key: "large" }));
    const got = Buffer.from((await Body?.transformToByteArray()) ?? []);
    assert.ok(site.contents.get("large")?.equals(got), "the moved copy has other bytes");
  },
);

onMinio(
  "G8: while a rebalance waits for a slow node, the loss of another one is found, and its copies are made anew",
  {
    nodes: [...TWO_DOMAINS, ["b", "b2"]],
    later: ["a2"],
    storage: { rebalance: { automatic: false, "rate-limit-per-second": 1_000, "cleanup-source": true } },
  },
  async (site) => {
    await site.putMany(40, 60_000);
    await add(site, "a2", 100);
    // A body takes some seconds, all of them more than a minute; what is small comes in time.
    site.node("a2").proxy.faults = { bytesPerSecond: 15_000 };
    const { id } = await askFor(site, "REBALANCE_TO_NEW", "a2");
    await eventually("the job is at work", PATIENCE, async () => {
      assert.equal((await jobReport(site.gateway, id)).state, "running");
    });
    await site.kill("b1");
    await untilState(site, "b1", "unreachable");
    assert.ok((await eventsOf(site, "b1")).includes("NODE_OFFLINE"));
    assert.equal((await jobReport(site.gateway, id)).state, "running", "it was to be slow meanwhile");
    await eventually("what b1 held is made anew beside the job", PATIENCE, async () => {
      for (const [key, copies] of await site.copies()) {
        assert.ok(
          copies.every(({ state, node }) => state === "ok" && node !== "b1"),
          key,
        );
      }
    });
    site.node("a2").proxy.faults = {};
    assert.equal((await jobOver(site.gateway, id, PATIENCE.timeoutMs)).state, "done");
    await site.readAll();
  },
);

onMinio(
  "G9: events and triggers that come while a job runs are kept: each event on record, each wish joined or queued",
  { nodes: TWO_DOMAINS, later: ["a2"], storage: { rebalance: { automatic: false, "rate-limit-per-second": 2 } } },
  async (site) => {
    await site.putMany(60, 2_000);
    await add(site, "a2", 100);
    const first = await askFor(site, "REBALANCE_TO_NEW", "a2");
    await jobMoved(site.gateway, first.id, 1);
    const second = await askFor(site, "REBALANCE_TO_NEW", "a2");
    const joined = await askFor(site, "REBALANCE_TO_NEW", "a2");
    assert.notEqual(second.id, first.id);
    assert.equal(joined.id, second.id);
    await site.kill("b1");
    await untilState(site, "b1", "unreachable");
    await site.restart("b1");
    await untilState(site, "b1", "online");
    assert.equal((await jobReport(site.gateway, first.id)).state, "running", "it was to run all the while");
    assert.equal((await jobReport(site.gateway, second.id)).state, "queued");
    await eventually("what happened meanwhile is on record", PATIENCE, async () => {
      const lost = ["NODE_ADDED", "NODE_ONLINE", "NODE_DEGRADED", "NODE_OFFLINE", "NODE_ONLINE"];
      assert.deepEqual(await eventsOf(site, "b1"), lost);
    });
    await bulkhead(site.gateway, "jobs", "cancel", first.id);
    assert.equal((await jobOver(site.gateway, first.id)).state, "cancelled");
    await eventually("the one that waited has its turn", PATIENCE, async () => {
      assert.equal((await jobReport(site.gateway, second.id)).state, "running");
    });
    await site.readAll();
  },
);
