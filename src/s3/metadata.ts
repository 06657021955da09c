/**
 * Metadata between headers and objects: the user's own (`x-amz-meta-*`), the content headers that S3 keeps with an
 * object, and the `response-*` parameters that replace those in one answer.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
 */
import type { HeaderPairs } from "../objects/api.ts";
import { invalidArgument, S3Error } from "./errors.ts";
import { headerValue, type S3Headers } from "./headers.ts";
import { decodeEncodedWords, encodeWords } from "./mime-words.ts";
import { queryValue, type S3Query } from "./request.ts";

/** Most user metadata of an object: names (without their prefix) and values, in bytes of UTF-8. */
export const USER_METADATA_BYTES_MAX = 2048;

const USER_PREFIX = "x-amz-meta-";

const CONTENT_HEADERS = [
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "content-type",
  "expires",
] as const;

/**
 * The user metadata of a request in order of arrival, names without their prefix. Several lines of one name are joined
 * by commas; bytes are read as ISO 8859-1 and encoded words (RFC 2047) are decoded, as S3 does.
 * @throws S3Error MetadataTooLarge
 */
export function readUserMetadata(headers: S3Headers): HeaderPairs {
  const metadata: [string, string][] = [];
  let size = 0;
  for (const name of headers.keys()) {
    if (!name.startsWith(USER_PREFIX)) continue;
    const value = decodeEncodedWords(headerValue(headers, name) ?? "");
    const shortName = name.slice(USER_PREFIX.length);
    metadata.push([shortName, value]);
    size += Buffer.byteLength(shortName) + Buffer.byteLength(value);
  }
  if (size > USER_METADATA_BYTES_MAX) {
    throw new S3Error("MetadataTooLarge", { fields: { Size: size, MaxSizeAllowed: USER_METADATA_BYTES_MAX } });
  }
  return metadata;
}

/** The headers that give user metadata back. */
export function userMetadataHeaders(metadata: HeaderPairs): HeaderPairs {
  return metadata.map(([name, value]) => [USER_PREFIX + name, encodeWords(value)]);
}

/**
 * The content headers of a request that S3 keeps, as they were sent. `aws-chunked` is how the body travels and no
 * encoding of the object.
 */
export function readContentHeaders(headers: S3Headers): HeaderPairs {
  const kept: [string, string][] = [];
  for (const name of CONTENT_HEADERS) {
    const sent = headerValue(headers, name);
    const value = name === "content-encoding" ? withoutAwsChunked(sent) : sent;
    if (value !== undefined && value !== "") kept.push([name, value]);
  }
  return kept;
}

/**
 * The content headers that a GET or HEAD asks to have instead of those stored.
 * @param signed whether the request has an identity; S3 refuses these parameters to others
 * @throws S3Error InvalidRequest; InvalidArgument where a value cannot stand in a header
 */
export function readResponseOverrides(query: S3Query, signed: boolean): HeaderPairs {
  const overrides: [string, string][] = [];
  for (const name of CONTENT_HEADERS) {
    const parameter = `response-${name}`;
    const value = queryValue(query, parameter);
    if (value === undefined) continue;
    if (!signed) {
      const message = "Request specific response headers cannot be used for anonymous GET requests.";
      throw new S3Error("InvalidRequest", { message });
    }
    if (!/^[\t\u0020-\u007e\u00a0-\u00ff]*$/.test(value)) {
      throw invalidArgument("Header value cannot be represented using ISO-8859-1.", parameter, value);
    }
    overrides.push([name, value]);
  }
  return overrides;
}

/** Content headers for an answer: those stored, with the overrides in their place. */
export function overrideHeaders(stored: HeaderPairs, overrides: HeaderPairs): HeaderPairs {
  return [...new Map([...stored, ...overrides])];
}

function withoutAwsChunked(contentEncoding: string | undefined): string | undefined {
  if (contentEncoding === undefined || !/aws-chunked/i.test(contentEncoding)) return contentEncoding;
  const encodings = contentEncoding.split(",").map((encoding) => encoding.trim());
  return encodings.filter((encoding) => encoding !== "" && encoding.toLowerCase() !== "aws-chunked").join(",");
}
