/** What the index holds under its keys, and how that is written. docs/formats-nodes.md has the same as a table. */
import { ID_BYTES, type Id, idBytes, idFromBytes } from "../../shared/ids.ts";
import { COPY_KEY_BYTES, copyKeyBytes, copyKeyFromBytes } from "../copy-key.ts";
import type { CopyKey } from "../storage-node.ts";

/** Where a record of a blob lies. */
export interface BlobPlace {
  readonly volume: number;
  /** Of the record's header. */
  readonly offset: number;
  readonly length: number;
  readonly blobId: Id;
}

export interface BlobEntry extends BlobPlace {
  /** Other volumes that hold a record of the same blob. Some may be gone by now. */
  readonly others: readonly number[];
}

/** A deleted key. */
export interface DeadEntry {
  /** The volume that holds its tombstone. */
  readonly deadIn: number;
  /** Volumes that hold a record of the blob: while one is there the tombstone is wanted. Some may be gone by now. */
  readonly records: readonly number[];
}

export type IndexEntry = BlobEntry | DeadEntry;

export interface VolumeState {
  /** Everything before this offset is reflected in the store. */
  readonly settledEnd: number;
  readonly marker: Uint8Array;
}

/** What the index refers to in a volume. */
export interface VolumeContent {
  /** Bytes of records that hold a live blob. */
  readonly liveBytes: number;
  /** Deleted keys whose tombstone lies in it. */
  readonly tombstones: number;
}

export interface StoredVolume extends VolumeState, VolumeContent {}

const TAG_COPY = 1;
const TAG_VOLUME = 2;
/** 1 did not know which volumes hold records of a deleted key. */
const META_FORMAT = 2;
const ENTRY_BLOB = 1;
const ENTRY_DEAD = 2;
const BLOB_BYTES = 33;
const DEAD_BYTES = 5;
const NUMBER_BYTES = 4;
const VOLUME_BYTES = 34;

export const KEY_META = Buffer.from([0]);
/** Keys of the volumes: from the first to list to behind the last. */
export const VOLUME_BOUNDS = [Buffer.from([TAG_VOLUME]), Buffer.from([TAG_VOLUME + 1])] as const;

export function isBlob(entry: IndexEntry): entry is BlobEntry {
  return "offset" in entry;
}

/** The volumes that hold a record of the entry's key, as far as is known. */
export function recordVolumes(entry: IndexEntry): readonly number[] {
  return isBlob(entry) ? [entry.volume, ...entry.others] : entry.records;
}

/** Keys of the store from the first to list to behind the last. */
export function listBounds(session: number | undefined, after: CopyKey | undefined): [start: Buffer, end: Buffer] {
  const first = Buffer.alloc(1 + COPY_KEY_BYTES, 0);
  first[0] = TAG_COPY;
  if (session !== undefined) first.writeUInt32BE(session, 1);
  const last = Buffer.alloc(1 + COPY_KEY_BYTES + 1, 0xff);
  last[0] = TAG_COPY;
  if (session !== undefined) last.writeUInt32BE(session, 1);
  if (after === undefined) return [first, last];
  // The smallest key greater than `after`.
  const next = Buffer.concat([storeKey(after), Buffer.of(0)]);
  return [Buffer.compare(next, first) > 0 ? next : first, last];
}

export function storeKey(key: CopyKey): Buffer {
  const out = Buffer.allocUnsafe(1 + COPY_KEY_BYTES);
  out[0] = TAG_COPY;
  out.set(copyKeyBytes(key), 1);
  return out;
}

export function copyKeyOf(storeKey: Uint8Array): CopyKey {
  return copyKeyFromBytes(storeKey.subarray(1));
}

export function volumeKey(volume: number): Buffer {
  const out = Buffer.allocUnsafe(1 + NUMBER_BYTES);
  out[0] = TAG_VOLUME;
  out.writeUInt32BE(volume, 1);
  return out;
}

export function volumeOf(volumeKey: Uint8Array): number {
  return Buffer.from(volumeKey).readUInt32BE(1);
}

export function encodeMeta(storeId: Id): Buffer {
  return Buffer.concat([Buffer.of(META_FORMAT), idBytes(storeId)]);
}

export function encodeEntry(entry: IndexEntry): Buffer {
  if (!isBlob(entry)) {
    const out = Buffer.alloc(DEAD_BYTES + entry.records.length * NUMBER_BYTES);
    out[0] = ENTRY_DEAD;
    out.writeUInt32BE(entry.deadIn, 1);
    writeNumbers(out, entry.records, DEAD_BYTES);
    return out;
  }
  const out = Buffer.allocUnsafe(BLOB_BYTES + entry.others.length * NUMBER_BYTES);
  out[0] = ENTRY_BLOB;
  out.writeUInt32BE(entry.volume, 1);
  out.writeUIntBE(entry.offset, 5, 6);
  out.writeUIntBE(entry.length, 11, 6);
  out.set(idBytes(entry.blobId), 17);
  writeNumbers(out, entry.others, BLOB_BYTES);
  return out;
}

export function decodeEntry(value: Uint8Array): IndexEntry {
  const from = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (from[0] === ENTRY_DEAD) return { deadIn: from.readUInt32BE(1), records: readNumbers(from, DEAD_BYTES) };
  return {
    volume: from.readUInt32BE(1),
    offset: from.readUIntBE(5, 6),
    length: from.readUIntBE(11, 6),
    blobId: idFromBytes(from.subarray(17, 17 + ID_BYTES)),
    others: readNumbers(from, BLOB_BYTES),
  };
}

export function encodeVolume({ settledEnd, liveBytes, marker, tombstones }: StoredVolume): Buffer {
  const out = Buffer.alloc(VOLUME_BYTES);
  out.writeUIntBE(settledEnd, 0, 6);
  out.writeUIntBE(liveBytes, 6, 6);
  out.set(marker, 12);
  out.writeUIntBE(tombstones, 28, 6);
  return out;
}

export function decodeVolume(value: Uint8Array): StoredVolume {
  const from = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return {
    settledEnd: from.readUIntBE(0, 6),
    liveBytes: from.readUIntBE(6, 6),
    marker: Buffer.from(from.subarray(12, 28)),
    tombstones: from.readUIntBE(28, 6),
  };
}

const NONE: readonly number[] = [];

function writeNumbers(out: Buffer, numbers: readonly number[], from: number): void {
  for (const [i, number] of numbers.entries()) out.writeUInt32BE(number, from + i * NUMBER_BYTES);
}

function readNumbers(from: Buffer, start: number): readonly number[] {
  if (from.length === start) return NONE;
  const count = (from.length - start) / NUMBER_BYTES;
  return Array.from({ length: count }, (_, i) => from.readUInt32BE(start + i * NUMBER_BYTES));
}
