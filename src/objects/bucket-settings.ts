/**
 * What an operator sets of buckets. S3 has no calls for it.
 */
import { type Catalog, COMMIT_ATTEMPTS_MAX } from "../catalog/catalog.ts";
import { bucketKey, bucketsRange } from "../catalog/keys.ts";
import type { Kv } from "../catalog/kv.ts";
import { type Bucket, decodeBucket, encodeBucket } from "../catalog/records/bucket.ts";
import { after as afterKey } from "../catalog/tuple.ts";
import { bucketKeepsChanging, requireBucket } from "./bucket-lookup.ts";

export type BucketSettings = Pick<Bucket, "readRedirect">;

/** @returns the bucket as it is now. @throws ObjectError no-such-bucket, conflict; CatalogError */
export async function setBucket(catalog: Catalog, name: string, settings: Partial<BucketSettings>): Promise<Bucket> {
  for (let attempt = 0; attempt < COMMIT_ATTEMPTS_MAX; attempt++) {
    const { bucket, entry } = await requireBucket(catalog.kv, name);
    const changed = { ...bucket, ...settings };
    const atomic = catalog.begin().check(entry.key, entry.version).set(entry.key, encodeBucket(changed));
    if ((await catalog.commit(atomic)).committed) return changed;
  }
  throw bucketKeepsChanging(name);
}

/** Buckets in the order of their names, after a name: at most `limit`. @throws CatalogError */
export async function listBucketRecords(kv: Kv, after: string, limit: number): Promise<Bucket[]> {
  const { start, end } = bucketsRange();
  const entries = await kv.list({ start: after === "" ? start : afterKey(bucketKey(after)), end }, { limit });
  return entries.map((entry) => decodeBucket(entry.value));
}
