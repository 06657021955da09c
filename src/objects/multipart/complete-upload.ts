/**
 * CompleteMultipartUpload: one commit that moves no bytes. The upload's parts stay where they are and become the
 * manifest of the object.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
 */
import { createHash } from "node:crypto";
import { walk } from "../../catalog/catalog.ts";
import { addFirstReference } from "../../catalog/contents.ts";
import { objectKey, partCounterKey, partKey, partsRange } from "../../catalog/keys.ts";
import type { KvAtomic } from "../../catalog/kv.ts";
import { decodePart, type Part, runsOf } from "../../catalog/records/manifest.ts";
import type { Upload } from "../../catalog/records/upload.ts";
import { decodeVersion, type ObjectChecksum, type Version } from "../../catalog/records/version.ts";
import { type CrcAlgorithm, combineCrcs } from "../../shared/checksums.ts";
import { type CompletedPart, ObjectError, type ObjectService, type PutResult } from "../api.ts";
import { HASHES } from "../body-digests.ts";
import { requireBucket } from "../bucket-lookup.ts";
import { commitVersion } from "../commit-version.ts";
import { checkWriteConditions } from "../conditions.ts";
import type { ObjectContext } from "../context.ts";
import { setManifest } from "../store-body.ts";
import { dropPart } from "./parts.ts";
import { type FoundUpload, findUpload, noSuchUpload } from "./uploads.ts";

/** Every part but the last has at least this many bytes. */
export const PART_BYTES_MIN = 5 * 2 ** 20;
/** Largest object. */
export const OBJECT_BYTES_MAX = 5 * 2 ** 40;

type CompleteRequest = Parameters<ObjectService["completeUpload"]>[0];

export async function completeUpload(context: ObjectContext, request: CompleteRequest): Promise<PutResult> {
  const { bucket: name, key, uploadId, conditions } = request;
  const found = await findUpload(context, request).catch((error: unknown) => {
    if (error instanceof ObjectError && error.code === "no-such-upload") return undefined;
    throw error;
  });
  if (found === undefined) return completedBefore(context, request);

  let result: PutResult | undefined;
  await commitVersion(
    context,
    { bucket: name, key, bucketId: found.bucket.bucketId },
    async ({ version: current, atomic }) => {
      if (!(await recheckUpload(context, atomic, found))) {
        result = await completedBefore(context, request);
        return { action: "leave" };
      }
      checkWriteConditions(conditions, current);
      const { chosen, unlisted } = await chooseParts(context, request);
      const version = newVersion(context, found.upload, { chosen, current, request });
      atomic.delete(found.entry.key).delete(partCounterKey(uploadId));
      setManifest(atomic, uploadId, runsOf(chosen));
      addFirstReference(atomic, uploadId, version.versionId);
      for (const part of unlisted) {
        atomic.delete(partKey(uploadId, part.partNumber));
        dropPart(atomic, part, context.clock.nowMs());
      }
      result = putResult(version);
      return { action: "set", version };
    },
  );
  if (result === undefined) throw new TypeError("a commit succeeded without a decision");
  return result;
}

/** A client that lost the first answer asks again: the object that the upload became is the answer. */
async function completedBefore(
  context: ObjectContext,
  { bucket: name, key, uploadId }: CompleteRequest,
): Promise<PutResult> {
  const { kv } = context.catalog;
  const { bucket } = await requireBucket(kv, name);
  const entry = await kv.get(objectKey(bucket.bucketId, key));
  const version = entry && decodeVersion(entry.value);
  if (version?.content.kind === "manifest" && version.content.manifestId === uploadId) return putResult(version);
  throw noSuchUpload(uploadId);
}

/**
 * Makes the commit fail when the upload goes, or a part of it comes, after the parts were looked at.
 * @returns false when the upload has gone already
 */
async function recheckUpload(
  context: ObjectContext,
  atomic: KvAtomic,
  { entry, upload }: FoundUpload,
): Promise<boolean> {
  const counterKey = partCounterKey(upload.uploadId);
  const [now, counter] = await context.catalog.kv.getMany([entry.key, counterKey]);
  if (now === undefined) return false;
  atomic.check(entry.key, entry.version).check(counterKey, counter?.version ?? null);
  return true;
}

