import { bucketKey } from "../catalog/keys.ts";
import type { Kv, KvEntry } from "../catalog/kv.ts";
import { type Bucket, decodeBucket } from "../catalog/records/bucket.ts";
import { ObjectError } from "./api.ts";
import { BUCKET_NAME_MAX } from "./names.ts";

export interface BucketEntry {
  readonly bucket: Bucket;
  readonly entry: KvEntry;
}

/** @throws ObjectError no-such-bucket */
export async function requireBucket(kv: Kv, name: string): Promise<BucketEntry> {
  // What is longer may not even fit into a key of the catalog.
  if (name.length > BUCKET_NAME_MAX) throw noSuchBucket(name);
  return bucketOf(name, await kv.get(bucketKey(name)));
}

/** The bucket of an entry that was read together with others. @throws ObjectError no-such-bucket */
export function bucketOf(name: string, entry: KvEntry | undefined): BucketEntry {
  if (entry === undefined) throw noSuchBucket(name);
  return { bucket: decodeBucket(entry.value), entry };
}

export function noSuchBucket(name: string): ObjectError {
  return new ObjectError("no-such-bucket", "The specified bucket does not exist", { bucket: name });
}

/** Others always came first. */
export function bucketKeepsChanging(name: string): ObjectError {
  return new ObjectError("conflict", "The bucket keeps changing; try again", { bucket: name });
}
