/**
 * How a request says that its body is protected: the value of `x-amz-content-sha256`.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */
import { invalidArgument, S3Error } from "../errors.ts";

export type PayloadMode =
  /** The signature says nothing of the body. */
  | { readonly kind: "unsigned" }
  /** The body must have this digest, in lower-case hexadecimal. */
  | { readonly kind: "sha256"; readonly sha256: string }
  /** The body comes in chunks (aws-chunked.ts), each signed or none, with or without trailing checksums. */
  | { readonly kind: "aws-chunked"; readonly signed: boolean; readonly trailer: boolean };

export const UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD";

const MODES: ReadonlyMap<string, PayloadMode> = new Map([
  [UNSIGNED_PAYLOAD, { kind: "unsigned" }],
  ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", { kind: "aws-chunked", signed: true, trailer: false }],
  ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", { kind: "aws-chunked", signed: true, trailer: true }],
  ["STREAMING-UNSIGNED-PAYLOAD-TRAILER", { kind: "aws-chunked", signed: false, trailer: true }],
]);

/** @throws S3Error NotImplemented for asymmetric signatures, InvalidArgument for anything else that is none of these */
export function parsePayloadMode(value: string): PayloadMode {
  const mode = MODES.get(value);
  if (mode !== undefined) return mode;
  if (/^[0-9a-f]{64}$/i.test(value)) return { kind: "sha256", sha256: value.toLowerCase() };
  if (value.startsWith("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD")) {
    throw new S3Error("NotImplemented", {
      message: "Signatures of AWS4-ECDSA-P256-SHA256 are not implemented. Please use AWS4-HMAC-SHA256.",
    });
  }
  throw invalidArgument(
    "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
    "x-amz-content-sha256",
    value,
  );
}
