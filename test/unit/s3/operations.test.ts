import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as sdk from "@aws-sdk/client-s3";
import { S3Error, type S3ErrorCode } from "../../../src/s3/errors.ts";
import { detectOperation, S3_OPERATIONS, type S3Operation } from "../../../src/s3/operations.ts";
import { parseS3Request } from "../../../src/s3/request.ts";

function detect(method: string, url: string, rawHeaders: string[] = []): S3Operation {
  return detectOperation(parseS3Request({ method, url, rawHeaders }, {}));
}

const COPY = ["x-amz-copy-source", "/other/key"];

/** Enough for the SDK to build any of its calls. */
const ANY_INPUT = {
  Bucket: "bucket",
  Key: "key",
  Id: "id",
  UploadId: "upload",
  PartNumber: 1,
  CopySource: "other/key",
  RenameSource: "other",
  AnnotationName: "note",
  RequestRoute: "route",
  RequestToken: "token",
  MaxDirectoryBuckets: 10,
  ObjectAttributes: ["ETag"],
  Delete: { Objects: [{ Key: "a" }] },
  Body: "body",
};
/** Inputs that would turn these calls into another one. */
const LEFT_OUT: Record<string, string> = {
  ListBuckets: "MaxDirectoryBuckets",
  PutObject: "CopySource",
  UploadPart: "CopySource",
};

interface SentRequest {
  method: string;
  path: string;
  query: Record<string, string>;
  headers: Record<string, string>;
}

class Sent extends Error {
  readonly request: SentRequest;
  constructor(request: SentRequest) {
    super("sent");
    this.request = request;
  }
}

/** The request that the SDK would send for one of its commands. */
async function requestOf(command: string): Promise<SentRequest> {
  const client = new sdk.S3Client({
    region: "us-east-1",
    endpoint: "http://127.0.0.1:1",
    forcePathStyle: true,
    maxAttempts: 1,
    disableS3ExpressSessionAuth: true,
    credentials: { accessKeyId: "a", secretAccessKey: "b" },
    requestHandler: { handle: (request: SentRequest) => Promise.reject(new Sent(request)) },
  });
  const { [LEFT_OUT[command] ?? ""]: _, ...input } = ANY_INPUT as Record<string, unknown>;
  const Command: new (input: object) => sdk.GetObjectCommand = Reflect.get(sdk, `${command}Command`);
  try {
    await client.send(new Command(input));
  } catch (thrown) {
    if (thrown instanceof Sent) return thrown.request;
    throw thrown;
  }
  throw new Error("nothing was sent");
}

const COMMANDS = Object.keys(sdk)
  .filter((name) => /^[A-Z].*Command$/.test(name))
  .map((name) => name.slice(0, -"Command".length));

