/** What is left to do of a long range, counted a bounded piece at a time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryKv } from "../../../../src/catalog/memory/memory-kv.ts";
import { pack, prefixRange } from "../../../../src/catalog/tuple.ts";
import { PendingSweep } from "../../../../src/replication/jobs/pending-sweep.ts";

const NEVER = new AbortController().signal;
const PIECE = 10;
const DONE = Buffer.of(0);
const TO_DO = Buffer.of(1);

async function openRange(count: number) {
  const kv = memoryKv();
  const set = async (at: number, value: Buffer | undefined): Promise<void> => {
    const atomic = kv.atomic();
    const key = pack(["entry", at]);
    await (value === undefined ? atomic.delete(key) : atomic.set(key, value)).commit();
  };
  for (let at = 0; at < count; at++) await set(at, TO_DO);
  let read = 0;
  const sweep = new PendingSweep(
    {
      kv,
      range: prefixRange(["entry"]),
      async pendingOf({ value }) {
        read += 1;
        return value.equals(TO_DO) ? { blobId: "0".repeat(32), slot: 0, bytes: 7 } : undefined;
      },
    },
    PIECE,
  );
  const look = async () => {
    read = 0;
    const sum = await sweep.look(NEVER);
    assert.ok(read < 2 * PIECE, `a look read ${read} entries`);
    return sum;
  };
  /** Looks until the sum is that of the whole range as it is now. */
  const around = async () => {
    let sum = await look();
    for (let at = 0; at < 20; at++) sum = await look();
    return sum;
  };
  return { set, look, around };
}

test("a short range is known whole after one look", async () => {
  const { look } = await openRange(3);
  assert.deepEqual(await look(), { count: 3, bytes: 21, whole: true, nothing: false });
  assert.deepEqual(await (await openRange(0)).look(), { count: 0, bytes: 0, whole: true, nothing: true });
});

test("a long range is gone through a piece at a time, and no sum is said to be whole before", async () => {
  const { look } = await openRange(35);
  const counts = [];
  let sum = await look();
  for (; !sum.whole; sum = await look()) counts.push(sum.count);
  assert.deepEqual([...counts, sum.count], [10, 20, 30, 35]);
});

test("what is done, what goes and what comes is noticed in turn, wherever it is", async () => {
  const { set, around } = await openRange(35);
  assert.equal((await around()).count, 35);
  await set(3, DONE);
  await set(17, undefined);
  await set(100, TO_DO);
  const sum = await around();
  assert.deepEqual([sum.count, sum.bytes, sum.whole, sum.nothing], [34, 34 * 7, true, false]);
  for (let at = 10; at < 30; at++) await set(at, undefined);
  assert.equal((await around()).count, 15);
});

test("nothing is left only after all of it was gone through without finding anything", async () => {
  const { set, look, around } = await openRange(35);
  await around();
  for (let at = 0; at < 35; at++) await set(at, DONE);
  const sums = [await look()];
  while (sums.at(-1)?.nothing === false && sums.length < 50) sums.push(await look());
  assert.deepEqual(sums.at(-1), { count: 0, bytes: 0, whole: true, nothing: true });
  assert.ok(sums.length >= 3, `it took ${sums.length} looks`);
  await set(20, TO_DO);
  const again = await around();
  assert.deepEqual([again.count, again.nothing], [1, false]);
});
