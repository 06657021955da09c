/**
 * The bytes of an object that is made of many blobs: a manifest lists its parts by number and size, each part lists
 * extents of blobs. A multipart upload's parts become its manifest by the commit that completes it; an object that
 * was sent in one piece and cut in segments has a manifest of one part.
 */
import type { Id } from "../../shared/ids.ts";
import { idBytes } from "../../shared/ids.ts";
import { decodeRecord, encodeRecord, type Field, type RecordReader } from "./codec.ts";

/** A run of consecutive part numbers whose parts have one size; most uploads need two runs. */
export interface PartRun {
  readonly firstPart: number;
  readonly count: number;
  readonly partSize: number;
}

/** Runs in one record; more are paged, so that 10,000 parts of as many sizes stay under the record limit. */
export const RUNS_PER_PAGE = 2_000;

export interface ManifestPage {
  readonly runs: readonly PartRun[];
  /** Pages of the whole manifest; meaningful in the first page. */
  readonly pageCount: number;
}

/** Bytes of a blob: `length` of them from `offset`. */
export interface Extent {
  readonly blobId: Id;
  readonly offset: number;
  readonly length: number;
}

/** Extents in one part: 5 GiB in the smallest segments, with room for copies of copies. */
export const EXTENTS_PER_PART_MAX = 1_500;

export interface Part {
  /** Unique among all parts ever uploaded; what the references of its blobs are kept under. */
  readonly partId: Id;
  readonly partNumber: number;
  readonly size: number;
  readonly modifiedAtMs: number;
  /** MD5 as 32 hex digits. */
  readonly etag: string;
  /** Base64, of the upload's algorithm. */
  readonly checksum?: string;
  readonly extents: readonly Extent[];
}

const MANIFEST_FORMAT = 1;
const PART_FORMAT = 1;

export function encodeManifestPage(page: ManifestPage): Buffer {
  return encodeRecord(MANIFEST_FORMAT, [
    page.pageCount,
    page.runs.map((run) => [run.firstPart, run.count, run.partSize]),
  ]);
}

export function decodeManifestPage(value: Uint8Array): ManifestPage {
  const reader = decodeRecord("manifest", value, MANIFEST_FORMAT);
  const pageCount = reader.int();
  const runs = reader.list((run) => ({ firstPart: run.int(), count: run.int(), partSize: run.int() }));
  return { runs, pageCount };
}

/** The runs of parts in ascending order of their numbers. */
export function runsOf(parts: readonly { readonly partNumber: number; readonly size: number }[]): PartRun[] {
  const runs: { firstPart: number; count: number; partSize: number }[] = [];
  for (const { partNumber, size } of parts) {
    const last = runs.at(-1);
    if (last !== undefined && last.partSize === size && last.firstPart + last.count === partNumber) last.count++;
    else runs.push({ firstPart: partNumber, count: 1, partSize: size });
  }
  return runs;
}

export function encodePart(part: Part): Buffer {
  return encodeRecord(PART_FORMAT, [
    idBytes(part.partId),
    part.partNumber,
    part.size,
    part.modifiedAtMs,
    Buffer.from(part.etag, "hex"),
    part.checksum === undefined ? null : Buffer.from(part.checksum, "base64"),
    part.extents.map(extentFields),
  ]);
}

export function decodePart(value: Uint8Array): Part {
  const reader = decodeRecord("part", value, PART_FORMAT);
  const partId = reader.id();
  const partNumber = reader.int();
  const size = reader.int();
  const modifiedAtMs = reader.int();
  const etag = Buffer.from(reader.bytes()).toString("hex");
  const checksum = reader.optionalBytes();
  const extents = reader.list(readExtent);
  return {
    partId,
    partNumber,
    size,
    modifiedAtMs,
    etag,
    ...(checksum === undefined ? {} : { checksum: Buffer.from(checksum).toString("base64") }),
    extents,
  };
}

export function extentFields({ blobId, offset, length }: Extent): Field[] {
  return [idBytes(blobId), offset, length];
}

export function readExtent(reader: RecordReader): Extent {
  return { blobId: reader.id(), offset: reader.int(), length: reader.int() };
}
