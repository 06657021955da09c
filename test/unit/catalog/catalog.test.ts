import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type Catalog,
  endedSessions,
  endOtherSessions,
  openCatalog,
  SessionEndedError,
  walk,
} from "../../../src/catalog/catalog.ts";
import { bucketKey, sessionKey } from "../../../src/catalog/keys.ts";
import type { Kv } from "../../../src/catalog/kv.ts";
import { memoryKv } from "../../../src/catalog/memory/memory-kv.ts";
import { idSource } from "../../../src/shared/ids.ts";
import { seededRandom } from "../../../src/shared/random.ts";
import { ManualClock } from "../../support/manual-clock.ts";

function opener(kv: Kv): () => Promise<Catalog> {
  const clock = new ManualClock();
  const ids = idSource(clock, seededRandom(1));
  return () => openCatalog(kv, { clock, ids, host: "test", pid: 1 });
}

const NO_VALUE = new Uint8Array(0);

test("a walk yields every entry of its range once, in order, whatever the size of its pages", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.nat(99), { maxLength: 40 }),
      fc.integer({ min: 1, max: 50 }),
      async (names, page) => {
        const kv = memoryKv();
        for (const name of names) await kv.atomic().set(Buffer.of(5, name), NO_VALUE).commit();
        await kv.atomic().set(Buffer.of(4), NO_VALUE).set(Buffer.of(6), NO_VALUE).commit();
        const walked: (number | undefined)[] = [];
        for await (const { key } of walk(kv, { start: Buffer.of(5), end: Buffer.of(6) }, page)) walked.push(key[1]);
        assert.deepEqual(
          walked,
          names.toSorted((a, b) => a - b),
        );
      },
    ),
  );
});

test("a walk goes on behind an entry that is deleted under it, and meets what is put in before it", async () => {
  const kv = memoryKv();
  for (const name of [1, 2, 3, 4]) await kv.atomic().set(Buffer.of(5, name), NO_VALUE).commit();
  const walked: (number | undefined)[] = [];
  for await (const { key } of walk(kv, { start: Buffer.of(5), end: Buffer.of(6) }, 2)) {
    walked.push(key[1]);
    await kv.atomic().delete(key).commit();
    if (key[1] === 2) await kv.atomic().set(Buffer.of(5, 9), NO_VALUE).set(Buffer.of(5, 0), NO_VALUE).commit();
  }
  assert.deepEqual(walked, [1, 2, 3, 4, 9]);
});

test("the cluster gets its id once, and every start a session of its own with a number never used before", async () => {
  const open = opener(memoryKv());
  const [first, second, third] = [await open(), await open(), await open()];
  assert.match(first.clusterId, /^[0-9a-f]{32}$/);
  assert.deepEqual([second.clusterId, third.clusterId], [first.clusterId, first.clusterId]);
  assert.deepEqual([first.session, second.session, third.session], [1, 2, 3]);
});

test("starts at the same time agree on the cluster and share no session", async () => {
  const open = opener(memoryKv());
  const catalogs = await Promise.all(Array.from({ length: 8 }, open));
  assert.equal(new Set(catalogs.map(({ clusterId }) => clusterId)).size, 1);
  assert.equal(new Set(catalogs.map(({ session }) => session)).size, 8);
});

test("an ended session commits nothing more, and is told apart from a failed check", async () => {
  const kv = memoryKv();
  const open = opener(kv);
  const old = await open();
  const begun = old.begin().set(bucketKey("begun-before"), NO_VALUE);
  const now = await open();
  await endOtherSessions(now);
  await assert.rejects(old.commit(begun), SessionEndedError);
  await assert.rejects(old.commit(old.begin().set(bucketKey("begun-after"), NO_VALUE)), SessionEndedError);
  assert.equal(await kv.get(bucketKey("begun-before")), undefined);
  assert.equal(await kv.get(bucketKey("begun-after")), undefined);
  assert.ok((await now.commit(now.begin().set(bucketKey("ours"), NO_VALUE))).committed);
  const failed = await now.commit(now.begin().check(bucketKey("ours"), null));
  assert.equal(failed.committed, false);
});

test("ending the other sessions ends each once and leaves our own", async () => {
  const kv = memoryKv();
  const open = opener(kv);
  await open();
  await open();
  const now = await open();
  assert.deepEqual(await endedSessions(now), []);
  await endOtherSessions(now);
  assert.deepEqual(await endedSessions(now), [1, 2]);
  const ended = await kv.get(sessionKey(1));
  await endOtherSessions(now);
  assert.equal((await kv.get(sessionKey(1)))?.version, ended?.version);
  assert.ok((await now.commit(now.begin().set(bucketKey("ours"), NO_VALUE))).committed);
});

test("the number of a session that was forgotten is not given out again while a later one is on record", async () => {
  const kv = memoryKv();
  const open = opener(kv);
  await open();
  const second = await open();
  await kv.atomic().delete(sessionKey(1)).commit();
  assert.equal(second.session, 2);
  assert.equal((await open()).session, 3);
});
