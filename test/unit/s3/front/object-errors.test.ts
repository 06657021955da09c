import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { OBJECT_ERROR_CODES, ObjectError, type ObjectErrorCode } from "../../../../src/objects/api.ts";
import { S3Error } from "../../../../src/s3/errors.ts";
import { toS3Error } from "../../../../src/s3/object-errors.ts";
import { type Front, openFront, ROOT } from "../../../support/s3-front.ts";

const PLAIN = { conditional: false };

const EXPECTED: Readonly<Record<ObjectErrorCode, readonly [code: string, status: number]>> = {
  "no-such-bucket": ["NoSuchBucket", 404],
  "bucket-exists": ["BucketAlreadyExists", 409],
  "bucket-not-empty": ["BucketNotEmpty", 409],
  "invalid-bucket-name": ["InvalidBucketName", 400],
  "too-many-buckets": ["TooManyBuckets", 400],
  "no-such-key": ["NoSuchKey", 404],
  "no-such-version": ["NoSuchVersion", 404],
  "key-too-long": ["KeyTooLongError", 400],
  "no-such-upload": ["NoSuchUpload", 404],
  "invalid-part": ["InvalidPart", 400],
  "invalid-part-order": ["InvalidPartOrder", 400],
  "invalid-part-number": ["InvalidPartNumber", 416],
  "part-too-small": ["EntityTooSmall", 400],
  "too-large": ["EntityTooLarge", 400],
  "invalid-range": ["InvalidRange", 416],
  "precondition-failed": ["PreconditionFailed", 412],
  "not-modified": ["NotModified", 304],
  conflict: ["OperationAborted", 409],
  "bad-digest": ["BadDigest", 400],
  "bad-sha256": ["XAmzContentSHA256Mismatch", 400],
  "bad-checksum": ["BadDigest", 400],
  "incomplete-body": ["IncompleteBody", 400],
  "invalid-request": ["InvalidRequest", 400],
  "not-enough-copies": ["ServiceUnavailable", 503],
  unavailable: ["ServiceUnavailable", 503],
  "insufficient-storage": ["ServiceUnavailable", 503],
  aborted: ["ServiceUnavailable", 503],
};

describe("errors of the object service", () => {
  test("each have their code and status", () => {
    for (const code of OBJECT_ERROR_CODES) {
      const error = toS3Error(new ObjectError(code, "why"), PLAIN);
      assert.deepEqual([error.code, error.status], EXPECTED[code], code);
    }
  });

  test("depend on who asks, and for what, where S3 tells those apart", () => {
    const exists = new ObjectError("bucket-exists", "", { owner: "me" });
    assert.equal(toS3Error(exists, { ...PLAIN, callerId: "me" }).code, "BucketAlreadyOwnedByYou");
    assert.equal(toS3Error(exists, { ...PLAIN, callerId: "you" }).code, "BucketAlreadyExists");
    const conflict = new ObjectError("conflict", "");
    assert.equal(toS3Error(conflict, { conditional: true }).code, "ConditionalRequestConflict");
  });

  test("show those details that clients look for, and no others", () => {
    const details = { bucket: "b", partNumber: 3, etag: "e", owner: "secret", algorithm: "CRC32" };
    assert.deepEqual(toS3Error(new ObjectError("invalid-part", "", details), PLAIN).fields, {
      BucketName: "b",
      PartNumber: 3,
      ETag: "e",
    });
  });
});

describe("whatever else is thrown", () => {
  test("is an internal error that tells nothing", () => {
    for (const thrown of [new Error("password is hunter2"), "a string", undefined]) {
      const { code, message } = toS3Error(thrown, PLAIN);
      assert.equal(code, "InternalError");
      assert.ok(!message.includes("hunter2"));
    }
    const own = new S3Error("SlowDown");
    assert.equal(toS3Error(own, PLAIN), own);
  });
});

describe("failures in the log", () => {
  let front: Front;
  before(async () => {
    front = await openFront();
    await front.service.createBucket({ principal: ROOT, bucket: "bucket", location: "" });
  });
  after(() => front[Symbol.asyncDispose]());

  test("unexpected ones are logged once with their cause, under the id that the client is given", async () => {
    const cause = new Error("the cause");
    front.service.fail("headObject", cause);
    const { status, text, headers } = await front.send({ method: "HEAD", target: "/bucket/key" });
    assert.deepEqual([status, text], [500, ""]);
    const lines = front.lines.filter(({ fields }) => fields["err"] === cause);
    assert.deepEqual(
      lines.map(({ level, fields }) => [level, fields["requestId"]]),
      [["error", headers["x-amz-request-id"]]],
    );
    front.service.fail("listObjects", cause);
    assert.match((await front.send({ target: "/bucket" })).text, /<Code>InternalError<\/Code><Message>We encountered/);
  });

  test("what cannot be served now is told with its cause, and may be tried again", async () => {
    const error = new ObjectError("not-enough-copies", "Too few storage nodes accept writes now");
    front.service.fail("putObject", error);
    const { status, text } = await front.send({ method: "PUT", target: "/bucket/key", body: "x" });
    assert.equal(status, 503);
    assert.match(text, /<Code>ServiceUnavailable<\/Code><Message>Too few storage nodes/);
    assert.ok(front.lines.some(({ level, fields }) => level === "warn" && fields["err"] === error));
  });
});

describe("the line of a request", () => {
  test("has what an operator looks for, and no secret", async () => {
    await using front = await openFront();
    await front.service.createBucket({ principal: ROOT, bucket: "bucket", location: "" });
    await front.send({ method: "PUT", target: "/bucket/key", body: "hello", headers: { "user-agent": "tests" } });
    await front.send({ target: "/bucket/none?X-Unknown=hidden" });
    const [put, get] = front.finished;
    assert.ok(put && get);
    assert.deepEqual(
      { ...put, requestId: "", durationMs: 0 },
      {
        requestId: "",
        operation: "PutObject",
        method: "PUT",
        status: 200,
        durationMs: 0,
        receivedBytes: 5,
        sentBytes: 0,
        bucket: "bucket",
        key: "key",
        accessKey: "ROOTKEY",
        remoteAddress: "127.0.0.1",
        userAgent: "tests",
      },
    );
    assert.deepEqual([get.operation, get.status, get.errorCode], ["GetObject", 404, "NoSuchKey"]);
    assert.notEqual(put.requestId, get.requestId);
    assert.ok(get.sentBytes > 0);
    const log = JSON.stringify(front.lines);
    assert.ok(!log.includes("hidden") && !/signature/i.test(log));
    assert.equal(front.open(), 0);
  });
});
