import { COMMIT_ATTEMPTS_MAX } from "../catalog/catalog.ts";
import { bucketKey, bucketsRange, dyingKey, objectsRange } from "../catalog/keys.ts";
import type { KvRange } from "../catalog/kv.ts";
import { type Bucket, decodeBucket, encodeBucket } from "../catalog/records/bucket.ts";
import { encodeDying } from "../catalog/records/dying.ts";
import { after as afterKey, stringPrefixRange } from "../catalog/tuple.ts";
import { type BucketInfo, ObjectError, type ObjectService } from "./api.ts";
import { bucketKeepsChanging, requireBucket } from "./bucket-lookup.ts";
import type { ObjectContext } from "./context.ts";
import { BUCKET_NAME_MAX, isBucketName } from "./names.ts";

export async function createBucket(
  context: ObjectContext,
  request: Parameters<ObjectService["createBucket"]>[0],
): Promise<BucketInfo> {
  const { principal, bucket: name, location } = request;
  if (!isBucketName(name))
    throw new ObjectError("invalid-bucket-name", "The specified bucket is not valid", { bucket: name });
  const { catalog, clock, ids } = context;
  const bucketId = ids.next();
  const createdAtMs = clock.nowMs();
  const bucket: Bucket = { bucketId, name, createdAtMs, owner: principal.id, location, readRedirect: false };
  const key = bucketKey(name);
  for (let attempt = 0; attempt < COMMIT_ATTEMPTS_MAX; attempt++) {
    const result = await catalog.commit(catalog.begin().check(key, null).set(key, encodeBucket(bucket)));
    if (result.committed) return bucketInfo(context, bucket);
    const existing = await catalog.kv.get(key);
    if (existing === undefined) continue;
    const { owner } = decodeBucket(existing.value);
    throw new ObjectError("bucket-exists", "The bucket exists", { bucket: name, owner });
  }
  throw bucketKeepsChanging(name);
}

export async function headBucket(context: ObjectContext, name: string): Promise<BucketInfo> {
  return bucketInfo(context, (await requireBucket(context.catalog.kv, name)).bucket);
}

/** Uploads that were never completed do not keep a bucket; they go with it, a while later. */
export async function deleteBucket(context: ObjectContext, name: string): Promise<void> {
  const { catalog, clock } = context;
  for (let attempt = 0; attempt < COMMIT_ATTEMPTS_MAX; attempt++) {
    const { bucket, entry } = await requireBucket(catalog.kv, name);
    const { bucketId } = bucket;
    const objects = objectsRange(bucketId, "");
    const result = await catalog.commit(
      catalog
        .begin()
        .checkEmpty(objects)
        .check(entry.key, entry.version)
        .delete(entry.key)
        .set(dyingKey(clock.nowMs(), bucketId), encodeDying({ kind: "bucket", bucketId })),
    );
    if (result.committed) return;
    if (Buffer.compare(result.failed, objects.start) === 0) {
      throw new ObjectError("bucket-not-empty", "The bucket you tried to delete is not empty", { bucket: name });
    }
  }
  throw bucketKeepsChanging(name);
}

export async function listBuckets(
  context: ObjectContext,
  request: Parameters<ObjectService["listBuckets"]>[0],
): ReturnType<ObjectService["listBuckets"]> {
  const { prefix, maxBuckets } = request;
  if (prefix.length > BUCKET_NAME_MAX) return { buckets: [] };
  // No bucket's name lies between a longer marker and what is left of it.
  const after = request.after.slice(0, BUCKET_NAME_MAX).toWellFormed();
  const named = prefix === "" ? bucketsRange() : stringPrefixRange(["bucket"], prefix);
  const range: KvRange =
    after === "" ? named : { start: later(named.start, afterKey(bucketKey(after))), end: named.end };
  const entries = await context.catalog.kv.list(range, { limit: maxBuckets + 1 });
  const buckets = entries.slice(0, maxBuckets).map((entry) => bucketInfo(context, decodeBucket(entry.value)));
  const last = buckets.at(-1);
  return entries.length > maxBuckets && last !== undefined ? { buckets, next: last.name } : { buckets };
}

function later(a: Uint8Array, b: Uint8Array): Uint8Array {
  return Buffer.compare(a, b) < 0 ? b : a;
}

function bucketInfo(context: ObjectContext, bucket: Bucket): BucketInfo {
  const { name, createdAtMs, location, owner } = bucket;
  return { name, createdAtMs, location, owner: context.principalOf(owner) };
}
