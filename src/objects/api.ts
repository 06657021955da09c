/**
 * S3's semantics without HTTP: what the front asks for and what it gets. Strings are decoded, numbers are numbers,
 * times are milliseconds, ETags stand without quotes.
 */

import type { ChecksumAlgorithm, ChecksumType, HeaderPairs, ObjectChecksum } from "../catalog/records/version.ts";
import type { ByteRange } from "../nodes/storage-node.ts";

export type { ByteRange, ChecksumAlgorithm, ChecksumType, HeaderPairs, ObjectChecksum };

/** Whoever asks. Real users come with their own records later; until then there is the root user. */
export interface Principal {
  readonly id: string;
  readonly displayName: string;
}

// --- Bodies ---------------------------------------------------------------------------------------------------

export interface Body {
  /** Bytes that `stream` will yield. A stream that ends short or runs over fails the call. */
  readonly length: number;
  readonly stream: AsyncIterable<Uint8Array>;
  readonly expected: ExpectedDigests;
}

/** What the client says of its bytes; all of it is verified before anything becomes visible. */
export interface ExpectedDigests {
  /** Content-MD5, 16 bytes. */
  readonly md5?: Uint8Array;
  /** x-amz-content-sha256 of a payload that is signed as a whole, 32 bytes. */
  readonly sha256?: Uint8Array;
  /** Computed, kept and, where `value` yields one, verified. `value` is called after the stream ended (trailers). */
  readonly checksum?: { readonly algorithm: ChecksumAlgorithm; readonly value: () => Uint8Array | undefined };
}

export interface ObjectAttributes {
  readonly headers: HeaderPairs;
  readonly metadata: HeaderPairs;
  readonly storageClass: string;
}

// --- Conditions -----------------------------------------------------------------------------------------------

/** Decided inside the commit. */
export interface WriteConditions {
  /** The current ETag must be this; `*`: there must be an object. */
  readonly ifMatch?: string;
  /** Only `*`: there must be no object. */
  readonly ifNoneMatch?: "*";
}

/** RFC 9110 §13, in S3's order of evaluation. ETags as a list; `*` matches any. */
export interface ReadConditions {
  readonly ifMatch?: readonly string[];
  readonly ifNoneMatch?: readonly string[];
  readonly ifModifiedSinceMs?: number;
  readonly ifUnmodifiedSinceMs?: number;
}

/** One range of a Range header. `first` to `last` inclusive, as sent; or the last `suffix` bytes. */
export type RangeRequest = { readonly first: number; readonly last?: number } | { readonly suffix: number };

// --- Results --------------------------------------------------------------------------------------------------

export interface BucketInfo {
  readonly name: string;
  readonly createdAtMs: number;
  readonly owner: Principal;
  /** Empty for the default region. */
  readonly location: string;
}

export interface ObjectInfo {
  readonly key: string;
  readonly size: number;
  readonly etag: string;
  readonly modifiedAtMs: number;
  readonly headers: HeaderPairs;
  readonly metadata: HeaderPairs;
  readonly checksum?: ObjectChecksum;
  readonly storageClass: string;
  /** Parts of a multipart object. */
  readonly partCount?: number;
  readonly owner: Principal;
}

export interface PutResult {
  readonly etag: string;
  readonly checksum?: ObjectChecksum;
  readonly size: number;
}

export interface GetRequest {
  readonly bucket: string;
  readonly key: string;
  /** `null`, or a version id, from `versionId=`. */
  readonly versionId?: string;
  readonly range?: RangeRequest;
  readonly partNumber?: number;
  readonly conditions: ReadConditions;
}

export interface HeadResult {
  readonly object: ObjectInfo;
  /** The bytes that the answer covers: set when a range or a part was asked for. */
  readonly range?: ByteRange;
}

export interface GetResult extends HeadResult {
  /** Exactly the range's bytes, or the object's. Leaving it early releases what it holds. */
  readonly body: AsyncIterable<Uint8Array>;
}

export interface CopySource {
  readonly bucket: string;
  readonly key: string;
  readonly versionId?: string;
  readonly conditions: ReadConditions;
}

export interface CopyResult {
  readonly etag: string;
  readonly modifiedAtMs: number;
  readonly checksum?: ObjectChecksum;
}

export interface ListRequest {
  readonly bucket: string;
  readonly prefix: string;
  readonly delimiter: string;
  /** Only what sorts after this key or common prefix; empty for the start. */
  readonly after: string;
  /** 0 to 1,000. */
  readonly maxKeys: number;
}

export interface ListResult {
  readonly objects: readonly ObjectInfo[];
  /** In order; interleaves with `objects` by name. */
  readonly commonPrefixes: readonly string[];
  /** Set when there is more: the `after` of the next page. */
  readonly next?: string;
}

export interface UploadInfo {
  readonly uploadId: string;
  readonly key: string;
  readonly initiatedAtMs: number;
  readonly owner: Principal;
  readonly storageClass: string;
  readonly checksum?: { readonly algorithm: ChecksumAlgorithm; readonly type: ChecksumType };
}

export interface ListUploadsRequest {
  readonly bucket: string;
  readonly prefix: string;
  readonly delimiter: string;
  /** Key and upload id that the page starts after; both empty for the start. */
  readonly keyMarker: string;
  readonly uploadIdMarker: string;
  readonly maxUploads: number;
}

export interface ListUploadsResult {
  readonly uploads: readonly UploadInfo[];
  readonly commonPrefixes: readonly string[];
  readonly next?: { readonly keyMarker: string; readonly uploadIdMarker: string };
}

export interface PartInfo {
  readonly partNumber: number;
  readonly size: number;
  readonly etag: string;
  readonly modifiedAtMs: number;
  /** Base64. */
  readonly checksum?: string;
}

