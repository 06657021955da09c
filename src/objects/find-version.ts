import { objectKey } from "../catalog/keys.ts";
import type { KvEntry } from "../catalog/kv.ts";
import type { Bucket } from "../catalog/records/bucket.ts";
import { decodeVersion, type Version } from "../catalog/records/version.ts";
import { ObjectError, type ObjectInfo } from "./api.ts";
import { requireBucket } from "./bucket-lookup.ts";
import type { ObjectContext } from "./context.ts";
import { requireKey } from "./names.ts";

export interface FoundVersion {
  readonly bucket: Bucket;
  readonly version: Version;
  readonly entry: KvEntry;
}

/**
 * The version that a request means.
 * @throws ObjectError no-such-bucket, no-such-key, no-such-version
 */
export async function findVersion(
  context: Pick<ObjectContext, "catalog">,
  address: { readonly bucket: string; readonly key: string; readonly versionId?: string },
): Promise<FoundVersion> {
  requireKey(address.key);
  const { kv } = context.catalog;
  const { bucket } = await requireBucket(kv, address.bucket);
  const entry = await kv.get(objectKey(bucket.bucketId, address.key));
  // Versioning is not there yet: every version is S3's null version.
  if (address.versionId !== undefined && address.versionId !== "null") {
    throw new ObjectError("no-such-version", "The specified version does not exist.", {
      key: address.key,
      versionId: address.versionId,
    });
  }
  if (entry === undefined) {
    throw new ObjectError("no-such-key", "The specified key does not exist.", { key: address.key });
  }
  return { bucket, version: decodeVersion(entry.value), entry };
}

export function objectInfo(context: ObjectContext, key: string, version: Version): ObjectInfo {
  const { size, etag, createdAtMs, headers, metadata, checksum, storageClass, partCount } = version;
  return {
    key,
    size,
    etag,
    modifiedAtMs: createdAtMs,
    headers,
    metadata,
    ...(checksum === undefined ? {} : { checksum }),
    storageClass,
    ...(partCount === undefined ? {} : { partCount }),
    owner: context.principalOf(version.owner),
  };
}
