/** G15: the load score always 0.5, only the first series of a metric read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { answerWith, metricsText, openWatchedHandle, startMetricsService } from "../../support/metrics-service.ts";

const near = (actual: number, expected: number): void => assert.ok(Math.abs(actual - expected) < 1e-9, `${actual}`);

test("G15: the load score of an S3 node follows what its server tells, and is not always a half", async (t) => {
  const service = await startMetricsService(t);
  const { handle, firstReading, nextReading } = await openWatchedHandle(t, service);
  service.answer = answerWith(metricsText([[25, 75]]));
  // Its own counters are known from the start, its disk is not.
  near(handle.loadScore(), 0.2);
  await firstReading(() => near(handle.loadScore(), 0.1));
  service.answer = answerWith(metricsText([[75, 25]], { inflight: [40], waiting: 10 }));
  await nextReading(() => near(handle.loadScore(), 0.3 + 0.14 + 0.05));
  service.answer = answerWith(metricsText([[100, 0]], { inflight: [100], waiting: 50 }));
  await nextReading(() => near(handle.loadScore(), 1));
});

test("G15: every series of a metric is read, not the first one", async (t) => {
  const service = await startMetricsService(t);
  const { handle, firstReading } = await openWatchedHandle(t, service);
  // The first drive alone is full and the first operation alone is idle.
  service.answer = answerWith(
    metricsText(
      [
        [100, 0],
        [20, 180],
        [80, 20],
      ],
      { inflight: [0, 30, 10] },
    ),
  );
  await firstReading(() => {
    const { capacity, inflight } = handle.figures().figures;
    assert.deepEqual(capacity, { totalBytes: 400, usedBytes: 200, freeBytes: 200 });
    assert.equal(inflight, 40);
  });
  near(handle.loadScore(), 0.5 * 0.4 + 0.4 * 0.35);
  assert.equal(handle.hasRoom(), true);
});
