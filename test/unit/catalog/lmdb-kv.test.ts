import assert from "node:assert/strict";
import { mkdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { open } from "lmdb";
import type { KvStore } from "../../../src/catalog/kv.ts";
import { openLmdbKv } from "../../../src/catalog/lmdb/lmdb-kv.ts";
import { pack } from "../../../src/catalog/tuple.ts";
import { FolderLockedError } from "../../../src/shared/process-lock.ts";
import { kvStoreContract, type LastingKvUnderTest, lastingKvContract } from "../../contract/kv-contract.ts";
import { temporaryFolder } from "../../support/files.ts";

const KEY = pack(["key"]);

async function makeKv(): Promise<LastingKvUnderTest> {
  const folder = await temporaryFolder();
  const reopen = (): Promise<KvStore> => openLmdbKv({ folder: join(folder.path, "catalog") });
  return { kv: await reopen(), reopen, dispose: async () => folder[Symbol.asyncDispose]() };
}

kvStoreContract("lmdb", makeKv);
lastingKvContract("lmdb", makeKv);

test("a store that is open cannot be opened a second time until it is closed", async () => {
  await using folder = await temporaryFolder();
  const kv = await openLmdbKv({ folder: folder.path });
  await kv.atomic().set(KEY, Buffer.from("kept")).commit();
  await assert.rejects(openLmdbKv({ folder: folder.path }), (thrown) => {
    assert.ok(thrown instanceof FolderLockedError);
    assert.equal(thrown.pid, process.pid);
    return true;
  });
  assert.equal((await kv.get(KEY))?.value.toString(), "kept");
  await kv.close();
  const again = await openLmdbKv({ folder: folder.path });
  assert.equal((await again.get(KEY))?.value.toString(), "kept");
  await again.close();
});

test("a folder whose name looks like a file's is a folder all the same", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "data.v1", "catalog.lmdb");
  const kv = await openLmdbKv({ folder: path });
  await kv.close();
  assert.ok((await stat(join(path, "data.mdb"))).isFile());
});

test("pages have the same size on every machine", async () => {
  await using folder = await temporaryFolder();
  const kv = await openLmdbKv({ folder: folder.path });
  await kv.close();
  const db = open({ path: folder.path, readOnly: true });
  const stats = db.getStats();
  await db.close();
  assert.ok("pageSize" in stats);
  assert.equal(stats.pageSize, 4096);
});

test("a store of an unknown format is refused, left as it is, and its folder is free again", async () => {
  await using folder = await temporaryFolder();
  const db = open<Buffer, Uint8Array>({ path: folder.path, keyEncoding: "binary", encoding: "binary" });
  await db.put(Buffer.of(0xff), Buffer.alloc(9, 99));
  await db.close();
  for (let i = 0; i < 2; i++) await assert.rejects(openLmdbKv({ folder: folder.path }), /format/);
  const later = open<Buffer, Uint8Array>({ path: folder.path, keyEncoding: "binary", encoding: "binary" });
  assert.deepEqual(later.get(Buffer.of(0xff)), Buffer.alloc(9, 99));
  await later.close();
});

test("files that LMDB cannot open are refused by name, and the folder is free again", async () => {
  await using folder = await temporaryFolder();
  const data = join(folder.path, "data.mdb");
  const lock = join(folder.path, "lock.mdb");
  const broken: [string, () => Promise<unknown>][] = [
    [data, () => mkdir(data)],
    [data, () => writeFile(data, Buffer.alloc(100, 1))],
    [data, () => writeFile(data, Buffer.alloc(65_536))],
    [data, () => writeFile(data, Buffer.alloc(65_536, 0xbe))],
    [lock, () => mkdir(lock)],
  ];
  for (const [path, breakIt] of broken) {
    await breakIt();
    await assert.rejects(openLmdbKv({ folder: folder.path }), (thrown) => {
      assert.ok(thrown instanceof Error && thrown.message.includes(path), String(thrown));
      return true;
    });
    await rm(path, { recursive: true });
  }
  const kv = await openLmdbKv({ folder: folder.path });
  await kv.close();
});
