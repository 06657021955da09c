/** Where a walk over all objects goes on. Opaque to callers: what `next` said is given back as `after`. */
import * as z from "zod";
import { ApiError } from "../problem.ts";

/** Behind a key, or, with an offset, in the middle of an object that has more blobs than one answer looks at. */
export interface ProveCursor {
  readonly bucket: string;
  /** The last key that was looked at; empty before the first. */
  readonly key: string;
  /** The object goes on there, if it is still the version that it was; else it is looked at from its beginning. */
  readonly inside?: { readonly versionId: string; readonly offset: number };
}

const cursorSchema = z.tuple([
  z.string(),
  z.string(),
  z.tuple([z.string(), z.number().int().nonnegative()]).nullable(),
]);

/** Longer than any that is ever made: a key of 1,024 bytes, escaped. */
const CURSOR_CHARS_MAX = 16_384;

export function writeCursor({ bucket, key, inside }: ProveCursor): string {
  const fields = [bucket, key, inside === undefined ? null : [inside.versionId, inside.offset]];
  return Buffer.from(JSON.stringify(fields)).toString("base64url");
}

/** @throws ApiError where it is none */
export function readCursor(text: string): ProveCursor {
  const [bucket, key, inside] = cursorSchema.safeParse(parse(text)).data ?? refuse();
  return { bucket, key, ...(inside === null ? {} : { inside: { versionId: inside[0], offset: inside[1] } }) };
}

function parse(text: string): unknown {
  if (text.length > CURSOR_CHARS_MAX) return undefined;
  try {
    return JSON.parse(Buffer.from(text, "base64url").toString());
  } catch {
    return undefined;
  }
}

function refuse(): never {
  throw new ApiError(400, "Bad Request", "after is nothing that `next` said");
}
