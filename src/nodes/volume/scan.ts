/**
 * Reads a volume's records in order, over whatever a crash, a full disk or a bad sector left between them. The head
 * of layout.ts tells why what it finds is what was written.
 */
import { crc32c } from "../../shared/crc32c.ts";
import { COPY_KEY_BYTES } from "../copy-key.ts";
import { BLOCK_BYTES, type CopyKey } from "../storage-node.ts";
import type { VolumeFile } from "./file-system.ts";
import {
  ALIGN_BYTES,
  decodeHeader,
  decodeTombstones,
  decodeTrailer,
  HEADER_BYTES,
  RECORD_SEAL,
  RECORD_TOMBSTONE,
  type RecordHeader,
  recordBytes,
  TOMBSTONE_KEYS_MAX,
  trailerBytes,
} from "./layout.ts";

export type ReadableFile = Pick<VolumeFile, "read" | "size">;

export interface ScanRequest {
  readonly file: ReadableFile;
  readonly marker: Uint8Array;
  /** Where a record or a gap begins. */
  readonly from: number;
  /**
   * Whether the bodies are read and checked too. Needed where the volume was not closed: a power cut may have kept the
   * trailer of a record and lost a part of its body.
   */
  readonly verifyBodies: boolean;
}

/** A whole record. */
export interface ScannedRecord {
  readonly header: RecordHeader;
  /** The keys of a tombstone record, else empty. */
  readonly tombstones: readonly CopyKey[];
  /** CRC32C of each block of the body, from the trailer. */
  readonly blockCrcs: readonly number[];
}

export interface ScanResult {
  /** Where the last whole record ends; `from` where there was none. Nothing behind it is worth keeping. */
  readonly end: number;
  /** The volume's seal was found: it takes no more records. */
  readonly sealed: boolean;
  /** Bytes before `end` that belong to no whole record: puts that did not end, or damage. */
  readonly skippedBytes: number;
  /** Offsets of records before `end` that only their body tells from whole ones. */
  readonly torn: readonly number[];
}

/** Bytes read at once. */
const WINDOW_BYTES = 262_144;

/**
 * Calls `found` for every whole record from front to back.
 * @throws what reading the file throws
 */
export async function scanVolume(
  request: ScanRequest,
  found: (record: ScannedRecord) => void | Promise<void>,
): Promise<ScanResult> {
  const { marker, from, verifyBodies } = request;
  const size = await request.file.size();
  const reader = new WindowReader(request.file, size);
  let at = from;
  let end = from;
  let wholeBytes = 0;
  const torn: number[] = [];
  const result = (sealed: boolean, at: number): ScanResult => ({
    end: at,
    sealed,
    skippedBytes: end - from - wholeBytes,
    torn: torn.filter((offset) => offset < end),
  });
  while (at + HEADER_BYTES <= size) {
    const header = decodeHeader(marker, await reader.read(at, HEADER_BYTES), at);
    if (header === undefined) {
      at = await nextMarker(reader, marker, at + ALIGN_BYTES, size);
      continue;
    }
    const bytes = recordBytes(header.length);
    const record = at + bytes <= size ? await readRecord(reader, header, verifyBodies) : undefined;
    if (record === "torn") torn.push(at);
    else if (record !== undefined) {
      end = at + bytes;
      wholeBytes += bytes;
      if (header.kind === RECORD_SEAL) return result(true, at);
      await found(record);
    }
    at += bytes;
  }
  return result(false, end);
}

/** The record behind a header: undefined when its trailer is not whole, "torn" when its body is not. */
async function readRecord(
  reader: WindowReader,
  header: RecordHeader,
  verifyBody: boolean,
): Promise<ScannedRecord | "torn" | undefined> {
  const headerBytes = Buffer.from(await reader.read(header.offset, HEADER_BYTES));
  const bodyAt = header.offset + HEADER_BYTES;
  const trailer = await reader.read(bodyAt + header.length, trailerBytes(header.length));
  const crcs = decodeTrailer(headerBytes, header.length, trailer);
  if (crcs === undefined) return undefined;
  const isTombstone = header.kind === RECORD_TOMBSTONE;
  if (isTombstone && header.length > TOMBSTONE_KEYS_MAX * COPY_KEY_BYTES) return undefined;
  let tombstones: CopyKey[] = [];
  if (verifyBody || isTombstone) {
    for (const [i, crc] of crcs.entries()) {
      const start = i * BLOCK_BYTES;
      const block = await reader.read(bodyAt + start, Math.min(BLOCK_BYTES, header.length - start));
      if (crc32c(block) !== crc) return "torn";
      if (isTombstone) tombstones = decodeTombstones(block);
    }
  }
  return { header, tombstones, blockCrcs: crcs };
}

/** The next place from `from` on at which a header may begin, or the file's size. */
async function nextMarker(reader: WindowReader, marker: Uint8Array, from: number, size: number): Promise<number> {
  for (let at = from; at < size; ) {
    const length = Math.min(WINDOW_BYTES, size - at);
    const window = await reader.read(at, length);
    for (let hit = window.indexOf(marker); hit !== -1; hit = window.indexOf(marker, hit + 1)) {
      if ((at + hit) % ALIGN_BYTES === 0) return at + hit;
    }
    // A header begins at a multiple of 512, as every window does: none is cut by the end of a window.
    at += length;
  }
  return size;
}

/** Reads through a window, so that many small records cost one read. */
class WindowReader {
  readonly #file: ReadableFile;
  readonly #size: number;
  #window = Buffer.alloc(0);
  #start = 0;

  constructor(file: ReadableFile, size: number) {
    this.#file = file;
    this.#size = size;
  }

  /** Valid until the next call. Shorter than asked for only when the file is. */
  async read(at: number, length: number): Promise<Buffer> {
    const from = at - this.#start;
    if (from >= 0 && from + length <= this.#window.length) return this.#window.subarray(from, from + length);
    const wanted = Math.min(Math.max(length, WINDOW_BYTES), this.#size - at);
    const window = Buffer.allocUnsafe(Math.max(0, wanted));
    const got = await this.#file.read(window, at);
    this.#window = window.subarray(0, got);
    this.#start = at;
    return this.#window.subarray(0, length);
  }
}
