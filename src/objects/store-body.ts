/**
 * Brings a body to the nodes: digested in one pass, cut in segments, each written as a blob. Nothing is visible until
 * a commit enters the blobs; whoever gets a StoredBody owes it that or `discard`.
 */
import type { BlobHome } from "../catalog/blobs.ts";
import { setOwnBlob } from "../catalog/blobs.ts";
import { addFirstReference } from "../catalog/contents.ts";
import { manifestKey, partKey } from "../catalog/keys.ts";
import type { KvAtomic } from "../catalog/kv.ts";
import {
  type Extent,
  encodeManifestPage,
  encodePart,
  type PartRun,
  RUNS_PER_PAGE,
} from "../catalog/records/manifest.ts";
import type { Content } from "../catalog/records/version.ts";
import { NotEnoughCopiesError, type WrittenBlob } from "../replication/write/blob-write-types.ts";
import { ByteReader, StreamTooLongError, StreamTooShortError } from "../shared/byte-reader.ts";
import type { Id } from "../shared/ids.ts";
import { type Body, ObjectError } from "./api.ts";
import { BodyDigests, type BodyResult } from "./body-digests.ts";
import type { ObjectContext } from "./context.ts";

export interface StoredBody extends BodyResult {
  readonly size: number;
  readonly blobs: readonly WrittenBlob[];
}

/**
 * @throws ObjectError incomplete-body, a digest's code, not-enough-copies or aborted; or what the stream throws.
 * Nothing is left to do then.
 */
export async function storeBody(context: ObjectContext, body: Body, signal?: AbortSignal): Promise<StoredBody> {
  const digests = new BodyDigests(context.checksums, body.expected);
  await using reader = new ByteReader(digests.through(body.stream));
  const blobs: WrittenBlob[] = [];
  try {
    for (let left = body.length; left > 0; ) {
      const length = Math.min(left, context.segmentBytes);
      const { held, ...blob } = await context.blobs.write(reader.take(length), length, signal);
      // Of a body in many segments not all are held.
      blobs.push(held === undefined || body.length > context.segmentBytes ? blob : { ...blob, held });
      left -= length;
    }
    await reader.expectEnd();
    return { ...digests.verify(), size: body.length, blobs };
  } catch (error) {
    for (const blob of blobs) context.blobs.discard(blob);
    throw translateWriteError(error, signal);
  }
}

/**
 * The body as it can be entered under the topology of now. To be asked in every attempt to commit it.
 * @throws ObjectError not-enough-copies; the body is as it was then
 */
export async function renewBody(context: ObjectContext, stored: StoredBody, signal?: AbortSignal): Promise<StoredBody> {
  const blobs = [...stored.blobs];
  try {
    for (const [index, blob] of stored.blobs.entries()) blobs[index] = await context.blobs.renew(blob, signal);
  } catch (error) {
    // Those that are new are nobody's; the caller has the old ones, some of whose copies are gone by now.
    for (const blob of blobs) if (!stored.blobs.includes(blob)) context.blobs.discard(blob);
    throw translateWriteError(error, signal);
  }
  return { ...stored, blobs };
}

/** The body will not be referred to. */
export function discardBody(context: ObjectContext, stored: StoredBody): void {
  for (const blob of stored.blobs) context.blobs.discard(blob);
}

/** Where an object that holds a body is to be. */
export interface ObjectAddress {
  readonly bucketId: Id;
  readonly key: string;
  readonly versionId: Id;
}

/** Enters a body as the content of an object's version in the commit that creates the version. */
export function enterAsContent(
  context: ObjectContext,
  atomic: KvAtomic,
  stored: StoredBody,
  at: ObjectAddress,
): Content {
  const [first, ...more] = stored.blobs;
  if (first === undefined) return { kind: "empty" };
  if (more.length === 0) {
    context.blobs.enter(atomic, first, inlineHome(at));
    return { kind: "inline", blob: first.blob };
  }
  const manifestId = context.ids.next();
  const partId = context.ids.next();
  const extents = enterAsExtents(context, atomic, stored, partId);
  const part = { partId, partNumber: 1, size: stored.size, modifiedAtMs: 0, etag: stored.etag, extents };
  atomic.set(partKey(manifestId, 1), encodePart(part));
  setManifest(atomic, manifestId, [{ firstPart: 1, count: 1, partSize: stored.size }]);
  addFirstReference(atomic, manifestId, at.versionId);
  return { kind: "manifest", manifestId, partCount: 1 };
}

/** Enters a body's blobs with records of their own, referred to by a part. */
export function enterAsExtents(context: ObjectContext, atomic: KvAtomic, stored: StoredBody, partId: Id): Extent[] {
  return stored.blobs.map((written) => {
    const { blob } = written;
    context.blobs.enter(atomic, written, OWN);
    setOwnBlob(atomic, blob);
    addFirstReference(atomic, blob.blobId, partId);
    return { blobId: blob.blobId, offset: 0, length: blob.length };
  });
}

/** The commit that entered the body succeeded. */
export function bodyCommitted(context: ObjectContext, stored: StoredBody, at?: ObjectAddress): void {
  const inline = at !== undefined && stored.blobs.length === 1;
  for (const blob of stored.blobs) context.blobs.committed(blob, inline ? inlineHome(at) : OWN);
}

export function setManifest(atomic: KvAtomic, manifestId: Id, runs: readonly PartRun[]): void {
  const pageCount = Math.max(1, Math.ceil(runs.length / RUNS_PER_PAGE));
  for (let page = 0; page < pageCount; page++) {
    const pageRuns = runs.slice(page * RUNS_PER_PAGE, (page + 1) * RUNS_PER_PAGE);
    atomic.set(manifestKey(manifestId, page), encodeManifestPage({ runs: pageRuns, pageCount }));
  }
}

const OWN: BlobHome = { kind: "own" };

function inlineHome({ bucketId, key }: ObjectAddress): BlobHome {
  return { kind: "inline", bucketId, key };
}

function translateWriteError(error: unknown, signal: AbortSignal | undefined): unknown {
  if (error instanceof ObjectError) return error;
  if (signal?.aborted) return new ObjectError("aborted", "The request was given up", {}, { cause: error });
  if (error instanceof StreamTooShortError || error instanceof StreamTooLongError) {
    return new ObjectError("incomplete-body", "The body has another length than was announced", {}, { cause: error });
  }
  if (error instanceof NotEnoughCopiesError) {
    const full = error.causes.length > 0 && error.causes.every((cause) => cause.kind === "full");
    return full
      ? new ObjectError("insufficient-storage", "The storage nodes have no room left", {}, { cause: error })
      : new ObjectError("not-enough-copies", "Too few storage nodes accept writes now", {}, { cause: error });
  }
  return error;
}
