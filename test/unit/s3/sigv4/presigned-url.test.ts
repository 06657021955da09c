import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { S3ErrorCode } from "../../../../src/s3/errors.ts";
import { EXAMPLE_NOW_MS, HOST, refused, type Sent, VIRTUAL, verify } from "./requests.ts";

const PRESIGNED = {
  "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
  "X-Amz-Credential": "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request",
  "X-Amz-Date": "20130524T000000Z",
  "X-Amz-Expires": "86400",
  "X-Amz-SignedHeaders": "host",
  "X-Amz-Signature": "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
};

function presigned(changes: Record<string, string | undefined> = {}, headers: Sent["headers"] = [HOST]): Sent {
  const query = Object.entries({ ...PRESIGNED, ...changes }).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
  );
  return { method: "GET", url: `/test.txt?${query.join("&")}`, headers };
}

describe("a presigned URL", () => {
  test("is taken for AWS's example until it expires", async () => {
    const result = await verify(presigned(), VIRTUAL);
    assert.ok(result.kind === "signed" && result.from === "query" && result.payload.kind === "unsigned");
    const lastMs = EXAMPLE_NOW_MS + 86_400_000;
    assert.equal((await verify(presigned(), { ...VIRTUAL, nowMs: lastMs })).kind, "signed");
    const { fields } = await refused("AccessDenied", /Request has expired/, presigned(), {
      ...VIRTUAL,
      nowMs: lastMs + 1,
    });
    assert.deepEqual(fields, {
      "X-Amz-Expires": 86_400,
      Expires: "2013-05-25T00:00:00Z",
      ServerTime: "2013-05-25T00:00:00Z",
    });
  });

  test("does not begin more than 15 minutes ahead", async () => {
    assert.equal((await verify(presigned(), { ...VIRTUAL, nowMs: EXAMPLE_NOW_MS - 900_000 })).kind, "signed");
    await refused("AccessDenied", /not valid yet/, presigned(), { ...VIRTUAL, nowMs: EXAMPLE_NOW_MS - 900_001 });
  });

  for (const name of Object.keys(PRESIGNED)) {
    test(`is refused without ${name}`, async () => {
      const error = /requires the X-Amz-Algorithm/;
      await refused("AuthorizationQueryParametersError", error, presigned({ [name]: undefined }), VIRTUAL);
      await refused("AuthorizationQueryParametersError", error, presigned({ [name]: "" }), VIRTUAL);
    });
  }

  const malformed: [Record<string, string>, S3ErrorCode, RegExp][] = [
    [{ "X-Amz-Algorithm": "AWS4-HMAC-SHA1" }, "AuthorizationQueryParametersError", /X-Amz-Algorithm only supports/],
    [{ "X-Amz-Algorithm": "AWS4-ECDSA-P256-SHA256" }, "NotImplemented", /ECDSA/],
    [{ "X-Amz-Expires": "x" }, "AuthorizationQueryParametersError", /should be a number/],
    [{ "X-Amz-Expires": "1.5" }, "AuthorizationQueryParametersError", /should be a number/],
    [{ "X-Amz-Expires": "-1" }, "AuthorizationQueryParametersError", /must be non-negative/],
    [{ "X-Amz-Expires": "604801" }, "AuthorizationQueryParametersError", /less than a week/],
    [{ "X-Amz-Date": "20130524" }, "AuthorizationQueryParametersError", /ISO8601 Long Format/],
    [{ "X-Amz-Date": "20130525T000000Z" }, "AuthorizationQueryParametersError", /Invalid credential date "20130524"/],
    [{ "X-Amz-Credential": "AKID" }, "AuthorizationQueryParametersError", /Credential is mal-formed/],
    [
      { "X-Amz-Credential": "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/sqs/aws4_request" },
      "AuthorizationQueryParametersError",
      /incorrect service "sqs"/,
    ],
    [
      { "X-Amz-Credential": "AKIAIOSFODNN7EXAMPLE/20130524/eu-west-1/s3/aws4_request" },
      "AuthorizationQueryParametersError",
      /the region 'eu-west-1' is wrong; expecting 'us-east-1'/,
    ],
    [{ "X-Amz-Credential": "OTHER/20130524/us-east-1/s3/aws4_request" }, "InvalidAccessKeyId", /does not exist/],
    [{ "X-Amz-Signature": "0".repeat(64) }, "SignatureDoesNotMatch", /./],
    [{ "X-Amz-Expires": "86401" }, "SignatureDoesNotMatch", /./],
    [{ versionId: "1" }, "SignatureDoesNotMatch", /./],
    [{ "X-Amz-SignedHeaders": "range" }, "AccessDenied", /not signed/],
    [{ "X-Amz-Content-Sha256": "x" }, "InvalidArgument", /x-amz-content-sha256/],
  ];
  for (const [changes, code, message] of malformed) {
    test(`is refused with ${JSON.stringify(changes)}: ${code}`, async () => {
      await refused(code, message, presigned(changes), VIRTUAL);
    });
  }

  test("is refused with a parameter twice or an unsigned x-amz- header", async () => {
    const sent = presigned();
    const twice = { ...sent, url: `${sent.url}&X-Amz-Signature=0` };
    await refused("AuthorizationQueryParametersError", /X-Amz-Signature must be given once/, twice, VIRTUAL);
    const error = await refused("AccessDenied", /not signed/, presigned({}, [HOST, ["x-amz-acl", "private"]]), VIRTUAL);
    assert.equal(error.fields["HeadersNotSigned"], "x-amz-acl");
  });
});