/** @throws ObjectError invalid-part, invalid-part-order, part-too-small, too-large, invalid-request */
async function chooseParts(
  context: ObjectContext,
  request: CompleteRequest,
): Promise<{ chosen: readonly Part[]; unlisted: readonly Part[] }> {
  if (request.parts.length === 0) throw new ObjectError("invalid-part", "You must specify at least one part");
  request.parts.forEach((part, index) => {
    const before = request.parts[index - 1];
    if (before !== undefined && before.partNumber >= part.partNumber) {
      throw new ObjectError(
        "invalid-part-order",
        "The list of parts was not in ascending order. The parts list must be specified in order by part number.",
      );
    }
  });
  const uploaded = new Map<number, Part>();
  for await (const entry of walk(context.catalog.kv, partsRange(request.uploadId))) {
    const part = decodePart(entry.value);
    uploaded.set(part.partNumber, part);
  }
  const chosen = request.parts.map((listed) => requirePart(uploaded, listed));
  for (const part of chosen.slice(0, -1)) {
    if (part.size < PART_BYTES_MIN) {
      throw new ObjectError("part-too-small", "Your proposed upload is smaller than the minimum allowed size", {
        proposedSize: part.size,
        minSizeAllowed: PART_BYTES_MIN,
        partNumber: part.partNumber,
        etag: part.etag,
      });
    }
  }
  const size = totalSize(chosen);
  if (size > OBJECT_BYTES_MAX) {
    throw new ObjectError("too-large", "Your proposed upload exceeds the maximum allowed object size.", {
      proposedSize: size,
      maxSizeAllowed: OBJECT_BYTES_MAX,
    });
  }
  if (request.expectedSize !== undefined && request.expectedSize !== size) {
    throw new ObjectError("invalid-request", "The provided x-amz-mp-object-size does not match the size of the parts");
  }
  const listed = new Set(request.parts.map((part) => part.partNumber));
  return { chosen, unlisted: [...uploaded.values()].filter((part) => !listed.has(part.partNumber)) };
}

function requirePart(uploaded: ReadonlyMap<number, Part>, listed: CompletedPart): Part {
  const part = uploaded.get(listed.partNumber);
  const checksumDiffers = listed.checksum !== undefined && part?.checksum !== listed.checksum.value;
  if (part !== undefined && part.etag === listed.etag && !checksumDiffers) return part;
  throw new ObjectError(
    "invalid-part",
    "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
    { partNumber: listed.partNumber, etag: listed.etag },
  );
}

function newVersion(
  context: ObjectContext,
  upload: Upload,
  on: { chosen: readonly Part[]; current: Version | undefined; request: CompleteRequest },
): Version {
  const { headers, metadata, storageClass, owner, uploadId } = upload;
  const checksum = checksumOf(context, upload, on.chosen);
  verifyChecksum(checksum, on.request.expectedChecksum);
  return {
    versionId: context.ids.next(),
    isNull: true,
    sequence: (on.current?.sequence ?? 0) + 1,
    deleteMarker: false,
    createdAtMs: context.clock.nowMs(),
    size: totalSize(on.chosen),
    etag: etagOf(on.chosen),
    headers,
    metadata,
    ...(checksum === undefined ? {} : { checksum }),
    content: { kind: "manifest", manifestId: uploadId, partCount: on.chosen.length },
    storageClass,
    partCount: on.chosen.length,
    owner,
  };
}

function totalSize(parts: readonly Part[]): number {
  return parts.reduce((sum, part) => sum + part.size, 0);
}

/** The MD5 of the parts' MD5s, and their number. */
function etagOf(parts: readonly Part[]): string {
  const md5 = createHash("md5");
  for (const part of parts) md5.update(part.etag, "hex");
  return `${md5.digest("hex")}-${parts.length}`;
}

/** @throws ObjectError invalid-part where a part lacks the checksum that the upload asked for */
function checksumOf(context: ObjectContext, upload: Upload, parts: readonly Part[]): ObjectChecksum | undefined {
  if (upload.checksum === undefined) return undefined;
  const { algorithm, type } = upload.checksum;
  const digests = parts.map((part) => {
    if (part.checksum === undefined) {
      throw new ObjectError("invalid-part", "A part has no checksum of the upload's algorithm", {
        partNumber: part.partNumber,
      });
    }
    return { digest: Buffer.from(part.checksum, "base64"), size: part.size };
  });
  const hash = HASHES[algorithm];
  if (type === "COMPOSITE") {
    const hasher = context.checksums.start(hash);
    for (const { digest } of digests) hasher.update(digest);
    return { algorithm, type, value: Buffer.from(hasher.digest()).toString("base64") };
  }
  const [first, ...rest] = digests;
  if (first === undefined || !isCrc(hash)) {
    throw new ObjectError("invalid-request", "A FULL_OBJECT checksum of a multipart upload must be a CRC");
  }
  const whole = rest.reduce<Uint8Array>((sum, part) => combineCrcs(hash, sum, part.digest, part.size), first.digest);
  return { algorithm, type, value: Buffer.from(whole).toString("base64") };
}

function isCrc(hash: string): hash is CrcAlgorithm {
  return hash.startsWith("crc");
}

function verifyChecksum(actual: ObjectChecksum | undefined, expected: CompleteRequest["expectedChecksum"]): void {
  if (expected === undefined) return;
  const differs =
    expected.algorithm !== actual?.algorithm ||
    (expected.type !== undefined && expected.type !== actual.type) ||
    // A composite value may be stated with its number of parts.
    (expected.value !== undefined && expected.value.replace(/-\d+$/, "") !== actual.value);
  if (!differs) return;
  throw new ObjectError(
    "bad-checksum",
    `The ${expected.algorithm} you specified did not match the calculated checksum.`,
    {
      algorithm: expected.algorithm,
    },
  );
}

function putResult({ etag, checksum, size }: Version): PutResult {
  return checksum === undefined ? { etag, size } : { etag, checksum, size };
}
