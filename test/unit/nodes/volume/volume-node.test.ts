import assert from "node:assert/strict";
import { appendFile, mkdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { StorageNode } from "../../../../src/nodes/storage-node.ts";
import { HEADER_BYTES, SUPERBLOCK_BYTES } from "../../../../src/nodes/volume/layout.ts";
import { seededRandom } from "../../../../src/shared/random.ts";
import { assertFails } from "../../../contract/storage-node-contract.ts";
import { blocksOf, collect, copyKey, headerFor, patternBytes } from "../../../support/blobs.ts";
import { temporaryFolder } from "../../../support/files.ts";
import { findBlob, flipByte, volumeFiles } from "../../../support/volume-files.ts";
import { CLUSTER_ID, holds, listAll, openNode, putBlob, type StoredBlob } from "../../../support/volume-node.ts";

const KIB = 1024;

/** Small and large blobs over several volumes, every third one deleted again. */
async function fill(node: StorageNode): Promise<{ kept: StoredBlob[]; gone: StoredBlob[] }> {
  const [kept, gone]: [StoredBlob[], StoredBlob[]] = [[], []];
  for (let i = 0; i < 60; i++) {
    const blob = await putBlob(node, i % 6 === 0 ? 500 * KIB + i : i % 5 === 0 ? 40 * KIB : 100 + i);
    (i % 3 === 1 ? gone : kept).push(blob);
  }
  await Promise.all(gone.map(({ key }) => node.delete(key)));
  return { kept, gone };
}

async function assertAllHeld(node: StorageNode, blobs: readonly StoredBlob[]): Promise<void> {
  for (const blob of blobs) assert.ok(await holds(node, blob));
}

test("an index that was deleted is rebuilt from the volumes, deletions included", async () => {
  await using folder = await temporaryFolder();
  let node = await openNode(folder.path);
  const { kept, gone } = await fill(node);
  const listed = await listAll(node);
  await node.close();
  await rm(join(folder.path, "index"), { recursive: true });
  node = await openNode(folder.path);
  assert.deepEqual(await listAll(node), listed);
  await assertAllHeld(node, kept);
  for (const { key } of gone) assert.equal(await node.head(key), undefined);
  assert.ok((await volumeFiles(folder.path)).length > 4);
  await node.close();
});

test("an index that is cut short, garbage, empty or of another node is rebuilt", async () => {
  await using folder = await temporaryFolder();
  await using other = await temporaryFolder();
  const stranger = await openNode(other.path, { indexPath: join(folder.path, "stranger") });
  await putBlob(stranger, 100);
  await stranger.close();
  let node = await openNode(folder.path);
  const { kept } = await fill(node);
  const listed = await listAll(node);
  await node.close();
  const data = join(folder.path, "index", "data.mdb");
  const damages: (() => Promise<void>)[] = [
    async () => truncate(data, 0),
    async () => truncate(data, 5000),
    async () => writeFile(data, "this is no index"),
    async () => writeFile(data, Buffer.alloc(100_000, 0x5a)),
    // The first two pages tell where the others are; these read as zeros, as a crash may leave them.
    async () => writeFile(data, (await readFile(data)).fill(0, 2 * 4096)),
    async () => rm(join(folder.path, "index"), { recursive: true }),
  ];
  for (const damage of damages) {
    await damage();
    node = await openNode(folder.path);
    assert.deepEqual(await listAll(node), listed);
    await assertAllHeld(node, kept);
    await node.close();
  }
  node = await openNode(folder.path, { indexPath: join(folder.path, "stranger") });
  assert.deepEqual(await listAll(node), listed);
  await node.close();
});

test("files that are not the index's survive in its folder", async () => {
  await using folder = await temporaryFolder();
  const indexPath = join(folder.path, "disk.two");
  await mkdir(indexPath);
  await writeFile(join(indexPath, "letter.txt"), "not yours");
  await writeFile(join(indexPath, "data.mdb"), "garbage");
  const node = await openNode(folder.path, { indexPath });
  await putBlob(node, 10);
  await node.close();
  assert.equal((await stat(join(indexPath, "letter.txt"))).size, 9);
});

test("a damaged copy of a superblock is restored from the other, whichever it is", async () => {
  await using folder = await temporaryFolder();
  let node = await openNode(folder.path);
  const blob = await putBlob(node, 1000);
  for (const copy of [0, 1, 0]) {
    await node.close();
    for (const file of await volumeFiles(folder.path)) await flipByte(file, copy * SUPERBLOCK_BYTES + 50);
    node = await openNode(folder.path);
    assert.ok(await holds(node, blob));
  }
  await node.close();
});

test("with both superblocks of a volume lost, an unknown key is not said to be absent, and the rest is served", async () => {
  await using folder = await temporaryFolder();
  let node = await openNode(folder.path);
  const lost = await putBlob(node, 1000);
  const large = await putBlob(node, 200 * KIB);
  const { file } = await findBlob(folder.path, lost.key);
  assert.notEqual(file, (await findBlob(folder.path, large.key)).file);
  await node.close();
  await flipByte(file, 50);
  await flipByte(file, SUPERBLOCK_BYTES + 50);
  node = await openNode(folder.path);
  await assertFails(node.head(lost.key), "io");
  await assertFails(node.get(lost.key, { start: 0, end: 1 }), "io");
  assert.ok(await holds(node, large));
  assert.ok(await holds(node, await putBlob(node, 1000)));
  const findings = await node.probe("admission");
  assert.deepEqual(
    findings.filter(({ passed }) => !passed).map(({ check }) => check),
    ["volumes-readable"],
  );
  await node.close();
});

test("a volume that is gone takes its blobs with it, not the others", async () => {
  await using folder = await temporaryFolder();
  let node = await openNode(folder.path);
  const lost = await putBlob(node, 1000);
  const large = await putBlob(node, 200 * KIB);
  await node.close();
  await rm((await findBlob(folder.path, lost.key)).file);
  node = await openNode(folder.path);
  assert.equal(await node.head(lost.key), undefined);
  assert.ok(await holds(node, large));
  await node.close();
});

test("volumes of another cluster and of another node are refused by name", async () => {
  await using folder = await temporaryFolder();
  await using other = await temporaryFolder();
  for (const { path } of [folder, other]) await (await openNode(path)).close();
  const wrong = await assertFails(openNode(folder.path, { clusterId: "d".repeat(32) }), "refused");
  assert.ok(wrong.message.includes(folder.path));
  const [foreign] = await volumeFiles(other.path);
  assert.ok(foreign);
  await rm(join(folder.path, "volumes", "00000001.vol"));
  await writeFile(join(folder.path, "volumes", "00000001.vol"), await readFile(foreign));
  await assertFails(openNode(folder.path), "refused");
});

test("a second node over the same folder or the same index is refused while the first is open", async () => {
  await using folder = await temporaryFolder();
  await using other = await temporaryFolder();
  const node = await openNode(folder.path);
  await assertFails(openNode(folder.path), "refused");
  await assertFails(openNode(other.path, { indexPath: join(folder.path, "index") }), "refused");
  await node.close();
  await (await openNode(folder.path)).close();
});

test("a folder that cannot be made is answered with its path and the reason", async () => {
  await using folder = await temporaryFolder();
  await writeFile(join(folder.path, "file"), "");
  const path = join(folder.path, "file", "node");
  const error = await assertFails(openNode(path), "io");
  assert.ok(error.message.includes(path) && error.message.includes("ENOTDIR"), error.message);
});

test("limits that contradict each other are refused", async () => {
  await using folder = await temporaryFolder();
  await assert.rejects(openNode(folder.path, { limits: { smallBlobBytesMax: 4096 * KIB } }), RangeError);
  await assert.rejects(openNode(folder.path, { limits: { volumeBytes: 1.5 } }), RangeError);
});

test("a blob larger than a volume is refused, the largest that fits is kept", async () => {
  await using folder = await temporaryFolder();
  const node = await openNode(folder.path);
  await assertFails(putBlob(node, 2048 * KIB), "invalid");
  assert.ok(await holds(node, await putBlob(node, 2000 * KIB)));
  assert.ok(await holds(node, await putBlob(node, 2000 * KIB)));
  await node.close();
});

test("copies of a volume's records inside a blob are not taken for records, even by a scan that looks into it", async () => {
  await using folder = await temporaryFolder();
  let node = await openNode(folder.path);
  const first = await putBlob(node, 1000);
  const { file, offset } = await findBlob(folder.path, first.key);
  const record = (await readFile(file)).subarray(offset - HEADER_BYTES, offset + 1500);
  const random = seededRandom(1);
  const key = copyKey(2, random);
  // The copies lie where headers may: the body begins 128 bytes behind a multiple of 512.
  const bytes = Buffer.concat([Buffer.alloc(512 - HEADER_BYTES), record, record.subarray(0, 512), record]);
  await node.put({ key, header: headerFor(key, bytes.length, random, CLUSTER_ID), blocks: blocksOf(bytes) });
  const last = await putBlob(node, 1000);
  await node.close();
  const forged = await findBlob(folder.path, key);
  await flipByte(forged.file, forged.offset - HEADER_BYTES + 40);
  await rm(join(folder.path, "index"), { recursive: true });
  node = await openNode(folder.path);
  assert.deepEqual(
    (await listAll(node)).map((blob) => blob.key),
    [first.key, last.key].sort(),
  );
  await assertAllHeld(node, [first, last]);
  await node.close();
});

test("an index entry that points at another record is answered as corrupt", async () => {
  await using folder = await temporaryFolder();
  const node = await openNode(folder.path);
  const blob = await putBlob(node, 1000);
  const { file, offset } = await findBlob(folder.path, blob.key);
  await flipByte(file, offset - 84);
  await assertFails(node.get(blob.key, { start: 0, end: 1000 }), "corrupt");
  await assertFails(node.get(blob.key, { start: 500, end: 1000 }), "corrupt");
  await node.close();
});

test("a key that was deleted is not put again, before or after a rebuild", async () => {
  await using folder = await temporaryFolder();
  let node = await openNode(folder.path);
  const { key, bytes } = await putBlob(node, 1000);
  const header = headerFor(key, 1000, seededRandom(1), CLUSTER_ID);
  await node.delete(key);
  await assertFails(node.put({ key, header, blocks: blocksOf(bytes) }), "invalid");
  assert.equal(await node.head(key), undefined);
  await node.close();
  await rm(join(folder.path, "index"), { recursive: true });
  node = await openNode(folder.path);
  assert.equal(await node.head(key), undefined);
  await node.close();
});

test("a delete that comes while its put is under way wins", async () => {
  await using folder = await temporaryFolder();
  let node = await openNode(folder.path);
  const random = seededRandom(1);
  const key = copyKey(1, random);
  const bytes = patternBytes(600 * KIB, 1);
  const blocks = blocksOf(bytes);
  const half = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  async function* slow(): AsyncGenerator<(typeof blocks)[number]> {
    for (const [i, block] of blocks.entries()) {
      if (i === 1) {
        half.resolve();
        await go.promise;
      }
      yield block;
    }
  }
  const put = assertFails(
    node.put({ key, header: headerFor(key, bytes.length, random, CLUSTER_ID), blocks: slow() }),
    "invalid",
  );
  await half.promise;
  await node.delete(key);
  go.resolve();
  await put;
  assert.equal(await node.head(key), undefined);
  await node.close();
  await rm(join(folder.path, "index"), { recursive: true });
  node = await openNode(folder.path);
  assert.equal(await node.head(key), undefined);
  await node.close();
});

test("slow large puts hold up neither small ones nor each other", async () => {
  await using folder = await temporaryFolder();
  const node = await openNode(folder.path);
  const random = seededRandom(1);
  const bytes = patternBytes(300 * KIB, 1);
  const blocks = blocksOf(bytes);
  const go = Promise.withResolvers<void>();
  async function* slow(): AsyncGenerator<(typeof blocks)[number]> {
    for (const [i, block] of blocks.entries()) {
      if (i === 1) await go.promise;
      yield block;
    }
  }
  const slowKeys = Array.from({ length: 10 }, () => copyKey(1, random));
  const puts = slowKeys.map((key) =>
    node.put({ key, header: headerFor(key, bytes.length, random, CLUSTER_ID), blocks: slow() }),
  );
  assert.ok(await holds(node, await putBlob(node, 100)));
  assert.ok(await holds(node, await putBlob(node, 400 * KIB)));
  go.resolve();
  await Promise.all(puts);
  for (const key of slowKeys) {
    assert.ok((await collect(await node.get(key, { start: 0, end: bytes.length }))).equals(bytes));
  }
  await node.close();
});

test("whatever lies behind the last record is cut at the next start, and what follows is whole", async () => {
  await using folder = await temporaryFolder();
  let node = await openNode(folder.path);
  const blobs = [await putBlob(node, 1000), await putBlob(node, 200 * KIB)];
  for (let round = 0; round < 3; round++) {
    await node.close();
    for (const file of await volumeFiles(folder.path)) await appendFile(file, patternBytes(10_000 + round, round));
    node = await openNode(folder.path);
    blobs.push(await putBlob(node, 1000), await putBlob(node, 200 * KIB));
    await assertAllHeld(node, blobs);
  }
  await node.close();
});
