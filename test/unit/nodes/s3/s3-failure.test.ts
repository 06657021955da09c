import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { reasonOf, S3Failure, translateError } from "../../../../src/nodes/s3/s3-failure.ts";
import { NodeError, type NodeErrorKind } from "../../../../src/nodes/storage-node.ts";

function failure(status: number, code?: string): S3Failure {
  return new S3Failure({ status, code, requestId: undefined, dateMs: undefined, outOfSpace: false });
}

const ANSWERS: readonly [status: number, code: string | undefined, kind: NodeErrorKind][] = [
  [404, "NoSuchKey", "not-found"],
  [404, "NoSuchBucket", "refused"],
  [404, undefined, "unreachable"],
  [403, "AccessDenied", "access-denied"],
  [403, "InvalidAccessKeyId", "access-denied"],
  [403, "SignatureDoesNotMatch", "access-denied"],
  [403, undefined, "access-denied"],
  [400, "AuthorizationHeaderMalformed", "access-denied"],
  [403, "RequestTimeTooSkewed", "refused"],
  [403, "QuotaExceeded", "full"],
  [507, "XMinioStorageFull", "full"],
  [507, undefined, "full"],
  [503, "SlowDown", "busy"],
  [503, undefined, "busy"],
  [429, undefined, "busy"],
  [503, "SlowDownRead", "io"],
  [500, "InternalError", "io"],
  [500, undefined, "io"],
  [599, "Strange", "io"],
  [502, undefined, "unreachable"],
  [504, undefined, "timeout"],
  [400, "RequestTimeout", "timeout"],
  [400, "BadDigest", "corrupt"],
  [400, "XAmzContentChecksumMismatch", "corrupt"],
  [416, "InvalidRange", "corrupt"],
  [400, "MalformedXML", "invalid"],
  [400, "constructor", "invalid"],
  [400, undefined, "unreachable"],
  [301, "PermanentRedirect", "refused"],
  [307, undefined, "refused"],
  [501, "NotImplemented", "refused"],
];

const CODES: readonly [code: string, kind: NodeErrorKind][] = [
  ["ECONNREFUSED", "unreachable"],
  ["ECONNRESET", "unreachable"],
  ["EPIPE", "unreachable"],
  ["ENOTFOUND", "unreachable"],
  ["EHOSTUNREACH", "unreachable"],
  ["HPE_INVALID_CONSTANT", "unreachable"],
  ["UND_ERR_SOCKET", "unreachable"],
  ["UND_ERR_CONNECT_TIMEOUT", "unreachable"],
  ["UND_ERR_HEADERS_TIMEOUT", "timeout"],
  ["UND_ERR_BODY_TIMEOUT", "timeout"],
  ["UND_ERR_INVALID_ARG", "invalid"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "refused"],
  ["CERT_HAS_EXPIRED", "refused"],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "refused"],
  ["ERR_SSL_WRONG_VERSION_NUMBER", "unreachable"],
  ["ERR_INVALID_ARG_TYPE", "invalid"],
];

describe("errors of an S3 node", () => {
  for (const [status, code, kind] of ANSWERS) {
    test(`calls an answer ${status} ${code ?? "without a code"} ${kind}`, () => {
      assert.equal(translateError(failure(status, code)).kind, kind);
    });
  }

  for (const [code, kind] of CODES) {
    test(`calls ${code} ${kind}`, () => {
      const cause = Object.assign(new Error("it broke"), { code });
      const error = translateError(cause);
      assert.equal(error.kind, kind);
      assert.equal(error.cause, cause);
    });
  }

  test("passes a NodeError unchanged and calls a bug invalid", () => {
    const known = new NodeError("full", "no room");
    assert.equal(translateError(known), known);
    assert.equal(translateError(new TypeError("undefined is not a function")).kind, "invalid");
    assert.equal(translateError("a string").kind, "invalid");
  });

  test("tells an operator the codes behind an error", () => {
    assert.match(reasonOf(translateError(failure(403, "AccessDenied"))), /credentials \(403 AccessDenied\)$/);
    assert.match(reasonOf(translateError(failure(502))), /\(502\)$/);
    assert.match(reasonOf(translateError(Object.assign(new Error(), { code: "ECONNREFUSED" }))), /\(ECONNREFUSED\)$/);
  });
});
