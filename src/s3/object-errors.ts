/**
 * The errors of the object service as answers: each code of the one set to a code of the other, in one table.
 */
import { ObjectError, type ObjectErrorCode } from "../objects/api.ts";
import { S3Error, type S3ErrorCode, type S3ErrorOptions } from "./errors.ts";
import { formatHttpDate } from "./http-dates.ts";

/** What the same error of the service depends on in its answer. */
export interface ErrorContext {
  /** Id of the caller. */
  readonly callerId?: string;
  /** Whether the request states conditions on what it replaces. */
  readonly conditional: boolean;
}

const CODES: Readonly<
  Record<ObjectErrorCode, S3ErrorCode | ((error: ObjectError, context: ErrorContext) => S3ErrorCode)>
> = {
  "no-such-bucket": "NoSuchBucket",
  "bucket-exists": (error, { callerId }) =>
    callerId !== undefined && error.details["owner"] === callerId ? "BucketAlreadyOwnedByYou" : "BucketAlreadyExists",
  "bucket-not-empty": "BucketNotEmpty",
  "invalid-bucket-name": "InvalidBucketName",
  "too-many-buckets": "TooManyBuckets",
  "no-such-key": "NoSuchKey",
  "no-such-version": "NoSuchVersion",
  "key-too-long": "KeyTooLongError",
  "no-such-upload": "NoSuchUpload",
  "invalid-part": "InvalidPart",
  "invalid-part-order": "InvalidPartOrder",
  "invalid-part-number": "InvalidPartNumber",
  "part-too-small": "EntityTooSmall",
  "too-large": "EntityTooLarge",
  "invalid-range": "InvalidRange",
  "precondition-failed": "PreconditionFailed",
  "not-modified": "NotModified",
  conflict: (_, { conditional }) => (conditional ? "ConditionalRequestConflict" : "OperationAborted"),
  "bad-digest": "BadDigest",
  "bad-sha256": "XAmzContentSHA256Mismatch",
  "bad-checksum": "BadDigest",
  "incomplete-body": "IncompleteBody",
  "invalid-request": "InvalidRequest",
  "not-enough-copies": "ServiceUnavailable",
  unavailable: "ServiceUnavailable",
  "insufficient-storage": "ServiceUnavailable",
  aborted: "ServiceUnavailable",
};

/** Details that an answer shows, and the elements that AWS shows them in. The others are for us. */
const FIELDS: ReadonlyMap<string, string> = new Map([
  ["bucket", "BucketName"],
  ["key", "Key"],
  ["versionId", "VersionId"],
  ["uploadId", "UploadId"],
  ["partNumber", "PartNumber"],
  ["etag", "ETag"],
  ["size", "Size"],
  ["proposedSize", "ProposedSize"],
  ["minSizeAllowed", "MinSizeAllowed"],
  ["maxSizeAllowed", "MaxSizeAllowed"],
  ["actualObjectSize", "ActualObjectSize"],
  ["actualPartCount", "ActualPartCount"],
  ["condition", "Condition"],
]);

/** An error of the object service as an answer. */
export function fromObjectError(error: ObjectError, context: ErrorContext): S3Error {
  const entry = CODES[error.code];
  const code = typeof entry === "function" ? entry(error, context) : entry;
  const fields: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(error.details)) {
    const field = FIELDS.get(name);
    if (field !== undefined) fields[field] = value;
  }
  const options: S3ErrorOptions = { fields, headers: headersOf(error), cause: error };
  return new S3Error(code, KEEPS_MESSAGE.has(error.code) ? { ...options, message: error.message } : options);
}

/**
 * Whatever was thrown as an answer. What is neither of the two known kinds becomes InternalError and tells nothing of
 * itself; its cause is for the log.
 */
export function toS3Error(thrown: unknown, context: ErrorContext): S3Error {
  if (thrown instanceof S3Error) return thrown;
  if (thrown instanceof ObjectError) return fromObjectError(thrown, context);
  return new S3Error("InternalError", { cause: thrown });
}

/** Codes that stand for several mistakes, of which the service names the one. The others have AWS's own words. */
const KEEPS_MESSAGE: ReadonlySet<ObjectErrorCode> = new Set([
  "invalid-request",
  "bad-checksum",
  "not-enough-copies",
  "unavailable",
  "insufficient-storage",
]);

function headersOf({ code, details }: ObjectError): Record<string, string> {
  if (code === "invalid-range") return { "Content-Range": `bytes */${details["actualObjectSize"] ?? "*"}` };
  if (code !== "not-modified") return {};
  const headers: Record<string, string> = {};
  if (details["etag"] !== undefined) headers["ETag"] = `"${details["etag"]}"`;
  if (typeof details["modifiedAtMs"] === "number") headers["Last-Modified"] = formatHttpDate(details["modifiedAtMs"]);
  return headers;
}
