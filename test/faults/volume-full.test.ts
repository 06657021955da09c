import assert from "node:assert/strict";
import { mkdir, rm, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { NodeError, type NodeErrorKind } from "../../src/nodes/storage-node.ts";
import { temporaryFolder } from "../support/files.ts";
import { findProgram, runProgram, succeed } from "../support/programs.ts";
import { holds, listAll, openNode, putBlob, type StoredBlob } from "../support/volume-node.ts";

const DISK_MIB = 12;
const LENGTHS = [1000, 40_000, 300_000];

/** A small disk of its own, mounted for the length of a scope; undefined, and the test skipped, where that may not be. */
async function smallDisk(path: string, t: TestContext): Promise<AsyncDisposable | undefined> {
  if (process.getuid?.() !== 0 || findProgram("mount") === undefined) {
    t.skip("only root mounts a small disk");
    return undefined;
  }
  await mkdir(path);
  const { code, stderr } = await runProgram("mount", ["-t", "tmpfs", "-o", `size=${DISK_MIB}m`, "tmpfs", path]);
  if (code !== 0) {
    t.skip(`a small disk cannot be mounted: ${stderr.trim()}`);
    return undefined;
  }
  return { [Symbol.asyncDispose]: async () => void (await succeed("umount", ["--lazy", path])) };
}

async function kindOf(call: Promise<unknown>): Promise<NodeErrorKind | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    assert.ok(error instanceof NodeError, String(error));
    return error.kind;
  }
}

for (const [name, freeReserveBytes] of [
  ["the node keeps a reserve", 2 * 1024 * 1024],
  ["the disk is full to its last byte", 0],
] as const) {
  test(`a full disk answers full, loses nothing and takes deletes (${name})`, async (t) => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, "disk");
    await using disk = await smallDisk(path, t);
    if (disk === undefined) return;
    const limits = { freeReserveBytes };
    let node = await openNode(path, { limits });
    const kept: StoredBlob[] = [];
    let refused = 0;
    while (refused < 50) {
      const length = LENGTHS[(kept.length + refused) % LENGTHS.length] ?? 1;
      const kind = await kindOf(putBlob(node, length).then((blob) => kept.push(blob)));
      if (kind !== undefined) assert.equal(kind, "full");
      if (kind !== undefined) refused++;
    }
    assert.ok(kept.length > 20);
    for (const blob of kept) assert.ok(await holds(node, blob));
    const gone = kept.splice(0, 10);
    for (const { key } of gone) await node.delete(key);
    await node.close();

    node = await openNode(path, { limits });
    assert.deepEqual(
      (await listAll(node)).map((blob) => blob.key),
      kept.map((blob) => blob.key).sort(),
    );
    for (const blob of kept) assert.ok(await holds(node, blob));
    await node.close();

    // The index, too, can be made anew on a disk this full, or says why not.
    await rm(join(path, "index"), { recursive: true });
    node = await openNode(path, { limits });
    for (const blob of kept) assert.ok(await holds(node, blob));
    await node.close();
  });
}

test("a disk that others fill answers full, and takes puts again when there is room", async (t) => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "disk");
  await using disk = await smallDisk(path, t);
  if (disk === undefined) return;
  const node = await openNode(path, { limits: { freeReserveBytes: 1024 * 1024 } });
  const before = await putBlob(node, 100_000);
  const { bavail, bsize } = await statfs(path);
  // The node takes some of it meanwhile, so the last bytes do not fit.
  await writeFile(join(path, "others"), Buffer.alloc(bavail * bsize)).catch(() => {});
  assert.equal(await kindOf(putBlob(node, 1000)), "full");
  assert.equal(await kindOf(putBlob(node, 300_000)), "full");
  await rm(join(path, "others"));
  const later = await putBlob(node, 300_000);
  for (const blob of [before, later]) assert.ok(await holds(node, blob));
  await node.close();
});
