import assert from "node:assert/strict";
import { test } from "node:test";
import { createEvents, type Events } from "../../../src/observability/events.ts";
import { createLoggers } from "../../../src/observability/logger.ts";
import { createMetrics } from "../../../src/observability/metrics.ts";

function recorder(): { events: Events; lines(): Record<string, unknown>[]; scrape(): Promise<string> } {
  const texts: string[] = [];
  const clock = { nowMs: () => 0, monotonicMs: () => 0, startTimer: () => ({ stop() {} }) };
  const loggers = createLoggers({ level: "debug", clock, stream: { write: (line) => void texts.push(line) } });
  const metrics = createMetrics({ version: "1", processMetrics: false });
  return {
    events: createEvents(loggers, metrics),
    lines: () => texts.map((line) => JSON.parse(line) as Record<string, unknown>),
    scrape: async () => (await metrics.render()).body,
  };
}

test("an answered request is one line and one count; a 5xx is an error", async () => {
  const { events, lines, scrape } = recorder();
  const facts = { operation: "GetObject", method: "GET", durationMs: 1, receivedBytes: 0, sentBytes: 5 };
  events.requestFinished({ ...facts, requestId: "r1", status: 200, bucket: "b", key: "k" });
  events.requestFinished({ ...facts, requestId: "r2", status: 503, errorCode: "SlowDown" });
  assert.deepEqual(
    lines().map(({ level, name, requestId, message }) => [level, name, requestId, message]),
    [
      ["info", "s3", "r1", "request answered"],
      ["error", "s3", "r2", "request failed"],
    ],
  );
  const body = await scrape();
  assert.match(body, /bulkhead_s3_requests_total\{operation="GetObject",status="5xx"\} 1/);
  assert.ok(!body.includes('"k"'), "keys are no labels");
});

test("writes below their quorum are warnings, refused ones errors, others only counted", async () => {
  const { events, lines, scrape } = recorder();
  for (const acknowledgement of ["full", "quorum", "degraded", "no"] as const) {
    events.writeDecided({ acknowledgement, copiesDurable: 1, copiesWanted: 2 });
  }
  assert.deepEqual(
    lines().map(({ level }) => level),
    ["warn", "error"],
  );
  assert.match(await scrape(), /bulkhead_writes_total\{acknowledgement="quorum"\} 1/);
});

test("what happens to nodes and copies is logged with its cause and counted", async () => {
  const { events, lines, scrape } = recorder();
  events.nodeStateChanged({ node: "n", domain: "a", from: "healthy", to: "unreachable", cause: "no connection" });
  events.nodeStateChanged({ node: "n", domain: "a", from: "unreachable", to: "healthy", cause: "it answered" });
  events.badCopyFound({ node: "n", blobId: "0f", slot: 1, state: "corrupt", noticedBy: "read" });
  events.copyRestored({ node: "n", blobId: "0f", slot: 1, bytes: 9, cause: "corrupt" });
  assert.deepEqual(
    lines().map(({ level, name }) => [level, name]),
    [
      ["warn", "cluster"],
      ["info", "cluster"],
      ["warn", "replication"],
      ["debug", "replication"],
    ],
  );
  const body = await scrape();
  assert.match(body, /s3_node_state_changes_total\{node="n",state="unreachable"\} 1/);
  assert.match(body, /bulkhead_bad_copies_total\{node="n",state="corrupt"\} 1/);
  assert.match(body, /bulkhead_restored_bytes_total\{cause="corrupt"\} 9/);
});
