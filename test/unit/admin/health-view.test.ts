/** Events and the health of nodes as the admin API tells of them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { workers } from "../../../src/admin/cluster-views.ts";
import { eventsSchema } from "../../../src/admin/health-types.ts";
import { listEvents, rejoin } from "../../../src/admin/health-view.ts";
import { ApiError } from "../../../src/admin/problem.ts";
import { changeTopology } from "../../../src/cluster/change-topology.ts";
import { CatalogEventLog } from "../../../src/cluster/events/catalog-event-log.ts";
import type { Heartbeat } from "../../../src/cluster/health/heartbeat.ts";
import { loadTopology } from "../../../src/cluster/topology-store.ts";
import { silentLogger } from "../../../src/observability/logger.ts";
import { adminContext } from "../../support/admin-context.ts";
import { turns } from "../../support/in-memory-gateway.ts";
import { openBox } from "../../support/open-box.ts";

test("events are listed after a number or from the newest, with the number to go on from", async () => {
  const { gateway } = await openBox();
  const { catalog } = gateway.process;
  await using log = new CatalogEventLog({ catalog, clock: gateway.clock, logger: silentLogger, gateway: "g/1" });
  await log.start();
  const empty = await listEvents({ events: log }, {});
  assert.deepEqual(empty, { events: [], last: 0 });
  for (const cause of ["a", "b", "c"]) log.record({ kind: "NODE_SLOW", node: "d0-0", domain: "d0", cause });
  await turns();
  const answer = await listEvents({ events: log }, { after: "1", limit: "1" });
  assert.deepEqual(eventsSchema.parse(answer), answer);
  assert.deepEqual(answer, {
    events: [
      {
        sequence: 2,
        kind: "NODE_SLOW",
        time: new Date(gateway.clock.nowMs()).toISOString(),
        node: "d0-0",
        domain: "d0",
        cause: "b",
        gateway: "g/1",
      },
    ],
    last: 2,
  });
  assert.equal((await listEvents({ events: log }, { limit: "2" })).events[0]?.cause, "b");
  assert.deepEqual(await listEvents({ events: log }, { after: "3" }), { events: [], last: 3 });
  for (const query of [{ after: "-1" }, { after: "x" }, { limit: "0" }, { limit: "1001" }, { limit: "1.5" }]) {
    await assert.rejects(
      listEvents({ events: log }, query),
      (error) => error instanceof ApiError && error.status === 400,
      JSON.stringify(query),
    );
  }
});

test("a decommissioned node is taken back by its name; one that is not, or nobody knows, is refused", async () => {
  const { gateway } = await openBox();
  const context = adminContext(gateway);
  const { uuid } = gateway.node("d0-0");
  await changeTopology(gateway.process.catalog, ({ records }) => {
    const record = records.get(uuid) ?? assert.fail();
    return { nodes: [{ ...record, decommissionedAtMs: 5 }] };
  });
  assert.equal((await loadTopology(gateway.kv))?.records.get(uuid)?.decommissionedAtMs, 5);
  const { workers: answer } = await rejoin(context, "d0-0");
  assert.deepEqual(
    answer.map(({ name }) => name),
    ["d0-0"],
  );
  assert.equal((await loadTopology(gateway.kv))?.records.get(uuid)?.decommissionedAtMs, undefined);
  for (const [name, status] of [
    ["d0-0", 409],
    ["nobody", 404],
  ] as const) {
    await assert.rejects(rejoin(context, name), (error) => error instanceof ApiError && error.status === status);
  }
});

test("a worker tells its conditions, its missed probes and its heartbeat, with null for what is not known", async () => {
  const { gateway } = await openBox();
  const context = adminContext(gateway);
  const { uuid } = gateway.node("d0-0");
  gateway.members.full.add(uuid);
  const heartbeat: Heartbeat = {
    workerId: uuid,
    atMs: 0,
    storage: {
      capacity: { totalBytes: 10, usedBytes: 4, freeBytes: 6 },
      diskType: "ssd",
      diskModel: undefined,
      ioUtilization: undefined,
      iopsCurrent: 2.5,
    },
    isMaster: false,
    uptimeSeconds: 60,
    diskHealth: "full",
  };
  const all = gateway.members.all().map((member) => (member.spec.uuid === uuid ? { ...member, heartbeat } : member));
  const members = new Proxy(gateway.members, {
    get: (target, property) => {
      const value: unknown = property === "all" ? () => all : Reflect.get(target, property, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const { workers: answer } = await workers({ ...context, members: () => members });
  const [first, second] = answer;
  assert.deepEqual([first?.state, first?.conditions, first?.missed_probes], ["online", ["full"], 0]);
  assert.deepEqual(first?.heartbeat, {
    worker_id: uuid,
    at: "1970-01-01T00:00:00.000Z",
    storage: {
      total_bytes: 10,
      used_bytes: 4,
      free_bytes: 6,
      disk_type: "ssd",
      disk_model: null,
      io_utilization: null,
      iops_current: 2.5,
    },
    replication: { tier1_files: null, tier2_files: null, tier3_files: null, pending_replications: null },
    is_master: false,
    uptime_seconds: 60,
    disk_health: "full",
  });
  assert.equal(second?.heartbeat, null);
});