describe("the operation of a request", () => {
  test("is known for every call of the SDK", () => {
    const known = new Set<string>(S3_OPERATIONS);
    assert.ok(COMMANDS.length > 100);
    assert.deepEqual(
      COMMANDS.filter((name) => !known.has(name)),
      [],
    );
    // And nothing is made up, beyond the two that the SDK has no call for.
    assert.deepEqual(
      S3_OPERATIONS.filter((name) => !COMMANDS.includes(name)),
      ["PostObject", "PreflightRequest"],
    );
  });

  for (const command of COMMANDS) {
    test(`is ${command} as the SDK sends it`, async () => {
      const request = await requestOf(command);
      const query = new URLSearchParams(request.query).toString();
      const headers = Object.entries(request.headers).flat();
      assert.equal(detect(request.method, `${request.path}?${query}`, headers), command);
    });
  }

  const cases: [string, string, S3Operation, string[]?][] = [
    ["GET", "/", "ListBuckets"],
    ["GET", "/?x-id=ListBuckets&prefix=a", "ListBuckets"],
    ["GET", "/b", "ListObjects"],
    ["GET", "/b/?unknown&prefix=a", "ListObjects"],
    ["GET", "/b?list-type=2", "ListObjectsV2"],
    ["GET", "/b?analytics&id=", "GetBucketAnalyticsConfiguration"],
    ["GET", "/b?retention", "ListObjects"],
    ["GET", "/b?versions&uploadId=1", "ListObjectVersions"],
    ["POST", "/b", "PostObject"],
    ["POST", "/b?delete=", "DeleteObjects"],
    ["PUT", "/b", "CreateBucket"],
    ["PUT", "/b?unknown", "CreateBucket"],
    ["DELETE", "/b?x-id=DeleteBucket", "DeleteBucket"],
    ["GET", "/b/k?unknown=1&versionId=2&partNumber=3", "GetObject"],
    ["GET", "/b/k?policy&location", "GetObject"],
    ["HEAD", "/b/k?partNumber=1", "HeadObject"],
    ["PUT", "/b/k", "PutObject"],
    ["PUT", "/b/k", "CopyObject", COPY],
    ["PUT", "/b/k?partNumber=1&uploadId=u", "UploadPart"],
    ["PUT", "/b/k?partNumber=1&uploadId=u", "UploadPartCopy", COPY],
    ["PUT", "/b/k?tagging", "PutObjectTagging"],
    ["DELETE", "/b/k?versionId=1", "DeleteObject"],
    ["DELETE", "/b/k?tagging&versionId=1", "DeleteObjectTagging"],
    ["GET", "/b/k?constructor&__proto__", "GetObject"],
    ["OPTIONS", "/b/k", "PreflightRequest"],
    ["OPTIONS", "/", "PreflightRequest"],
    ["POST", "/WriteGetObjectResponse", "WriteGetObjectResponse", ["x-amz-request-route", "r"]],
    ["POST", "/WriteGetObjectResponse", "PostObject"],
  ];
  for (const [method, url, operation, headers] of cases) {
    test(`is ${operation} for ${method} ${url}${headers ? ` with ${headers[0]}` : ""}`, () => {
      assert.equal(detect(method, url, headers), operation);
    });
  }

  const refusals: [string, string, S3ErrorCode, RegExp, string[]?][] = [
    ["PUT", "/", "MethodNotAllowed", /method/],
    ["HEAD", "/", "MethodNotAllowed", /method/],
    ["PATCH", "/b", "MethodNotAllowed", /method/],
    ["get", "/b", "MethodNotAllowed", /method/],
    ["constructor", "/b", "MethodNotAllowed", /method/],
    ["POST", "/b/k", "MethodNotAllowed", /method/],
    ["POST", "/b/k?select", "MethodNotAllowed", /method/],
    ["DELETE", "/b?acl", "MethodNotAllowed", /method/],
    ["DELETE", "/b?versioning", "MethodNotAllowed", /method/],
    ["DELETE", "/b/k?acl", "MethodNotAllowed", /method/],
    ["POST", "/b?uploads", "MethodNotAllowed", /method/],
    ["PUT", "/b/k?uploadId=u", "MethodNotAllowed", /method/],
    ["DELETE", "/b?uploadId=u", "InvalidRequest", /A key must be specified/],
    ["PUT", "/b?partNumber=1&uploadId=u", "InvalidRequest", /A key must be specified/],
    ["PUT", "/b/k?lifecycle", "InvalidRequest", /Key is not expected for the PUT method \?lifecycle subresource/],
    ["DELETE", "/b/k?policy", "InvalidRequest", /Key is not expected/],
    ["GET", "/b/k?uploads", "InvalidRequest", /Key is not expected for the GET method \?uploads subresource/],
    ["GET", "/b/k?versions", "InvalidRequest", /no such thing as the \?versions/],
    ["GET", "/b?policy&acl", "InvalidArgument", /Conflicting query string parameters: acl, policy/],
    ["POST", "/b/k?uploads&uploadId=u", "InvalidArgument", /Conflicting/],
    ["PUT", "/b/k?partNumber=1", "InvalidArgument", /partNumber without uploadId/],
    ["GET", "/b?list-type=3", "InvalidArgument", /List Type/],
    ["GET", "/b/k", "InvalidArgument", /copy source header/, COPY],
    ["POST", "/b/k?uploadId=u", "InvalidArgument", /copy source header/, COPY],
  ];
  for (const [method, url, code, message, headers] of refusals) {
    test(`is none for ${method} ${url}${headers ? ` with ${headers[0]}` : ""}: ${code}`, () => {
      assert.throws(
        () => detect(method, url, headers),
        (thrown) => thrown instanceof S3Error && thrown.code === code && message.test(thrown.message),
      );
    });
  }

  test("that is not allowed is answered with those that are", () => {
    assert.throws(
      () => detect("DELETE", "/b?acl"),
      (thrown) => {
        assert.ok(thrown instanceof S3Error);
        assert.equal(thrown.headers["Allow"], "GET, PUT");
        assert.deepEqual(thrown.fields, { Method: "DELETE", ResourceType: "BUCKET" });
        return true;
      },
    );
  });
});
