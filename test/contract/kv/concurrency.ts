import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { readCounters } from "../../../src/catalog/kv.ts";
import { pack, prefixRange } from "../../../src/catalog/tuple.ts";
import { at, commitAll, type Scope, type Subject, set } from "./calls.ts";

export function concurrency(kv: Subject, scope: Scope): void {
  test("increments by compare-and-set from many sides are never lost, and versions follow the order of the commits", async () => {
    const key = pack([scope()]);
    const [sides, increments] = [16, 12];
    const written: { count: number; version: number }[] = [];
    const increment = async (): Promise<void> => {
      for (;;) {
        const entry = await kv().get(key);
        const count = (entry === undefined ? 0 : entry.value.readUInt32BE(0)) + 1;
        const value = Buffer.alloc(4);
        value.writeUInt32BE(count, 0);
        const result = await kv()
          .atomic()
          .check(key, entry?.version ?? null)
          .set(key, value)
          .commit();
        if (!result.committed) continue;
        written.push({ count, version: result.version });
        return;
      }
    };
    const side = async (): Promise<void> => {
      for (let i = 0; i < increments; i++) await increment();
    };
    await Promise.all(Array.from({ length: sides }, side));
    assert.equal((await kv().get(key))?.value.readUInt32BE(0), sides * increments);
    written.sort((a, b) => a.count - b.count);
    assert.deepEqual(
      written.map(({ count }) => count),
      Array.from({ length: sides * increments }, (_, i) => i + 1),
    );
    for (const [index, { version }] of written.entries()) assert.ok(version > (written[index - 1]?.version ?? 0));
  });

  test("sums from many sides conflict with nothing and add up", async () => {
    const base = scope();
    const results = await Promise.all(
      Array.from({ length: 1_000 }, (_, i) =>
        kv()
          .atomic()
          .sum(pack([base, i % 4]), [1, i])
          .commit(),
      ),
    );
    assert.ok(results.every((result) => result.committed));
    const versions = results.map((result) => (result.committed ? result.version : 0));
    assert.equal(new Set(versions).size, results.length, "every commit has a version of its own");
    const found = await kv().list(prefixRange([base]), { limit: 10 });
    const totals = found
      .map((entry) => readCounters(entry.value))
      .reduce(([n = 0, s = 0], [m = 0, r = 0]) => [n + m, s + r]);
    assert.deepEqual(totals, [1_000, 499_500]);
  });

  test("of many that create what must not exist yet, one does", async () => {
    const base = scope();
    const results = await Promise.all(
      Array.from({ length: 64 }, (_, i) =>
        i % 2 === 0
          ? kv()
              .atomic()
              .check(pack([base, 0]), null)
              .set(pack([base, 0]), Buffer.of(i))
              .commit()
          : kv()
              .atomic()
              .checkEmpty(prefixRange([base]))
              .set(pack([base, 0]), Buffer.of(i))
              .commit(),
      ),
    );
    const winners = [...results.keys()].filter((index) => results[index]?.committed);
    assert.equal(winners.length, 1);
    assert.deepEqual((await kv().get(pack([base, 0])))?.value, Buffer.of(at(winners, 0)));
  });

  test("every read that begins after a commit was answered sees it, however many are under way", async () => {
    const base = scope();
    const side = async (n: number): Promise<void> => {
      const key = pack([base, n]);
      for (let i = 0; i < 25; i++) {
        // Reads of the same turn, begun before: they must not lend their older snapshot to the later ones.
        const earlier = [kv().get(key), kv().list(prefixRange([base]), { limit: 100 })];
        const version = await set(kv(), key, String(i));
        const [entry, [many], listed] = await Promise.all([
          kv().get(key),
          kv().getMany([key]),
          kv().list(prefixRange([base]), { limit: 100 }),
        ]);
        for (const seen of [entry, many, listed.find((found) => found.key.equals(key))]) {
          assert.equal(seen?.version, version);
          assert.equal(seen?.value.toString(), String(i));
        }
        await Promise.all(earlier);
      }
    };
    await Promise.all(Array.from({ length: 20 }, (_, n) => side(n)));
  });

  test("a read sees all of a commit or nothing of it", async () => {
    const base = scope();
    const keys = [0, 1, 2, 3].map((n) => pack([base, n]));
    let writing = true;
    const write = async (): Promise<void> => {
      for (let i = 0; i < 150; i++) await commitAll(kv(), keys, Buffer.from(`${i}`));
      writing = false;
    };
    const read = async (): Promise<void> => {
      while (writing) {
        const many = await kv().getMany(keys);
        assert.equal(new Set(many.map((entry) => entry?.version)).size, 1);
        const listed = await kv().list(prefixRange([base]), { limit: 10 });
        assert.equal(new Set(listed.map((entry) => entry.version)).size, listed.length === 0 ? 0 : 1);
        assert.ok(listed.length === 0 || listed.length === keys.length);
        // Lets the writer's turn come also where a read takes none.
        await nextTurn();
      }
    };
    await Promise.all([write(), read(), read()]);
  });
}
