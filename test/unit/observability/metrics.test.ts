import assert from "node:assert/strict";
import { test } from "node:test";
import { Registry } from "prom-client";
import type { JournalGauges } from "../../../src/observability/journal-metrics.ts";
import { createMetrics, type Metrics } from "../../../src/observability/metrics.ts";
import { CounterSeries, HistogramSeries } from "../../../src/observability/series.ts";

function metrics(): Metrics {
  return createMetrics({ version: "1.2.3", processMetrics: false });
}

async function linesOf(from: Metrics, name: string): Promise<string[]> {
  const { body } = await from.render();
  return body.split("\n").filter((line) => line.startsWith(name));
}

test("requests are counted by operation and class of status, with their time and bytes", async () => {
  const all = metrics();
  const request = { operation: "PutObject", durationMs: 30, receivedBytes: 10, sentBytes: 0 };
  for (const status of [200, 204, 503]) {
    all.requestStarted();
    all.requestFinished({ ...request, status });
  }
  all.requestStarted();
  assert.deepEqual(await linesOf(all, "bulkhead_s3_requests_total"), [
    'bulkhead_s3_requests_total{operation="PutObject",status="2xx"} 2',
    'bulkhead_s3_requests_total{operation="PutObject",status="5xx"} 1',
  ]);
  assert.deepEqual(await linesOf(all, "bulkhead_s3_received_bytes_total"), [
    'bulkhead_s3_received_bytes_total{operation="PutObject"} 30',
  ]);
  assert.deepEqual(await linesOf(all, "bulkhead_s3_requests_in_flight"), ["bulkhead_s3_requests_in_flight 1"]);
  const duration = await linesOf(all, "bulkhead_s3_request_duration_seconds");
  assert.ok(duration.includes('bulkhead_s3_request_duration_seconds_bucket{operation="PutObject",le="0.025"} 0'));
  assert.ok(duration.includes('bulkhead_s3_request_duration_seconds_bucket{operation="PutObject",le="0.05"} 3'));
  assert.ok(duration.includes('bulkhead_s3_request_duration_seconds_bucket{operation="PutObject",le="+Inf"} 3'));
  assert.ok(duration.includes('bulkhead_s3_request_duration_seconds_sum{operation="PutObject"} 0.09'));
  assert.ok(duration.includes('bulkhead_s3_request_duration_seconds_count{operation="PutObject"} 3'));
});

test("operations on nodes keep the names that dashboards know", async () => {
  const all = metrics();
  const node = all.node("node-a1");
  node.started("put");
  node.started("put");
  node.started("get");
  node.finished("put", "ok", 250, 4096);
  node.finished("put", "timeout", 1000, 0);
  assert.deepEqual(await linesOf(all, "s3_node_operations_total"), [
    's3_node_operations_total{node="node-a1",operation="put",outcome="ok"} 1',
    's3_node_operations_total{node="node-a1",operation="put",outcome="timeout"} 1',
  ]);
  assert.deepEqual(await linesOf(all, "s3_node_operation_seconds_total"), [
    's3_node_operation_seconds_total{node="node-a1",operation="put"} 1.25',
  ]);
  assert.deepEqual(await linesOf(all, "s3_node_operations_in_flight"), [
    's3_node_operations_in_flight{node="node-a1"} 1',
  ]);
});

test("the state of nodes is asked for at each scrape, and nodes that went are not shown", async () => {
  const all = metrics();
  let nodes = [
    { node: "node-a", domain: "a", online: true, loadScore: 0.25 },
    { node: "node-b", domain: "b", online: false, loadScore: 0.5 },
  ];
  all.watchNodes(() => nodes);
  assert.deepEqual(await linesOf(all, "s3_node_online_status"), [
    's3_node_online_status{node="node-a",domain="a"} 1',
    's3_node_online_status{node="node-b",domain="b"} 0',
  ]);
  nodes = nodes.slice(0, 1);
  assert.deepEqual(await linesOf(all, "s3_node_load_score"), ['s3_node_load_score{node="node-a",domain="a"} 0.25']);
});

