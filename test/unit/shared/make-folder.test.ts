import assert from "node:assert/strict";
import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { makeFolder } from "../../../src/shared/make-folder.ts";
import { temporaryFolder } from "../../support/files.ts";

test("a folder is made with those above it, and making it again changes nothing", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "a", "b", "c");
  await makeFolder(path, 0o700);
  await makeFolder(path, 0o700);
  assert.ok((await stat(path)).isDirectory());
});

test("a folder under a file is refused with the reason", async () => {
  await using folder = await temporaryFolder();
  const file = join(folder.path, "file");
  await writeFile(file, "");
  await assert.rejects(makeFolder(join(file, "a", "b"), 0o700), { code: "ENOTDIR" });
});

test("a folder that the system will not make ends in an error", { skip: process.platform !== "linux" }, async () => {
  await assert.rejects(makeFolder("/proc/bulkhead/data", 0o700), { code: "ENOENT" });
});
