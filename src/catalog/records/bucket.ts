import type { Id } from "../../shared/ids.ts";
import { idBytes } from "../../shared/ids.ts";
import { decodeRecord, encodeRecord } from "./codec.ts";

export interface Bucket {
  /** New at each creation, so that nothing of a deleted bucket can show in its successor. */
  readonly bucketId: Id;
  readonly name: string;
  readonly createdAtMs: number;
  /** The id of whoever created it. */
  readonly owner: string;
  /** The location constraint that it was created with; empty for the default region. */
  readonly location: string;
  /** Whether presigned reads of its objects may be sent on to a node that holds them. */
  readonly readRedirect: boolean;
}

/** Flags stand at the end from format 2 on. */
const BUCKET_FORMAT = 2;
const FORMAT_WITH_FLAGS = 2;
const FLAG_READ_REDIRECT = 1;

export function encodeBucket(bucket: Bucket): Buffer {
  return encodeRecord(BUCKET_FORMAT, [
    idBytes(bucket.bucketId),
    bucket.name,
    bucket.createdAtMs,
    bucket.owner,
    bucket.location,
    bucket.readRedirect ? FLAG_READ_REDIRECT : 0,
  ]);
}

export function decodeBucket(value: Uint8Array): Bucket {
  const reader = decodeRecord("bucket", value, BUCKET_FORMAT);
  return {
    bucketId: reader.id(),
    name: reader.string(),
    createdAtMs: reader.int(),
    owner: reader.string(),
    location: reader.string(),
    readRedirect: ((hasFlags(value) ? reader.int() : 0) & FLAG_READ_REDIRECT) !== 0,
  };
}

/** A record of format 1 reads as one with no flag set, and becomes one of this format when it is next written. */
function hasFlags(value: Uint8Array): boolean {
  return (value[0] ?? 0) >= FORMAT_WITH_FLAGS;
}
