/**
 * Signers of presigned URLs move headers into the query ("hoisting"), so that a link can be used without knowing them.
 * S3 honours that for user metadata, the canned ACL and the content type; here the expected owner counts too. It
 * ignores hoisted checksums, and so must we: the JavaScript SDK presigns uploads with the checksum of an empty body.
 * https://github.com/aws/aws-sdk-go-v2/issues/2610
 */
import type { S3Headers } from "../headers.ts";
import { encodeWords } from "../mime-words.ts";
import type { S3Request } from "../request.ts";

const HOISTED = /^(?:x-amz-meta-.*|x-amz-acl|x-amz-expected-bucket-owner|content-type)$/;

/** The headers of a request that a presigned URL authenticated, those in its query included; real ones go first. */
export function withHoistedHeaders(request: S3Request): S3Headers {
  const headers = new Map(request.headers);
  for (const [parameter, values] of request.query) {
    const name = parameter.toLowerCase();
    if (HOISTED.test(name) && !headers.has(name)) headers.set(name, values.map(encodeWords));
  }
  return headers;
}
