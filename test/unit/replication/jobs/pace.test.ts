/** The pace of what restores redundancy, the estimates of jobs, and the limits of what is moved. */
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import fc from "fast-check";
import { type EndedRequest, ForegroundMeter, metered } from "../../../../src/observability/foreground.ts";
import { pace, progress, remainingMs, type Sample, withSample } from "../../../../src/replication/jobs/estimate.ts";
import { MoveLimits } from "../../../../src/replication/jobs/move-limits.ts";
import {
  FIRST_PACE,
  FLOOR_SHARE,
  nextPace,
  type PaceState,
  paceAfterPause,
  SHARE_MAX,
} from "../../../../src/replication/jobs/pace-controller.ts";
import { RestorePace } from "../../../../src/replication/jobs/restore-pace.ts";
import { turns } from "../../../support/in-memory-gateway.ts";
import { ManualClock } from "../../../support/manual-clock.ts";
import { seeded } from "../../../support/seeded.ts";

const MIB = 2 ** 20;
const NEVER = new AbortController().signal;

const aSeen = fc.record({
  inflight: fc.nat(1_000),
  latencyMs: fc.option(fc.float({ min: 0, max: 100_000, noNaN: true }), { nil: undefined }),
  restoredBytesPerSecond: fc.nat(10_000 * MIB),
  restoredCopiesPerSecond: fc.nat(100_000),
});

test("whatever clients feel, restoring keeps a fifth of the nodes' bandwidth and stays below what they might do", () => {
  fc.assert(
    fc.property(fc.array(aSeen, { maxLength: 200 }), (steps) => {
      let state: PaceState = FIRST_PACE;
      for (const seen of steps) {
        state = nextPace(state, seen);
        const { bytesPerSecond, bandwidthBytesPerSecond, copiesPerSecond, bandwidthCopiesPerSecond } = state;
        assert.ok(bytesPerSecond >= FLOOR_SHARE * bandwidthBytesPerSecond);
        assert.ok(bytesPerSecond <= SHARE_MAX * bandwidthBytesPerSecond);
        assert.ok(bandwidthBytesPerSecond >= seen.restoredBytesPerSecond);
        assert.ok(copiesPerSecond >= FLOOR_SHARE * bandwidthCopiesPerSecond);
        assert.ok(copiesPerSecond <= SHARE_MAX * bandwidthCopiesPerSecond);
        assert.ok(bandwidthCopiesPerSecond >= seen.restoredCopiesPerSecond);
      }
    }),
  );
});

function after(state: PaceState, times: number, seen: Parameters<typeof nextPace>[1]): PaceState {
  let now = state;
  for (let at = 0; at < times; at++) now = nextPace(now, seen);
  return now;
}

test("it slows down where clients wait longer than in quiet times, and speeds up again when they do not", () => {
  const calm = { inflight: 2, latencyMs: 4, restoredBytesPerSecond: 50 * MIB, restoredCopiesPerSecond: 40 };
  const quiet = after(FIRST_PACE, 5, calm);
  const slowed = after(quiet, 5, { ...calm, inflight: 8, latencyMs: 8 });
  assert.ok(slowed.bytesPerSecond < quiet.bytesPerSecond / 2);
  assert.ok(slowed.copiesPerSecond < quiet.copiesPerSecond / 2);
  const floor = after(slowed, 12, { ...calm, inflight: 8, latencyMs: 400 });
  assert.equal(floor.bytesPerSecond, floor.bandwidthBytesPerSecond * FLOOR_SHARE);
  const again = after(floor, 20, calm);
  assert.ok(again.bytesPerSecond > floor.bytesPerSecond);
  const idle = nextPace(floor, { ...calm, inflight: 0, latencyMs: undefined });
  assert.ok(idle.bytesPerSecond > nextPace(floor, calm).bytesPerSecond);
});

test("with nobody there a pace that was found too slow grows to what the nodes can do", () => {
  const canCopiesPerSecond = 2_000;
  let state = FIRST_PACE;
  for (let step = 0; step < 30; step++) {
    const restoredCopiesPerSecond = Math.min(state.copiesPerSecond, canCopiesPerSecond);
    const none = { inflight: 0, latencyMs: undefined };
    state = nextPace(state, {
      ...none,
      restoredBytesPerSecond: 4096 * restoredCopiesPerSecond,
      restoredCopiesPerSecond,
    });
  }
  assert.ok(state.copiesPerSecond >= canCopiesPerSecond);
});

