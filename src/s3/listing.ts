/**
 * What the listings have in common: page sizes, encodings, tokens to go on from.
 */
import { invalidArgument } from "./errors.ts";
import { queryValue, type S3Query } from "./request.ts";
import { encodeForListing } from "./url-encoding.ts";

/** Most entries of a page of objects, versions, uploads or parts. */
export const PAGE_MAX = 1000;

const COUNT_MAX = 2 ** 31 - 1;

/**
 * The number of entries that a request wants on a page, cut to the largest there is.
 * @throws S3Error InvalidArgument
 */
export function readCount(query: S3Query, name: string, range: { min: number; max: number; or: number }): number {
  const text = queryValue(query, name);
  if (text === undefined || text === "") return range.or;
  if (!/^[+-]?\d+$/.test(text)) {
    throw invalidArgument(`Provided ${name} not an integer or within integer range`, name, text);
  }
  const count = Number(text);
  if (count < range.min || count > COUNT_MAX) {
    const message = `Argument ${name} must be an integer between ${range.min} and ${COUNT_MAX}`;
    throw invalidArgument(message, name, text);
  }
  return Math.min(count, range.max);
}

/** How a listing writes keys, prefixes and delimiters. */
export interface ListingEncoding {
  /** For the element of that name; absent where nothing was asked for. */
  readonly type?: "url";
  readonly encode: (text: string) => string;
}

/** @throws S3Error InvalidArgument */
export function readEncoding(query: S3Query): ListingEncoding {
  const type = queryValue(query, "encoding-type");
  if (type === undefined || type === "") return { encode: (text) => text };
  if (type !== "url") throw invalidArgument("Invalid Encoding Method specified in Request", "encoding-type", type);
  return { type, encode: encodeForListing };
}

/**
 * Where a listing goes on, as text that tells clients nothing. Tokens of other kinds of listings or of another version
 * of this form begin with another letter.
 */
export function encodeToken(after: string): string {
  return Buffer.from(TOKEN_FORM + after).toString("base64url");
}

/** @throws S3Error InvalidArgument where it is no token */
export function decodeToken(token: string | undefined): string | undefined {
  if (token === undefined) return undefined;
  const text = Buffer.from(token, "base64url").toString("utf8");
  if (text.startsWith(TOKEN_FORM) && encodeToken(text.slice(1)) === token) return text.slice(1);
  throw invalidArgument("The continuation token provided is incorrect", "continuation-token", token);
}

const TOKEN_FORM = "1";
