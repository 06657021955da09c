import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { KV_LIST_LIMIT_MAX } from "../../src/catalog/kv.ts";
import { openLmdbKv } from "../../src/catalog/lmdb/lmdb-kv.ts";
import { prefixRange } from "../../src/catalog/tuple.ts";
import { temporaryFolder } from "../support/files.ts";
import {
  countOf,
  KEPT_COMMITS,
  keysOf,
  lastCommitKey,
  totalKey,
  valueOf,
  WRITERS,
} from "../support/lmdb-kill-state.ts";
import { runSeed, seeded } from "../support/seeded.ts";

const WRITER = fileURLToPath(new URL("../support/lmdb-kill-writer.ts", import.meta.url));
const ROUNDS = 15;
/** A round kills after so many answers, and then up to so long: at any point of a transaction. */
const ANSWERS_MAX = 1_500;
const DELAY_MS_MAX = 5;

/** By writer, the last commit of it that was answered. */
type Answered = number[];

/** Kills the child when the store has answered so many commits; resolves when it is gone and its output read. */
async function killAfter(child: ChildProcess, answers: number, delayMs: number): Promise<Answered> {
  assert.ok(child.stdout);
  const answered: Answered = new Array<number>(WRITERS).fill(0);
  let lines = 0;
  const exit = once(child, "exit");
  for await (const line of createInterface({ input: child.stdout })) {
    // A line is written to the pipe at once: the kill cuts none in two.
    const [writer = Number.NaN, count = Number.NaN] = line.split(" ").map(Number);
    answered[writer] = count;
    lines += 1;
    if (lines === answers) void sleep(delayMs).then(() => child.kill("SIGKILL"));
  }
  const [code, signal] = await exit;
  assert.deepEqual([code, signal], [null, "SIGKILL"], "the writer ended by itself");
  return answered;
}

/** Looks at every key of the store: each commit of a writer up to its counter is there whole, none behind it at all. */
async function judge(folder: string, answered: Answered): Promise<number> {
  const kv = await openLmdbKv({ folder });
  const expected = new Set<string>();
  let commits = 0;
  for (const [writer, answeredCount] of answered.entries()) {
    const count = countOf(await kv.get(lastCommitKey(writer)));
    commits += count;
    // A writer has one commit under way: it may have happened without an answer.
    assert.ok(count >= answeredCount, `writer ${writer}: commit ${answeredCount} was answered, the last is ${count}`);
    if (answeredCount > 0) assert.ok(count <= answeredCount + 1, `writer ${writer} is ahead of its answers`);
    for (let kept = Math.max(1, count - KEPT_COMMITS + 1); kept <= count; kept++) {
      for (const [index, key] of keysOf(writer, kept).entries()) {
        const entry = await kv.get(key);
        assert.ok(entry, `writer ${writer}: commit ${kept} has lost key ${index}`);
        assert.ok(entry.value.equals(valueOf(writer, kept, index)), `writer ${writer}: commit ${kept} has other bytes`);
        expected.add(key.toString("hex"));
      }
    }
  }
  assert.equal(countOf(await kv.get(totalKey())), commits);
  for (const side of ["left", "right"]) {
    for (const { key } of await kv.list(prefixRange([side]), { limit: KV_LIST_LIMIT_MAX })) {
      assert.ok(expected.delete(key.toString("hex")), `${key.toString("hex")} belongs to no commit that happened`);
    }
  }
  assert.equal(expected.size, 0, "a list lacks what a get finds");
  await kv.close();
  return commits;
}

test("a store whose process is killed while it commits has every answered commit, and each of the others whole or not at all", async (t) => {
  const seed = runSeed();
  const until = performance.now() + Number(process.env["BULKHEAD_TEST_MINUTES"] ?? 0) * 60_000;
  t.diagnostic(`BULKHEAD_TEST_SEED=${seed}`);
  const random = seeded(seed);
  await using folder = await temporaryFolder();
  let commits = 0;
  let rounds = 0;
  for (; rounds < ROUNDS || performance.now() < until; rounds++) {
    const child = spawn(process.execPath, [WRITER, folder.path], { stdio: ["ignore", "pipe", "inherit"] });
    t.after(() => child.kill("SIGKILL"));
    const answered = await killAfter(child, 1 + random.below(ANSWERS_MAX), random.next() * DELAY_MS_MAX);
    commits = await judge(folder.path, answered).catch((error: unknown) => {
      throw new Error(`round ${rounds} of seed ${seed}`, { cause: error });
    });
  }
  t.diagnostic(`${rounds} rounds, ${commits} commits`);
});
