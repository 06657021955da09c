/**
 * The bytes of the journal's pieces: docs/formats.md has them as tables. Each is one frame: what it is, whose, then a
 * body, then the CRC32C of all before it. Integers are big-endian and unsigned.
 */
import { crc32c } from "../../shared/crc32c.ts";
import { ID_BYTES, type Id, idBytes, idFromBytes } from "../../shared/ids.ts";
import type { KvChange, KvRestored } from "../kv.ts";
import { decodeWrites, encodeWrites } from "../kv-change.ts";
import type { ChunkName, JournalName, SegmentName, SnapshotName } from "./journal-name.ts";

const MAGIC = Buffer.from("BULKJRN1", "latin1");
const CLUSTER_AT = 8;
const KIND_AT = 24;
const SESSION_AT = 28;
const MADE_AT = 32;
const HEADER_BYTES = 40;
const CRC_BYTES = 4;
const KIND_BYTES = { segment: 1, chunk: 2, snapshot: 3 } as const;

/** A piece that is damaged, or not what its name says. */
export class BadPieceError extends Error {
  constructor(reason: string) {
    super(`a piece of the journal cannot be used: ${reason}`);
    this.name = "BadPieceError";
  }
}

export interface PieceOrigin {
  readonly clusterId: Id;
  /** The writer session of the process that made it. */
  readonly session: number;
  /** Wall clock, for display. */
  readonly madeAtMs: number;
}

export interface Segment extends PieceOrigin {
  readonly from: number;
  readonly through: number;
  /** In order. There are versions without a change where a store's versions are not dense. */
  readonly changes: readonly KvChange[];
}

export interface Snapshot extends PieceOrigin {
  /** The walk that made it began after this commit ... */
  readonly base: number;
  /** ... and may show what was committed up to this one: the journal must reach it for the snapshot to be whole. */
  readonly through: number;
  readonly chunks: number;
  readonly entries: number;
  /** Of all chunks. */
  readonly bytes: number;
}

export function encodeSegment(segment: Segment): Buffer {
  const body: Buffer[] = [Buffer.alloc(16)];
  body[0]?.writeUIntBE(segment.from, 2, 6);
  body[0]?.writeUIntBE(segment.through, 10, 6);
  for (const { version, writes } of segment.changes) {
    const encoded = encodeWrites(writes);
    const head = Buffer.alloc(12);
    head.writeUIntBE(version, 2, 6);
    head.writeUInt32BE(encoded.length, 8);
    body.push(head, encoded);
  }
  return frame("segment", segment, body);
}

/** @throws BadPieceError */
export function decodeSegment(bytes: Buffer, name: SegmentName, clusterId: Id): Segment {
  const { origin, body } = unframe(bytes, name, clusterId);
  return reading(() => {
    const [from, through] = [body.readUIntBE(2, 6), body.readUIntBE(10, 6)];
    if (from !== name.from || through !== name.through) throw new BadPieceError("it holds other commits than it says");
    const changes: KvChange[] = [];
    for (let at = 16; at < body.length; ) {
      const [version, length] = [body.readUIntBE(at + 2, 6), body.readUInt32BE(at + 8)];
      at += 12;
      changes.push({ version, writes: decodeWrites(body.subarray(at, at + length)) });
      at += length;
    }
    return { ...origin, from, through, changes };
  });
}

export function encodeChunk(origin: PieceOrigin, entries: readonly KvRestored[]): Buffer {
  const body: Uint8Array[] = [];
  for (const { key, value, version } of entries) {
    if (value === null) throw new TypeError("a snapshot holds no deletions");
    const head = Buffer.alloc(14);
    head.writeUIntBE(version, 2, 6);
    head.writeUInt16BE(key.length, 8);
    head.writeUInt32BE(value.length, 10);
    body.push(head, key, value);
  }
  return frame("chunk", origin, body);
}

