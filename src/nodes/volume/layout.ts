/**
 * Byte layouts of a volume file: superblock, record header, record trailer. All integers are big-endian and unsigned;
 * docs/formats-nodes.md has the same as tables. Pure: no file is touched here.
 *
 * A volume is two copies of its superblock (never written again), then records at multiples of 512 bytes. 512, because
 * a disk writes at least that much in one piece: a write that is torn by a power cut cannot reach into a neighbour.
 *
 * How a scan after a crash stays right:
 * - Every byte behind the superblocks is written at most once after it was zero. Space is reserved, and a reservation
 *   that comes to nothing is never handed out again; a torn tail is cut by truncating the file, which zeroes it. So
 *   what lies at the start of a reservation is its own header, a part of it, or zeros, never an older record.
 * - The header says how long its record is, so a record without a valid trailer (its put did not end) is skipped whole.
 *   Where no valid header is, the scan looks for the next one at every multiple of 512.
 * - Bytes of users cannot pass for a header: a header begins with the volume's marker, 96 random bits that never leave
 *   the node, and it names its own offset.
 * - The trailer's checksum covers header and block checksums, so the parts of two records cannot be taken for one.
 */
import { crc32c } from "../../shared/crc32c.ts";
import { ID_BYTES, type Id, idBytes, idFromBytes } from "../../shared/ids.ts";
import type { Random } from "../../shared/random.ts";
import { COPY_KEY_BYTES, copyKeyBytes, copyKeyFromBytes } from "../copy-key.ts";
import { BLOCK_BYTES, type CopyKey } from "../storage-node.ts";

export const FORMAT_VERSION = 1;
export const ALIGN_BYTES = 512;

export const SUPERBLOCK_BYTES = 2048;
/** Offsets of the two copies. */
export const SUPERBLOCK_OFFSETS = [0, SUPERBLOCK_BYTES] as const;
/** Offset of the first record. */
export const DATA_START = 2 * SUPERBLOCK_BYTES;
const SUPERBLOCK_MAGIC = "BULKVOL1";

export const MARKER_BYTES = 16;
/** Readable in a hex dump; the rest of the marker is random. */
const MARKER_PREFIX = "BREC";

export const HEADER_BYTES = 128;
const CRC_BYTES = 4;
const HEADER_CRC_AT = HEADER_BYTES - CRC_BYTES;

/** A tombstone record's body is a list of copy keys, at most this many. */
export const TOMBSTONE_KEYS_MAX = 1000;

/**
 * Kinds of records. 3 to 6 are set aside for padding, the catalog's journal, packs and compaction; a scan skips a kind
 * that it does not know.
 */
export const RECORD_BLOB = 1;
export const RECORD_TOMBSTONE = 2;
/** The last record of a volume that takes no more. It has no body. */
export const RECORD_SEAL = 7;

export interface Superblock {
  readonly clusterId: Id;
  /** Made with the node's first volume and the same in all of them: tells an index that belongs to other volumes. */
  readonly storeId: Id;
  readonly volumeNumber: number;
  /** Begins every record header of this volume. Secret, as far as users of the gateway go. */
  readonly marker: Uint8Array;
  readonly createdAtMs: number;
}

export interface RecordHeader {
  readonly kind: number;
  /** Where the header lies in the volume. */
  readonly offset: number;
  /** Length of the body in bytes. */
  readonly length: number;
  /** Of the blob; zeros in other kinds. */
  readonly key: CopyKey;
  readonly blobId: Id;
}

export function newMarker(random: Random): Uint8Array {
  const marker = Buffer.alloc(MARKER_BYTES);
  marker.write(MARKER_PREFIX, "latin1");
  marker.set(random.bytes(MARKER_BYTES - MARKER_PREFIX.length), MARKER_PREFIX.length);
  return marker;
}

/** One copy of a superblock, SUPERBLOCK_BYTES long. */
export function encodeSuperblock(superblock: Superblock): Buffer {
  const out = Buffer.alloc(SUPERBLOCK_BYTES);
  out.write(SUPERBLOCK_MAGIC, 0, "latin1");
  out.writeUInt16BE(FORMAT_VERSION, 8);
  out.writeUInt16BE(ALIGN_BYTES, 10);
  out.writeUInt32BE(superblock.volumeNumber, 12);
  out.set(idBytes(superblock.clusterId), 16);
  out.set(idBytes(superblock.storeId), 32);
  out.set(superblock.marker, 48);
  out.writeUInt32BE(BLOCK_BYTES, 64);
  writeUInt64(out, superblock.createdAtMs, 72);
  out.writeUInt32BE(crc32c(out.subarray(0, SUPERBLOCK_BYTES - CRC_BYTES)), SUPERBLOCK_BYTES - CRC_BYTES);
  return out;
}

/** A superblock that is whole but of a format or geometry that this version does not read. */
export class UnknownFormatError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "UnknownFormatError";
  }
}

/**
 * The superblock in these bytes, undefined when they are no whole superblock.
 * @throws UnknownFormatError
 */
