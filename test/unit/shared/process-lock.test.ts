import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { FolderLockedError, lockFolder } from "../../../src/shared/process-lock.ts";
import { temporaryFolder } from "../../support/files.ts";

const MODULE = new URL("../../../src/shared/process-lock.ts", import.meta.url).href;
/** Takes the lock, says so, and waits to be ended. */
const HOLDER = `
  import { lockFolder } from ${JSON.stringify(MODULE)};
  const lock = await lockFolder(process.argv[1]);
  console.log("locked");
  process.stdin.resume();
  process.stdin.on("end", () => lock[Symbol.asyncDispose]());
`;

function spawnHolder(folder: string, stderr: "inherit" | "ignore"): ChildProcess {
  return spawn(process.execPath, ["--input-type=module", "--eval", HOLDER, folder], {
    stdio: ["pipe", "pipe", stderr],
  });
}

async function locked(child: ChildProcess): Promise<"locked"> {
  assert.ok(child.stdout);
  await once(child.stdout, "data");
  return "locked";
}

async function refused(child: ChildProcess): Promise<"refused"> {
  await once(child, "exit");
  return "refused";
}

async function startHolder(folder: string): Promise<ChildProcess> {
  const child = spawnHolder(folder, "inherit");
  assert.equal(await Promise.race([locked(child), refused(child)]), "locked");
  return child;
}

function heldBy(pid: number | undefined, folder: string): (thrown: unknown) => boolean {
  return (thrown) => {
    assert.ok(thrown instanceof FolderLockedError);
    assert.equal(thrown.pid, pid);
    assert.equal(thrown.folder, folder);
    assert.ok(thrown.message.includes(folder) && thrown.message.includes(String(pid ?? "another process")));
    return true;
  };
}

test("a folder that another process has locked is refused by the process's id, until that process is killed", async () => {
  await using folder = await temporaryFolder();
  for (let round = 0; round < 3; round++) {
    const holder = await startHolder(folder.path);
    await assert.rejects(lockFolder(folder.path), heldBy(holder.pid, folder.path));
    holder.kill("SIGKILL");
    await once(holder, "exit");
  }
  await using _lock = await lockFolder(folder.path);
  await assert.rejects(lockFolder(folder.path), heldBy(process.pid, folder.path));
});

test("a folder is free once its holder has let go of it", async () => {
  await using folder = await temporaryFolder();
  const holder = await startHolder(folder.path);
  holder.stdin?.end();
  await once(holder, "exit");
  const lock = await lockFolder(folder.path);
  await lock[Symbol.asyncDispose]();
  await using _again = await lockFolder(folder.path);
  // Letting go twice must not free what somebody else has taken meanwhile.
  await lock[Symbol.asyncDispose]();
  await assert.rejects(lockFolder(folder.path), heldBy(process.pid, folder.path));
});

test("of many processes that want a folder at once, one gets it", async () => {
  await using folder = await temporaryFolder();
  const children = Array.from({ length: 6 }, () => spawnHolder(folder.path, "ignore"));
  const answers = await Promise.all(children.map((child) => Promise.race([locked(child), refused(child)])));
  assert.equal(answers.filter((answer) => answer === "locked").length, 1);
  for (const child of children) child.kill("SIGKILL");
});

test("a holder that cannot be named is called another process", async () => {
  await using folder = await temporaryFolder();
  await using _lock = await lockFolder(folder.path);
  for (const said of ["", "{", "null", '{"pid":"x","host":"y"}']) {
    await writeFile(join(folder.path, "process.lock.holder"), said);
    await assert.rejects(lockFolder(folder.path), heldBy(undefined, folder.path));
  }
});

test("a folder that is not there is an error that names it", async () => {
  await using folder = await temporaryFolder();
  const missing = join(folder.path, "missing");
  await assert.rejects(lockFolder(missing), (thrown) => {
    assert.ok(thrown instanceof Error && !(thrown instanceof FolderLockedError));
    assert.ok(thrown.message.includes(missing));
    return true;
  });
});
