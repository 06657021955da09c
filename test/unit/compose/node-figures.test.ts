/** What a gateway makes of a node's metrics: load, room, announcements, the log. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SCRAPE_BYTES_MAX, SCRAPE_MS_MAX } from "../../../src/nodes/s3/metrics-scrape.ts";
import { RETRY_MS, STALE_PERIODS } from "../../../src/nodes/wrappers/figures-watch.ts";
import {
  answerWith,
  CACHE_MS,
  type MetricsAnswer,
  metricsText,
  openWatchedHandle,
  startMetricsService,
} from "../../support/metrics-service.ts";

const refuse: MetricsAnswer = (response) => response.writeHead(403).end('{"Code":"AccessDenied"}');
const UNKNOWN_DISK = 0.2;

const near = (actual: number, expected: number): void => assert.ok(Math.abs(actual - expected) < 1e-9, `${actual}`);

async function failures(metrics: { render(): Promise<{ body: string }> }): Promise<number> {
  const { body } = await metrics.render();
  return Number(/^s3_node_scrape_failures_total\{node="node"\} (\d+)$/m.exec(body)?.[1] ?? 0);
}

test("a server that refuses to tell is unknown, not away: that is said once and counted every time", async (t) => {
  const service = await startMetricsService(t);
  service.answer = refuse;
  const { handle, metrics, logged, firstReading, nextReading } = await openWatchedHandle(t, service);
  const reason = "the node does not tell its metrics without a token (403)";
  await firstReading(() => assert.equal(handle.figures().error, reason));
  for (let failed = 2; failed <= 7; failed++) {
    await nextReading(async () => assert.equal(await failures(metrics), failed));
    assert.equal(handle.figures().error, reason);
  }
  assert.equal(logged.length, 1, logged.join("\n"));
  assert.match(logged[0] ?? "", /^warn a node's metrics cannot be read.*without a token/);
  assert.equal(handle.available(), true);
  assert.equal(handle.hasRoom(), true);
  near(handle.loadScore(), UNKNOWN_DISK);
  assert.equal(handle.figures().readAtMs, undefined);
});

test("that metrics are read again is said once", async (t) => {
  const service = await startMetricsService(t);
  service.answer = refuse;
  const { handle, clock, logged, firstReading, nextReading } = await openWatchedHandle(t, service);
  await firstReading(() => assert.notEqual(handle.figures().error, undefined));
  service.answer = answerWith(metricsText([[25, 75]]));
  for (let i = 0; i < 2; i++) await nextReading(() => assert.equal(handle.figures().readAtMs, clock.nowMs()));
  assert.deepEqual(
    logged.map((line) => line.split(" ")[0]),
    ["warn", "info"],
  );
});

test("a token goes to the server and nowhere else", async (t) => {
  const service = await startMetricsService(t);
  const given: (string | undefined)[] = [];
  service.answer = (response, authorization) => {
    given.push(authorization);
    response.writeHead(401).end();
  };
  const { handle, logged, metrics, firstReading } = await openWatchedHandle(t, service, { token: "very-secret" });
  await firstReading(() => assert.equal(handle.figures().error, "the node refuses the metrics token (401)"));
  assert.deepEqual(given, ["Bearer very-secret"]);
  assert.doesNotMatch(logged.join() + JSON.stringify(handle.figures()) + (await metrics.render()).body, /very-secret/);
});

test("a server that never answers a scrape holds up nobody, and is given up after some seconds", async (t) => {
  const service = await startMetricsService(t);
  const { handle, clock, firstReading, until } = await openWatchedHandle(t, service);
  await firstReading(() => assert.notEqual(handle.figures().figures.capacity, undefined));
  for (const answer of [(): void => {}, ((response) => response.write("up ")) as MetricsAnswer]) {
    const before = service.scrapes;
    service.answer = answer;
    clock.advance(CACHE_MS);
    near(handle.loadScore(), 0);
    await until(() => assert.equal(service.scrapes, before + 1));
    clock.advance(SCRAPE_MS_MAX);
    await until(() => assert.equal(handle.figures().error, "the node did not tell its metrics in time"));
    assert.equal(handle.available(), true);
    service.answer = answerWith(metricsText([[0, 100]]));
    clock.advance(RETRY_MS);
    await until(() => assert.equal(handle.figures().error, undefined));
  }
});

test("an answer without end, a page and metrics of something else bring nothing", async (t) => {
  const service = await startMetricsService(t);
  const { handle, firstReading, nextReading } = await openWatchedHandle(t, service);
  await firstReading(() => assert.notEqual(handle.figures().readAtMs, undefined));
  const page = `# ${"x".repeat(1_000)}\n`;
  for (const [text, reason] of [
    [page.repeat(SCRAPE_BYTES_MAX / 1_000), "the metrics are longer than any server's"],
    ["<!DOCTYPE html><html></html>", "what is at the metrics path are no metrics"],
    ["go_goroutines 12\n", "the metrics tell neither capacity nor requests"],
  ] as const) {
    service.answer = answerWith(text);
    await nextReading(() => assert.equal(handle.figures().error?.replace(/ \(.*/, ""), reason));
  }
});

test("a stale figure is unknown again", async (t) => {
  const service = await startMetricsService(t);
  service.answer = answerWith(metricsText([[97, 3]], { inflight: [100] }));
  const { handle, clock, firstReading } = await openWatchedHandle(t, service);
  await firstReading(() => assert.equal(handle.hasRoom(), false));
  service.answer = refuse;
  clock.advance(STALE_PERIODS * CACHE_MS - 1);
  assert.equal(handle.hasRoom(), false);
  clock.advance(1);
  assert.equal(handle.hasRoom(), true);
  near(handle.loadScore(), UNKNOWN_DISK);
});

test("a server whose drives are nearly full takes no new copies until it tells of more room", async (t) => {
  const service = await startMetricsService(t);
  const { handle, firstReading, nextReading } = await openWatchedHandle(t, service);
  const filled = (used: number): void => {
    service.answer = answerWith(metricsText([[used, 100 - used]]));
  };
  filled(96);
  await firstReading(() => assert.equal(handle.hasRoom(), false));
  assert.equal(handle.available(), true);
  filled(60);
  await nextReading(() => assert.equal(handle.hasRoom(), true));
});

test("a change of a tenth of the capacity is announced and logged", async (t) => {
  const service = await startMetricsService(t);
  const { handle, logged, firstReading, nextReading } = await openWatchedHandle(t, service);
  const changes: number[] = [];
  const stop = handle.onCapacityChanged(({ before, now }) => changes.push(before.totalBytes, now.totalBytes));
  const tell = (free: number) => {
    service.answer = answerWith(metricsText([[0, free]]));
    return () => assert.equal(handle.figures().figures.capacity?.totalBytes, free);
  };
  await firstReading(tell(100));
  await nextReading(tell(105));
  await nextReading(tell(110));
  assert.deepEqual(changes, [100, 110]);
  assert.deepEqual(
    logged.map((line) => line.replace(/ \{.*/, "")),
    ["info a node's capacity changed"],
  );
  stop();
  await nextReading(tell(200));
  assert.deepEqual(changes, [100, 110]);
});

test("a node that was closed is asked no more and leaves no timer", async (t) => {
  const service = await startMetricsService(t);
  const { handle, clock, firstReading } = await openWatchedHandle(t, service);
  await firstReading(() => assert.notEqual(handle.figures().readAtMs, undefined));
  await handle.node.close();
  const { scrapes } = service;
  clock.advance(10 * CACHE_MS);
  handle.loadScore();
  assert.deepEqual([service.scrapes, clock.timers], [scrapes, 0]);
});