export function decodeSuperblock(bytes: Uint8Array): Superblock | undefined {
  if (bytes.length < SUPERBLOCK_BYTES) return undefined;
  const from = Buffer.from(bytes.buffer, bytes.byteOffset, SUPERBLOCK_BYTES);
  if (from.toString("latin1", 0, SUPERBLOCK_MAGIC.length) !== SUPERBLOCK_MAGIC) return undefined;
  const crcAt = SUPERBLOCK_BYTES - CRC_BYTES;
  if (from.readUInt32BE(crcAt) !== crc32c(from.subarray(0, crcAt))) return undefined;
  const version = from.readUInt16BE(8);
  if (version !== FORMAT_VERSION) {
    throw new UnknownFormatError(`the volume has format ${version}, this version reads ${FORMAT_VERSION}`);
  }
  if (from.readUInt16BE(10) !== ALIGN_BYTES || from.readUInt32BE(64) !== BLOCK_BYTES) {
    throw new UnknownFormatError("the volume has another alignment or block size");
  }
  return {
    volumeNumber: from.readUInt32BE(12),
    clusterId: idFromBytes(from.subarray(16, 16 + ID_BYTES)),
    storeId: idFromBytes(from.subarray(32, 32 + ID_BYTES)),
    marker: Buffer.from(from.subarray(48, 48 + MARKER_BYTES)),
    createdAtMs: readUInt64(from, 72),
  };
}

/** Number of blocks, and so of checksums in the trailer, of a body. */
export function blockCount(length: number): number {
  return Math.ceil(length / BLOCK_BYTES);
}

/** Bytes of the trailer behind a body, without the padding to the next record. */
export function trailerBytes(length: number): number {
  return blockCount(length) * CRC_BYTES + CRC_BYTES;
}

/** Bytes from a record's header to the next record. */
export function recordBytes(length: number): number {
  const bytes = HEADER_BYTES + length + trailerBytes(length);
  return Math.ceil(bytes / ALIGN_BYTES) * ALIGN_BYTES;
}

export function encodeHeader(marker: Uint8Array, header: RecordHeader): Buffer {
  const out = Buffer.alloc(HEADER_BYTES);
  out.set(marker, 0);
  out[16] = FORMAT_VERSION;
  out[17] = header.kind;
  out.writeUInt16BE(HEADER_BYTES, 18);
  // 20: flags, none yet.
  writeUInt64(out, header.offset, 24);
  writeUInt64(out, header.length, 32);
  out.writeUInt32BE(blockCount(header.length), 40);
  out.set(copyKeyBytes(header.key), 44);
  out.set(idBytes(header.blobId), 64);
  // 80 to 124: zero, for later.
  out.writeUInt32BE(crc32c(out.subarray(0, HEADER_CRC_AT)), HEADER_CRC_AT);
  return out;
}

/** The header in these bytes, undefined unless it is one of this volume, whole, and at home at this offset. */
export function decodeHeader(marker: Uint8Array, bytes: Uint8Array, offset: number): RecordHeader | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const from = Buffer.from(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  if (!from.subarray(0, MARKER_BYTES).equals(marker)) return undefined;
  if (from.readUInt32BE(HEADER_CRC_AT) !== crc32c(from.subarray(0, HEADER_CRC_AT))) return undefined;
  if (from[16] !== FORMAT_VERSION || from.readUInt16BE(18) !== HEADER_BYTES) return undefined;
  const length = readUInt64(from, 32);
  if (readUInt64(from, 24) !== offset || from.readUInt32BE(40) !== blockCount(length)) return undefined;
  return {
    kind: from.readUInt8(17),
    offset,
    length,
    key: copyKeyFromBytes(from.subarray(44, 44 + COPY_KEY_BYTES)),
    blobId: idFromBytes(from.subarray(64, 64 + ID_BYTES)),
  };
}

/** Block checksums, the checksum over header and them, and the zeros up to the next record. */
export function encodeTrailer(header: Uint8Array, length: number, blockCrcs: readonly number[]): Buffer {
  const out = Buffer.alloc(recordBytes(length) - HEADER_BYTES - length);
  let at = 0;
  for (const crc of blockCrcs) at = out.writeUInt32BE(crc, at);
  out.writeUInt32BE(crc32c(out.subarray(0, at), crc32c(header.subarray(0, HEADER_BYTES))), at);
  return out;
}

/** The block checksums in a trailer, undefined unless it is whole and belongs to this header. */
export function decodeTrailer(header: Uint8Array, length: number, trailer: Uint8Array): number[] | undefined {
  const bytes = trailerBytes(length);
  if (trailer.length < bytes) return undefined;
  const from = Buffer.from(trailer.buffer, trailer.byteOffset, bytes);
  const table = from.subarray(0, bytes - CRC_BYTES);
  const crc = crc32c(table, crc32c(header.subarray(0, HEADER_BYTES)));
  if (from.readUInt32BE(bytes - CRC_BYTES) !== crc) return undefined;
  return Array.from({ length: blockCount(length) }, (_, i) => table.readUInt32BE(i * CRC_BYTES));
}

export const NO_KEY: CopyKey = `${"0".repeat(8)}/${"0".repeat(32)}`;
export const NO_ID: Id = "0".repeat(32);

/** The body of a tombstone record. */
export function encodeTombstones(keys: readonly CopyKey[]): Buffer {
  return Buffer.concat(keys.map(copyKeyBytes));
}

export function decodeTombstones(body: Uint8Array): CopyKey[] {
  const keys: CopyKey[] = [];
  for (let at = 0; at + COPY_KEY_BYTES <= body.length; at += COPY_KEY_BYTES) {
    keys.push(copyKeyFromBytes(body.subarray(at, at + COPY_KEY_BYTES)));
  }
  return keys;
}

/** Lengths and offsets stay below 2^48; the field has 64 bits. */
function writeUInt64(out: Buffer, value: number, at: number): void {
  out.writeUInt16BE(0, at);
  out.writeUIntBE(value, at + 2, 6);
}

function readUInt64(from: Buffer, at: number): number {
  return from.readUIntBE(at + 2, 6);
}
