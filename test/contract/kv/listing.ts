import assert from "node:assert/strict";
import { test } from "node:test";
import { KV_KEY_BYTES_MAX, KV_LIST_LIMIT_MAX } from "../../../src/catalog/kv.ts";
import { after as keyAfter, pack, prefixRange } from "../../../src/catalog/tuple.ts";
import { at, keysOf, type Scope, type Subject, set } from "./calls.ts";

export function listing(kv: Subject, scope: Scope): void {
  const names = ["", "a", "a\0", "a/", "a/b", "b", "é", "\u{10ffff}"];

  test("a list is in the order of the keys' bytes, from its start to before its end, in both directions", async () => {
    const base = scope();
    const keys = names.map((text) => pack([base, text])).sort(Buffer.compare);
    for (const key of [...keys].reverse()) await set(kv(), key, key.toString("hex"));
    for (let start = 0; start < keys.length; start++) {
      for (let end = start; end < keys.length; end++) {
        const range = { start: at(keys, start), end: at(keys, end) };
        const wanted = keys.slice(start, end);
        assert.deepEqual(keysOf(await kv().list(range, { limit: 100 })), wanted);
        assert.deepEqual(keysOf(await kv().list(range, { limit: 100, reverse: true })), wanted.toReversed());
        const between = { start: keyAfter(range.start), end: keyAfter(range.end) };
        const shifted = keys.slice(start + 1, end + 1);
        assert.deepEqual(keysOf(await kv().list(between, { limit: 100 })), shifted);
        assert.deepEqual(keysOf(await kv().list(between, { limit: 100, reverse: true })), shifted.toReversed());
      }
    }
  });

  test("a list ends at its limit, which is refused out of its bounds", async () => {
    const base = scope();
    const keys = [1, 2, 3].map((n) => pack([base, n]));
    for (const key of keys) await set(kv(), key, "x");
    assert.deepEqual(keysOf(await kv().list(prefixRange([base]), { limit: 2 })), keys.slice(0, 2));
    assert.deepEqual(keysOf(await kv().list(prefixRange([base]), { limit: 2, reverse: true })), [keys[2], keys[1]]);
    assert.equal((await kv().list(prefixRange([base]), { limit: KV_LIST_LIMIT_MAX })).length, 3);
    for (const limit of [0, -1, 1.5, Number.NaN, KV_LIST_LIMIT_MAX + 1]) {
      await assert.rejects(kv().list(prefixRange([base]), { limit }), RangeError);
    }
  });

  test("a range whose start is not below its end holds nothing", async () => {
    const key = pack([scope()]);
    await set(kv(), key, "x");
    for (const range of [
      { start: key, end: key },
      { start: keyAfter(key), end: key },
    ]) {
      for (const reverse of [false, true]) assert.deepEqual(await kv().list(range, { limit: 9, reverse }), []);
      assert.equal((await kv().atomic().checkEmpty(range).commit()).committed, true);
    }
  });

  test("the range of every tuple holds what was set and nothing of the driver's own", async () => {
    await set(kv(), pack([scope()]), "x");
    for (const range of [prefixRange([]), { start: Buffer.alloc(0), end: Buffer.alloc(KV_KEY_BYTES_MAX + 1, 0xff) }]) {
      for (const reverse of [false, true]) {
        const found = await kv().list(range, { limit: KV_LIST_LIMIT_MAX, reverse });
        assert.ok(found.length > 0);
        for (const { key } of found) assert.ok((key[0] ?? 0) <= 0x1b, key.toString("hex"));
      }
    }
    const behind = { start: Buffer.of(0x1c), end: Buffer.alloc(9, 0xff) };
    assert.deepEqual(await kv().list(behind, { limit: 1 }), []);
    assert.equal((await kv().atomic().checkEmpty(behind).commit()).committed, true);
  });
}
