/** What is on record of the commits: enough to make the same store again, in every detail. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ChangesForgottenError, type KvChange, type KvEntry, type KvStore } from "../../../src/catalog/kv.ts";
import { pack, prefixRange } from "../../../src/catalog/tuple.ts";
import { counters, refused, type Scope, set } from "./calls.ts";

const ALL = { start: Buffer.of(0), end: Buffer.of(0xfe) };
const PAGE_BYTES = 2_000;

async function changesAfter(kv: KvStore, version: number): Promise<KvChange[]> {
  const changes: KvChange[] = [];
  for (;;) {
    const page = await kv.changes(changes.at(-1)?.version ?? version, PAGE_BYTES);
    if (page.length === 0) return changes;
    changes.push(...page);
  }
}

async function everything(kv: KvStore): Promise<KvEntry[]> {
  return kv.list(ALL, { limit: 10_000 });
}

/** @param makeEmpty makes another store, to be closed and disposed of by who asked for it */
export function changes(
  kv: () => KvStore,
  scope: Scope,
  makeEmpty: () => Promise<{ kv: KvStore; dispose(): Promise<void> }>,
): void {
  describe("changes", () => {
    test("say what every commit wrote, in commit order, sums as what they came to", async () => {
      const [a, b] = [pack([scope(), "a"]), pack([scope(), "b"])];
      const before = await kv().version();
      const first = await set(kv(), a, "one");
      await kv()
        .atomic()
        .check(a, first - 1)
        .set(a, Buffer.from("refused"))
        .commit();
      const second = await kv().atomic().sum(b, [5]).set(a, Buffer.from("two")).commit();
      const third = await kv().atomic().sum(b, [2]).delete(a).commit();
      assert.ok(second.committed && third.committed);
      assert.deepEqual(await changesAfter(kv(), before), [
        { version: first, writes: [{ key: a, value: Buffer.from("one") }] },
        {
          version: second.version,
          writes: [
            { key: b, value: counters(5) },
            { key: a, value: Buffer.from("two") },
          ],
        },
        {
          version: third.version,
          writes: [
            { key: b, value: counters(7) },
            { key: a, value: null },
          ],
        },
      ]);
      assert.equal(await kv().version(), third.version);
      assert.deepEqual(await kv().changes(third.version, PAGE_BYTES), []);
    });

    test("have no local keys; a commit of nothing else is a change without writes", async () => {
      const [local, other] = [pack(["local", scope()]), pack([scope()])];
      const before = await kv().version();
      await set(kv(), local, "mine");
      await kv().atomic().delete(local).set(other, Buffer.from("all's")).commit();
      assert.deepEqual(
        (await changesAfter(kv(), before)).map(({ writes }) => writes),
        [[], [{ key: other, value: Buffer.from("all's") }]],
      );
    });

    test("come in pages of about the bytes that are asked for, one at least", async () => {
      const key = pack([scope()]);
      const before = await kv().version();
      for (let i = 0; i < 6; i++) await set(kv(), key, Buffer.alloc(1_500, i));
      assert.equal((await kv().changes(before, 1)).length, 1);
      assert.equal((await kv().changes(before, 3_000)).length, 2);
      assert.equal((await kv().changes(before, 1_000_000)).length, 6);
    });

    test("of commits at the same time are all there, once and without a gap", async () => {
      const base = scope();
      const before = await kv().version();
      const results = await Promise.all(
        Array.from({ length: 50 }, (_, i) =>
          kv()
            .atomic()
            .set(pack([base, i]), Buffer.from(`${i}`))
            .commit(),
        ),
      );
      const versions = results.map((result) => (result.committed ? result.version : 0)).toSorted((a, b) => a - b);
      const found = await changesAfter(kv(), before);
      assert.deepEqual(
        found.map(({ version }) => version),
        versions,
      );
      assert.equal(new Set(found.map(({ writes }) => writes[0]?.value?.toString())).size, 50);
    });

    test("that are forgotten are no longer to be had, and later ones are", async () => {
      const key = pack([scope()]);
      const before = await kv().version();
      const middle = await set(kv(), key, "one");
      await set(kv(), key, "two");
      kv().forgetChanges(middle);
      let last = 0;
      const forgotten = async (): Promise<boolean> => {
        last = await set(kv(), key, "three");
        return kv()
          .changes(before, PAGE_BYTES)
          .then(
            () => false,
            (error) => error instanceof ChangesForgottenError,
          );
      };
      for (let commits = 0; !(await forgotten()); commits++) assert.ok(commits < 100, "it is never forgotten");
      const found = await changesAfter(kv(), middle);
      assert.ok(found.length >= 2);
      assert.equal(found.at(-1)?.version, last);
    });

    test("make the same store again, with the same versions", async () => {
      const base = scope();
      const other = await makeEmpty();
      try {
        const before = await kv().version();
        await other.kv.restore([], before);
        for (let i = 0; i < 40; i++) {
          const atomic = kv()
            .atomic()
            .sum(pack([base, "sum"]), [i, -i]);
          if (i % 3 === 0) atomic.delete(pack([base, (i * 7) % 10]));
          else atomic.set(pack([base, (i * 7) % 10]), Buffer.from(`${i}`));
          await atomic.commit();
        }
        for (const { version, writes } of await changesAfter(kv(), before)) {
          await other.kv.restore(
            writes.map((write) => ({ ...write, version })),
            version,
          );
        }
        const original = await kv().list(prefixRange([base]), { limit: 100 });
        assert.ok(original.length > 5);
        assert.deepEqual(await everything(other.kv), original);
        assert.equal(await other.kv.version(), await kv().version());
      } finally {
        await other.kv.close();
        await other.dispose();
      }
    });

    test("after a restore commits go on from its version, and what came before is forgotten", async () => {
      const other = await makeEmpty();
      try {
        const [a, b] = [pack(["a"]), pack(["b"])];
        await set(other.kv, a, "before");
        await other.kv.restore(
          [
            { key: a, value: null, version: 90 },
            { key: b, value: Buffer.from("b"), version: 77 },
          ],
          100,
        );
        assert.deepEqual(await everything(other.kv), [{ key: b, value: Buffer.from("b"), version: 77 }]);
        await assert.rejects(other.kv.changes(1, PAGE_BYTES), ChangesForgottenError);
        assert.deepEqual(await other.kv.changes(100, PAGE_BYTES), []);
        assert.equal(await set(other.kv, a, "after"), 101);
        assert.deepEqual(
          (await other.kv.changes(100, PAGE_BYTES)).map(({ version }) => version),
          [101],
        );
        await assert.rejects(other.kv.restore([], 50), RangeError);
      } finally {
        await other.kv.close();
        await other.dispose();
      }
    });

    test("of a store that is closed are refused", async () => {
      const other = await makeEmpty();
      await other.kv.close();
      await refused(other.kv.changes(0, PAGE_BYTES), "unavailable");
      await refused(other.kv.version(), "unavailable");
      await refused(other.kv.restore([], 0), "unavailable");
      await other.dispose();
    });
  });
}
