/**
 * Parts of an upload: uploaded, copied from other objects, listed.
 */

import { locatedOwn, setOwnBlob } from "../../catalog/blobs.ts";
import { COMMIT_ATTEMPTS_MAX } from "../../catalog/catalog.ts";
import { addBlobReference, addFirstReference, ContentGoneError } from "../../catalog/contents.ts";
import { blobKey, dyingKey, isNodeKey, objectKey, partCounterKey, partKey, partsRange } from "../../catalog/keys.ts";
import type { KvAtomic } from "../../catalog/kv.ts";
import { encodeDying } from "../../catalog/records/dying.ts";
import {
  decodePart,
  EXTENTS_PER_PART_MAX,
  type Extent,
  encodePart,
  type Part,
} from "../../catalog/records/manifest.ts";
import { encodeVersion } from "../../catalog/records/version.ts";
import { after as afterKey } from "../../catalog/tuple.ts";
import type { Id } from "../../shared/ids.ts";
import { type ByteRange, type CopyResult, type ObjectChecksum, ObjectError, type ObjectService } from "../api.ts";
import { BodyDigests, HASHES } from "../body-digests.ts";
import { surelyNotCommitted } from "../commit-version.ts";
import { checkCopyConditions } from "../conditions.ts";
import type { ObjectContext } from "../context.ts";
import { type FoundVersion, findVersion } from "../find-version.ts";
import { translateReadError } from "../get-object.ts";
import { PUT_BYTES_MAX } from "../put-object.ts";
import { extentsInRange, readContent } from "../read-content.ts";
import { bodyCommitted, discardBody, enterAsExtents, renewBody, storeBody } from "../store-body.ts";
import { type FoundUpload, findUpload, noSuchUpload, uploadInfo } from "./uploads.ts";

export const PART_NUMBER_MAX = 10_000;

export async function uploadPart(
  context: ObjectContext,
  request: Parameters<ObjectService["uploadPart"]>[0],
): ReturnType<ObjectService["uploadPart"]> {
  const { partNumber, body, signal } = request;
  requirePartNumber(partNumber);
  if (body.length > PUT_BYTES_MAX) {
    throw new ObjectError("too-large", "Your proposed upload exceeds the maximum allowed object size.", {
      proposedSize: body.length,
      maxSizeAllowed: PUT_BYTES_MAX,
    });
  }
  const found = await findUpload(context, request);
  const wanted = found.upload.checksum?.algorithm;
  const stated = body.expected.checksum;
  if (wanted !== undefined && stated !== undefined && stated.algorithm !== wanted) {
    throw new ObjectError(
      "invalid-request",
      `Checksum Type mismatch occurred, expected checksum Type: ${wanted.toLowerCase()}, actual checksum Type: ${stated.algorithm.toLowerCase()}`,
    );
  }
  // A part that comes without the checksum that its upload wants gets it here.
  const expected =
    wanted !== undefined && stated === undefined
      ? { ...body.expected, checksum: { algorithm: wanted, value: () => undefined } }
      : body.expected;
  let stored = await storeBody(context, { ...body, expected }, signal);
  const { etag, checksum, size } = stored;
  try {
    await commitPart(context, found, partNumber, async (atomic, partId) => {
      stored = await renewBody(context, stored, signal);
      return {
        size,
        etag,
        checksum: wanted === undefined ? undefined : checksum,
        extents: enterAsExtents(context, atomic, stored, partId),
      };
    });
  } catch (error) {
    if (surelyNotCommitted(error)) discardBody(context, stored);
    throw error;
  }
  bodyCommitted(context, stored);
  return checksum === undefined ? { etag } : { etag, checksum };
}

