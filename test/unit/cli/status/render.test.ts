/** The status screen as it is seen, at the widths that terminals have. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import type { Worker } from "../../../../src/admin/api-types.ts";
import { bar } from "../../../../src/cli/status/layout.ts";
import { type Frame, renderStatus } from "../../../../src/cli/status/render.ts";
import type { StatusView } from "../../../../src/cli/status/status-view.ts";

const NOW_MS = Date.parse("2026-11-22T12:00:00.000Z");
const GIB = 2 ** 30;

const NODE: Worker = {
  worker_id: "0a",
  name: "node-a1",
  domain: "domain-a",
  home_domain: "domain-a",
  kind: "s3",
  endpoint: "http://10.0.0.1:9000",
  state: "online",
  reason: null,
  since: "2026-11-20T10:00:00.000Z",
  accepts_writes: true,
  weight: 100,
  host: "10.0.0.1",
  rack: null,
  physical_storage_id: "node-a1",
  disk_type: "unknown",
  total_bytes: 4 * GIB,
  used_bytes: 1.5 * GIB,
  free_bytes: 2.5 * GIB,
  load_score: 0.25,
  inflight: 0,
  waiting: 0,
  capacity_source: "scraped",
  io_utilization: null,
  scraped_at: null,
  scrape_error: null,
  live_bytes: null,
  dead_bytes: null,
  compaction: null,
  promoted: false,
  conditions: [],
  missed_probes: 0,
  heartbeat: null,
};

const DOMAIN = {
  name: "domain-a",
  role: "active",
  priority: 0,
  accepts_writes: true,
  min_nodes: 1,
  replica_count: 1,
  node_count: 2,
  nodes_online: 2,
  total_bytes: 8 * GIB,
  used_bytes: 3 * GIB,
  free_bytes: 5 * GIB,
} as const;

const VIEW: StatusView = {
  status: {
    cluster_healthy: false,
    total_capacity_bytes: 8 * GIB,
    used_bytes: 3 * GIB,
    free_bytes: 5 * GIB,
    utilization_pct: 37.5,
    master_id: null,
    worker_count: 4,
    workers_healthy: 3,
    workers_degraded: 1,
    pending_replications: 7,
    journal: { mode: "async", lag_ms: 3_210, lag_commits: 12, failure: null },
    coordinator: { kind: "redis", available: true, leader: false },
  },
  domains: {
    replication_factor: 2,
    write_quorum: 2,
    domains: [
      DOMAIN,
      { ...DOMAIN, name: "domain-b", nodes_online: 1, total_bytes: 0, used_bytes: 0, free_bytes: 0 },
      {
        ...DOMAIN,
        name: "standby",
        role: "standby",
        priority: null,
        node_count: 1,
        nodes_online: 1,
        used_bytes: 7.9 * GIB,
      },
    ],
  },
  workers: [
    NODE,
    {
      ...NODE,
      name: "node-b1",
      domain: "domain-b",
      home_domain: "standby",
      accepts_writes: false,
      used_bytes: 3.9 * GIB,
    },
    {
      ...NODE,
      name: "node-b2",
      domain: "domain-b",
      home_domain: "domain-b",
      state: "unreachable",
      since: "2026-11-22T11:55:00.000Z",
      reason: "reach: the node cannot be reached \u001B[31m(ECONNREFUSED)",
      total_bytes: null,
      used_bytes: null,
      free_bytes: null,
    },
  ],
  replication: {
    more: false,
    missing: 5,
    handoff: 2,
    unverified: 0,
    corrupt: 0,
    dying_blobs: 3,
    orphans: 0,
    orphans_removed: 0,
    orphans_checked_at: null,
    dead_letters: 0,
    oldest_missing_since: "2026-11-22T11:54:00.000Z",
  },
  jobs: [
    { id: "01a2b3", kind: "DRAIN", subject: "node-a1", state: "running", progress_pct: 42.5, eta_seconds: 750 },
    { id: "01a2b4", kind: "RESYNC", state: "queued" },
  ],
  events: [
    { at: "2026-11-22T11:50:00.000Z", kind: "NODE_ADDED", node: "node-a1" },
    {
      at: "2026-11-22T11:55:00.123Z",
      kind: "NODE_OFFLINE",
      node: "node-b2",
      domain: "domain-b",
      cause: "5 probes missed",
    },
  ],
};

const AT_120 = `\
Cluster:   not healthy
Nodes:     3 of 4 healthy
Capacity:  [#######-------------]  37 %  3.0 GiB of 8.0 GiB, 5.0 GiB free
Policy:    factor 2, quorum 2
Journal:   async, behind 3.2 s
Leader:    redis, this gateway does not lead
Copies:    missing 5, handoff 2, unverified 0, corrupt 0, dead letters 0 (missing for 6 min)
Removal:   dying blobs 3, orphans 0

DOMAINS
domain-a  active   2/2 online  [#######-------------]  37 %  3.0 GiB of 8.0 GiB
domain-b  active   1/2 online  -                             -
standby   standby  1/1 online  [###################-]  98 %  7.9 GiB of 8.0 GiB

NODES
NAME     DOMAIN                    STATE              SINCE  LOAD  USED                          OF       REASON
node-a1  domain-a                  online             2 d    0.25  [#######-------------]  37 %  4.0 GiB
node-b1  domain-b (home: standby)  online, no writes  2 d    0.25  [###################-]  97 %  4.0 GiB
node-b2  domain-b                  unreachable        5 min  0.25  -                             -        reach: the no~

JOBS
DRAIN   node-a1  running  [########------------]  42 %  12 min left  01a2b3
RESYNC           queued   -                                          01a2b4

EVENTS
2026-11-22 11:55:00  NODE_OFFLINE  node-b2  5 probes missed
2026-11-22 11:50:00  NODE_ADDED    node-a1`;

const AT_80 = `\
Cluster:   not healthy
Nodes:     3 of 4 healthy
Capacity:  [###-------]  37 %  3.0 GiB of 8.0 GiB, 5.0 GiB free
Policy:    factor 2, quorum 2
Journal:   async, behind 3.2 s
Leader:    redis, this gateway does not lead
Copies:    missing 5, handoff 2, unverified 0, corrupt 0, dead letters 0 (missi~
Removal:   dying blobs 3, orphans 0

DOMAINS
domain-a  active   2/2 online  [###-------]  37 %  3.0 GiB of 8.0 GiB
domain-b  active   1/2 online  -                   -
standby   standby  1/1 online  [#########-]  98 %  7.9 GiB of 8.0 GiB

NODES
NAME     DOMAIN                    STATE              SINCE  LOAD  USED        ~
node-a1  domain-a                  online             2 d    0.25  [###-------]~
node-b1  domain-b (home: standby)  online, no writes  2 d    0.25  [#########-]~
node-b2  domain-b                  unreachable        5 min  0.25  -           ~

JOBS
DRAIN   node-a1  running  [####------]  42 %  12 min left  01a2b3
RESYNC           queued   -                                01a2b4

EVENTS
2026-11-22 11:55:00  NODE_OFFLINE  node-b2  5 probes missed
2026-11-22 11:50:00  NODE_ADDED    node-a1`;

const PLAIN: Frame = { width: 120, height: undefined, colors: false, nowMs: NOW_MS };

test("at 120 columns the screen is as it is", () => {
  assert.equal(renderStatus(VIEW, PLAIN).join("\n"), AT_120);
});

test("at 80 columns bars are shorter, and what does not fit is cut at the end of its line", () => {
  const lines = renderStatus(VIEW, { ...PLAIN, width: 80 });
  assert.equal(lines.join("\n"), AT_80);
  assert.deepEqual(
    lines.filter((line) => line.length > 80),
    [],
  );
});

test("without a terminal nothing is cut, and what a node says moves no cursor", () => {
  const text = renderStatus(VIEW, { ...PLAIN, width: undefined }).join("\n");
  assert.match(text, /reach: the node cannot be reached \\u\{1b\}\[31m\(ECONNREFUSED\)$/m);
  assert.equal(stripVTControlCharacters(text), text);
});

test("colours change nothing but the colours", () => {
  const text = renderStatus(VIEW, { ...PLAIN, colors: true }).join("\n");
  assert.notEqual(text, AT_120);
  assert.equal(stripVTControlCharacters(text), AT_120);
});

test("what the gateway does not tell has no section", () => {
  const text = renderStatus({ ...VIEW, jobs: undefined, events: undefined }, PLAIN).join("\n");
  assert.doesNotMatch(text, /JOBS|EVENTS/);
  assert.doesNotMatch(renderStatus({ ...VIEW, jobs: [], events: [] }, PLAIN).join("\n"), /JOBS|EVENTS/);
});

test("where not all nodes fit on the screen, those in trouble do, and it is said how many are left", () => {
  const many = Array.from({ length: 100 }, (_, at): Worker => ({ ...NODE, name: `node-${at}` }));
  const workers = [...many, { ...NODE, name: "last", state: "unreachable" as const }];
  const lines = renderStatus({ ...VIEW, workers }, { ...PLAIN, height: 40 });
  assert.equal(lines.length, 40);
  const nodes = lines.slice(lines.indexOf("NODES") + 2, lines.indexOf("JOBS") - 1);
  assert.match(nodes[0] ?? "", /^last .*unreachable/);
  const left = workers.length - (nodes.length - 1);
  assert.equal(nodes.at(-1), `and ${left} more: bulkhead nodes`);
  assert.ok(lines.includes("EVENTS"));
});

test("a screen of any size is filled and never overflows", () => {
  for (let height = 1; height < 40; height++) {
    for (let width = 1; width < 130; width += 7) {
      const lines = renderStatus(VIEW, { ...PLAIN, width, height });
      assert.ok(lines.length <= height);
      assert.ok(lines.every((line) => line.length <= width));
    }
  }
});

test("a bar is full only when all of it is done", () => {
  assert.equal(bar(0, 4), "[----]   0 %");
  assert.equal(bar(0.999, 10), "[#########-]  99 %");
  assert.equal(bar(1, 4), "[####] 100 %");
  assert.equal(bar(7, 4), "[####] 100 %");
  assert.equal(bar(undefined, 4), "");
  assert.equal(bar(Number.NaN, 4), "");
});
