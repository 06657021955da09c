/**
 * Takes an HTTP request apart into what S3 means by it: bucket, key, query, headers.
 *
 * A key is everything after the bucket's slash, decoded once and changed in no other way: `//`, `.`, `..` and `%2F`
 * are parts of it.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
 */
import { S3Error } from "./errors.ts";
import { headersFromRaw, type S3Headers } from "./headers.ts";
import { decodeUrl } from "./url-encoding.ts";

/** Longest key in bytes of UTF-8. */
export const KEY_BYTES_MAX = 1024;

/** Decoded name -> decoded values in order; a parameter without `=` has the value "". */
export type S3Query = ReadonlyMap<string, readonly string[]>;

export interface S3Request {
  readonly method: string;
  /** Absent for calls on the service itself. Not validated: whether such a bucket can exist is not a matter of form. */
  readonly bucket: string | undefined;
  /** Never empty; absent for calls on a bucket. */
  readonly key: string | undefined;
  readonly query: S3Query;
  readonly headers: S3Headers;
  /** Path and query exactly as sent, without the question mark. */
  readonly rawPath: string;
  readonly rawQuery: string;
  /** The Host header as sent; "" where there is none. */
  readonly host: string;
  readonly addressing: "path" | "virtual";
}

export interface RawRequest {
  readonly method: string;
  /** The request target, as it came. */
  readonly url: string;
  /** Names and values by turns. */
  readonly rawHeaders: readonly string[];
}

export interface AddressingSettings {
  /** Base of virtual-hosted buckets (`s3.example.com`), in lower case. Without it all requests are path-style. */
  readonly domain?: string;
}

/** @throws S3Error InvalidURI, InvalidBucketName (an empty one), KeyTooLongError, InvalidHostHeader */
export function parseS3Request(raw: RawRequest, settings: AddressingSettings): S3Request {
  const target = originForm(raw.url);
  const mark = target.indexOf("?");
  const rawPath = mark < 0 ? target : target.slice(0, mark);
  const rawQuery = mark < 0 ? "" : target.slice(mark + 1);
  const headers = headersFromRaw(raw.rawHeaders);
  const hosts = headers.get("host") ?? [];
  if (hosts.length > 1) throw new S3Error("InvalidHostHeader", { message: "There must be one Host header." });
  const host = hosts[0] ?? "";
  const hostBucket = bucketOfHost(host, settings.domain);
  const { bucket, key } = hostBucket === undefined ? splitPath(rawPath) : { bucket: hostBucket, key: rawPath.slice(1) };
  return {
    method: raw.method,
    bucket,
    key: decodeKey(key),
    query: parseQuery(rawQuery),
    headers,
    rawPath,
    rawQuery,
    host,
    addressing: hostBucket === undefined ? "path" : "virtual",
  };
}

/** The first value of a parameter, "" where it has none; `undefined` where it is absent. */
export function queryValue(query: S3Query, name: string): string | undefined {
  return query.get(name)?.[0];
}

/** @throws S3Error InvalidURI */
export function parseQuery(rawQuery: string): S3Query {
  const query = new Map<string, string[]>();
  if (rawQuery === "") return query;
  for (const pair of rawQuery.split("&")) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const name = decodeUrl(equals < 0 ? pair : pair.slice(0, equals));
    const value = equals < 0 ? "" : decodeUrl(pair.slice(equals + 1));
    const values = query.get(name);
    if (values === undefined) query.set(name, [value]);
    else values.push(value);
  }
  return query;
}

/** A proxy may send the whole URL as the target (RFC 9112, 3.2.2); the Host header then says the same as it. */
function originForm(url: string): string {
  if (url.startsWith("/")) return url;
  const absolute = /^https?:\/\/[^/?#]*/i.exec(url);
  if (absolute === null) throw new S3Error("InvalidURI");
  const target = url.slice(absolute[0].length);
  return target.startsWith("/") ? target : `/${target}`;
}

function bucketOfHost(host: string, domain: string | undefined): string | undefined {
  if (domain === undefined) return undefined;
  const name = host.replace(/:\d*$/, "").toLowerCase();
  const suffix = `.${domain}`;
  if (!name.endsWith(suffix) || name.length === suffix.length) return undefined;
  return name.slice(0, -suffix.length);
}

function splitPath(rawPath: string): { bucket: string | undefined; key: string } {
  if (rawPath === "/") return { bucket: undefined, key: "" };
  const slash = rawPath.indexOf("/", 1);
  const bucket = decodeUrl(slash < 0 ? rawPath.slice(1) : rawPath.slice(1, slash));
  if (bucket === "") throw new S3Error("InvalidBucketName", { fields: { BucketName: "" } });
  return { bucket, key: slash < 0 ? "" : rawPath.slice(slash + 1) };
}

function decodeKey(raw: string): string | undefined {
  if (raw === "") return undefined;
  const key = decodeUrl(raw);
  const size = Buffer.byteLength(key);
  if (size > KEY_BYTES_MAX) {
    throw new S3Error("KeyTooLongError", { fields: { Size: size, MaxSizeAllowed: KEY_BYTES_MAX } });
  }
  return key;
}
