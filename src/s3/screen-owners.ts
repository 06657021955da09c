/**
 * A client may say whose it takes a bucket for, so as not to hand its data to somebody else, or take theirs.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
 */
import type { ObjectService } from "../objects/api.ts";
import type { Call } from "./call.ts";
import { readCopySource } from "./copy-source.ts";
import { S3Error } from "./errors.ts";
import { headerValue } from "./headers.ts";

/** @throws S3Error AccessDenied; ObjectError no-such-bucket */
export async function screenOwners({ objects, request, nowMs }: Call): Promise<void> {
  const { bucket, headers } = request;
  const owner = headerValue(headers, "x-amz-expected-bucket-owner");
  if (owner !== undefined && bucket !== undefined) await requireOwner(objects, bucket, owner);
  const ownerOfSource = headerValue(headers, "x-amz-source-expected-bucket-owner");
  if (ownerOfSource !== undefined && headers.has("x-amz-copy-source")) {
    await requireOwner(objects, readCopySource(headers, nowMs).bucket, ownerOfSource);
  }
}

async function requireOwner(objects: ObjectService, bucket: string, expected: string): Promise<void> {
  const { owner } = await objects.headBucket(bucket);
  if (owner.id !== expected) throw new S3Error("AccessDenied");
}
