/** ETags and the conditions that name them, as headers have them. RFC 9110, 8.8.3 and 13.1 */
import type { ReadConditions, WriteConditions } from "../objects/api.ts";
import { S3Error } from "./errors.ts";
import { headerValue, type S3Headers } from "./headers.ts";
import { parseHttpDate } from "./http-dates.ts";

/** An ETag as answers show it. */
export function quotedEtag(etag: string): string {
  return `"${etag}"`;
}

/** An ETag without its quotes, which clients may leave out. */
export function bareEtag(text: string): string {
  return text.trim().replace(/^"(.*)"$/, "$1");
}

/**
 * The conditions of a read.
 * @param prefix `x-amz-copy-source-` for the source of a copy
 */
export function readConditions(headers: S3Headers, nowMs: number, prefix = ""): ReadConditions {
  const ifMatch = headerValue(headers, `${prefix}if-match`);
  const ifNoneMatch = headerValue(headers, `${prefix}if-none-match`);
  const ifModifiedSinceMs = parseHttpDate(headerValue(headers, `${prefix}if-modified-since`) ?? "", nowMs);
  const ifUnmodifiedSinceMs = parseHttpDate(headerValue(headers, `${prefix}if-unmodified-since`) ?? "", nowMs);
  return {
    ...(ifMatch !== undefined && { ifMatch: parseList(ifMatch, "strong") }),
    ...(ifNoneMatch !== undefined && { ifNoneMatch: parseList(ifNoneMatch, "weak") }),
    ...(ifModifiedSinceMs !== undefined && { ifModifiedSinceMs }),
    ...(ifUnmodifiedSinceMs !== undefined && { ifUnmodifiedSinceMs }),
  };
}

/** The conditions of a write. @throws S3Error NotImplemented, as S3 itself, for If-None-Match with an ETag */
export function readWriteConditions(headers: S3Headers): WriteConditions {
  const ifMatch = headerValue(headers, "if-match");
  const ifNoneMatch = headerValue(headers, "if-none-match");
  if (ifNoneMatch !== undefined && bareEtag(ifNoneMatch) !== "*") throw conditionNotImplemented("If-None-Match");
  return {
    ...(ifMatch !== undefined && { ifMatch: bareEtag(ifMatch) }),
    ...(ifNoneMatch !== undefined && { ifNoneMatch: "*" }),
  };
}

/** Whether a request has conditions that a commit decides. */
export function hasWriteConditions(headers: S3Headers): boolean {
  return headers.has("if-match") || headers.has("if-none-match");
}

/** A weak ETag never matches strongly; compared weakly it is as good as any. */
function parseList(text: string, comparison: "strong" | "weak"): string[] {
  const etags: string[] = [];
  for (const [, weak, quoted, bare] of text.matchAll(/(W\/)?(?:"([^"]*)"|([^\s,"]+))/g)) {
    if (weak === undefined || comparison === "weak") etags.push(quoted ?? bare ?? "");
  }
  return etags;
}

function conditionNotImplemented(header: string): S3Error {
  return new S3Error("NotImplemented", { fields: { Header: header } });
}