export interface ListPartsResult {
  readonly upload: UploadInfo;
  readonly parts: readonly PartInfo[];
  /** Set when there is more: the part number that the next page starts after. */
  readonly next?: number;
}

export interface CompletedPart {
  readonly partNumber: number;
  readonly etag: string;
  /** Base64, when the client states it. */
  readonly checksum?: { readonly algorithm: ChecksumAlgorithm; readonly value: string };
}

/** One object of DeleteObjects. */
export interface DeleteTarget {
  readonly key: string;
  readonly versionId?: string;
  readonly ifMatch?: string;
}

export type DeleteOutcome =
  | { readonly target: DeleteTarget; readonly deleted: true }
  | { readonly target: DeleteTarget; readonly deleted: false; readonly error: ObjectError };

interface UploadAddress {
  readonly bucket: string;
  readonly key: string;
  readonly uploadId: string;
}

// --- The calls ------------------------------------------------------------------------------------------------

/** Every call may throw ObjectError, and only that, but for bugs and what a body's stream throws. */
export interface ObjectService {
  createBucket(request: { principal: Principal; bucket: string; location: string }): Promise<BucketInfo>;
  headBucket(bucket: string): Promise<BucketInfo>;
  deleteBucket(bucket: string): Promise<void>;
  listBuckets(request: { prefix: string; after: string; maxBuckets: number }): Promise<{
    buckets: readonly BucketInfo[];
    next?: string;
  }>;

  putObject(request: {
    principal: Principal;
    bucket: string;
    key: string;
    body: Body;
    attributes: ObjectAttributes;
    conditions: WriteConditions;
    signal?: AbortSignal;
  }): Promise<PutResult>;
  getObject(request: GetRequest, signal?: AbortSignal): Promise<GetResult>;
  headObject(request: GetRequest): Promise<HeadResult>;
  /** Deleting what is not there succeeds, unless `ifMatch` is given. */
  deleteObject(request: { bucket: string; key: string; versionId?: string; ifMatch?: string }): Promise<void>;
  /** Outcomes in the order of the targets. */
  deleteObjects(request: { bucket: string; targets: readonly DeleteTarget[] }): Promise<readonly DeleteOutcome[]>;
  /** `attributes` absent: the source's are kept. `checksumAlgorithm` absent: the source's checksum is kept. */
  copyObject(request: {
    principal: Principal;
    bucket: string;
    key: string;
    source: CopySource;
    attributes?: ObjectAttributes;
    checksumAlgorithm?: ChecksumAlgorithm;
    conditions: WriteConditions;
    signal?: AbortSignal;
  }): Promise<CopyResult>;
  listObjects(request: ListRequest): Promise<ListResult>;

  createUpload(request: {
    principal: Principal;
    bucket: string;
    key: string;
    attributes: ObjectAttributes;
    checksum?: { readonly algorithm: ChecksumAlgorithm; readonly type: ChecksumType };
  }): Promise<UploadInfo>;
  uploadPart(
    request: UploadAddress & { partNumber: number; body: Body; signal?: AbortSignal },
  ): Promise<{ etag: string; checksum?: ObjectChecksum }>;
  uploadPartCopy(
    request: UploadAddress & { partNumber: number; source: CopySource; range?: ByteRange; signal?: AbortSignal },
  ): Promise<CopyResult>;
  completeUpload(
    request: UploadAddress & {
      parts: readonly CompletedPart[];
      conditions: WriteConditions;
      /** x-amz-mp-object-size. */
      expectedSize?: number;
      /** x-amz-checksum-*, x-amz-checksum-type. */
      expectedChecksum?: {
        readonly algorithm: ChecksumAlgorithm;
        readonly type?: ChecksumType;
        readonly value?: string;
      };
    },
  ): Promise<PutResult>;
  abortUpload(request: UploadAddress): Promise<void>;
  listParts(request: UploadAddress & { after: number; maxParts: number }): Promise<ListPartsResult>;
  listUploads(request: ListUploadsRequest): Promise<ListUploadsResult>;
}

// --- Errors ---------------------------------------------------------------------------------------------------

/** The whole set; s3/ maps each to its code and status in one table. */
export const OBJECT_ERROR_CODES = [
  "no-such-bucket",
  "bucket-exists",
  "bucket-not-empty",
  "invalid-bucket-name",
  "too-many-buckets",
  "no-such-key",
  "no-such-version",
  "key-too-long",
  "no-such-upload",
  "invalid-part",
  "invalid-part-order",
  "invalid-part-number",
  "part-too-small",
  "too-large",
  "invalid-range",
  "precondition-failed",
  "not-modified",
  "conflict",
  "bad-digest",
  "bad-sha256",
  "bad-checksum",
  "incomplete-body",
  "invalid-request",
  "not-enough-copies",
  "unavailable",
  "insufficient-storage",
  "aborted",
] as const;
export type ObjectErrorCode = (typeof OBJECT_ERROR_CODES)[number];

/**
 * - `conflict`: a conditional write met another one of the same key (ConditionalRequestConflict, 409).
 * - `not-enough-copies`, `unavailable`: nodes or catalog cannot serve now; nothing was changed (503).
 * - `aborted`: the caller's signal ended the call.
 * `details` are facts for the answer (sizes, names), never secrets.
 */
export class ObjectError extends Error {
  readonly code: ObjectErrorCode;
  readonly details: Readonly<Record<string, string | number>>;
  constructor(
    code: ObjectErrorCode,
    message: string,
    details: Readonly<Record<string, string | number>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = "ObjectError";
    this.code = code;
    this.details = details;
  }
}
