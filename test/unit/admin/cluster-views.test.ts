import assert from "node:assert/strict";
import { test } from "node:test";
import type * as z from "zod";
import {
  clusterStatusSchema,
  domainsSchema,
  replicationSchema,
  type Worker,
  workersSchema,
} from "../../../src/admin/api-types.ts";
import { type AdminContext, clusterStatus, domains, replication, workers } from "../../../src/admin/cluster-views.ts";
import { knownCapacities } from "../../../src/admin/node-figures.ts";
import type { NodeFiguresView } from "../../../src/nodes/node-figures.ts";
import { NodeError } from "../../../src/nodes/storage-node.ts";
import { createPlacement } from "../../../src/placement/placement.ts";
import { adminContext } from "../../support/admin-context.ts";
import { copyKey, patternBytes } from "../../support/blobs.ts";
import type { InMemoryGateway } from "../../support/in-memory-gateway.ts";
import { openBox } from "../../support/open-box.ts";
import { changeSlot } from "../../support/slots.ts";
import { StaticMembers } from "../../support/static-members.ts";
import { quickHasher } from "../placement/topologies.ts";

const BYTES = patternBytes(1_000, 1);
const CAPACITY = 10_000;

/** The view, provided that it is what the API describes, no more and no less. */
async function view<T extends z.ZodType>(schema: T, of: Promise<z.infer<T>>): Promise<z.infer<T>> {
  const answer = await of;
  assert.deepEqual(schema.parse(answer), answer);
  return answer;
}

function workerNamed(found: { readonly workers: readonly Worker[] }, name: string): Worker {
  return found.workers.find((worker) => worker.name === name) ?? assert.fail(`there is no worker ${name}`);
}

test("the status of a healthy cluster counts its nodes and their bytes", async () => {
  const { gateway, client } = await openBox({ capacityBytes: CAPACITY });
  await client.put("box/a", BYTES);
  assert.deepEqual(await view(clusterStatusSchema, clusterStatus(adminContext(gateway))), {
    cluster_healthy: true,
    total_capacity_bytes: 2 * CAPACITY,
    used_bytes: 2_000,
    free_bytes: 2 * CAPACITY - 2_000,
    utilization_pct: 10,
    master_id: null,
    worker_count: 2,
    workers_healthy: 2,
    workers_degraded: 0,
    pending_replications: 0,
    journal: { mode: "sync", lag_ms: 0, lag_commits: 0, failure: null },
    coordinator: { kind: "embedded", available: true, leader: true },
  });
});

test("the status of a cluster without a node counts what is left and what is owed", async () => {
  const { gateway, client } = await openBox({ capacityBytes: CAPACITY });
  gateway.nodeDown("d1-0");
  for (const key of ["a", "b", "c"]) await client.put(`box/${key}`, BYTES);
  const status = await view(clusterStatusSchema, clusterStatus(adminContext(gateway)));
  assert.deepEqual(
    [status.cluster_healthy, status.workers_healthy, status.workers_degraded, status.pending_replications],
    [false, 1, 1, 3],
  );
  assert.deepEqual([status.total_capacity_bytes, status.used_bytes], [CAPACITY, 3_000]);
  gateway.nodeUp("d1-0");
  assert.equal((await clusterStatus(adminContext(gateway))).cluster_healthy, false, "copies are still missing");
  await gateway.repair();
  assert.equal((await clusterStatus(adminContext(gateway))).cluster_healthy, true);
});

test("a cluster none of whose nodes can tell its capacity is utilized by nothing", async () => {
  const { gateway } = await openBox();
  for (const name of ["d0-0", "d1-0"]) gateway.nodeDown(name);
  const status = await view(clusterStatusSchema, clusterStatus(adminContext(gateway)));
  assert.deepEqual([status.total_capacity_bytes, status.utilization_pct], [0, 0]);
});

test("every node is listed with what the topology, its state and its capacity say", async () => {
  const { gateway, client } = await openBox({ capacityBytes: CAPACITY, standbyNodes: 1 });
  await client.put("box/a", BYTES);
  const { uuid } = gateway.node("d0-0");
  gateway.members.scores.set(uuid, 0.25);
  const found = await view(workersSchema, workers(adminContext(gateway)));
  assert.deepEqual(found.workers.map(({ name, domain, kind }) => `${name} ${domain} ${kind}`).toSorted(), [
    "d0-0 d0 volume",
    "d1-0 d1 s3",
    "standby-0 standby s3",
  ]);
  assert.deepEqual(workerNamed(found, "d0-0"), {
    worker_id: uuid,
    name: "d0-0",
    domain: "d0",
    home_domain: "d0",
    promoted: false,
    kind: "volume",
    endpoint: "/disks/d0-0",
    state: "online",
    reason: null,
    conditions: [],
    missed_probes: 0,
    heartbeat: null,
    since: new Date(0).toISOString(),
    accepts_writes: true,
    weight: 100,
    host: "host of d0-0",
    rack: null,
    physical_storage_id: "d0-0",
    disk_type: "unknown",
    total_bytes: CAPACITY,
    used_bytes: 1_000,
    free_bytes: CAPACITY - 1_000,
    load_score: 0.25,
    inflight: 0,
    waiting: 0,
    capacity_source: null,
    io_utilization: null,
    scraped_at: null,
    scrape_error: null,
    live_bytes: null,
    dead_bytes: null,
    compaction: null,
  });
});

