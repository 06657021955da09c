/**
 * PutObject. The order of things: cheap checks, the bytes to the nodes, then the one commit that makes them an object.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
 */
import { objectKey } from "../catalog/keys.ts";
import { decodeVersion } from "../catalog/records/version.ts";
import { ObjectError, type ObjectService, type PutResult } from "./api.ts";
import { requireBucket } from "./bucket-lookup.ts";
import { commitVersion, surelyNotCommitted } from "./commit-version.ts";
import { checkWriteConditions } from "./conditions.ts";
import type { ObjectContext } from "./context.ts";
import { requireKey } from "./names.ts";
import { bodyCommitted, discardBody, enterAsContent, renewBody, storeBody } from "./store-body.ts";

/** Largest object that one request may carry. */
export const PUT_BYTES_MAX = 5 * 2 ** 30;

export async function putObject(
  context: ObjectContext,
  request: Parameters<ObjectService["putObject"]>[0],
): Promise<PutResult> {
  const { principal, bucket: name, key, body, attributes, conditions, signal } = request;
  const { catalog, clock, ids } = context;
  requireKey(key);
  if (body.length > PUT_BYTES_MAX) {
    throw new ObjectError("too-large", "Your proposed upload exceeds the maximum allowed object size.", {
      proposedSize: body.length,
      maxSizeAllowed: PUT_BYTES_MAX,
    });
  }
  const { bucket } = await requireBucket(catalog.kv, name);
  const { bucketId } = bucket;
  if (conditions.ifMatch !== undefined || conditions.ifNoneMatch !== undefined) {
    // Decided again inside the commit; here it only spares a body that cannot succeed.
    const entry = await catalog.kv.get(objectKey(bucketId, key));
    checkWriteConditions(conditions, entry && decodeVersion(entry.value));
  }

  let stored = await storeBody(context, body, signal);
  const at = { bucketId, key, versionId: ids.next() };
  try {
    await commitVersion(context, { bucket: name, key, bucketId }, async ({ version: current, atomic }) => {
      checkWriteConditions(conditions, current);
      stored = await renewBody(context, stored, signal);
      const { size, etag, checksum } = stored;
      const version = {
        versionId: at.versionId,
        isNull: true,
        sequence: (current?.sequence ?? 0) + 1,
        deleteMarker: false,
        createdAtMs: clock.nowMs(),
        size,
        etag,
        ...attributes,
        ...(checksum === undefined ? {} : { checksum }),
        content: enterAsContent(context, atomic, stored, at),
        owner: principal.id,
      };
      return { action: "set", version };
    });
  } catch (error) {
    if (surelyNotCommitted(error)) discardBody(context, stored);
    throw error;
  }
  bodyCommitted(context, stored, at);
  const { etag, checksum, size } = stored;
  return checksum === undefined ? { etag, size } : { etag, checksum, size };
}
