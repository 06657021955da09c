/** Files that somebody else put in a volume node's folder. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openNode, putBlob } from "../../../support/volume-node.ts";

for (const indexPath of [undefined, "elsewhere/index", "."]) {
  test(`files beside ours are foreign, in the folder and among the volumes; index in ${indexPath ?? "its place"}`, async () => {
    const path = await mkdtemp(join(tmpdir(), "bulkhead-volume-"));
    const node = await openNode(path, indexPath === undefined ? {} : { indexPath: join(path, indexPath) });
    try {
      await putBlob(node, 1_000);
      await node.writeIdentity(Buffer.from("identity"));
      await mkdir(join(path, "lost+found"));
      assert.deepEqual(await node.foreign(), { names: [], count: 0, more: false });
      await mkdir(join(path, "photos"));
      await writeFile(join(path, "photos", "1.jpg"), "");
      await writeFile(join(path, "volumes", "notes.txt"), "");
      await writeFile(join(path, "identity.bak"), "");
      const names = ["identity.bak", "photos", "volumes/notes.txt"];
      assert.deepEqual(await node.foreign(), { names, count: 3, more: false });
    } finally {
      await node.close();
      await rm(path, { recursive: true });
    }
  });
}
