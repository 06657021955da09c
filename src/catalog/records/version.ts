/**
 * One version of an object: what S3 tells about it, and where its bytes are.
 */
import type { Id } from "../../shared/ids.ts";
import { idBytes } from "../../shared/ids.ts";
import { type Blob, blobFields, readBlobFields } from "./blob.ts";
import { decodeRecord, encodeRecord, type Field, type RecordReader } from "./codec.ts";

/**
 * Where the bytes of a version are. One step always: a version refers to at most one thing, so that writing,
 * copying and deleting an object of any size is one small commit.
 * - `empty`: there are none.
 * - `inline`: one blob that nothing else refers to, its record kept here.
 * - `blob`: one blob with a record of its own.
 * - `manifest`: many blobs, listed by a manifest's parts.
 */
export type Content =
  | { readonly kind: "empty" }
  | { readonly kind: "inline"; readonly blob: Blob }
  | { readonly kind: "blob"; readonly blobId: Id }
  | { readonly kind: "manifest"; readonly manifestId: Id; readonly partCount: number };

export const CHECKSUM_ALGORITHMS = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] as const;
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number];
export const CHECKSUM_TYPES = ["FULL_OBJECT", "COMPOSITE"] as const;
export type ChecksumType = (typeof CHECKSUM_TYPES)[number];

export interface ObjectChecksum {
  readonly algorithm: ChecksumAlgorithm;
  readonly type: ChecksumType;
  /** Base64, as S3 shows it; a COMPOSITE one without its `-N`. */
  readonly value: string;
}

export type HeaderPairs = readonly (readonly [name: string, value: string])[];

export interface Version {
  /** Text form of the version's id, unique among all versions. S3 shows it only where versioning is on. */
  readonly versionId: Id;
  /** Whether S3 calls it `null`: written while the bucket's versioning was off or suspended. */
  readonly isNull: boolean;
  /** Place among the versions of its key; one more than the version that it replaced. */
  readonly sequence: number;
  readonly deleteMarker: boolean;
  /** Wall clock, for display and conditions (Last-Modified). */
  readonly createdAtMs: number;
  readonly size: number;
  /** Without quotes: 32 hex digits, or `{32 hex}-{parts}`. */
  readonly etag: string;
  /** System headers kept with the object (content-type, cache-control, ...), names in lower case. */
  readonly headers: HeaderPairs;
  /** User metadata, names in lower case and without `x-amz-meta-`. */
  readonly metadata: HeaderPairs;
  readonly checksum?: ObjectChecksum;
  readonly content: Content;
  readonly storageClass: string;
  /** Parts that it was uploaded in; absent when it was not a multipart upload. */
  readonly partCount?: number;
  /** The id of whoever wrote it. */
  readonly owner: string;
}

const VERSION_FORMAT = 1;
const FLAG_NULL = 1;
const FLAG_DELETE_MARKER = 2;

export function encodeVersion(version: Version): Buffer {
  const { checksum } = version;
  return encodeRecord(VERSION_FORMAT, [
    idBytes(version.versionId),
    (version.isNull ? FLAG_NULL : 0) | (version.deleteMarker ? FLAG_DELETE_MARKER : 0),
    version.sequence,
    version.createdAtMs,
    version.size,
    version.etag,
    version.headers,
    version.metadata,
    checksum === undefined ? null : checksumFields(checksum),
    contentFields(version.content),
    version.storageClass,
    version.partCount ?? null,
    version.owner,
  ]);
}

export function decodeVersion(value: Uint8Array): Version {
  const reader = decodeRecord("version", value, VERSION_FORMAT);
  const versionId = reader.id();
  const flags = reader.int();
  const sequence = reader.int();
  const createdAtMs = reader.int();
  const size = reader.int();
  const etag = reader.string();
  const headers = reader.list(readPair);
  const metadata = reader.list(readPair);
  const checksum = reader.optional(readChecksum);
  const content = readContent(reader.nested());
  const storageClass = reader.string();
  const partCount = reader.optionalInt();
  const owner = reader.string();
  return {
    versionId,
    isNull: (flags & FLAG_NULL) !== 0,
    sequence,
    deleteMarker: (flags & FLAG_DELETE_MARKER) !== 0,
    createdAtMs,
    size,
    etag,
    headers,
    metadata,
    ...(checksum === undefined ? {} : { checksum }),
    content,
    storageClass,
    ...(partCount === undefined ? {} : { partCount }),
    owner,
  };
}

export function readPair(reader: RecordReader): readonly [string, string] {
  return [reader.string(), reader.string()];
}

export function checksumFields(checksum: ObjectChecksum): Field[] {
  return [
    CHECKSUM_ALGORITHMS.indexOf(checksum.algorithm),
    CHECKSUM_TYPES.indexOf(checksum.type),
    Buffer.from(checksum.value, "base64"),
  ];
}

export function readChecksum(reader: RecordReader): ObjectChecksum {
  const algorithm = reader.indexOf(CHECKSUM_ALGORITHMS);
  const type = reader.indexOf(CHECKSUM_TYPES);
  return { algorithm, type, value: Buffer.from(reader.bytes()).toString("base64") };
}

const CONTENT_EMPTY = 0;
const CONTENT_INLINE = 1;
const CONTENT_BLOB = 2;
const CONTENT_MANIFEST = 3;

function contentFields(content: Content): Field[] {
  switch (content.kind) {
    case "empty":
      return [CONTENT_EMPTY];
    case "inline":
      return [CONTENT_INLINE, blobFields(content.blob)];
    case "blob":
      return [CONTENT_BLOB, idBytes(content.blobId)];
    case "manifest":
      return [CONTENT_MANIFEST, idBytes(content.manifestId), content.partCount];
  }
}

function readContent(reader: RecordReader): Content {
  const kind = reader.int();
  switch (kind) {
    case CONTENT_EMPTY:
      return { kind: "empty" };
    case CONTENT_INLINE:
      return { kind: "inline", blob: readBlobFields(reader.nested()) };
    case CONTENT_BLOB:
      return { kind: "blob", blobId: reader.id() };
    case CONTENT_MANIFEST:
      return { kind: "manifest", manifestId: reader.id(), partCount: reader.int() };
    default:
      throw reader.fail("a kind of content that this version does not know");
  }
}