test("the capacity of nodes is asked for at each scrape, and scrapes of theirs that failed are counted", async () => {
  const all = metrics();
  let nodes = [{ node: "node-a", domain: "a", totalBytes: 100, usedBytes: 30, freeBytes: 70 }];
  all.watchCapacity(() => nodes);
  assert.deepEqual(await linesOf(all, "s3_node_capacity_bytes"), [
    's3_node_capacity_bytes{node="node-a",domain="a",kind="total"} 100',
    's3_node_capacity_bytes{node="node-a",domain="a",kind="used"} 30',
    's3_node_capacity_bytes{node="node-a",domain="a",kind="free"} 70',
  ]);
  nodes = [];
  assert.deepEqual(await linesOf(all, "s3_node_capacity_bytes"), []);
  all.scrapeFailed("node-b");
  all.scrapeFailed("node-b");
  assert.deepEqual(await linesOf(all, "s3_node_scrape_failures_total"), [
    's3_node_scrape_failures_total{node="node-b"} 2',
  ]);
});

test("a gateway that may be cut off shows it", async () => {
  const all = metrics();
  let isolated = true;
  all.watchIsolation(() => isolated);
  assert.deepEqual(await linesOf(all, "bulkhead_gateway_isolated"), ["bulkhead_gateway_isolated 1"]);
  isolated = false;
  assert.deepEqual(await linesOf(all, "bulkhead_gateway_isolated"), ["bulkhead_gateway_isolated 0"]);
});

test("the state, the conditions and the missed probes of nodes are shown, one series for each that holds", async () => {
  const metrics = createMetrics({ version: "1", processMetrics: false });
  const well = { node: "n1", state: "online", conditions: [], missedProbes: 0 };
  metrics.watchHealth(() => [well, { node: "n2", state: "degraded", conditions: ["full", "slow"], missedProbes: 3 }]);
  metrics.eventRecorded("NODE_FULL");
  metrics.eventRecorded("NODE_FULL");
  const { body } = await metrics.render();
  const shown = body.split("\n").filter((line) => /^(s3_node_(state|condition|missed)|bulkhead_events)/.test(line));
  assert.deepEqual(shown, [
    'bulkhead_events_total{kind="NODE_FULL"} 2',
    's3_node_state{node="n1",state="online"} 1',
    's3_node_state{node="n2",state="degraded"} 1',
    's3_node_condition{node="n2",condition="full"} 1',
    's3_node_condition{node="n2",condition="slow"} 1',
    's3_node_missed_probes{node="n1"} 0',
    's3_node_missed_probes{node="n2"} 3',
  ]);
});

test("what volumes hold and what compaction did is asked for at each scrape", async () => {
  const all = metrics();
  const compaction = { runs: 3, failures: 1, movedBytes: 10, removedBytes: 100, damagedRecords: 0 };
  const volume = { node: "node-v", liveBytes: 7, deadBytes: 5, compaction };
  all.watchVolumes(() => [volume]);
  for (const [name, value] of [
    ["bulkhead_volume_live_bytes", 7],
    ["bulkhead_volume_dead_bytes", 5],
    ["bulkhead_compaction_runs_total", 3],
    ["bulkhead_compaction_failures_total", 1],
    ["bulkhead_compaction_moved_bytes_total", 10],
    ["bulkhead_compaction_removed_bytes_total", 100],
    ["bulkhead_compaction_damaged_copies_total", 0],
  ] as const) {
    for (let scrape = 0; scrape < 2; scrape++) {
      assert.deepEqual(await linesOf(all, name), [`${name}{node="node-v"} ${value}`]);
    }
  }
});

test("a source that fails is left out of a scrape, and the rest is shown", async () => {
  const all = metrics();
  let fail = true;
  all.watchBacklog(async () => {
    if (fail) throw new Error("no catalog");
    return { missing: 3, orphan: 0 };
  });
  assert.deepEqual(await linesOf(all, "bulkhead_backlog"), []);
  assert.deepEqual(await linesOf(all, "bulkhead_build_info"), ['bulkhead_build_info{version="1.2.3"} 1']);
  fail = false;
  assert.deepEqual(await linesOf(all, "bulkhead_backlog"), [
    'bulkhead_backlog{kind="missing"} 3',
    'bulkhead_backlog{kind="orphan"} 0',
  ]);
});

