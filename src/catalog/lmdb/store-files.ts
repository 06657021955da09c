/**
 * Looks at LMDB's files before they are opened, because lmdb-js ends the process with a segmentation fault where LMDB
 * refuses to open, and with a bus error where a full disk has no page for the lock file.
 */
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { systemErrorCode } from "../../shared/errors.ts";
import { CatalogError } from "../kv.ts";
import { freeDiskBytes } from "./room.ts";

const DATA_FILE = "data.mdb";
const LOCK_FILE = "lock.mdb";
/** The first meta page: a page header of 24 bytes, then these two (little-endian, as on every machine we run on). */
const MAGIC_OFFSET = 24;
const MAGIC = 0xbeefc0de;
const LMDB_DATA_VERSION = 2;
/** Both meta pages; LMDB writes them at once. */
const DATA_BYTES_MIN = 8192;
/** More than LMDB takes for new files. */
const NEW_STORE_BYTES = 1024 * 1024;

/**
 * Resolves when LMDB can open, or make, a store in the folder. Only for a folder that no one in this process has open.
 * @throws CatalogError `full` when there is no room for what is missing; Error, which names the file, otherwise.
 */
export async function checkStoreFiles(folder: string): Promise<void> {
  const data = await check(join(folder, DATA_FILE), checkDataFile);
  const lock = await check(join(folder, LOCK_FILE), async (file) => (await file.stat()).size > 0);
  if ((!data || !lock) && freeDiskBytes(folder) < NEW_STORE_BYTES) {
    throw new CatalogError("full", `there is no room for a catalog in ${folder}`);
  }
}

/** Whether the file is there and holds something. */
async function check(path: string, look: (file: FileHandle) => Promise<boolean>): Promise<boolean> {
  try {
    await using file = await open(path, "r+");
    return await look(file);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return false;
    throw new Error(`the catalog's file ${path} cannot be used`, { cause: error });
  }
}

async function checkDataFile(file: FileHandle): Promise<boolean> {
  const page = Buffer.alloc(DATA_BYTES_MIN);
  const { bytesRead } = await file.read(page, 0, DATA_BYTES_MIN, 0);
  if (bytesRead === 0) return false;
  const known =
    bytesRead === DATA_BYTES_MIN &&
    page.readUInt32LE(MAGIC_OFFSET) === MAGIC &&
    page.readUInt16LE(MAGIC_OFFSET + 4) === LMDB_DATA_VERSION;
  if (!known) throw new Error("it is no LMDB store, or one of another version");
  return true;
}
