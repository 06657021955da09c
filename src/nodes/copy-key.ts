import type { Random } from "../shared/random.ts";
import type { CopyKey } from "./storage-node.ts";

const SESSION_BYTES = 4;
const SESSION_DIGITS = 2 * SESSION_BYTES;
const RANDOM_BYTES = 16;
/** Bytes of a copy key: session as unsigned 32-bit big-endian, then the 16 random ones. */
export const COPY_KEY_BYTES = SESSION_BYTES + RANDOM_BYTES;
export const SESSION_MAX = 0xffff_ffff;
/**
 * The session under which nodes keep the catalog's journal; those of writers begin with 1. A node that is full takes it
 * as long as it can: without it nothing could be deleted.
 */
export const JOURNAL_SESSION = 0;

/** The writer session that a copy's key carries. */
export function sessionOfCopyKey(key: CopyKey): number {
  return Number.parseInt(key.slice(0, SESSION_DIGITS), 16);
}

/** A fresh key for one physical copy, never used before or after. */
export function newCopyKey(session: number, random: Random): CopyKey {
  const bytes = Buffer.allocUnsafe(COPY_KEY_BYTES);
  bytes.writeUInt32BE(session);
  bytes.set(random.bytes(RANDOM_BYTES), SESSION_BYTES);
  return copyKeyFromBytes(bytes);
}

/** No piece of the journal comes behind it, and every copy of a blob does. */
export const LAST_JOURNAL_KEY: CopyKey = copyKeyFromBytes(
  Buffer.concat([Buffer.alloc(SESSION_BYTES, JOURNAL_SESSION), Buffer.alloc(RANDOM_BYTES, 0xff)]),
);

/** The COPY_KEY_BYTES bytes of a copy key. */
export function copyKeyBytes(key: CopyKey): Buffer {
  return Buffer.from(key.slice(0, SESSION_DIGITS) + key.slice(SESSION_DIGITS + 1), "hex");
}

/** The copy key in these COPY_KEY_BYTES bytes. */
export function copyKeyFromBytes(bytes: Uint8Array): CopyKey {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
  return `${hex.slice(0, SESSION_DIGITS)}/${hex.slice(SESSION_DIGITS)}`;
}
