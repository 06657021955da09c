/**
 * What a failed LMDB transaction means to those who waited for it.
 *
 * LMDB makes the pages durable before it writes the meta page that points to them. Until then a failure (a full disk, an
 * I/O error) leaves the last transaction in place and the store usable. A failure on the meta page itself leaves open
 * which of the two a later reader of the file will find; LMDB then refuses everything (MDB_PANIC), and lmdb-js would
 * wait for ever on the next transaction. So the store is asked once after every failure, and given up if it refuses.
 */
import { constants } from "node:os";
import type { RootDatabase } from "lmdb";
import { CatalogError } from "../kv.ts";
import { freeDiskBytes } from "./room.ts";
import { HEADER_KEY } from "./stored-entry.ts";

const MDB_MAP_FULL = -30792;
const FULL_CODES: readonly number[] = [
  MDB_MAP_FULL,
  constants.errno.ENOSPC,
  constants.errno.EDQUOT,
  constants.errno.EFBIG,
];
/** With less room than this on the disk, a short write is taken to be for want of room. */
const SHORT_WRITE_ROOM_BYTES = 1024 * 1024;

export interface FailedTransaction {
  /** Whether a part of the transaction has been committed. */
  readonly partial: boolean;
  readonly cause: unknown;
  /** LMDB's or the operating system's error number, where there is one. */
  readonly code: number | undefined;
}

export interface Judgement {
  /** For the commits of the transaction. */
  readonly refusal: CatalogError;
  /** For every later call, when the store can no longer be used. */
  readonly broken?: CatalogError;
}

export function judgeFailure(
  db: RootDatabase<Buffer, Uint8Array>,
  folder: string,
  failed: FailedTransaction,
): Judgement {
  const options = { cause: failed.cause };
  if (failed.partial || !isUsable(db)) {
    return {
      refusal: new CatalogError("unknown-outcome", "the catalog store failed while it was committing", options),
      broken: new CatalogError("unavailable", "the catalog store has failed and must be opened again", options),
    };
  }
  const refusal = isFull(folder, failed.code)
    ? new CatalogError("full", "the disk of the catalog is full", options)
    : new CatalogError("unavailable", "the catalog store could not write", options);
  return { refusal };
}

/** The error number for which a transaction of lmdb-js was rejected, where it says so. Never rejects. */
export async function commitFailureCode(error: unknown): Promise<number | undefined> {
  if (typeof error !== "object" || error === null || !("commitError" in error)) return errorNumber(error);
  try {
    // A promise that is rejected with the cause: left alone, it would end the process.
    await error.commitError;
    return undefined;
  } catch (cause) {
    return errorNumber(cause);
  }
}

/** The number that LMDB or the operating system gave an error. */
export function errorNumber(error: unknown): number | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "number" ? error.code : undefined;
}

function isUsable(db: RootDatabase<Buffer, Uint8Array>): boolean {
  try {
    db.resetReadTxn();
    db.getBinaryFast(HEADER_KEY);
    return true;
  } catch {
    return false;
  }
}

function isFull(folder: string, code: number | undefined): boolean {
  if (code === undefined) return false;
  if (FULL_CODES.includes(code)) return true;
  if (code !== constants.errno.EIO) return false;
  // What the disk took only a part of, LMDB reports as EIO.
  return freeDiskBytes(folder) < SHORT_WRITE_ROOM_BYTES;
}
