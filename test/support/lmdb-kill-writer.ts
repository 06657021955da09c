/**
 * The process that test/faults/lmdb-kill.test.ts kills: writers that commit to one store as fast as they can.
 *
 *   node lmdb-kill-writer.ts FOLDER
 *
 * Each writer counts its commits, on from what the store holds of it, and writes `WRITER COUNT` to stdout when one was
 * answered. stdout is a pipe and written synchronously: a line is out before the writer goes on.
 */
import { writeSync } from "node:fs";
import type { Kv } from "../../src/catalog/kv.ts";
import { openLmdbKv } from "../../src/catalog/lmdb/lmdb-kv.ts";
import { countOf, KEPT_COMMITS, keysOf, lastCommitKey, totalKey, valueOf, WRITERS } from "./lmdb-kill-state.ts";

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error("the folder of the store is missing");
const kv = await openLmdbKv({ folder });
await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(kv, writer)));

async function write(store: Kv, writer: number): Promise<never> {
  const last = await store.get(lastCommitKey(writer));
  for (let count = countOf(last) + 1; ; count++) {
    const atomic = store.atomic();
    for (const [index, key] of keysOf(writer, count).entries()) atomic.set(key, valueOf(writer, count, index));
    for (const key of keysOf(writer, count - KEPT_COMMITS)) atomic.delete(key);
    atomic.sum(lastCommitKey(writer), [1]).sum(totalKey(), [1]);
    const result = await atomic.commit();
    if (!result.committed) throw new Error("a commit without checks was refused");
    writeSync(1, `${writer} ${count}\n`);
  }
}