/** Refers to the source's blobs; reads its bytes only for the digests. */
export async function uploadPartCopy(
  context: ObjectContext,
  request: Parameters<ObjectService["uploadPartCopy"]>[0],
): Promise<CopyResult> {
  const { partNumber, source, signal } = request;
  requirePartNumber(partNumber);
  const upload = await findUpload(context, request);
  const endRead = context.openReads.begin();
  try {
    for (let attempt = 0; attempt < COMMIT_ATTEMPTS_MAX; attempt++) {
      const found = await findVersion(context, source);
      checkCopyConditions(source.conditions, found.version);
      const range = sourceRange(found, request.range);
      try {
        const digests = await digestRange(context, found, { range, upload, ...(signal && { signal }) });
        const part = await commitPart(context, upload, partNumber, async (atomic, partId) => ({
          size: range.end - range.start,
          ...digests,
          extents: await shareRange(context, atomic, { found, range, partId, sourceKey: source.key }),
        }));
        return {
          etag: digests.etag,
          modifiedAtMs: part.modifiedAtMs,
          ...(digests.checksum && { checksum: digests.checksum }),
        };
      } catch (error) {
        // The source changed between the look at it and the commit.
        if (!(error instanceof ContentGoneError)) throw error;
      }
    }
  } finally {
    endRead();
  }
  throw new ObjectError("conflict", "The copy source kept changing; try again");
}

export async function listParts(
  context: ObjectContext,
  request: Parameters<ObjectService["listParts"]>[0],
): ReturnType<ObjectService["listParts"]> {
  const { upload } = await findUpload(context, request);
  const range = partsRange(upload.uploadId);
  const start = request.after > 0 ? afterKey(partKey(upload.uploadId, request.after)) : range.start;
  const entries = await context.catalog.kv.list({ start, end: range.end }, { limit: request.maxParts + 1 });
  const parts = entries.slice(0, request.maxParts).map((entry) => {
    const { partNumber, size, etag, modifiedAtMs, checksum } = decodePart(entry.value);
    return { partNumber, size, etag, modifiedAtMs, ...(checksum === undefined ? {} : { checksum }) };
  });
  const info = uploadInfo(context, upload);
  const last = parts.at(-1);
  const more = entries.length > request.maxParts && last !== undefined;
  return more ? { upload: info, parts, next: last.partNumber } : { upload: info, parts };
}

interface PartDraft {
  readonly size: number;
  readonly etag: string;
  readonly checksum: ObjectChecksum | undefined;
  readonly extents: readonly Extent[];
}

/**
 * Puts a part in place, provided that its upload is still there; a part of the same number that was there is dropped.
 * `enter` may run several times.
 * @throws ObjectError no-such-upload, conflict; ContentGoneError of `enter`
 */
async function commitPart(
  context: ObjectContext,
  { upload, entry }: FoundUpload,
  partNumber: number,
  enter: (atomic: KvAtomic, partId: Id) => PartDraft | Promise<PartDraft>,
): Promise<Part> {
  const { catalog, clock, ids } = context;
  const key = partKey(upload.uploadId, partNumber);
  for (let attempt = 0; attempt < COMMIT_ATTEMPTS_MAX; attempt++) {
    const before = await catalog.kv.get(key);
    const atomic = catalog
      .begin()
      .check(entry.key, entry.version)
      .check(key, before?.version ?? null);
    const partId = ids.next();
    const { checksum, ...draft } = await enter(atomic, partId);
    const part: Part = {
      partId,
      partNumber,
      modifiedAtMs: clock.nowMs(),
      ...draft,
      ...(checksum === undefined ? {} : { checksum: checksum.value }),
    };
    atomic.set(key, encodePart(part)).sum(partCounterKey(upload.uploadId), [1]);
    if (before !== undefined) dropPart(atomic, decodePart(before.value), clock.nowMs());
    const result = await catalog.commit(atomic);
    if (result.committed) return part;
    if (Buffer.compare(result.failed, entry.key) === 0) throw noSuchUpload(upload.uploadId);
    if (isNodeKey(result.failed)) await context.blobs.refreshNodes();
  }
  throw new ObjectError("conflict", "A conflicting operation is in progress on this part; try again");
}

