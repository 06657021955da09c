/**
 * The bytes of a version, whatever they are made of.
 */
import { locatedOwn } from "../catalog/blobs.ts";
import { ContentGoneError } from "../catalog/contents.ts";
import { blobKey, partKey } from "../catalog/keys.ts";
import type { Kv } from "../catalog/kv.ts";
import type { Blob } from "../catalog/records/blob.ts";
import { decodePart, type Extent } from "../catalog/records/manifest.ts";
import type { Content } from "../catalog/records/version.ts";
import type { Id } from "../shared/ids.ts";
import type { ByteRange } from "./api.ts";
import type { ObjectContext } from "./context.ts";
import { partsInRange, readRuns } from "./manifest-map.ts";

/** Bytes of a blob. */
export interface BlobSpan extends ByteRange {
  readonly blob: Blob;
}

/**
 * The bytes of a range of a version's content, verified.
 * @throws ContentGoneError when the version died and its records are gone; BlobUnavailableError; while iterating
 */
export async function* readContent(
  context: ObjectContext,
  content: Content,
  range: ByteRange,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const { blob, start, end } of spansOf(context, content, range)) {
    yield* context.blobs.read(blob, { start, end }, signal);
  }
}

async function* spansOf(
  context: ObjectContext,
  content: Content,
  range: ByteRange,
): AsyncGenerator<BlobSpan, void, undefined> {
  if (range.end <= range.start) return;
  switch (content.kind) {
    case "empty":
      return;
    case "inline":
      yield { blob: content.blob, ...range };
      return;
    case "blob":
      yield { blob: await requireBlob(context, content.blobId), ...range };
      return;
    case "manifest":
      for await (const { blobId, offset, length } of extentsInRange(context.catalog.kv, content.manifestId, range)) {
        yield { blob: await requireBlob(context, blobId), start: offset, end: offset + length };
      }
  }
}

/**
 * The extents that make up a range of a manifest, cut to it. One part's record is read at a time.
 * @throws ContentGoneError
 */
export async function* extentsInRange(
  kv: Kv,
  manifestId: Id,
  range: ByteRange,
): AsyncGenerator<Extent, void, undefined> {
  const runs = await readRuns(kv, manifestId);
  if (runs.length === 0) throw new ContentGoneError();
  for (const span of partsInRange(runs, range)) {
    const entry = await kv.get(partKey(manifestId, span.partNumber));
    if (entry === undefined) throw new ContentGoneError();
    let start = span.start;
    for (const extent of decodePart(entry.value).extents) {
      const from = Math.max(range.start, start);
      const to = Math.min(range.end, start + extent.length);
      if (from < to) yield { blobId: extent.blobId, offset: extent.offset + (from - start), length: to - from };
      start += extent.length;
    }
  }
}

async function requireBlob(context: ObjectContext, blobId: Id): Promise<Blob> {
  const entry = await context.catalog.kv.get(blobKey(blobId));
  if (entry === undefined) throw new ContentGoneError();
  return locatedOwn(entry).blob;
}
