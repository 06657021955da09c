/**
 * The one form of a request that both sides sign (Signature Version 4). S3 differs from other services in that the path
 * is encoded once and not normalized.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
import { hash } from "node:crypto";
import type { S3Headers } from "../headers.ts";
import type { S3Query, S3Request } from "../request.ts";
import { decodeUrl, uriEncode, uriEncodePath } from "../url-encoding.ts";
import { type SigningScope, scopeText } from "./signing-key.ts";

export const ALGORITHM = "AWS4-HMAC-SHA256";

/** The query parameter that a presigned URL cannot sign. */
const SIGNATURE_PARAMETER = "X-Amz-Signature";

/**
 * The canonical request, one character a byte.
 * @param signedHeaders in lower case, in the order in which the client lists them
 * @param payloadHash as the client sent it, `UNSIGNED-PAYLOAD` and the like included
 */
export function canonicalRequest(request: S3Request, signedHeaders: readonly string[], payloadHash: string): string {
  return [
    request.method,
    uriEncodePath(decodeUrl(request.rawPath)),
    canonicalQuery(request.query),
    ...signedHeaders.map((name) => `${name}:${canonicalHeaderValue(request.headers, name)}`),
    "",
    signedHeaders.join(";"),
    payloadHash,
  ].join("\n");
}

/** @param amzDate `20130524T000000Z` */
export function stringToSign(amzDate: string, scope: SigningScope, canonical: string): string {
  return [ALGORITHM, amzDate, scopeText(scope), hash("sha256", Buffer.from(canonical, "latin1"))].join("\n");
}

function canonicalQuery(query: S3Query): string {
  const pairs: [name: string, value: string][] = [];
  for (const [name, values] of query) {
    if (name === SIGNATURE_PARAMETER) continue;
    for (const value of values) pairs.push([uriEncode(name), uriEncode(value)]);
  }
  pairs.sort(([nameA, valueA], [nameB, valueB]) => compare(nameA, nameB) || compare(valueA, valueB));
  return pairs.map(([name, value]) => `${name}=${value}`).join("&");
}

/** Lines of one name joined by commas; each without the spaces around it, and runs of spaces as one. */
function canonicalHeaderValue(headers: S3Headers, name: string): string {
  const values = headers.get(name) ?? [];
  return values.map((value) => value.trim().replace(/[ \t]+/g, " ")).join(",");
}

/** By their characters, which are ASCII; `localeCompare` would sort by language. */
function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