/** Leaves a part's references to be dropped. The part's record is the caller's to remove or replace. */
export function dropPart(atomic: KvAtomic, { partId, extents }: Part, nowMs: number): void {
  if (extents.length > 0) atomic.set(dyingKey(nowMs, partId), encodeDying({ kind: "part", partId, extents }));
}

function requirePartNumber(partNumber: number): void {
  if (partNumber >= 1 && partNumber <= PART_NUMBER_MAX) return;
  throw new ObjectError("invalid-request", "Part number must be an integer between 1 and 10000, inclusive");
}

function sourceRange({ version }: FoundVersion, range: ByteRange | undefined): ByteRange {
  const whole = range ?? { start: 0, end: version.size };
  if (whole.end > version.size || whole.start >= Math.max(1, whole.end)) {
    throw new ObjectError("invalid-range", "The requested range is not satisfiable", {
      actualObjectSize: version.size,
    });
  }
  if (whole.end - whole.start > PUT_BYTES_MAX) {
    throw new ObjectError("invalid-request", "The specified copy range is larger than a part may be");
  }
  return whole;
}

/** @throws ContentGoneError; ObjectError unavailable or aborted */
async function digestRange(
  context: ObjectContext,
  { version }: FoundVersion,
  what: { range: ByteRange; upload: FoundUpload; signal?: AbortSignal },
): Promise<{ etag: string; checksum: ObjectChecksum | undefined }> {
  const algorithm = what.upload.upload.checksum?.algorithm;
  const digests = new BodyDigests(
    context.checksums,
    algorithm === undefined || !(algorithm in HASHES) ? {} : { checksum: { algorithm, value: () => undefined } },
  );
  try {
    const bytes = readContent(context, version.content, what.range, what.signal);
    for await (const _ of digests.through(bytes)) {
      // Only the digests are wanted.
    }
  } catch (error) {
    throw error instanceof ContentGoneError ? error : translateReadError(error, what.signal);
  }
  const { etag, checksum } = digests.verify();
  return { etag, checksum };
}

/** Refers to the blobs under a range of a version, giving an inline one a record of its own. @throws ContentGoneError */
async function shareRange(
  context: ObjectContext,
  atomic: KvAtomic,
  what: { found: FoundVersion; range: ByteRange; partId: Id; sourceKey: string },
): Promise<Extent[]> {
  const { found, range, partId } = what;
  const { content } = found.version;
  const { kv } = context.catalog;
  const length = range.end - range.start;
  if (length === 0) return [];
  if (content.kind === "empty") throw new ContentGoneError();
  if (content.kind === "inline") {
    const { blob } = content;
    const { blobId } = blob;
    const key = objectKey(found.bucket.bucketId, what.sourceKey);
    setOwnBlob(atomic, blob);
    addFirstReference(atomic, blobId, found.version.versionId);
    addFirstReference(atomic, blobId, partId);
    const entry = await kv.get(key);
    // Another commit replaced the source, or shared it, since it was looked at.
    if (entry?.version !== found.entry.version) throw new ContentGoneError();
    atomic
      .check(key, found.entry.version)
      .set(key, encodeVersion({ ...found.version, content: { kind: "blob", blobId } }));
    return [{ blobId, offset: range.start, length }];
  }
  const extents: Extent[] =
    content.kind === "blob"
      ? [{ blobId: content.blobId, offset: range.start, length }]
      : await Array.fromAsync(extentsInRange(kv, content.manifestId, range));
  if (extents.length > EXTENTS_PER_PART_MAX) {
    throw new ObjectError("invalid-request", "The copy source is made of too many pieces; upload the part instead");
  }
  for (const blobId of new Set(extents.map((extent) => extent.blobId))) {
    const entry = await kv.get(blobKey(blobId));
    if (entry === undefined) throw new ContentGoneError();
    addBlobReference(atomic, locatedOwn(entry), partId);
  }
  return extents;
}
