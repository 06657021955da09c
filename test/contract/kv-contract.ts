/**
 * What every driver of the key-value seam does, run unchanged against each of them. Besides the doc comments of kv.ts
 * it settles:
 *
 * - Bounds of a range may be a byte longer than a key; a range whose start is not below its end holds nothing.
 * - A key that is empty or begins with 0xFF, a list limit out of bounds, a delta that is no safe integer: RangeError.
 * - An atomic without mutations commits and has a version. One that is used again throws.
 * - Within an atomic all checks see the state before it, mutations of one key happen in the order of the calls.
 * - `sum` changes as many counters as it has deltas and leaves the others; a longer vector is lengthened.
 * - What is answered belongs to the caller: changing it, or changing what was handed over once the commit is answered,
 *   changes nothing in the store.
 * - `close` may be called again; commits handed over before it are answered before it resolves.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Kv, KvStore } from "../../src/catalog/kv.ts";
import { pack, prefixRange } from "../../src/catalog/tuple.ts";
import { atomics, sums } from "./kv/atomics.ts";
import { counters, refused, set } from "./kv/calls.ts";
import { changes } from "./kv/changes.ts";
import { concurrency } from "./kv/concurrency.ts";
import { entries } from "./kv/entries.ts";
import { limits } from "./kv/limits.ts";
import { listing } from "./kv/listing.ts";
import { model } from "./kv/model-tests.ts";

export interface KvUnderTest<T extends Kv = Kv> {
  readonly kv: T;
  /** Removes everything; called once, after the store in use was closed. */
  dispose(): Promise<void>;
}

/** A store that outlives its process. */
export interface LastingKvUnderTest extends KvUnderTest<KvStore> {
  /** Opens the same store again after the suite closed the one in use. */
  reopen(): Promise<KvStore>;
}

/** Fails a test that hangs; far above what any of them takes. */
const HANG_MS = 120_000;

export function kvContract(name: string, makeKv: () => Promise<KvUnderTest>): void {
  describe(`the key-value store contract, ${name}`, { timeout: HANG_MS }, () => {
    let subject: KvUnderTest;
    let scopes = 0;
    /** Keys below it belong to the caller alone. */
    const scope = (): string => `test ${scopes++}`;

    before(async () => {
      subject = await makeKv();
    });
    after(async () => {
      await subject.kv.close();
      await subject.dispose();
    });

    const kv = (): Kv => subject.kv;
    entries(kv, scope);
    listing(kv, scope);
    limits(kv, scope);
    atomics(kv, scope);
    sums(kv, scope);
    concurrency(kv, scope);
    model(kv);

    test("close answers the commits handed over before it, and later calls are refused", async () => {
      const closing = await makeKv();
      try {
        const key = pack(["closing"]);
        const collected = closing.kv.atomic().set(key, Buffer.from("too late"));
        let answered = 0;
        const underWay = Array.from({ length: 20 }, async (_, i) => {
          const result = await closing.kv
            .atomic()
            .sum(pack(["c", i % 3]), [1])
            .commit();
          assert.ok(result.committed);
          answered += 1;
        });
        await closing.kv.close();
        await nextTurn();
        assert.equal(answered, underWay.length);
        await Promise.all(underWay);
        await closing.kv.close();
        await refused(collected.commit(), "unavailable");
        await refused(closing.kv.get(key), "unavailable");
        await refused(closing.kv.getMany([key]), "unavailable");
        await refused(closing.kv.list(prefixRange([]), { limit: 1 }), "unavailable");
        await refused(closing.kv.atomic().set(key, key).commit(), "unavailable");
      } finally {
        await closing.dispose();
      }
    });
  });
}

/** For drivers, besides the contract of all. */
export function kvStoreContract(name: string, makeKv: () => Promise<KvUnderTest<KvStore>>): void {
  kvContract(name, makeKv);
  describe(`what a store keeps on record of its commits, ${name}`, { timeout: HANG_MS }, () => {
    let subject: KvUnderTest<KvStore>;
    let scopes = 0;
    before(async () => {
      subject = await makeKv();
    });
    after(async () => {
      await subject.kv.close();
      await subject.dispose();
    });
    changes(
      () => subject.kv,
      () => `test ${scopes++}`,
      makeKv,
    );
  });
}

/** For stores that outlive their process, besides the contract of all. */
export function lastingKvContract(name: string, makeKv: () => Promise<LastingKvUnderTest>): void {
  test(`after a close and a new open everything is there and versions go on growing, ${name}`, async () => {
    const subject = await makeKv();
    try {
      const result = await subject.kv
        .atomic()
        .set(pack(["a"]), Buffer.from("kept"))
        .sum(pack(["b"]), [5])
        .commit();
      assert.ok(result.committed);
      await subject.kv.close();
      const kv = await subject.reopen();
      const [a, b] = await kv.getMany([pack(["a"]), pack(["b"])]);
      assert.deepEqual(a, { key: pack(["a"]), value: Buffer.from("kept"), version: result.version });
      assert.deepEqual(b, { key: pack(["b"]), value: counters(5), version: result.version });
      assert.equal(await kv.version(), result.version);
      assert.deepEqual(
        (await kv.changes(0, 1_000)).map(({ version }) => version),
        [result.version],
      );
      assert.ok((await set(kv, pack(["a"]), "again")) > result.version);
      await kv.close();
    } finally {
      await subject.dispose();
    }
  });
}
