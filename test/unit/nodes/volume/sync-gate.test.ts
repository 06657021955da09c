import assert from "node:assert/strict";
import { test } from "node:test";
import { SyncGate } from "../../../../src/nodes/volume/sync-gate.ts";

/** Syncs that end when told. */
class Syncs {
  readonly running: PromiseWithResolvers<void>[] = [];
  started = 0;
  readonly gate = new SyncGate(() => {
    this.started++;
    const sync = Promise.withResolvers<void>();
    this.running.push(sync);
    return sync.promise;
  });

  async end(error?: Error): Promise<void> {
    const sync = this.running.shift();
    assert.ok(sync);
    if (error === undefined) sync.resolve();
    else sync.reject(error);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test("a caller gets a sync that started after its call, shared with all who came during the one before", async () => {
  const syncs = new Syncs();
  const ended: number[] = [];
  const join = (id: number): void => void syncs.gate.sync().then(() => ended.push(id));
  join(1);
  join(2);
  join(3);
  assert.equal(syncs.started, 1);
  await syncs.end();
  assert.deepEqual(ended, [1]);
  assert.equal(syncs.started, 2);
  join(4);
  await syncs.end();
  assert.deepEqual(ended, [1, 2, 3]);
  assert.equal(syncs.started, 3);
  await syncs.end();
  assert.deepEqual(ended, [1, 2, 3, 4]);
  join(5);
  assert.equal(syncs.started, 4);
  await syncs.end();
  assert.deepEqual(ended, [1, 2, 3, 4, 5]);
});

test("never two syncs at a time, even for a caller that comes between two of them", async () => {
  const syncs = new Syncs();
  let late: Promise<void> | undefined;
  const first = syncs.gate.sync().then(() => {
    late = syncs.gate.sync();
  });
  const second = syncs.gate.sync();
  await syncs.end();
  await first;
  assert.equal(syncs.running.length, 1);
  await syncs.end();
  await second;
  if (syncs.running.length > 0) await syncs.end();
  await late;
  assert.equal(syncs.running.length, 0);
});

test("after a sync failed nobody is told that anything is durable any more", async () => {
  const syncs = new Syncs();
  const failure = new Error("EIO");
  const outcomes = Promise.allSettled([syncs.gate.sync(), syncs.gate.sync()]);
  await syncs.end(failure);
  for (const outcome of await outcomes) assert.deepEqual(outcome, { status: "rejected", reason: failure });
  await assert.rejects(syncs.gate.sync(), failure);
  assert.equal(syncs.started, 1);
});
