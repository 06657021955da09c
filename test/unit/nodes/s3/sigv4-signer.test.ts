import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EMPTY_PAYLOAD, SigV4Signer } from "../../../../src/nodes/s3/sigv4-signer.ts";
import type { Clock } from "../../../../src/shared/clock.ts";

/** The examples of https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html */
function signerAt(time: string): { signer: SigV4Signer; setTime(time: string): void } {
  let nowMs = Date.parse(time);
  const clock: Clock = { nowMs: () => nowMs, monotonicMs: () => 0, startTimer: () => ({ stop() {} }) };
  const signer = new SigV4Signer({
    accessKey: "AKIAIOSFODNN7EXAMPLE",
    secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    region: "us-east-1",
    host: "examplebucket.s3.amazonaws.com",
    clock,
  });
  return {
    signer,
    setTime(next) {
      nowMs = Date.parse(next);
    },
  };
}

function headersOf(flat: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let i = 0; i < flat.length; i += 2) headers[flat[i] ?? ""] = flat[i + 1] ?? "";
  return headers;
}

const LIFECYCLE = { method: "GET", path: "/", query: "lifecycle=", headers: {}, payloadHash: EMPTY_PAYLOAD };
const LIFECYCLE_SIGNATURE = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543";

describe("SigV4 signer", () => {
  test("signs AWS's example of a subresource as AWS does", () => {
    const headers = headersOf(signerAt("2013-05-24T00:00:00Z").signer.sign(LIFECYCLE));
    assert.equal(
      headers["authorization"],
      "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request," +
        `SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=${LIFECYCLE_SIGNATURE}`,
    );
    assert.equal(headers["x-amz-date"], "20130524T000000Z");
  });

  test("signs AWS's example of a listing as AWS does", () => {
    const request = { ...LIFECYCLE, query: "max-keys=2&prefix=J" };
    const headers = headersOf(signerAt("2013-05-24T00:00:00Z").signer.sign(request));
    const signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";
    assert.match(headers["authorization"] ?? "", new RegExp(`Signature=${signature}$`));
  });

  test("signs the x-amz- headers in order and leaves the others out", () => {
    const headers = {
      range: "bytes=0-9",
      "x-amz-meta-b": "2",
      "content-length": "5",
      "x-amz-checksum-crc32c": "AAAAAA==",
    };
    const signed = headersOf(signerAt("2013-05-24T00:00:00Z").signer.sign({ ...LIFECYCLE, headers }));
    const names = "host;x-amz-checksum-crc32c;x-amz-content-sha256;x-amz-date;x-amz-meta-b";
    assert.match(signed["authorization"] ?? "", new RegExp(`SignedHeaders=${names},`));
    assert.equal(signed["range"], "bytes=0-9");
    assert.equal(signed["content-length"], "5");
    assert.equal(signed["host"], undefined);
  });

  test("follows the clock over seconds and days", () => {
    const { signer, setTime } = signerAt("2013-05-23T23:59:59.999Z");
    const before = headersOf(signer.sign(LIFECYCLE));
    assert.match(before["authorization"] ?? "", /\/20130523\//);
    assert.equal(before["x-amz-date"], "20130523T235959Z");
    setTime("2013-05-24T00:00:00.999Z");
    const after = headersOf(signer.sign(LIFECYCLE));
    assert.match(after["authorization"] ?? "", new RegExp(`Signature=${LIFECYCLE_SIGNATURE}$`));
  });
});
