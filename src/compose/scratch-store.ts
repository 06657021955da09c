/** Where a verification replays the journal to: beside the catalog, and removed when it is over. */
import { readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { ScratchStore } from "../catalog/journal/verify.ts";
import { LMDB_RESERVE_BYTES_DEFAULT, openLmdbKv } from "../catalog/lmdb/lmdb-kv.ts";
import { freeDiskBytes } from "../catalog/lmdb/room.ts";
import { memoryKv } from "../catalog/memory/memory-kv.ts";
import type { CatalogConfig } from "../config/config.ts";
import type { Random } from "../shared/random.ts";

/** What is left of the disk to the catalog, which is full long after. */
const FREE_BYTES_MIN = 8 * LMDB_RESERVE_BYTES_DEFAULT;
const NAME_BYTES = 8;

export function scratchStore(config: CatalogConfig, random: Random): ScratchStore {
  if (config.kind !== "lmdb") {
    return { open: async () => memoryKv(), hasRoom: () => true, remove: async () => {} };
  }
  const { path } = config;
  let folder: string | undefined;
  const remove = async (): Promise<void> => {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
    folder = undefined;
  };
  return {
    async open() {
      await remove();
      folder = `${path}.verify-${Buffer.from(random.bytes(NAME_BYTES)).toString("hex")}`;
      return openLmdbKv({ folder });
    },
    hasRoom: () => freeDiskBytes(dirname(path)) >= FREE_BYTES_MIN,
    remove,
  };
}

/** Removes what a verification left whose process was killed. Only while the catalog is ours. */
export async function removeLeftScratch(config: CatalogConfig): Promise<void> {
  if (config.kind !== "lmdb") return;
  const [parent, begin] = [dirname(config.path), `${basename(config.path)}.verify-`];
  for (const name of await readdir(parent)) {
    if (name.startsWith(begin) && /^[0-9a-f]{16}$/.test(name.slice(begin.length))) {
      await rm(join(parent, name), { recursive: true, force: true });
    }
  }
}
