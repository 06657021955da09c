/**
 * GetObject and HeadObject.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
 */
import { ContentGoneError } from "../catalog/contents.ts";
import type { Version } from "../catalog/records/version.ts";
import { BlobUnavailableError } from "../replication/read/blob-reader.ts";
import {
  type ByteRange,
  type GetRequest,
  type GetResult,
  type HeadResult,
  ObjectError,
  type RangeRequest,
} from "./api.ts";
import { translateCatalogError } from "./commit-version.ts";
import { checkReadConditions } from "./conditions.ts";
import type { ObjectContext } from "./context.ts";
import { findVersion, objectInfo } from "./find-version.ts";
import { readRuns, spanOfPart } from "./manifest-map.ts";
import { readContent } from "./read-content.ts";

/** How often a read starts over because its version was replaced before the first byte. */
const LOOKUPS_MAX = 8;

export async function headObject(context: ObjectContext, request: GetRequest): Promise<HeadResult> {
  try {
    return await whileVersionLasts(async () => (await resolve(context, request)).head);
  } catch (error) {
    throw translateReadError(error);
  }
}

/** Resolves when the first bytes are there, so that a read that cannot begin fails before anything is answered. */
export async function getObject(context: ObjectContext, request: GetRequest, signal?: AbortSignal): Promise<GetResult> {
  const end = context.openReads.begin();
  // Whoever gave up may never ask for the body that it was to get.
  signal?.addEventListener("abort", end, { once: true });
  try {
    return await whileVersionLasts(async () => {
      const { head, version } = await resolve(context, request);
      const range = head.range ?? { start: 0, end: version.size };
      const bytes = readContent(context, version.content, range, signal);
      const first = await bytes.next();
      return { ...head, body: resume(first, bytes, { end, translate: (error) => translateReadError(error, signal) }) };
    });
  } catch (error) {
    end();
    throw translateReadError(error, signal);
  }
}

/** Starts over when the version that was looked up was replaced, and its records taken away, before they were read. */
async function whileVersionLasts<T>(read: () => Promise<T>): Promise<T> {
  for (let lookup = 1; ; lookup++) {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof ContentGoneError) || lookup === LOOKUPS_MAX) throw error;
    }
  }
}

/**
 * The bytes from the first on. An iterator by hand: a generator that is let go before it was begun runs none of its
 * code, and would keep the read open for ever.
 */
function resume(
  first: IteratorResult<Uint8Array, void>,
  rest: AsyncGenerator<Uint8Array, void, undefined>,
  { end, translate }: { readonly end: () => void; readonly translate: (error: unknown) => unknown },
): AsyncIterableIterator<Uint8Array, void> {
  let head: IteratorResult<Uint8Array, void> | undefined = first;
  // Nobody may ask for a body without bytes.
  if (first.done === true) end();
  const leave = async (): Promise<IteratorResult<Uint8Array, void>> => {
    head = undefined;
    end();
    return rest.return();
  };
  const bytes: AsyncIterableIterator<Uint8Array, void> = {
    async next() {
      try {
        const step = head ?? (await rest.next());
        head = undefined;
        if (step.done === true) end();
        return step;
      } catch (error) {
        end();
        throw translate(error);
      }
    },
    return: leave,
    async throw(error: unknown) {
      await leave();
      throw error;
    },
    [Symbol.asyncIterator]: () => bytes,
  };
  return bytes;
}

async function resolve(context: ObjectContext, request: GetRequest): Promise<{ head: HeadResult; version: Version }> {
  const { version } = await findVersion(context, request);
  checkReadConditions(request.conditions, version);
  const object = objectInfo(context, request.key, version);
  const range = await rangeOf(context, request, version);
  return { head: range === undefined ? { object } : { object, range }, version };
}

async function rangeOf(context: ObjectContext, request: GetRequest, version: Version): Promise<ByteRange | undefined> {
  if (request.partNumber !== undefined) return rangeOfPart(context, request.partNumber, version);
  return request.range && rangeWithin(request.range, version.size);
}

/** @throws ObjectError invalid-range */
export function rangeWithin(range: RangeRequest, size: number): ByteRange {
  const start = "suffix" in range ? Math.max(0, size - range.suffix) : range.first;
  const end = "suffix" in range ? size : Math.min(size, (range.last ?? size - 1) + 1);
  if (start < end) return { start, end };
  throw new ObjectError("invalid-range", "The requested range is not satisfiable", { actualObjectSize: size });
}

async function rangeOfPart(context: ObjectContext, partNumber: number, version: Version): Promise<ByteRange> {
  if (version.partCount === undefined || version.content.kind !== "manifest") {
    if (partNumber === 1) return { start: 0, end: version.size };
    throw invalidPartNumber(1);
  }
  const runs = await readRuns(context.catalog.kv, version.content.manifestId);
  if (runs.length === 0) throw new ContentGoneError();
  const span = spanOfPart(runs, partNumber);
  if (span === undefined) throw invalidPartNumber(version.partCount);
  return { start: span.start, end: span.end };
}

function invalidPartNumber(partCount: number): ObjectError {
  return new ObjectError("invalid-part-number", "The requested partnumber is not satisfiable", {
    actualPartCount: partCount,
  });
}

/** What goes wrong while bytes are read, as callers of the object service see it. */
export function translateReadError(error: unknown, signal?: AbortSignal): unknown {
  if (signal?.aborted) return new ObjectError("aborted", "The request was given up", {}, { cause: error });
  if (error instanceof BlobUnavailableError || error instanceof ContentGoneError) {
    return new ObjectError("unavailable", "No copy of the object can be read now", {}, { cause: error });
  }
  return translateCatalogError(error);
}
