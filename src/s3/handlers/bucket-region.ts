import type { BucketInfo } from "../../objects/api.ts";
import type { S3Settings } from "../call.ts";

/** The region that a bucket is in, as clients sign for it: the server's own where the bucket names none. */
export function bucketRegion(bucket: BucketInfo, settings: S3Settings): string {
  return bucket.location === "" ? settings.region : bucket.location;
}
