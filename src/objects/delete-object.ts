/**
 * DeleteObject and DeleteObjects.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
 */
import { type DeleteOutcome, type DeleteTarget, ObjectError } from "./api.ts";
import { requireBucket } from "./bucket-lookup.ts";
import { commitVersion } from "./commit-version.ts";
import { checkWriteConditions } from "./conditions.ts";
import type { ObjectContext } from "./context.ts";
import { requireKey } from "./names.ts";

/** Deletions of one DeleteObjects that are under way at a time; the catalog commits them together. */
const CONCURRENCY = 64;

export async function deleteObject(
  context: ObjectContext,
  request: { readonly bucket: string } & DeleteTarget,
): Promise<void> {
  const { bucket } = await requireBucket(context.catalog.kv, request.bucket);
  await deleteOne(context, request.bucket, bucket.bucketId, request);
}

export async function deleteObjects(
  context: ObjectContext,
  request: { readonly bucket: string; readonly targets: readonly DeleteTarget[] },
): Promise<readonly DeleteOutcome[]> {
  const { bucket } = await requireBucket(context.catalog.kv, request.bucket);
  const outcomes: DeleteOutcome[] = [];
  for (let from = 0; from < request.targets.length; from += CONCURRENCY) {
    const batch = request.targets.slice(from, from + CONCURRENCY).map(async (target): Promise<DeleteOutcome> => {
      try {
        await deleteOne(context, request.bucket, bucket.bucketId, target);
        return { target, deleted: true };
      } catch (error) {
        if (error instanceof ObjectError) return { target, deleted: false, error };
        throw error;
      }
    });
    outcomes.push(...(await Promise.all(batch)));
  }
  return outcomes;
}

async function deleteOne(
  context: ObjectContext,
  bucket: string,
  bucketId: string,
  target: DeleteTarget,
): Promise<void> {
  const { key, versionId, ifMatch } = target;
  requireKey(key);
  // Versioning is not there yet: every version is S3's null version, and deleting another one changes nothing.
  if (versionId !== undefined && versionId !== "null") return;
  await commitVersion(context, { bucket, key, bucketId }, ({ version }) => {
    if (ifMatch !== undefined) checkWriteConditions({ ifMatch }, version);
    return version === undefined ? { action: "leave" } : { action: "delete" };
  });
}
