import type { Id } from "../../shared/ids.ts";
import { idBytes } from "../../shared/ids.ts";
import { decodeRecord, encodeRecord } from "./codec.ts";
import {
  CHECKSUM_ALGORITHMS,
  CHECKSUM_TYPES,
  type ChecksumAlgorithm,
  type ChecksumType,
  type HeaderPairs,
  readPair,
} from "./version.ts";

/** A multipart upload that was neither completed nor aborted. Its parts are kept under its id. */
export interface Upload {
  readonly uploadId: Id;
  readonly key: string;
  readonly initiatedAtMs: number;
  readonly owner: string;
  readonly headers: HeaderPairs;
  readonly metadata: HeaderPairs;
  readonly storageClass: string;
  /** What the object's checksum will be, when the client chose one. */
  readonly checksum?: { readonly algorithm: ChecksumAlgorithm; readonly type: ChecksumType };
}

const UPLOAD_FORMAT = 1;

export function encodeUpload(upload: Upload): Buffer {
  const { checksum } = upload;
  return encodeRecord(UPLOAD_FORMAT, [
    idBytes(upload.uploadId),
    upload.key,
    upload.initiatedAtMs,
    upload.owner,
    upload.headers,
    upload.metadata,
    upload.storageClass,
    checksum === undefined
      ? null
      : [CHECKSUM_ALGORITHMS.indexOf(checksum.algorithm), CHECKSUM_TYPES.indexOf(checksum.type)],
  ]);
}

export function decodeUpload(value: Uint8Array): Upload {
  const reader = decodeRecord("upload", value, UPLOAD_FORMAT);
  const upload = {
    uploadId: reader.id(),
    key: reader.string(),
    initiatedAtMs: reader.int(),
    owner: reader.string(),
    headers: reader.list(readPair),
    metadata: reader.list(readPair),
    storageClass: reader.string(),
  };
  const checksum = reader.optional((fields) => ({
    algorithm: fields.indexOf(CHECKSUM_ALGORITHMS),
    type: fields.indexOf(CHECKSUM_TYPES),
  }));
  return checksum === undefined ? upload : { ...upload, checksum };
}