test("an S3 node tells what was scraped of it, and is not asked for it again", async () => {
  const { gateway } = await openBox({ capacityBytes: CAPACITY });
  const { uuid } = gateway.node("d1-0");
  const readAtMs = Date.UTC(2026, 0, 2);
  const capacity = { totalBytes: 500, usedBytes: 100, freeBytes: 400 };
  const seen: NodeFiguresView = { figures: { capacity }, source: "scraped", inflight: 4, waiting: 2, readAtMs };
  const told = async (view: NodeFiguresView): Promise<Partial<Worker>> => {
    const context = { ...adminContext(gateway), figuresOf: (id: string) => (id === uuid ? view : undefined) };
    const { name, inflight, waiting, total_bytes, capacity_source, scraped_at, scrape_error } = workerNamed(
      workersSchema.parse(await workers(context)),
      "d1-0",
    );
    assert.equal(name, "d1-0");
    return { inflight, waiting, total_bytes, capacity_source, scraped_at, scrape_error };
  };
  const known = { inflight: 4, waiting: 2, total_bytes: 500, capacity_source: "scraped" } as const;
  assert.deepEqual(await told(seen), { ...known, scraped_at: "2026-01-02T00:00:00.000Z", scrape_error: null });
  assert.deepEqual(await told({ ...seen, figures: {}, error: "no token" }), {
    ...known,
    total_bytes: null,
    capacity_source: null,
    scraped_at: "2026-01-02T00:00:00.000Z",
    scrape_error: "no token",
  });
  const context = { ...adminContext(gateway), figuresOf: (id: string) => (id === uuid ? seen : undefined) };
  assert.equal((await clusterStatus(context)).total_capacity_bytes, CAPACITY + 500);
  assert.deepEqual(knownCapacities(context, gateway.members.all()), [{ node: "d1-0", domain: "d1", ...capacity }]);
  gateway.nodeDown("d1-0");
  assert.deepEqual(knownCapacities(context, gateway.members.all()), []);
});

test("the kind of a volume's disk is the configured one, else the one that was found", async () => {
  const { gateway } = await openBox({ capacityBytes: CAPACITY });
  const { uuid } = gateway.node("d0-0");
  const seen: NodeFiguresView = {
    figures: { diskType: "ssd", ioUtilization: 0.25 },
    source: "statfs",
    inflight: 0,
    waiting: 0,
    readAtMs: 1,
  };
  const context = { ...adminContext(gateway), figuresOf: () => seen };
  const worker = async (): Promise<Worker> => workerNamed(await view(workersSchema, workers(context)), "d0-0");
  const found = await worker();
  assert.deepEqual(
    [found.disk_type, found.io_utilization, found.capacity_source, found.total_bytes, found.scraped_at],
    ["ssd", 0.25, "statfs", CAPACITY, null],
  );
  gateway.members.setSpec(uuid, { diskType: "hdd" });
  assert.equal((await worker()).disk_type, "hdd");
});

test("a volume that is being compacted tells how far it is and what came back", async () => {
  const { gateway } = await openBox({});
  const running = { volume: 7, doneBytes: 30, totalBytes: 90 };
  const totals = { runs: 4, failures: 1, movedBytes: 100, removedVolumes: 3, removedBytes: 900, damagedRecords: 2 };
  const usage = { volumes: 5, liveBytes: 2_000, deadBytes: 500, compaction: { ...totals, running } };
  const context = { ...adminContext(gateway), usageOf: () => usage };
  const found = await view(workersSchema, workers(context));
  assert.deepEqual(found.workers[0]?.compaction, {
    volume: 7,
    progress_pct: 33,
    moved_bytes: 100,
    removed_bytes: 900,
    removed_volumes: 3,
    failures: 1,
    damaged_copies: 2,
  });
  assert.deepEqual([found.workers[0]?.live_bytes, found.workers[0]?.dead_bytes], [2_000, 500]);
});

