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
}

const BUCKET_FORMAT = 1;

export function encodeBucket(bucket: Bucket): Buffer {
  return encodeRecord(BUCKET_FORMAT, [
    idBytes(bucket.bucketId),
    bucket.name,
    bucket.createdAtMs,
    bucket.owner,
    bucket.location,
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
  };
}
