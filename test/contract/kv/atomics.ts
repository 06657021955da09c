import assert from "node:assert/strict";
import { test } from "node:test";
import { type KvCommitResult, type KvRange, readCounters } from "../../../src/catalog/kv.ts";
import { after as keyAfter, pack, prefixRange } from "../../../src/catalog/tuple.ts";
import { counters, type Scope, type Subject, set } from "./calls.ts";

export function atomics(kv: Subject, scope: Scope): void {
  test("a check of a version lets exactly that version pass", async () => {
    const key = pack([scope()]);
    const other = keyAfter(key);
    const attempt = (version: number | null): Promise<KvCommitResult> =>
      kv().atomic().check(key, version).set(other, Buffer.from("written")).commit();
    assert.deepEqual(await attempt(1), { committed: false, failed: key });
    const version = await set(kv(), key, "x");
    assert.deepEqual(await attempt(null), { committed: false, failed: key });
    assert.deepEqual(await attempt(version - 1), { committed: false, failed: key });
    assert.deepEqual(await attempt(version + 1), { committed: false, failed: key });
    assert.equal(await kv().get(other), undefined);
    assert.equal((await attempt(version)).committed, true);
    assert.equal((await kv().get(other))?.value.toString(), "written");
    await kv().atomic().delete(key).commit();
    assert.deepEqual(await attempt(version), { committed: false, failed: key });
    assert.equal((await attempt(null)).committed, true);
  });

  test("a check that a range is empty looks at its start and not at its end", async () => {
    const base = scope();
    const key = pack([base, 5]);
    await set(kv(), key, "x");
    const passes = async (start: number, end: number): Promise<boolean> => {
      const range: KvRange = { start: pack([base, start]), end: pack([base, end]) };
      const result = await kv().atomic().checkEmpty(range).commit();
      if (!result.committed) assert.deepEqual(result.failed, range.start);
      return result.committed;
    };
    assert.equal(await passes(1, 5), true);
    assert.equal(await passes(6, 9), true);
    assert.equal(await passes(5, 6), false);
    assert.equal(await passes(1, 9), false);
    await kv().atomic().delete(key).commit();
    assert.equal(await passes(1, 9), true);
  });

  test("the first check that fails is the one that is named, in the order of the calls", async () => {
    const base = scope();
    const key = pack([base, 1]);
    const range = prefixRange([base]);
    const version = await set(kv(), key, "x");
    const emptyFirst = await kv().atomic().check(key, version).checkEmpty(range).check(key, null).commit();
    assert.deepEqual(emptyFirst, { committed: false, failed: range.start });
    const keyFirst = await kv().atomic().check(key, null).checkEmpty(range).commit();
    assert.deepEqual(keyFirst, { committed: false, failed: key });
  });

  test("checks see the state before the commit, whatever the order of the calls", async () => {
    const base = scope();
    const key = pack([base, 1]);
    const range = prefixRange([base]);
    const created = await kv().atomic().set(key, Buffer.of(1)).check(key, null).checkEmpty(range).commit();
    assert.equal(created.committed, true);
    const emptied = await kv().atomic().delete(key).checkEmpty(range).commit();
    assert.equal(emptied.committed, false);
  });

  test("mutations of one key happen in the order of the calls", async () => {
    const base = scope();
    const [a, b, c, d, e, f] = ["a", "b", "c", "d", "e", "f"].map((name) => pack([base, name]));
    assert.ok(a && b && c && d && e && f);
    await set(kv(), e, counters(40));
    const result = await kv()
      .atomic()
      .set(a, Buffer.from("1"))
      .set(a, Buffer.from("2"))
      .set(b, Buffer.from("1"))
      .delete(b)
      .delete(c)
      .set(c, Buffer.from("1"))
      .set(d, counters(5))
      .sum(d, [1])
      .sum(d, [1])
      .delete(e)
      .sum(e, [2])
      .sum(f, [9])
      .set(f, Buffer.from("3"))
      .commit();
    assert.ok(result.committed);
    const found = await kv().getMany([a, b, c, d, e, f]);
    assert.deepEqual(
      found.map((entry) => entry?.value),
      [Buffer.from("2"), undefined, Buffer.from("1"), counters(7), counters(2), Buffer.from("3")],
    );
    for (const entry of found) if (entry !== undefined) assert.equal(entry.version, result.version);
  });

  test("versions grow with every commit, also with one that writes nothing", async () => {
    const key = pack([scope()]);
    let last = await set(kv(), key, "x");
    for (let i = 0; i < 20; i++) {
      if (i % 5 === 4) assert.equal((await kv().atomic().check(key, null).commit()).committed, false);
      const atomic = kv().atomic();
      const result = await (i % 2 === 0 ? atomic.set(key, Buffer.of(i)) : atomic).commit();
      assert.ok(result.committed && result.version > last);
      last = result.version;
    }
  });

  test("an atomic is used once", async () => {
    const key = pack([scope()]);
    const atomic = kv().atomic().set(key, Buffer.from("x"));
    const first = atomic.commit();
    await assert.rejects(atomic.commit(), /used once/);
    for (const reuse of [
      () => atomic.set(key, key),
      () => atomic.delete(key),
      () => atomic.sum(key, [1]),
      () => atomic.check(key, null),
      () => atomic.checkEmpty(prefixRange([])),
    ]) {
      assert.throws(reuse, /used once/);
    }
    assert.equal((await first).committed, true);
    await assert.rejects(atomic.commit(), /used once/);
    assert.equal((await kv().get(key))?.value.toString(), "x");
  });
}

export function sums(kv: Subject, scope: Scope): void {
  test("sum adds counter by counter, counts what is absent as zeros and keeps what it does not reach", async () => {
    const key = pack([scope()]);
    const steps: [number[], number[]][] = [
      [[1], [1]],
      [
        [1, -7],
        [2, -7],
      ],
      [[-5], [-3, -7]],
      [[], [-3, -7]],
      [
        [0, 0, Number.MAX_SAFE_INTEGER],
        [-3, -7, Number.MAX_SAFE_INTEGER],
      ],
      [
        [3, 7, -Number.MAX_SAFE_INTEGER],
        [0, 0, 0],
      ],
      [
        [0, Number.MIN_SAFE_INTEGER],
        [0, Number.MIN_SAFE_INTEGER, 0],
      ],
    ];
    for (const [deltas, expected] of steps) {
      const result = await kv().atomic().sum(key, deltas).commit();
      const entry = await kv().get(key);
      assert.ok(entry && result.committed);
      assert.deepEqual(readCounters(entry.value), expected);
      assert.equal(entry.version, result.version);
    }
  });

  test("a delta that is no safe integer is refused", () => {
    for (const delta of [0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      assert.throws(
        () =>
          kv()
            .atomic()
            .sum(pack([scope()]), [1, delta]),
        RangeError,
      );
    }
  });
}