/**
 * Clients that each wait for an answer before they ask again, and a few copies at a time, on nodes that do so much work a
 * second and share it among whoever asks. What single latencies stray by, and what the nodes can do at a time, is chance.
 */
function closedLoop(seed: number, steps: number, strays: { readonly latency: number; readonly work: number }) {
  const [clients, copiers, workPerSecond, workOfRequest, workOfCopy] = [6, 4, 600, 1.5, 2.5];
  const chance = seeded(seed);
  const stray = (by: number): number => Math.exp(by * (chance.next() + chance.next() + chance.next() - 1.5) * 2);
  let state = paceAfterPause(FIRST_PACE, (1000 * clients * workOfRequest) / workPerSecond);
  let [rates, quietRates, copies, weather] = [0, 0, 0, 0];
  for (let step = 0; step < steps; step++) {
    weather = 0.85 * weather + 0.5 * Math.log(stray(strays.work));
    const work = workPerSecond * Math.exp(weather);
    const unbounded = ((work / workOfCopy) * copiers) / (clients + copiers);
    const restoredCopiesPerSecond = Math.min(state.copiesPerSecond, unbounded);
    const rate = (work - restoredCopiesPerSecond * workOfCopy) / workOfRequest;
    rates += rate;
    quietRates += work / workOfRequest;
    copies += restoredCopiesPerSecond;
    const latencyMs = ((1000 * clients) / rate) * stray(strays.latency);
    const restoredBytesPerSecond = 4096 * restoredCopiesPerSecond;
    state = nextPace(state, { inflight: clients, latencyMs, restoredBytesPerSecond, restoredCopiesPerSecond });
  }
  return { clients: rates / quietRates, copiesPerSecond: copies / steps };
}

test("however long small copies are restored, clients keep seven tenths of their rate, and copies get on", () => {
  for (const strays of [
    { latency: 0, work: 0 },
    { latency: 0.1, work: 0 },
    { latency: 0.05, work: 0.2 },
  ]) {
    for (const steps of [60, 600, 6_000]) {
      for (let seed = 1; seed <= 10; seed++) {
        const { clients, copiesPerSecond } = closedLoop(seed, steps, strays);
        const where = `seed ${seed}, ${JSON.stringify(strays)}, ${steps} s`;
        assert.ok(clients >= 0.7, `${where}: clients had ${clients} of their rate`);
        assert.ok(copiesPerSecond >= 20, `${where}: ${copiesPerSecond} copies a second`);
      }
    }
  }
});

test("latencies that stray by half do not pass for a slowdown for good", () => {
  for (let seed = 1; seed <= 10; seed++) {
    const { copiesPerSecond } = closedLoop(seed, 6_000, { latency: 0.4, work: 0 });
    assert.ok(copiesPerSecond >= 28, `seed ${seed}: ${copiesPerSecond} copies a second`);
  }
});

test("the controller steps while something is restored, and configured limits stand as they are", async () => {
  const clock = new ManualClock();
  const foreground = { inflight: 5, latencyMs: 1 };
  using auto = new RestorePace({
    clock,
    rates: { copiesPerSecond: "auto", bytesPerSecond: "auto" },
    foreground: () => foreground,
  });
  await auto.bytes(1_000, NEVER);
  const before = auto.bytesPerSecond ?? 0;
  const copiesBefore = auto.copiesPerSecond ?? 0;
  clock.advance(1_000);
  await auto.bytes(1_000, NEVER);
  foreground.latencyMs = 100;
  clock.advance(1_000);
  await auto.bytes(1_000, NEVER);
  assert.ok((auto.bytesPerSecond ?? 0) < before);
  assert.ok((auto.copiesPerSecond ?? 0) < copiesBefore);
  auto.set({ copiesPerSecond: 7, bytesPerSecond: 3 * MIB });
  clock.advance(5_000);
  await auto.bytes(1_000, NEVER);
  assert.deepEqual([auto.copiesPerSecond, auto.bytesPerSecond], [7, 3 * MIB]);
});

