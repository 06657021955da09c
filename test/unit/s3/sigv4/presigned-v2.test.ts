import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { headerValue } from "../../../../src/s3/headers.ts";
import { parseS3Request } from "../../../../src/s3/request.ts";
import { withHoistedHeaders } from "../../../../src/s3/sigv4/hoisted-headers.ts";
import { refused, type Sent, verify } from "./requests.ts";

const fixture: {
  nowMs: number;
  accessKeyId: string;
  secretAccessKey: string;
  presignedV2: (Sent & { name: string; sessionToken?: string })[];
} = JSON.parse(readFileSync(new URL("fixtures/botocore-sigv4.json", import.meta.url), "utf8"));

const { nowMs, accessKeyId, secretAccessKey } = fixture;
const SIDE = { nowMs, credential: { accessKeyId, secretAccessKey }, domain: "s3.example.com" };

function named(name: string): Sent {
  return fixture.presignedV2.find((sent) => sent.name === name) ?? assert.fail(name);
}

describe("a presigned URL of version 2", () => {
  for (const { name, sessionToken, ...sent } of fixture.presignedV2) {
    const credential = { ...SIDE.credential, ...(sessionToken !== undefined && { sessionToken }) };
    const side = { ...SIDE, credential };

    test(`is taken from botocore: ${name}`, async () => {
      const result = await verify(sent, side);
      assert.ok(result.kind === "signed" && result.from === "query" && result.payload.kind === "unsigned");
    });

    test(`is refused where it was changed: ${name}`, async () => {
      await refused("SignatureDoesNotMatch", /./, { ...sent, method: "DELETE" }, side);
      await refused("SignatureDoesNotMatch", /./, { ...sent, url: sent.url.replace("?", "x?") }, side);
      await refused("SignatureDoesNotMatch", /./, { ...sent, url: `${sent.url}&partNumber=1` }, side);
      await refused(
        "SignatureDoesNotMatch",
        /./,
        { ...sent, headers: [...sent.headers, ["x-amz-acl", "other"]] },
        side,
      );
      await refused(
        "SignatureDoesNotMatch",
        /./,
        { ...sent, headers: [...sent.headers, ["Content-Type", "a/b"]] },
        side,
      );
    });
  }

  test("expires", async () => {
    const sent = named("subresource");
    assert.equal((await verify(sent, { ...SIDE, nowMs: nowMs + 900_000 })).kind, "signed");
    await refused("AccessDenied", /Request has expired/, sent, { ...SIDE, nowMs: nowMs + 900_001 });
    await refused(
      "AccessDenied",
      /Invalid date/,
      { ...sent, url: sent.url.replace(/Expires=\d+/, "Expires=soon") },
      SIDE,
    );
    await refused("AccessDenied", /requires/, { ...sent, url: sent.url.replace(/&Expires=\d+/, "") }, SIDE);
  });

  test("is not taken for another call by parameters that it does not sign", async () => {
    const sent = named("subresource");
    for (const parameter of ["retention", "prefix=a", "X-Amz-Meta-a=b", "acl", "Expires=99999999999"]) {
      const code = parameter.startsWith("Expires") ? "AccessDenied" : "InvalidRequest";
      await refused(code, /./, { ...sent, url: `${sent.url}&${parameter}` }, SIDE);
    }
  });

  test("of an unknown access key is refused", async () => {
    const sent = named("subresource");
    await refused("InvalidAccessKeyId", /./, { ...sent, url: sent.url.replace(accessKeyId, "OTHER") }, SIDE);
  });

  test("brings content type, metadata and ACL along", () => {
    const { method, url } = named("headers");
    const headers = withHoistedHeaders(parseS3Request({ method, url, rawHeaders: [] }, {}));
    assert.equal(headerValue(headers, "content-type"), "text/plain");
    assert.equal(headerValue(headers, "x-amz-meta-a"), "b c");
    assert.equal(headerValue(headers, "x-amz-acl"), "private");
  });
});
