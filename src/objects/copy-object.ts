/**
 * CopyObject. Copies references, not bytes.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
 *
 * A deliberate difference: the copy of a multipart object keeps its ETag, which S3 computes anew.
 */
import { ContentGoneError, handOnContent, shareContent } from "../catalog/contents.ts";
import { objectKey } from "../catalog/keys.ts";
import { encodeVersion, type ObjectChecksum, type Version } from "../catalog/records/version.ts";
import { type CopyResult, ObjectError, type ObjectService } from "./api.ts";
import { HASHES } from "./body-digests.ts";
import { requireBucket } from "./bucket-lookup.ts";
import { commitVersion } from "./commit-version.ts";
import { checkCopyConditions, checkWriteConditions } from "./conditions.ts";
import type { ObjectContext } from "./context.ts";
import { type FoundVersion, findVersion } from "./find-version.ts";
import { translateReadError } from "./get-object.ts";
import { requireKey } from "./names.ts";
import { PUT_BYTES_MAX } from "./put-object.ts";
import { readContent } from "./read-content.ts";

type CopyRequest = Parameters<ObjectService["copyObject"]>[0];

export async function copyObject(context: ObjectContext, request: CopyRequest): Promise<CopyResult> {
  const { bucket: name, key, source, attributes, conditions } = request;
  const { catalog } = context;
  requireKey(key);
  const { bucket } = await requireBucket(catalog.kv, name);
  const { bucketId } = bucket;
  const ontoItself = source.bucket === name && source.key === key;
  if (ontoItself && attributes === undefined && request.checksumAlgorithm === undefined) {
    throw new ObjectError(
      "invalid-request",
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
    );
  }
  let result: CopyResult | undefined;
  await commitVersion(context, { bucket: name, key, bucketId }, async ({ version: current, atomic }) => {
    checkWriteConditions(conditions, current);
    const found = await findVersion(context, source);
    checkCopyConditions(source.conditions, found.version);
    if (found.version.size > PUT_BYTES_MAX) {
      throw new ObjectError(
        "invalid-request",
        "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120",
      );
    }
    const checksum = await checksumOf(context, request, found);
    const copy = newVersion(context, request, { found, current, checksum });
    result = { etag: copy.etag, modifiedAtMs: copy.createdAtMs, ...(checksum === undefined ? {} : { checksum }) };
    if (ontoItself) {
      // `current` is what the commit checks. Where the source is another one already, all of it starts over.
      if (current?.versionId !== found.version.versionId) throw new ContentGoneError();
      await handOnContent(catalog.kv, atomic, found.version, copy.versionId);
      return { action: "set", version: copy, keepsContent: true };
    }
    const shared = await shareContent(catalog.kv, atomic, found.version, copy.versionId);
    // What the copy replaces may share its content with the source. That content must not be let go of as the last one's,
    // so the source has to be there still, with its own reference, when this is committed.
    const sourceKey = objectKey(found.bucket.bucketId, source.key);
    atomic.check(sourceKey, found.entry.version);
    if (shared.sourceContent !== found.version.content) {
      atomic.set(sourceKey, encodeVersion({ ...found.version, content: shared.sourceContent }));
    }
    return { action: "set", version: { ...copy, content: shared.content } };
  });
  if (result === undefined) throw new TypeError("a commit succeeded without a decision");
  return result;
}

function newVersion(
  context: ObjectContext,
  { attributes, principal }: CopyRequest,
  on: { found: FoundVersion; current: Version | undefined; checksum: ObjectChecksum | undefined },
): Version {
  const { clock, ids } = context;
  const { headers, metadata, storageClass, size, etag, content } = on.found.version;
  return {
    versionId: ids.next(),
    isNull: true,
    sequence: (on.current?.sequence ?? 0) + 1,
    deleteMarker: false,
    createdAtMs: clock.nowMs(),
    size,
    etag,
    ...(attributes ?? { headers, metadata, storageClass }),
    ...(on.checksum === undefined ? {} : { checksum: on.checksum }),
    content,
    owner: principal.id,
  };
}

/**
 * The source's checksum, or the one asked for, computed from the source's bytes where it is another.
 * @throws ContentGoneError; ObjectError unavailable or aborted
 */
async function checksumOf(
  context: ObjectContext,
  { checksumAlgorithm: wanted, signal }: CopyRequest,
  { version }: FoundVersion,
): Promise<ObjectChecksum | undefined> {
  const { checksum } = version;
  // The copy has no parts that a composite checksum could be of.
  const algorithm = wanted ?? checksum?.algorithm;
  if (algorithm === undefined) return undefined;
  if (checksum?.algorithm === algorithm && checksum.type === "FULL_OBJECT") return checksum;
  const hasher = context.checksums.start(HASHES[algorithm]);
  const endRead = context.openReads.begin();
  try {
    const whole = { start: 0, end: version.size };
    for await (const chunk of readContent(context, version.content, whole, signal)) hasher.update(chunk);
  } catch (error) {
    // The source changed between the look at it and its bytes.
    throw error instanceof ContentGoneError ? error : translateReadError(error, signal);
  } finally {
    endRead();
  }
  return { algorithm, type: "FULL_OBJECT", value: Buffer.from(hasher.digest()).toString("base64") };
}
