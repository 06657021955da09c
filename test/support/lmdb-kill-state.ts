/** What the writers of lmdb-kill-writer.ts leave behind, as the writers and their judge both know it. */
import { type KvEntry, readCounters } from "../../src/catalog/kv.ts";
import { pack } from "../../src/catalog/tuple.ts";
import { patternBytes } from "./files.ts";

export const WRITERS = 48;
/** A commit deletes what the one so many before it has set: pages are freed and used again all the time. */
export const KEPT_COMMITS = 20;
const VALUE_BYTES_MAX = 12_000;

/** How many commits the writer's counter says that it has made. */
export const lastCommitKey = (writer: number): Buffer => pack(["last", writer]);
/** Counts the commits of all writers. */
export const totalKey = (): Buffer => pack(["total"]);

/** Two keys far apart in the store, so that a commit changes several pages. */
export function keysOf(writer: number, count: number): Buffer[] {
  return count < 1 ? [] : [pack(["left", writer, count]), pack(["right", -count, writer])];
}

/** Mostly small values, some of several pages. */
export function valueOf(writer: number, count: number, index: number): Buffer {
  const seed = (writer * 1_000_003 + count) * 2 + index;
  return patternBytes(seed % 13 === 0 ? seed % VALUE_BYTES_MAX : seed % 300, seed);
}

export function countOf(entry: KvEntry | undefined): number {
  return entry === undefined ? 0 : (readCounters(entry.value)[0] ?? 0);
}
