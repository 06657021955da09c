/**
 * Where a copy comes from: `x-amz-copy-source` and the conditions on it.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
 */
import type { CopySource } from "../objects/api.ts";
import { invalidArgument } from "./errors.ts";
import { readConditions } from "./etags.ts";
import { headerValue, type S3Headers } from "./headers.ts";
import { decodeUrl } from "./url-encoding.ts";

const HEADER = "x-amz-copy-source";
const VERSION = "?versionId=";

/** @throws S3Error InvalidArgument, InvalidURI */
export function readCopySource(headers: S3Headers, nowMs: number): CopySource {
  const text = headerValue(headers, HEADER) ?? "";
  // A question mark in the key is encoded; this one never is.
  const mark = text.lastIndexOf(VERSION);
  const path = decodeUrl(mark < 0 ? text : text.slice(0, mark));
  const versionId = mark < 0 ? undefined : decodeUrl(text.slice(mark + VERSION.length));
  const start = path.startsWith("/") ? 1 : 0;
  const slash = path.indexOf("/", start);
  const bucket = slash < 0 ? "" : path.slice(start, slash);
  const key = path.slice(slash + 1);
  if (bucket === "" || key === "") {
    throw invalidArgument("Copy Source must mention the source bucket and key: sourcebucket/sourcekey", HEADER, text);
  }
  if (versionId === "") throw invalidArgument("Version id cannot be the empty string", HEADER, text);
  return {
    bucket,
    key,
    conditions: readConditions(headers, nowMs, `${HEADER}-`),
    ...(versionId !== undefined && { versionId }),
  };
}
