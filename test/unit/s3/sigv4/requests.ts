/**
 * Requests with signatures, and their verification, for the tests in this folder.
 */
import assert from "node:assert/strict";
import { S3Error, type S3ErrorCode } from "../../../../src/s3/errors.ts";
import { parseS3Request } from "../../../../src/s3/request.ts";
import { type Authentication, authenticate } from "../../../../src/s3/sigv4/authenticate.ts";
import type { Credential } from "../../../../src/s3/sigv4/credential.ts";
import { SigningKeys } from "../../../../src/s3/sigv4/signing-key.ts";

export interface Sent {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [string, string])[];
}

export interface Side {
  readonly credential?: Credential;
  readonly region?: string;
  readonly nowMs?: number;
  readonly domain?: string;
}

/** The keys and the moment of AWS's published examples. */
export const EXAMPLE: Credential = {
  accessKeyId: "AKIAIOSFODNN7EXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
};
export const EXAMPLE_NOW_MS = Date.UTC(2013, 4, 24);
export const EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

export function verify(sent: Sent, side: Side = {}): Promise<Authentication<Credential>> {
  const { credential = EXAMPLE, region = "us-east-1", nowMs = EXAMPLE_NOW_MS, domain } = side;
  const request = parseS3Request(
    { method: sent.method, url: sent.url, rawHeaders: sent.headers.flat() },
    domain === undefined ? {} : { domain },
  );
  const lookup = (accessKeyId: string) => (accessKeyId === credential.accessKeyId ? credential : undefined);
  return authenticate(request, { lookup, region, signingKeys: new SigningKeys() }, nowMs);
}

export async function refused(code: S3ErrorCode, message: RegExp, sent: Sent, side?: Side): Promise<S3Error> {
  let error: S3Error | undefined;
  await assert.rejects(verify(sent, side), (thrown) => {
    assert.ok(thrown instanceof S3Error, String(thrown));
    error = thrown;
    assert.equal(thrown.code, code);
    assert.match(thrown.message, message);
    return true;
  });
  assert.ok(error);
  return error;
}

export const HOST: [string, string] = ["Host", "examplebucket.s3.amazonaws.com"];
export const DATE: [string, string] = ["x-amz-date", "20130524T000000Z"];
export const EMPTY: [string, string] = ["x-amz-content-sha256", EMPTY_SHA256];
export const VIRTUAL = { domain: "s3.amazonaws.com" };

export function withHeader(sent: Sent, name: string, value: string | undefined): Sent {
  const others = sent.headers.filter(([other]) => other.toLowerCase() !== name.toLowerCase());
  return { ...sent, headers: value === undefined ? others : [...others, [name, value]] };
}
