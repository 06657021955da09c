import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { invalidArgument, S3_ERROR_CODES, S3Error } from "../../../src/s3/errors.ts";

describe("S3 errors", () => {
  test("have a status of an answer that is no success and a message", () => {
    assert.ok(S3_ERROR_CODES.length > 80);
    for (const code of S3_ERROR_CODES) {
      const error = new S3Error(code);
      assert.ok(error.status >= 300 && error.status < 600, code);
      assert.notEqual(error.message, "", code);
    }
  });

  test("carry the status that AWS documents", () => {
    const documented: [ConstructorParameters<typeof S3Error>[0], number][] = [
      ["NoSuchKey", 404],
      ["MissingContentLength", 411],
      ["PreconditionFailed", 412],
      ["InvalidRange", 416],
      ["NotImplemented", 501],
      ["SlowDown", 503],
      ["RequestTimeTooSkewed", 403],
      ["RequestTimeout", 400],
      ["NotModified", 304],
      ["ConditionalRequestConflict", 409],
    ];
    for (const [code, status] of documented) assert.equal(new S3Error(code).status, status, code);
  });

  test("keep message, fields, headers and cause of the thrower", () => {
    const cause = new Error("why");
    const error = new S3Error("InvalidRange", {
      message: "said better",
      fields: { RangeRequested: "bytes=9-", ActualObjectSize: 3 },
      headers: { "x-amz-delete-marker": "true" },
      cause,
    });
    assert.equal(error.message, "said better");
    assert.deepEqual(error.fields, { RangeRequested: "bytes=9-", ActualObjectSize: 3 });
    assert.deepEqual(error.headers, { "x-amz-delete-marker": "true" });
    assert.equal(error.cause, cause);
  });

  test("name the argument that is invalid", () => {
    assert.deepEqual(invalidArgument("no", "max-keys", "x").fields, { ArgumentName: "max-keys", ArgumentValue: "x" });
    assert.deepEqual(invalidArgument("no", "max-keys").fields, { ArgumentName: "max-keys" });
  });
});
