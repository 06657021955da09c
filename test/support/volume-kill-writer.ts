/**
 * The process that test/faults/volume-kill.test.ts kills: workers that put and delete blobs on one volume node as fast
 * as they can, while it compacts.
 *
 *   node volume-kill-writer.ts FOLDER SEED
 *
 * It says on stdout, a line each, what it is about to do and what was answered: `put KEY LENGTH SEED`, `deleting KEY`,
 * `deleted KEY`. stdout is a pipe and written synchronously: a line is out before the worker goes on.
 */
import { writeSync } from "node:fs";
import type { StorageNode } from "../../src/nodes/storage-node.ts";
import { systemRandom } from "../../src/shared/random.ts";
import { blocksOf, copyKey, headerFor, patternBytes, streamOf } from "./blobs.ts";
import { type Seeded, seeded } from "./seeded.ts";
import { CLUSTER_ID, openNode } from "./volume-node.ts";

const WORKERS = 24;
const KIB = 1024;
const LENGTHS = [10, 4 * KIB, 4 * KIB, 30 * KIB, 100 * KIB, 700 * KIB];
/** Blobs of a worker that are kept before it deletes one for every one that it puts. */
const KEPT_BLOBS = 20;

const [folder, seed] = process.argv.slice(2);
if (folder === undefined || seed === undefined) throw new Error("the folder or the seed is missing");
const random = systemRandom();
const choices = seeded(Number(seed));
/** It compacts as often as it can, so that it is killed in the middle of that as well. */
const compaction = { compactionIntervalMs: 20, compactionOpenDeadBytesMin: 64 * KIB };
const node = await openNode(folder, { limits: { checkpointEntries: 200, checkpointDelayMs: 50, ...compaction } });
await Promise.all(Array.from({ length: WORKERS }, () => work(node, choices)));

async function work(on: StorageNode, { below, pick }: Seeded): Promise<never> {
  const kept: string[] = [];
  for (;;) {
    const key = copyKey(1, random);
    const length = 1 + below(pick(LENGTHS));
    const bytesSeed = below(1_000_000);
    const blocks = blocksOf(patternBytes(length, bytesSeed));
    await on.put({
      key,
      header: headerFor(key, length, random, CLUSTER_ID),
      blocks: below(2) === 0 ? blocks : streamOf(blocks),
    });
    writeSync(1, `put ${key} ${length} ${bytesSeed}\n`);
    kept.push(key);
    if (kept.length <= KEPT_BLOBS) continue;
    const [victim] = kept.splice(below(kept.length), 1);
    if (victim === undefined) continue;
    writeSync(1, `deleting ${victim}\n`);
    await on.delete(victim);
    writeSync(1, `deleted ${victim}\n`);
  }
}
