import type { RootDatabase } from "lmdb";

/** LMDB's two meta pages. */
const META_PAGES = 2;

/**
 * Bytes of the pages that hold something, as opposed to the size of the file, which never shrinks: pages that a
 * delete has freed are used again. Takes the same time however large the store is.
 */
export function usedBytes(db: RootDatabase<Buffer, Uint8Array>): number {
  const stats = db.getStats();
  if (!isTreeStats(stats) || !("free" in stats) || !isTreeStats(stats.free)) {
    throw new Error("lmdb-js answers statistics of another shape");
  }
  return (META_PAGES + pagesOf(stats) + pagesOf(stats.free)) * stats.pageSize;
}

interface TreeStats {
  readonly pageSize: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

function isTreeStats(stats: unknown): stats is TreeStats {
  return (
    typeof stats === "object" &&
    stats !== null &&
    "pageSize" in stats &&
    "treeBranchPageCount" in stats &&
    "treeLeafPageCount" in stats &&
    "overflowPages" in stats
  );
}

function pagesOf(stats: TreeStats): number {
  return stats.treeBranchPageCount + stats.treeLeafPageCount + stats.overflowPages;
}
