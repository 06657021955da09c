import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { CopyKey } from "../../src/nodes/storage-node.ts";
import { collect, patternBytes } from "../support/blobs.ts";
import { temporaryFolder } from "../support/files.ts";
import { runSeed, seeded } from "../support/seeded.ts";
import { listAll, openNode } from "../support/volume-node.ts";

const WRITER = fileURLToPath(new URL("../support/volume-kill-writer.ts", import.meta.url));
const ROUNDS = 12;
/** A round kills after so many lines, and then up to so long: at any point of a put. */
const LINES_MAX = 1500;
const DELAY_MS_MAX = 5;

interface Blob {
  readonly length: number;
  readonly seed: number;
  state: "put" | "deleting" | "deleted";
}

/** What was answered over all rounds. */
type Ledger = Map<CopyKey, Blob>;

function note(ledger: Ledger, line: string): void {
  const [word, key = "", length, seed] = line.split(" ");
  const blob = ledger.get(key);
  if (word === "put") ledger.set(key, { length: Number(length), seed: Number(seed), state: "put" });
  else if (blob !== undefined) blob.state = word === "deleted" ? "deleted" : "deleting";
}

/** Kills the child after so many lines; resolves when it is gone and its output read. */
async function killAfter(child: ChildProcess, ledger: Ledger, { lines, delayMs }: { lines: number; delayMs: number }) {
  assert.ok(child.stdout);
  const exit = once(child, "exit");
  let seen = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    note(ledger, line);
    seen += 1;
    if (seen === lines) void sleep(delayMs).then(() => child.kill("SIGKILL"));
  }
  assert.deepEqual(await exit, [null, "SIGKILL"], "the writer ended by itself");
}

/** Reads everything: what was put is whole, what was deleted is gone, what was never answered is whole or absent. */
async function judge(folder: string, ledger: Ledger): Promise<void> {
  const node = await openNode(folder);
  try {
    const listed = new Map((await listAll(node)).map((blob) => [blob.key, blob.length]));
    for (const [key, { length, seed, state }] of ledger) {
      if (state === "put") assert.ok(listed.has(key), "an acknowledged blob is gone");
      if (state === "deleted") assert.ok(!listed.has(key), "a deleted blob is back");
      if (!listed.has(key)) continue;
      const read = await collect(await node.get(key, { start: 0, end: length }));
      assert.ok(read.equals(patternBytes(length, seed)), "an acknowledged blob has other bytes");
    }
    for (const [key, length] of listed) {
      if (!ledger.has(key))
        assert.equal((await collect(await node.get(key, { start: 0, end: length }))).length, length);
    }
  } finally {
    await node.close();
  }
}

test("a volume node killed in the middle of puts and deletes has everything that it answered, with and without its index", async (t) => {
  await using folder = await temporaryFolder();
  const seed = runSeed();
  t.diagnostic(`seed ${seed}`);
  const choices = seeded(seed);
  const ledger: Ledger = new Map();
  for (let round = 0; round < ROUNDS; round++) {
    const child = spawn(process.execPath, [WRITER, folder.path, String(choices.below(2 ** 31))], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await killAfter(child, ledger, { lines: 1 + choices.below(LINES_MAX), delayMs: choices.next() * DELAY_MS_MAX });
    if (round % 3 === 2) await rm(join(folder.path, "index"), { recursive: true });
    await judge(folder.path, ledger);
  }
  const states = [...ledger.values()].map(({ state }) => state);
  t.diagnostic(`${states.length} puts and ${states.filter((state) => state === "deleted").length} deletes answered`);
});
