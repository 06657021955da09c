/**
 * Presigned URLs of Signature Version 4: whoever has one may make the one request that it names, until it expires. Only
 * the host is signed beside the query, so that a plain HTTP client can use it.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
 */
import { createHmac, hash } from "node:crypto";
import type { Secret } from "./secret.ts";

const ALGORITHM = "AWS4-HMAC-SHA256";
/** Shortest life of a URL. */
export const URL_SECONDS_MIN = 1;
/** Longest life of a URL, S3's own limit: seven days. */
export const URL_SECONDS_MAX = 604_800;

export interface UrlKeys {
  readonly accessKey: string;
  readonly secretKey: Secret;
  readonly region: string;
}

export interface UrlToSign {
  readonly method: "GET" | "HEAD" | "PUT";
  /** `http://` or `https://`, host and maybe port: what the request will be sent to, and is signed for. */
  readonly origin: string;
  /** With its leading slash, not encoded. */
  readonly path: string;
  /** Parameters beside those of the signature, not encoded. */
  readonly query: Readonly<Record<string, string>>;
  /** Wall clock; the URL counts from its second on. */
  readonly nowMs: number;
  /** URL_SECONDS_MIN to URL_SECONDS_MAX. */
  readonly expiresSeconds: number;
}

/** @throws RangeError for a life that S3 does not take */
export function presignUrl(url: UrlToSign, { accessKey, secretKey, region }: UrlKeys): string {
  const { method, origin, path, query, nowMs, expiresSeconds } = url;
  if (!Number.isInteger(expiresSeconds) || expiresSeconds < URL_SECONDS_MIN || expiresSeconds > URL_SECONDS_MAX) {
    throw new RangeError(`a presigned URL lives ${URL_SECONDS_MIN} to ${URL_SECONDS_MAX} seconds`);
  }
  const timestamp = new Date(signedAtMs(nowMs)).toISOString().replace(/[-:]|\.\d{3}/g, "");
  const day = timestamp.slice(0, 8);
  const scope = `${day}/${region}/s3/aws4_request`;
  const parameters = Object.entries({
    ...query,
    "X-Amz-Algorithm": ALGORITHM,
    "X-Amz-Credential": `${accessKey}/${scope}`,
    "X-Amz-Date": timestamp,
    "X-Amz-Expires": String(expiresSeconds),
    "X-Amz-SignedHeaders": "host",
  });
  const encodedQuery = parameters
    .map(([name, value]) => [uriEncode(name), uriEncode(value)] as const)
    .sort(([nameA], [nameB]) => (nameA < nameB ? -1 : 1))
    .map((pair) => pair.join("="))
    .join("&");
  const encodedPath = path.split("/").map(uriEncode).join("/");
  const { host } = new URL(origin);
  const canonical = `${method}\n${encodedPath}\n${encodedQuery}\nhost:${host}\n\nhost\nUNSIGNED-PAYLOAD`;
  const toSign = `${ALGORITHM}\n${timestamp}\n${scope}\n${hash("sha256", canonical)}`;
  let key = hmac(`AWS4${secretKey.reveal()}`, day);
  for (const part of [region, "s3", "aws4_request"]) key = hmac(key, part);
  return `${origin}${encodedPath}?${encodedQuery}&X-Amz-Signature=${hmac(key, toSign).toString("hex")}`;
}

/** When a URL that is signed now begins to count: signatures know whole seconds. */
export function signedAtMs(nowMs: number): number {
  return Math.floor(nowMs / 1000) * 1000;
}

/** Every byte of UTF-8 as `%XX` in capitals, but for letters, digits and `-._~`. */
function uriEncode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
