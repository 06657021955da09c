import { statfsSync } from "node:fs";
import type { RootDatabase } from "lmdb";

/** LMDB's two meta pages. */
const META_PAGES = 2;

export interface Room {
  /** Bytes of the pages that hold something. */
  readonly usedBytes: number;
  /** Bytes that can still be written: those of freed pages, and what the disk has left. */
  readonly freeBytes: number;
}

/** How much the store takes and how much more it could. Costs the same few microseconds however large it is. */
export function roomOf(db: RootDatabase<Buffer, Uint8Array>, folder: string): Room {
  const stats: unknown = db.getStats();
  if (!isStats(stats)) throw new Error("lmdb-js answers statistics of another shape");
  const usedBytes = (META_PAGES + pagesOf(stats) + pagesOf(stats.free)) * stats.pageSize;
  // The file never shrinks: what deletes free stays in it and is written again.
  const fileBytes = (stats.lastPageNumber + 1) * stats.pageSize;
  return { usedBytes, freeBytes: fileBytes - usedBytes + freeDiskBytes(folder) };
}

/** Bytes that the disk under a folder has left for this process; endless where the file system sets no limit. */
export function freeDiskBytes(folder: string): number {
  const { blocks, bavail, bsize } = statfsSync(folder);
  return blocks === 0 ? Number.POSITIVE_INFINITY : bavail * bsize;
}

interface TreeStats {
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

interface Stats extends TreeStats {
  readonly pageSize: number;
  readonly lastPageNumber: number;
  /** Of the tree that lists freed pages. */
  readonly free: TreeStats;
}

function isStats(stats: unknown): stats is Stats {
  return (
    isTreeStats(stats) && "pageSize" in stats && "lastPageNumber" in stats && "free" in stats && isTreeStats(stats.free)
  );
}

function isTreeStats(stats: unknown): stats is TreeStats {
  return (
    typeof stats === "object" &&
    stats !== null &&
    "treeBranchPageCount" in stats &&
    "treeLeafPageCount" in stats &&
    "overflowPages" in stats
  );
}

function pagesOf(stats: TreeStats): number {
  return stats.treeBranchPageCount + stats.treeLeafPageCount + stats.overflowPages;
}
