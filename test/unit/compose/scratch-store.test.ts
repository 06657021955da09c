import assert from "node:assert/strict";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { removeLeftScratch, scratchStore } from "../../../src/compose/scratch-store.ts";
import { seededRandom } from "../../../src/shared/random.ts";
import { temporaryFolder } from "../../support/files.ts";

test("a scratch store lies beside the catalog, is empty each time it is opened, and is removed", async () => {
  await using folder = await temporaryFolder();
  const scratch = scratchStore({ kind: "lmdb", path: join(folder.path, "catalog") }, seededRandom(1));
  const first = await scratch.open();
  await first.restore([{ key: Buffer.of(5), value: Buffer.from("x"), version: 3 }], 3);
  assert.match((await readdir(folder.path)).join(), /^catalog\.verify-[0-9a-f]{16}$/);
  await first.close();
  const second = await scratch.open();
  assert.equal(await second.version(), 0);
  assert.equal((await readdir(folder.path)).length, 1);
  assert.equal(typeof scratch.hasRoom(), "boolean");
  await second.close();
  await scratch.remove();
  assert.deepEqual(await readdir(folder.path), []);
  await scratch.remove();
});

test("what a killed process left of a verification is removed, and nothing else", async () => {
  await using folder = await temporaryFolder();
  const left = `catalog.verify-${"0".repeat(16)}`;
  const others = ["catalog", "catalog.verify-mine", `other.verify-${"0".repeat(16)}`];
  for (const name of [left, ...others]) {
    await mkdir(join(folder.path, name));
    await writeFile(join(folder.path, name, "data.mdb"), "x");
  }
  await removeLeftScratch({ kind: "lmdb", path: join(folder.path, "catalog") });
  assert.deepEqual((await readdir(folder.path)).toSorted(), others.toSorted());
});

test("a catalog in memory is replayed in memory", async () => {
  const scratch = scratchStore({ kind: "memory" }, seededRandom(1));
  const kv = await scratch.open();
  assert.equal(await kv.version(), 0);
  assert.equal(scratch.hasRoom(), true);
  await scratch.remove();
  await removeLeftScratch({ kind: "memory" });
});
