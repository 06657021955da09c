import assert from "node:assert/strict";
import { mkdir, open, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { CatalogError, KV_LIST_LIMIT_MAX, KV_VALUE_BYTES_MAX, type Kv } from "../../src/catalog/kv.ts";
import { openLmdbKv } from "../../src/catalog/lmdb/lmdb-kv.ts";
import { pack, prefixRange } from "../../src/catalog/tuple.ts";
import { systemErrorCode } from "../../src/shared/errors.ts";
import { patternBytes, temporaryFolder } from "../support/files.ts";
import { inParallel } from "../support/in-parallel.ts";
import { findProgram, runProgram, succeed } from "../support/programs.ts";
import { runSeed, type Seeded, seeded } from "../support/seeded.ts";
import { MIB } from "../support/sizes.ts";

const WRITERS = 16;

/** What was acknowledged, key by key. No key is changed by two commits at a time. */
class Acknowledged {
  readonly values = new Map<string, Buffer>();
  readonly #random: Seeded;
  #drawn = 0;

  constructor(seed: number) {
    this.#random = seeded(seed);
  }

  /** Sets a value, or deletes it. Whether there was room; throws for any other failure. */
  async change(kv: Kv, key: Buffer, value: Buffer | undefined): Promise<boolean> {
    const atomic = kv.atomic();
    if (value === undefined) atomic.delete(key);
    else atomic.set(key, value);
    try {
      assert.equal((await atomic.commit()).committed, true);
    } catch (error) {
      assert.ok(error instanceof CatalogError, String(error));
      assert.equal(error.kind, "full", error.message);
      return false;
    }
    if (value === undefined) this.values.delete(key.toString("hex"));
    else this.values.set(key.toString("hex"), value);
    return true;
  }

  /** Sets new keys from many sides until each has been told that the store is full. */
  async fill(kv: Kv, valueBytesMax: number): Promise<void> {
    const write = async (): Promise<void> => {
      while (await this.change(kv, this.newKey(), this.newValue(valueBytesMax)));
    };
    await Promise.all(Array.from({ length: WRITERS }, write));
  }

  newKey(): Buffer {
    return pack(["entry", this.#random.below(1_000), this.#drawn++]);
  }

  newValue(bytesMax: number): Buffer {
    return patternBytes(this.#random.below(bytesMax), this.#drawn++);
  }

  /** About so large a part of the keys that have a value. */
  someKeys(part: number): Buffer[] {
    return [...this.values.keys()].filter(() => this.#random.next() < part).map((key) => Buffer.from(key, "hex"));
  }

  /** Deletes a part of the entries, which a full store must still do. */
  async deleteSome(kv: Kv, part: number): Promise<void> {
    await inParallel(WRITERS, this.someKeys(part), async (key) => {
      assert.ok(await this.change(kv, key, undefined), "a full store refused a delete");
    });
  }

  /** That the store holds what was acknowledged, and nothing else. */
  async compare(kv: Kv): Promise<void> {
    const found = await kv.list(prefixRange(["entry"]), { limit: KV_LIST_LIMIT_MAX });
    assert.deepEqual(
      found.map(({ key }) => key.toString("hex")),
      [...this.values.keys()].sort(),
    );
    for (const { key, value } of found) assert.ok(this.values.get(key.toString("hex"))?.equals(value));
    for (const [key, value] of this.values) assert.ok((await kv.get(Buffer.from(key, "hex")))?.value.equals(value));
  }
}

test("a store at its size limit answers full, reads and deletes, and takes more once there is room", async (t) => {
  const seed = runSeed();
  t.diagnostic(`BULKHEAD_TEST_SEED=${seed}`);
  const acknowledged = new Acknowledged(seed);
  await using folder = await temporaryFolder();
  const bytesMax = 4 * MIB;
  const kv = await openLmdbKv({ folder: folder.path, bytesMax });
  for (const valueBytesMax of [KV_VALUE_BYTES_MAX, 3_000, KV_VALUE_BYTES_MAX, 9_000]) {
    await acknowledged.fill(kv, valueBytesMax);
    await acknowledged.compare(kv);
    await acknowledged.deleteSome(kv, 0.7);
    await acknowledged.compare(kv);
  }
  await acknowledged.fill(kv, KV_VALUE_BYTES_MAX);
  await kv.close();
  // Gaps of freed pages may leave it larger than what is in use.
  assert.ok((await stat(join(folder.path, "data.mdb"))).size < 2 * bytesMax);

  const larger = await openLmdbKv({ folder: folder.path, bytesMax: 4 * bytesMax });
  await acknowledged.compare(larger);
  assert.equal(await acknowledged.change(larger, acknowledged.newKey(), acknowledged.newValue(9_000)), true);
  await acknowledged.compare(larger);
  await larger.close();
});

/** A small disk of its own, mounted for the length of a scope; undefined after a skip where that is not allowed. */
async function smallDisk(path: string, sizeMiB: number, t: TestContext): Promise<AsyncDisposable | undefined> {
  if (process.getuid?.() !== 0 || findProgram("mount") === undefined) {
    t.skip("only root mounts a small disk");
    return undefined;
  }
  await mkdir(path);
  const { code, stderr } = await runProgram("mount", ["-t", "tmpfs", "-o", `size=${sizeMiB}m`, "tmpfs", path]);
  if (code !== 0) {
    t.skip(`a small disk cannot be mounted: ${stderr.trim()}`);
    return undefined;
  }
  return { [Symbol.asyncDispose]: async () => void (await succeed("umount", ["--lazy", path])) };
}

/** Writes a file until the disk has not a byte left. */
async function fillDisk(path: string): Promise<void> {
  await using file = await open(path, "w");
  for (const pieceBytes of [MIB, 4_096, 1]) {
    for (let room = true; room; ) {
      room = await file.write(Buffer.alloc(pieceBytes)).then(
        ({ bytesWritten }) => bytesWritten === pieceBytes,
        (error: unknown) => {
          assert.equal(systemErrorCode(error), "ENOSPC");
          return false;
        },
      );
    }
  }
}

test("on a full disk commits answer full, reads go on, and there is nothing lost and nothing written by halves", async (t) => {
  await using parent = await temporaryFolder();
  const disk = join(parent.path, "disk");
  await using mounted = await smallDisk(disk, 12, t);
  if (mounted === undefined) return;
  const seed = runSeed();
  t.diagnostic(`BULKHEAD_TEST_SEED=${seed}`);
  const acknowledged = new Acknowledged(seed);
  const folder = join(disk, "catalog");
  const ballast = join(disk, "ballast");
  const kv = await openLmdbKv({ folder, reserveBytes: 2 * MIB });

  // Full but for the reserve: what makes room still works, again and again.
  for (const valueBytesMax of [KV_VALUE_BYTES_MAX, 3_000, KV_VALUE_BYTES_MAX]) {
    await acknowledged.fill(kv, valueBytesMax);
    await acknowledged.compare(kv);
    await acknowledged.deleteSome(kv, 0.5);
  }

  // Full to the last byte, by somebody else: LMDB's own writes fail.
  await fillDisk(ballast);
  const deleted = acknowledged.someKeys(0.5).map((key) => acknowledged.change(kv, key, undefined));
  const changes = [
    ...deleted,
    ...Array.from({ length: 50 }, () => acknowledged.change(kv, acknowledged.newKey(), acknowledged.newValue(64))),
  ];
  const done = await Promise.all(changes);
  t.diagnostic(`${done.filter((room) => room).length} of ${done.length} changes found room on the full disk`);
  await acknowledged.compare(kv);
  await acknowledged.fill(kv, KV_VALUE_BYTES_MAX);
  await acknowledged.compare(kv);
  await kv.close();

  // It can be opened and read as it is, and takes commits as soon as there is room, without being opened anew.
  const again = await openLmdbKv({ folder, reserveBytes: 2 * MIB });
  await acknowledged.compare(again);
  await acknowledged.fill(again, KV_VALUE_BYTES_MAX);
  await rm(ballast);
  await acknowledged.deleteSome(again, 0.5);
  assert.equal(await acknowledged.change(again, acknowledged.newKey(), acknowledged.newValue(9_000)), true);
  await acknowledged.fill(again, KV_VALUE_BYTES_MAX);
  await again.close();

  const last = await openLmdbKv({ folder, reserveBytes: 2 * MIB });
  await acknowledged.compare(last);
  await last.close();
});

test("a store cannot be made on a full disk, which is an error and not the end of the process", async (t) => {
  await using parent = await temporaryFolder();
  const disk = join(parent.path, "disk");
  await using mounted = await smallDisk(disk, 2, t);
  if (mounted === undefined) return;
  const folder = join(disk, "catalog");
  const opened = await openLmdbKv({ folder });
  await opened.close();
  await rm(folder, { recursive: true });
  const ballast = join(disk, "ballast");
  await fillDisk(ballast);
  for (let i = 0; i < 2; i++) {
    await assert.rejects(
      openLmdbKv({ folder: disk }),
      (thrown) => thrown instanceof CatalogError && thrown.kind === "full",
    );
  }
  await rm(ballast);
  const kv = await openLmdbKv({ folder: disk, reserveBytes: 0 });
  assert.equal(
    (
      await kv
        .atomic()
        .set(pack(["a"]), Buffer.from("b"))
        .commit()
    ).committed,
    true,
  );
  await kv.close();
});
