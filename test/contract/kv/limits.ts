import assert from "node:assert/strict";
import { test } from "node:test";
import { KV_KEY_BYTES_MAX, KV_VALUE_BYTES_MAX } from "../../../src/catalog/kv.ts";
import { after as keyAfter, pack, prefixRange } from "../../../src/catalog/tuple.ts";
import { at, keysOf, refused, type Scope, type Subject, set } from "./calls.ts";

export function limits(kv: Subject, scope: Scope): void {
  const longKey = (length: number, fill: number): Buffer =>
    Buffer.concat([Buffer.of(2, 3), Buffer.alloc(length - 2, fill)]);

  test(`keys of ${KV_KEY_BYTES_MAX} bytes work everywhere, also as the bounds of ranges around them`, async () => {
    const keys = [longKey(KV_KEY_BYTES_MAX, 0x10), longKey(KV_KEY_BYTES_MAX, 0xff)];
    for (const key of keys) await set(kv(), key, "long");
    assert.deepEqual(
      (await kv().getMany(keys)).map((entry) => entry?.key),
      keys,
    );
    const first = at(keys, 0);
    const last = at(keys, 1);
    for (const reverse of [false, true]) {
      assert.deepEqual(keysOf(await kv().list({ start: first, end: keyAfter(first) }, { limit: 2, reverse })), [first]);
      assert.deepEqual(keysOf(await kv().list({ start: last, end: keyAfter(last) }, { limit: 2, reverse })), [last]);
      assert.deepEqual(
        keysOf(await kv().list({ start: keyAfter(first), end: keyAfter(last) }, { limit: 2, reverse })),
        [last],
      );
    }
    const held = await kv()
      .atomic()
      .checkEmpty({ start: first, end: keyAfter(first) })
      .commit();
    assert.deepEqual(held, { committed: false, failed: first });
    assert.equal((await kv().atomic().delete(first).delete(last).commit()).committed, true);
  });

  test(`keys of ${KV_KEY_BYTES_MAX + 1} bytes are refused and nothing of their commit is written`, async () => {
    const long = longKey(KV_KEY_BYTES_MAX + 1, 0x10);
    const other = pack([scope()]);
    const empty = Buffer.alloc(0);
    await refused(kv().get(long), "too-large");
    await refused(kv().getMany([other, long]), "too-large");
    await refused(kv().list({ start: keyAfter(long), end: keyAfter(long) }, { limit: 1 }), "too-large");
    await refused(kv().atomic().set(other, empty).set(long, empty).commit(), "too-large");
    await refused(kv().atomic().set(other, empty).delete(long).commit(), "too-large");
    await refused(kv().atomic().set(other, empty).sum(long, [1]).commit(), "too-large");
    await refused(kv().atomic().set(other, empty).check(long, null).commit(), "too-large");
    assert.equal(await kv().get(other), undefined);
  });

  test("an empty key, and one that begins with a driver's byte, is refused", async () => {
    for (const key of [Buffer.alloc(0), Buffer.of(0xff), Buffer.of(0xff, 1)]) {
      await assert.rejects(kv().get(key), RangeError);
      await assert.rejects(kv().getMany([key]), RangeError);
      await assert.rejects(kv().atomic().set(key, key).commit(), RangeError);
    }
  });

  test(`values up to ${KV_VALUE_BYTES_MAX} bytes come back whole, one by one and in a list`, async () => {
    const base = scope();
    const sizes = [
      1,
      1_000,
      2_000,
      4_000,
      4_088,
      4_096,
      16_384,
      32_768,
      65_528,
      KV_VALUE_BYTES_MAX - 1,
      KV_VALUE_BYTES_MAX,
    ];
    const values = sizes.map((size) => Buffer.alloc(size, `${size};`));
    for (const [index, value] of values.entries()) await set(kv(), pack([base, index]), value);
    for (const [index, value] of values.entries())
      assert.deepEqual((await kv().get(pack([base, index])))?.value, value);
    const listed = await kv().list(prefixRange([base]), { limit: 100 });
    assert.deepEqual(
      listed.map((entry) => entry.value),
      values,
    );
    const reversed = await kv().list(prefixRange([base]), { limit: 100, reverse: true });
    assert.deepEqual(
      reversed.map((entry) => entry.value),
      values.toReversed(),
    );
  });

  test(`a value above ${KV_VALUE_BYTES_MAX} bytes is refused and nothing of its commit is written`, async () => {
    const base = scope();
    const large = Buffer.alloc(KV_VALUE_BYTES_MAX + 1);
    await refused(
      kv()
        .atomic()
        .set(pack([base, 1]), Buffer.of(1))
        .set(pack([base, 2]), large)
        .commit(),
      "too-large",
    );
    const deltas = new Array<number>(KV_VALUE_BYTES_MAX / 8 + 1).fill(0);
    await refused(
      kv()
        .atomic()
        .set(pack([base, 1]), Buffer.of(1))
        .sum(pack([base, 2]), deltas)
        .commit(),
      "too-large",
    );
    assert.deepEqual(await kv().list(prefixRange([base]), { limit: 9 }), []);
  });
}