test("a node that is away, full or cannot tell its capacity is listed so", async () => {
  const { gateway } = await openBox({ nodesPerDomain: 2 });
  gateway.nodeDown("d0-0");
  gateway.members.full.add(gateway.node("d0-1").uuid);
  gateway.node("d1-0").control.capacity = () => Promise.reject(new NodeError("timeout", "no answer"));
  gateway.node("d1-1").control.capacity = async () => undefined;
  const found = await view(workersSchema, workers(adminContext(gateway)));
  assert.deepEqual([workerNamed(found, "d0-0").state, workerNamed(found, "d0-0").accepts_writes], ["degraded", false]);
  assert.deepEqual([workerNamed(found, "d0-1").state, workerNamed(found, "d0-1").accepts_writes], ["online", false]);
  for (const name of ["d0-0", "d1-0", "d1-1"]) assert.equal(workerNamed(found, name).total_bytes, null);
});

test("domains are listed in order of priority with what their nodes have together", async () => {
  const { gateway } = await openBox({ nodesPerDomain: 2, standbyNodes: 1, capacityBytes: CAPACITY, replicaCount: 2 });
  gateway.nodeDown("d1-0");
  const found = await view(domainsSchema, domains(adminContext(gateway)));
  assert.deepEqual([found.replication_factor, found.write_quorum], [2, 2]);
  const [first, second, standby] = found.domains;
  assert.deepEqual(first, {
    name: "d0",
    role: "active",
    priority: 0,
    accepts_writes: true,
    min_nodes: 1,
    replica_count: 2,
    node_count: 2,
    nodes_online: 2,
    total_bytes: 2 * CAPACITY,
    used_bytes: 0,
    free_bytes: 2 * CAPACITY,
  });
  assert.deepEqual(
    [second?.priority, second?.node_count, second?.nodes_online, second?.total_bytes],
    [1, 2, 1, CAPACITY],
  );
  assert.deepEqual([standby?.role, standby?.priority, standby?.node_count], ["standby", null, 1]);
});

test("what waits for replication is counted by what is the matter with it", async () => {
  const { gateway, client } = await openBox({ nodesPerDomain: 2, policy: { domainChoice: "priority" } });
  for (const key of ["missing", "later", "unverified", "corrupt", "fine", "dying"])
    await client.put(`box/${key}`, BYTES);
  await changeSlot(gateway, "missing", 1, ({ domain }) => ({ state: "missing", domain }));
  const sinceMs = gateway.clock.nowMs();
  gateway.clock.advance(10_000);
  await changeSlot(gateway, "later", 1, ({ domain }) => ({ state: "missing", domain }));
  await changeSlot(gateway, "unverified", 1, (slot) => ({ ...slot, state: "unverified" }));
  await changeSlot(gateway, "corrupt", 1, (slot) => ({ ...slot, state: "corrupt" }));
  for (const name of ["d1-0", "d1-1"]) gateway.nodeDown(name);
  await client.put("box/handoff", BYTES);
  await client.delete("box/dying");
  gateway.node("d0-0").store.add(copyKey(1, gateway.random), { blobId: "a".repeat(32), bytes: BYTES });
  const expected = {
    missing: 2,
    handoff: 1,
    unverified: 1,
    corrupt: 1,
    // The copies of two slots that became missing, and of the object that was deleted.
    dying_blobs: 3,
    orphans: 0,
    orphans_removed: 0,
    orphans_checked_at: null,
    dead_letters: 0,
    oldest_missing_since: new Date(sinceMs).toISOString(),
    more: false,
  };
  assert.deepEqual(await view(replicationSchema, replication(adminContext(gateway))), expected);
  await gateway.restart();
  gateway.node("d0-0").control.hooks.delete = () => Promise.reject(new NodeError("busy", "later"));
  await gateway.collectOrphans();
  const checkedAt = new Date(gateway.clock.nowMs()).toISOString();
  const found = { ...expected, orphans: 1, orphans_checked_at: checkedAt };
  assert.deepEqual(await view(replicationSchema, replication(adminContext(gateway))), found);
});

test("a node that is not configured any more counts as long as copies are on record on it", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  const context = withoutNode(gateway, "d1-0");
  const status = await view(clusterStatusSchema, clusterStatus(context));
  assert.deepEqual([status.cluster_healthy, status.worker_count, status.workers_degraded], [false, 2, 1]);
  assert.deepEqual(
    (await workers(context)).workers.map(({ name }) => name),
    ["d0-0"],
  );
  await client.delete("box/a");
  await gateway.sweepPastGrace();
  assert.equal((await clusterStatus(context)).worker_count, 1);
});

/** What a process sees whose configuration does not name the node. */
function withoutNode(gateway: InMemoryGateway, name: string): AdminContext {
  const { topology } = gateway.members;
  const nodes = [...gateway.nodes.values()].filter((node) => node.name !== name);
  const members = new StaticMembers({
    topology,
    placement: createPlacement(topology, quickHasher),
    nodes: new Map(nodes.map(({ uuid, control }) => [uuid, control])),
  });
  return { ...adminContext(gateway), members: () => members };
}
