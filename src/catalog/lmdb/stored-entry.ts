/**
 * What LMDB holds: under each key the version of the commit that wrote it last (8 bytes, big-endian), then the value;
 * and under keys of the driver's own the header of the store and the changes of commits (change-log.ts). docs/formats.md describes both.
 */
import type { KvRange } from "../kv.ts";
import { RESERVED_FIRST_BYTE } from "../kv-atomic.ts";

export const VERSION_BYTES = 8;
/** What an entry takes besides its key and value. */
export const ENTRY_OVERHEAD_BYTES = VERSION_BYTES;
const STORE_FORMAT = 1;

/** The header's key; sorts behind every key of a tuple. */
export const HEADER_KEY: Buffer = Buffer.of(RESERVED_FIRST_BYTE);

/** What of a range can hold entries; undefined when nothing of it can. */
export function withoutHeader({ start, end }: KvRange): KvRange | undefined {
  const entriesEnd = Buffer.compare(end, HEADER_KEY) < 0 ? end : HEADER_KEY;
  return Buffer.compare(start, entriesEnd) < 0 ? { start, end: entriesEnd } : undefined;
}

export function encodeEntry(version: number, value: Uint8Array): Buffer {
  const stored = Buffer.allocUnsafe(VERSION_BYTES + value.length);
  writeVersion(stored, version, 0);
  stored.set(value, VERSION_BYTES);
  return stored;
}

export function versionOfEntry(stored: Buffer): number {
  return readVersion(stored, 0);
}

export function valueOfEntry(stored: Buffer): Buffer {
  return stored.subarray(VERSION_BYTES);
}

/** The header: the format of the store (one byte), then the version of its last commit. */
export function encodeHeader(version: number): Buffer {
  const header = Buffer.allocUnsafe(1 + VERSION_BYTES);
  header.writeUInt8(STORE_FORMAT, 0);
  writeVersion(header, version, 1);
  return header;
}

/** The version of the last commit. @throws Error for a store of another format. */
export function readHeader(header: Buffer): number {
  if (header.length !== 1 + VERSION_BYTES || header[0] !== STORE_FORMAT) {
    throw new Error("the catalog store has a format that this release does not know");
  }
  return readVersion(header, 1);
}

export function writeVersion(target: Buffer, version: number, at: number): void {
  target.writeUInt32BE(Math.floor(version / 2 ** 32), at);
  target.writeUInt32BE(version % 2 ** 32, at + 4);
}

export function readVersion(source: Buffer, at: number): number {
  return source.readUInt32BE(at) * 2 ** 32 + source.readUInt32BE(at + 4);
}
