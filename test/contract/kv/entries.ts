import assert from "node:assert/strict";
import { test } from "node:test";
import type { KvEntry } from "../../../src/catalog/kv.ts";
import { after as keyAfter, pack, prefixRange } from "../../../src/catalog/tuple.ts";
import { commitAll, keysOf, type Scope, type Subject, set } from "./calls.ts";

export function entries(kv: Subject, scope: Scope): void {
  test("a key that was never set has no entry", async () => {
    assert.equal(await kv().get(pack([scope()])), undefined);
  });

  test("an entry has its key, its bytes and the version of the commit that wrote it last", async () => {
    const key = pack([scope(), 7]);
    await set(kv(), key, "one");
    const version = await set(kv(), key, "two");
    assert.deepEqual(await kv().get(key), { key, value: Buffer.from("two"), version });
  });

  test("an empty value is a value", async () => {
    const key = pack([scope()]);
    await set(kv(), key, "");
    assert.equal((await kv().get(key))?.value.length, 0);
    assert.equal((await kv().list({ start: key, end: keyAfter(key) }, { limit: 1 }))[0]?.value.length, 0);
  });

  test("a deleted entry is gone, and deleting it again commits", async () => {
    const key = pack([scope()]);
    await set(kv(), key, "x");
    for (let i = 0; i < 2; i++) {
      assert.equal((await kv().atomic().delete(key).commit()).committed, true);
      assert.equal(await kv().get(key), undefined);
    }
  });

  test("getMany answers in the order asked, with what is missing and what was asked for twice", async () => {
    const base = scope();
    await kv()
      .atomic()
      .set(pack([base, 1]), Buffer.from("a"))
      .set(pack([base, 2]), Buffer.from("b"))
      .commit();
    const found = await kv().getMany([2, 3, 1, 2].map((n) => pack([base, n])));
    assert.deepEqual(
      found.map((entry) => entry?.value.toString()),
      ["b", undefined, "a", "b"],
    );
    assert.deepEqual(await kv().getMany([]), []);
  });

  test("what was answered or handed over can be changed without changing the store, and does not change by itself", async () => {
    const base = scope();
    const keys = (): Buffer[] => [0, 1, 2].map((n) => pack([base, n]));
    /** Each of the three entries, three times over. */
    const ask = async (): Promise<KvEntry[]> => {
      const single = await Promise.all(keys().map((key) => kv().get(key)));
      const many = await kv().getMany(keys());
      const listed = await kv().list(prefixRange([base]), { limit: 10 });
      return [...single, ...many, ...listed].map((entry) => entry ?? assert.fail("an entry is missing"));
    };
    const expect = (answers: readonly KvEntry[], text: string): void => {
      assert.deepEqual(keysOf(answers), [...keys(), ...keys(), ...keys()]);
      for (const { value } of answers) assert.equal(value.toString(), text);
    };
    const [handedKeys, handedValue] = [keys(), Buffer.from("before")];
    await commitAll(kv(), handedKeys, handedValue);
    for (const bytes of [...handedKeys, handedValue]) bytes.fill(0);

    const answers = await ask();
    expect(answers, "before");
    await commitAll(kv(), keys(), Buffer.from("behind"));
    expect(await ask(), "behind");
    expect(answers, "before");

    for (const { key, value } of await ask()) {
      key.fill(0);
      value.fill(0);
    }
    expect(await ask(), "behind");
  });
}
