/** A disk that answers errors: each becomes the right kind, and nothing acknowledged is lost or ever claimed wrongly. */
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { JOURNAL_SESSION } from "../../../../src/nodes/copy-key.ts";
import { NodeError, type StorageNode } from "../../../../src/nodes/storage-node.ts";
import { seededRandom } from "../../../../src/shared/random.ts";
import { assertFails } from "../../../contract/storage-node-contract.ts";
import { CrashDisk, type DiskCall, systemError } from "../../../support/crash-disk.ts";
import { ManualClock } from "../../../support/manual-clock.ts";
import { MemoryIndex } from "../../../support/memory-index-store.ts";
import { holds, listAll, openNode, putBlob, type StoredBlob } from "../../../support/volume-node.ts";

const SMALL = 1000;
const LARGE = 300 * 1024;

describe("a disk that fails", () => {
  let disk: CrashDisk;
  let index: MemoryIndex;
  let clock: ManualClock;
  let node: StorageNode;

  const open = (limits = {}): Promise<StorageNode> =>
    openNode("/v", {
      fileSystem: disk.mount(),
      openIndexStore: () => index.open(),
      clock,
      random: seededRandom(1),
      limits,
    });

  beforeEach(async () => {
    disk = new CrashDisk(seededRandom(1));
    index = new MemoryIndex();
    clock = new ManualClock();
    node = await open();
  });

  /** From now on such calls on volumes fail, at most `times` of them. */
  function failing(call: DiskCall, code: string, times = Number.POSITIVE_INFINITY): void {
    let left = times;
    disk.fault = (name, path) => {
      if (name === call && path.includes(".vol") && left-- > 0) throw systemError(code);
    };
  }

  function healed(): void {
    disk.fault = () => {};
  }

  async function assertHeld(blobs: readonly StoredBlob[]): Promise<void> {
    for (const blob of blobs) assert.ok(await holds(node, blob));
  }

  for (const [size, length] of [
    ["small", SMALL],
    ["large", LARGE],
  ] as const) {
    for (const [code, kind] of [
      ["ENOSPC", "full"],
      ["EDQUOT", "full"],
      ["EROFS", "read-only"],
      ["EIO", "io"],
    ] as const) {
      test(`a ${size} put answers ${kind} when a write answers ${code}, and the next one is kept`, async () => {
        const before = await putBlob(node, length);
        failing("write", code);
        await assertFails(putBlob(node, length), kind);
        healed();
        const later = await putBlob(node, length);
        await assertHeld([before, later]);
        assert.equal((await listAll(node)).length, 2);
        await node.close();
        node = await open();
        await assertHeld([before, later]);
      });
    }

    test(`a ${size} put answers io when its sync fails, and its volume takes no more records`, async () => {
      const before = await putBlob(node, length);
      const volumes = disk.paths().filter((path) => path.endsWith(".vol")).length;
      failing("datasync", "EIO", 1);
      await assertFails(putBlob(node, length), "io");
      healed();
      const later = await putBlob(node, length);
      await assertHeld([before, later]);
      assert.equal((await listAll(node)).length, 2);
      await node.close();
      assert.ok(disk.paths().filter((path) => path.endsWith(".vol")).length > volumes);
      // What the failed sync left behind is made void or is whole.
      disk.crash();
      index.clear();
      node = await open();
      await assertHeld([before, later]);
    });
  }

  test("a delete answers io when its sync fails, and succeeds later", async () => {
    const blob = await putBlob(node, SMALL);
    failing("datasync", "EIO", 1);
    await assertFails(node.delete(blob.key), "io");
    healed();
    await node.delete(blob.key);
    assert.equal(await node.head(blob.key), undefined);
  });

  test("of many puts at once those whose sync failed answer io, the others are kept", async () => {
    failing("datasync", "EIO", 1);
    const puts = await Promise.allSettled(Array.from({ length: 20 }, () => putBlob(node, SMALL)));
    const kept = puts.filter((put) => put.status === "fulfilled").map((put) => put.value);
    for (const put of puts) {
      if (put.status === "rejected") assert.ok(put.reason instanceof NodeError && put.reason.kind === "io");
    }
    assert.ok(kept.length < puts.length);
    kept.push(await putBlob(node, SMALL));
    await assertHeld(kept);
    assert.equal((await listAll(node)).length, kept.length);
  });

  test("a read answers io when the disk does", async () => {
    const blob = await putBlob(node, LARGE);
    failing("read", "EIO");
    await assertFails(holds(node, blob), "io");
    healed();
    await assertHeld([blob]);
  });

  test("the journal may use what is kept free of blobs, so that deletions can be journaled", async () => {
    await node.close();
    node = await open({ freeReserveBytes: 2 ** 26 });
    disk.freeBytes = 2 ** 25;
    await assertFails(putBlob(node, SMALL), "full");
    await assertHeld([await putBlob(node, SMALL, JOURNAL_SESSION)]);
  });

  test("with no room left puts answer full, while deletes go on and reads do too", async () => {
    disk.freeBytes = 2 ** 28;
    const blobs = [await putBlob(node, SMALL), await putBlob(node, LARGE)];
    disk.freeBytes = 0;
    disk.fault = (name, path) => {
      // A full disk still takes what was allocated before: the zeros at the tail of the volume of small records.
      if (name === "write" && !path.includes("00000001.vol")) throw systemError("ENOSPC");
    };
    await assertFails(putBlob(node, SMALL), "full");
    await assertFails(putBlob(node, LARGE), "full");
    await assertHeld(blobs);
    for (const { key } of blobs) await node.delete(key);
    assert.deepEqual(await listAll(node), []);
  });

  test("when no new volume can be made, puts fail with the reason until one can", async () => {
    const before: StoredBlob[] = [];
    disk.fault = (name, path) => {
      if (name === "open" && path.endsWith(".new")) throw systemError("EACCES");
    };
    const fill = async (): Promise<never> => {
      for (;;) before.push(await putBlob(node, LARGE));
    };
    await assertFails(fill(), "access-denied");
    assert.ok(before.length > 5);
    healed();
    before.push(await putBlob(node, LARGE));
    await assertHeld(before);
  });

  test("an index that cannot be written is kept in memory up to a limit, and nothing is lost", async () => {
    await node.close();
    node = await open({ checkpointEntries: 5, unwrittenEntriesMax: 10 });
    index.fault = () => {
      throw systemError("ENOSPC");
    };
    const blobs: StoredBlob[] = [];
    const fill = async (): Promise<never> => {
      for (;;) blobs.push(await putBlob(node, SMALL));
    };
    await assertFails(fill(), "full");
    assert.ok(blobs.length >= 10);
    await assertHeld(blobs);
    disk.crash();
    index.crash();
    index.fault = () => {};
    node = await open();
    await assertHeld(blobs);
  });
});