test("what clients waited for while nothing was restored is what they wait for in quiet", async () => {
  const clock = new ManualClock();
  const foreground = { inflight: 5, latencyMs: 100 };
  const rates = { copiesPerSecond: "auto", bytesPerSecond: "auto" } as const;
  using auto = new RestorePace({ clock, rates, foreground: () => foreground });
  clock.advance(60_000);
  await auto.bytes(1_000, NEVER);
  const before = auto.copiesPerSecond ?? 0;
  clock.advance(1_000);
  await auto.bytes(1_000, NEVER);
  assert.ok((auto.copiesPerSecond ?? 0) > before, "they wait as long as ever");
  foreground.latencyMs = 200;
  clock.advance(1_000);
  await auto.bytes(1_000, NEVER);
  assert.ok((auto.copiesPerSecond ?? 0) < before);
});

test("the meter tells of requests under way and of the usual latency of the small ones that succeeded last", () => {
  const meter = new ForegroundMeter();
  const told: string[] = [];
  const observer = metered(
    {
      requestStarted: () => void told.push("started"),
      requestFinished: (_request: EndedRequest) => void told.push("finished"),
    },
    meter,
  );
  const finish = (durationMs: number, sentBytes: number, status = 200): void => {
    observer.requestStarted();
    observer.requestFinished({ status, durationMs, receivedBytes: 0, sentBytes });
  };
  observer.requestStarted();
  for (const durationMs of [9, 1, 5]) finish(durationMs, 100);
  finish(10_000, 100 * MIB);
  finish(10_000, 100, 503);
  assert.deepEqual(meter.take(), { inflight: 1, latencyMs: 5 });
  assert.deepEqual(meter.take(), { inflight: 1, latencyMs: undefined });
  assert.equal(told.length, 11);
  for (let request = 0; request < 10_000; request++) finish(50, 100);
  for (let request = 0; request < 256; request++) {
    finish(2, 100);
    finish(10, 100);
  }
  const { latencyMs = 0 } = meter.take();
  assert.ok(latencyMs > 4 && latencyMs < 8, `between reads and writes, not ${latencyMs}`);
});

test("copies and bytes go no faster than their limits, small copies add up, and new limits count at once", async () => {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  try {
    using limits = new MoveLimits({ copiesPerSecond: 10, bytesPerSecond: MIB });
    let copies = 0;
    for (let at = 0; at < 25; at++) void limits.object(NEVER).then(() => (copies += 1));
    await tick(1_000);
    assert.ok(copies >= 10 && copies <= 12, `${copies} copies in a second`);
    let bytes = 0;
    const send = async (): Promise<void> => {
      for (let at = 0; at < 64; at++) {
        await limits.bytes(65_536, NEVER);
        bytes += 65_536;
      }
    };
    void send();
    await tick(1_000);
    assert.ok(bytes >= MIB * 0.9 && bytes <= MIB * 1.6, `${bytes} bytes in a second`);
    limits.set({ copiesPerSecond: 1_000 });
    await tick(2_000);
    assert.equal(copies, 25);
    assert.equal(bytes, 4 * MIB);
  } finally {
    mock.timers.reset();
  }
});

async function tick(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 10) {
    mock.timers.tick(10);
    await turns(5);
  }
}

test("whoever waits for a limit and gives up is let go at once", async () => {
  using limits = new MoveLimits({ copiesPerSecond: 0.001 });
  const stop = new AbortController();
  await limits.object(NEVER);
  const waiting = limits.object(stop.signal);
  stop.abort(new Error("given up"));
  await assert.rejects(waiting, /given up/);
  await assert.rejects(limits.bytes(1, stop.signal), /given up/);
});

test("the pace of a job is that of the last samples, and what is left follows from it", () => {
  let samples: readonly Sample[] = [];
  assert.equal(pace(samples), undefined);
  for (let second = 0; second <= 10; second++)
    samples = withSample(samples, { atMs: second * 1_000, done: second * 20 });
  assert.equal(pace(samples), 20);
  assert.equal(remainingMs(200, 1_000, samples), 40_000);
  assert.equal(remainingMs(1_200, 1_000, samples), 0);
  assert.equal(remainingMs(200, undefined, samples), undefined);
  assert.equal(withSample(samples, { atMs: 10_500, done: 999 }), samples, "samples are not that close");
  for (let second = 11; second <= 100; second++) samples = withSample(samples, { atMs: second * 1_000, done: 200 });
  assert.equal(pace(samples), 0, "what was long ago says nothing of now");
  assert.equal(remainingMs(200, 1_000, samples), undefined);
  assert.deepEqual([progress(5, undefined), progress(0, 0), progress(5, 10), progress(15, 10)], [undefined, 1, 0.5, 1]);
});
