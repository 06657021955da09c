/**
 * LMDB maps its file into memory and trusts it: a file that is cut short or is none of its own ends the process
 * (SIGBUS, SIGSEGV) instead of answering an error. So the file is looked at before LMDB sees it. The layout is that of
 * the LMDB 1.0 line in lmdb 3.5 (MDB_page_header and MDB_meta in its mdb.c), little-endian as on all machines that it
 * is built for.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync } from "node:fs";
import { systemErrorCode } from "../../shared/errors.ts";

const MAGIC = 0xbeefc0de;
const META_MAGIC_AT = 24;
const META_LAST_PAGE_AT = 144;
const META_BYTES = 168;

/**
 * Whether LMDB may open this data file. A missing or empty one it makes itself. One that ends before its last page is
 * made longer: what it lost then reads as zeros, which LMDB does notice.
 */
export function isLmdbFile(path: string, pageBytes: number): boolean {
  let fd: number;
  try {
    fd = openSync(path, "r+");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return true;
    throw error;
  }
  try {
    const { size } = fstatSync(fd);
    if (size === 0) return true;
    let pages = 0;
    for (const at of [0, pageBytes]) {
      const meta = Buffer.alloc(META_BYTES);
      if (readSync(fd, meta, 0, META_BYTES, at) < META_BYTES || meta.readUInt32LE(META_MAGIC_AT) !== MAGIC)
        return false;
      pages = Math.max(pages, Number(meta.readBigUInt64LE(META_LAST_PAGE_AT)) + 1);
    }
    if (size < pages * pageBytes) ftruncateSync(fd, pages * pageBytes);
    return true;
  } finally {
    closeSync(fd);
  }
}