/** @throws BadPieceError */
export function decodeChunk(bytes: Buffer, name: ChunkName, clusterId: Id): KvRestored[] {
  const { body } = unframe(bytes, name, clusterId);
  return reading(() => {
    const entries: KvRestored[] = [];
    for (let at = 0; at < body.length; ) {
      const version = body.readUIntBE(at + 2, 6);
      const keyEnd = at + 14 + body.readUInt16BE(at + 8);
      const end = keyEnd + body.readUInt32BE(at + 10);
      if (end > body.length) throw new BadPieceError("an entry is cut off");
      entries.push({ key: body.subarray(at + 14, keyEnd), value: body.subarray(keyEnd, end), version });
      at = end;
    }
    return entries;
  });
}

export function encodeSnapshot(snapshot: Snapshot): Buffer {
  const body = Buffer.alloc(40);
  [snapshot.base, snapshot.through, snapshot.chunks, snapshot.entries, snapshot.bytes].forEach((value, index) => {
    body.writeUIntBE(value, 8 * index + 2, 6);
  });
  return frame("snapshot", snapshot, [body]);
}

/** @throws BadPieceError */
export function decodeSnapshot(bytes: Buffer, name: SnapshotName, clusterId: Id): Snapshot {
  const { origin, body } = unframe(bytes, name, clusterId);
  return reading(() => {
    const field = (index: number): number => body.readUIntBE(8 * index + 2, 6);
    const snapshot = { base: field(0), through: field(1), chunks: field(2), entries: field(3), bytes: field(4) };
    if (snapshot.base !== name.base || snapshot.chunks !== name.chunks)
      throw new BadPieceError("it is another snapshot");
    return { ...origin, ...snapshot };
  });
}

/** Whether the bytes are the piece that the name says. @throws BadPieceError */
export function checkPiece(bytes: Buffer, name: JournalName, clusterId: Id): void {
  if (name.kind === "segment") decodeSegment(bytes, name, clusterId);
  else if (name.kind === "chunk") decodeChunk(bytes, name, clusterId);
  else decodeSnapshot(bytes, name, clusterId);
}

function frame(kind: JournalName["kind"], origin: PieceOrigin, body: readonly Uint8Array[]): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.set(MAGIC, 0);
  header.set(idBytes(origin.clusterId), CLUSTER_AT);
  header[KIND_AT] = KIND_BYTES[kind];
  header.writeUInt32BE(origin.session, SESSION_AT);
  header.writeUIntBE(origin.madeAtMs, MADE_AT + 2, 6);
  const whole = Buffer.concat([header, ...body, Buffer.alloc(CRC_BYTES)]);
  const crcAt = whole.length - CRC_BYTES;
  whole.writeUInt32BE(crc32c(whole.subarray(0, crcAt)), crcAt);
  return whole;
}

function unframe(bytes: Buffer, name: JournalName, clusterId: Id): { origin: PieceOrigin; body: Buffer } {
  const crcAt = bytes.length - CRC_BYTES;
  if (crcAt < HEADER_BYTES || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw new BadPieceError("it is none");
  if (bytes.readUInt32BE(crcAt) !== crc32c(bytes.subarray(0, crcAt))) throw new BadPieceError("its checksum differs");
  const origin: PieceOrigin = {
    clusterId: idFromBytes(bytes.subarray(CLUSTER_AT, CLUSTER_AT + ID_BYTES)),
    session: bytes.readUInt32BE(SESSION_AT),
    madeAtMs: bytes.readUIntBE(MADE_AT + 2, 6),
  };
  if (origin.clusterId !== clusterId) throw new BadPieceError("it belongs to another cluster");
  const isNamed = bytes[KIND_AT] === KIND_BYTES[name.kind] && origin.session === name.session;
  if (!isNamed) throw new BadPieceError("it is another piece than its name says");
  return { origin, body: bytes.subarray(HEADER_BYTES, crcAt) };
}

/** What is whole by its checksum and yet cannot be read was written by another version, or is forged. */
function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof RangeError) throw new BadPieceError("its fields do not fit");
    throw error;
  }
}