test("the journal is asked for once a scrape, and what is not known of it is left out", async () => {
  const all = metrics();
  let reads = 0;
  const journal: JournalGauges = {
    lagMs: 1_500,
    durableVersion: 7,
    written: { segments: 3, bytes: 100, failures: 1 },
    bytes: 200,
    rebuildable: true,
    missingCommits: 0,
    domains: [
      { domain: "a", lagCommits: 0 },
      { domain: "b", lagCommits: 5 },
    ],
  };
  let answer = (): JournalGauges => journal;
  all.watchJournal(() => {
    reads++;
    return answer();
  });
  assert.deepEqual(await linesOf(all, "bulkhead_journal_"), [
    "bulkhead_journal_lag_seconds 1.5",
    "bulkhead_journal_durable_version 7",
    "bulkhead_journal_bytes 200",
    "bulkhead_journal_rebuildable 1",
    "bulkhead_journal_missing_commits 0",
    "bulkhead_journal_segments_total 3",
    "bulkhead_journal_written_bytes_total 100",
    "bulkhead_journal_failures_total 1",
    'bulkhead_journal_domain_lag_commits{domain="a"} 0',
    'bulkhead_journal_domain_lag_commits{domain="b"} 5',
  ]);
  assert.equal(reads, 1);
  answer = () => ({ ...journal, snapshotAgeMs: 60_000, written: { segments: 4, bytes: 120, failures: 1 } });
  assert.deepEqual(await linesOf(all, "bulkhead_journal_snapshot"), ["bulkhead_journal_snapshot_age_seconds 60"]);
  assert.deepEqual(await linesOf(all, "bulkhead_journal_segments"), ["bulkhead_journal_segments_total 4"]);
  answer = () => {
    throw new Error("no journal");
  };
  assert.deepEqual(await linesOf(all, "bulkhead_journal_lag"), []);
});

test("series beyond their limit are counted together", async () => {
  const registry = new Registry();
  const counter = new CounterSeries(registry, { name: "c", help: "h", labelNames: ["l"], seriesMax: 40 });
  for (let i = 0; i < 100; i++) counter.add(counter.series(`v${i}`));
  counter.add(counter.series("v0"));
  const lines = (await registry.metrics()).split("\n").filter((line) => line.startsWith("c{"));
  assert.equal(lines.length, 40);
  assert.ok(lines.includes('c{l="v0"} 2'));
  assert.ok(lines.includes('c{l="other"} 61'));
});

test("a value on a bound belongs to that bucket", async () => {
  const registry = new Registry();
  const histogram = new HistogramSeries(registry, {
    name: "h",
    help: "h",
    labelNames: [],
    seriesMax: 1,
    bounds: [1, 2],
  });
  for (const value of [1, 1.5, 2, 3]) histogram.observe(histogram.series(), value);
  const lines = (await registry.metrics()).split("\n").filter((line) => line.startsWith("h_"));
  assert.deepEqual(lines, [
    'h_bucket{le="1"} 1',
    'h_bucket{le="2"} 3',
    'h_bucket{le="+Inf"} 4',
    "h_sum 7.5",
    "h_count 4",
  ]);
});

test("labels are escaped, and the wrong number of them is a mistake", async () => {
  const registry = new Registry();
  const counter = new CounterSeries(registry, { name: "c", help: "h", labelNames: ["l"], seriesMax: 4 });
  counter.add(counter.series('a"b\\c\nd'));
  assert.match(await registry.metrics(), /c\{l="a\\"b\\\\c\\nd"\} 1/);
  assert.throws(() => counter.series("a", "b"), RangeError);
});

test("the metrics of the process are there when asked for", async () => {
  const all = createMetrics({ version: "1.2.3", processMetrics: true });
  assert.equal((await linesOf(all, "process_resident_memory_bytes")).length, 1);
});
