import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { S3ErrorCode } from "../../../../src/s3/errors.ts";
import { parseS3Request } from "../../../../src/s3/request.ts";
import { canonicalRequest, stringToSign } from "../../../../src/s3/sigv4/canonical-request.ts";
import { deriveSigningKey, sign } from "../../../../src/s3/sigv4/signing-key.ts";
import { PUBLISHED } from "./published-examples.ts";
import {
  DATE,
  EMPTY,
  EMPTY_SHA256,
  EXAMPLE,
  EXAMPLE_NOW_MS,
  HOST,
  refused,
  type Sent,
  VIRTUAL,
  verify,
  withHeader,
} from "./requests.ts";

/** A request of our own, signed over the headers given and the usual ones. */
function signed(change: (headers: Map<string, string>) => void = () => {}, sign_: Partial<SignOptions> = {}): Sent {
  const headers = new Map([["host", "127.0.0.1:9070"], DATE, EMPTY]);
  change(headers);
  const options = { signedHeaders: [...headers.keys()].sort(), url: "/bucket/key", region: "us-east-1", ...sign_ };
  const rawHeaders = [...headers].flat();
  const request = parseS3Request({ method: "GET", url: options.url, rawHeaders }, {});
  const scope = { date: options.date ?? "20130524", region: options.region };
  const canonical = canonicalRequest(request, options.signedHeaders, headers.get("x-amz-content-sha256") ?? "");
  const toSign = stringToSign(headers.get("x-amz-date") ?? "", scope, canonical);
  const signature = sign(deriveSigningKey(EXAMPLE.secretAccessKey, scope), toSign);
  const credential = `${EXAMPLE.accessKeyId}/${scope.date}/${scope.region}/s3/aws4_request`;
  const value = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${options.signedHeaders.join(";")}, Signature=${signature}`;
  return { method: "GET", url: options.url, headers: [...headers, ["authorization", value]] };
}

interface SignOptions {
  signedHeaders: string[];
  url: string;
  region: string;
  date: string;
}

describe("a signature in the Authorization header", () => {
  for (const [name, sent] of PUBLISHED) {
    test(`is taken for AWS's example: ${name}`, async () => {
      const result = await verify(sent, VIRTUAL);
      assert.ok(result.kind === "signed" && result.from === "header");
      assert.equal(result.credential, EXAMPLE);
    });

    test(`is refused where anything of it changed: ${name}`, async () => {
      const others: Sent[] = [
        { ...sent, method: "POST" },
        { ...sent, url: `${sent.url}${sent.url.includes("?") ? "&" : "?"}x=1` },
        { ...sent, url: sent.url.replace("/", "/x") },
        withHeader(sent, "Host", "evil.s3.amazonaws.com"),
        withHeader(sent, "x-amz-content-sha256", "0".repeat(64)),
      ];
      for (const other of others) await refused("SignatureDoesNotMatch", /does not match/, other, VIRTUAL);
      const wrong = { ...EXAMPLE, secretAccessKey: "another" };
      await refused("SignatureDoesNotMatch", /./, sent, { ...VIRTUAL, credential: wrong });
    });
  }

  test("tells the client what was compared", async () => {
    const sent = withHeader(signed(), "x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    const { fields } = await refused("SignatureDoesNotMatch", /./, sent);
    assert.deepEqual(Object.keys(fields), ["AWSAccessKeyId", "StringToSign", "SignatureProvided", "CanonicalRequest"]);
    assert.match(String(fields["CanonicalRequest"]), /UNSIGNED-PAYLOAD$/);
  });

  test("covers header values without the spaces around them, and repeats joined in order", async () => {
    const sent = signed((headers) => headers.set("x-amz-meta-a", "one  two,three"));
    const spaced = withHeader(sent, "x-amz-meta-a", undefined);
    const apart: Sent = {
      ...spaced,
      headers: [...spaced.headers, ["X-Amz-Meta-A", " one two"], ["x-amz-meta-a", "three  "]],
    };
    assert.equal((await verify(apart)).kind, "signed");
    const turned: Sent = {
      ...spaced,
      headers: [...spaced.headers, ["x-amz-meta-a", "three"], ["x-amz-meta-a", "one two"]],
    };
    await refused("SignatureDoesNotMatch", /./, turned);
  });

  test("covers bytes beyond ASCII as they were sent", async () => {
    const bytes = Buffer.from("é€").toString("latin1");
    assert.equal((await verify(signed((headers) => headers.set("x-amz-meta-a", bytes)))).kind, "signed");
  });

  test("names the payload's protection", async () => {
    for (const [value, payload] of [
      [EMPTY_SHA256, { kind: "sha256", sha256: EMPTY_SHA256 }],
      ["UNSIGNED-PAYLOAD", { kind: "unsigned" }],
      ["STREAMING-UNSIGNED-PAYLOAD-TRAILER", { kind: "aws-chunked", signed: false, trailer: true }],
      ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", { kind: "aws-chunked", signed: true, trailer: false }],
    ] as const) {
      const result = await verify(signed((headers) => headers.set("x-amz-content-sha256", value)));
      assert.ok(result.kind === "signed");
      assert.deepEqual(result.payload, payload);
      assert.equal(result.chunkSigning !== undefined, value === "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    }
  });

  test("is checked against the clock, 15 minutes either way", async () => {
    const minutes = (count: number) => ({ nowMs: EXAMPLE_NOW_MS + count * 60_000 });
    assert.equal((await verify(signed(), minutes(15))).kind, "signed");
    assert.equal((await verify(signed(), minutes(-15))).kind, "signed");
    for (const off of [15.1, -15.1, 60 * 24]) {
      const { fields } = await refused("RequestTimeTooSkewed", /too large/, signed(), minutes(off));
      assert.equal(fields["RequestTime"], "20130524T000000Z");
      assert.equal(fields["MaxAllowedSkewMilliseconds"], 900_000);
    }
  });

  test("may be dated by the Date header alone", async () => {
    const [, put] = PUBLISHED[1] ?? [];
    assert.ok(put);
    // Not signed as such, but it gets as far as the signature.
    await refused("SignatureDoesNotMatch", /./, withHeader(put, "x-amz-date", undefined), VIRTUAL);
    await refused("AccessDenied", /valid Date/, withHeader(signed(), "x-amz-date", undefined));
    await refused("AccessDenied", /valid Date/, withHeader(signed(), "x-amz-date", "2013-05-24"));
  });

  const malformed: [string, string, S3ErrorCode, RegExp][] = [
    ["", "an empty value", "InvalidArgument", /Unsupported Authorization Type/],
    ["Basic dXNlcjpwYXNz", "another scheme", "InvalidArgument", /Unsupported Authorization Type/],
    ["AWS AKID:c2ln", "version 2", "InvalidRequest", /AWS4-HMAC-SHA256/],
    ["AWS4-ECDSA-P256-SHA256 Credential=a", "asymmetric", "NotImplemented", /ECDSA/],
    ["AWS4-HMAC-SHA256", "nothing after the scheme", "AuthorizationHeaderMalformed", /component/],
    [
      "AWS4-HMAC-SHA256 Credential=a/20130524/us-east-1/s3/aws4_request",
      "one component",
      "AuthorizationHeaderMalformed",
      /three components/,
    ],
    [
      "AWS4-HMAC-SHA256 Credential=,SignedHeaders=host,Signature=0",
      "an empty component",
      "AuthorizationHeaderMalformed",
      /three components/,
    ],
    [
      "AWS4-HMAC-SHA256 Signature=1,Signature=2,SignedHeaders=host,Credential=a",
      "a component twice",
      "AuthorizationHeaderMalformed",
      /component/,
    ],
    [
      "AWS4-HMAC-SHA256 Credential,SignedHeaders=host,Signature=0",
      "a component without value",
      "AuthorizationHeaderMalformed",
      /component/,
    ],
    [
      "AWS4-HMAC-SHA256 Credential=AKID,SignedHeaders=host,Signature=0",
      "a bare access key",
      "AuthorizationHeaderMalformed",
      /Credential is mal-formed/,
    ],
    [
      "AWS4-HMAC-SHA256 Credential=/20130524/us-east-1/s3/aws4_request,SignedHeaders=host,Signature=0",
      "no access key",
      "AuthorizationHeaderMalformed",
      /Credential is mal-formed/,
    ],
    [
      "AWS4-HMAC-SHA256 Credential=a/2013-05-24/us-east-1/s3/aws4_request,SignedHeaders=host,Signature=0",
      "another date form",
      "AuthorizationHeaderMalformed",
      /incorrect date format "2013-05-24"/,
    ],
    [
      "AWS4-HMAC-SHA256 Credential=a/20130525/us-east-1/s3/aws4_request,SignedHeaders=host,Signature=0",
      "another day",
      "AuthorizationHeaderMalformed",
      /not the same as X-Amz-Date/,
    ],
    [
      "AWS4-HMAC-SHA256 Credential=a/20130524/us-east-1/ec2/aws4_request,SignedHeaders=host,Signature=0",
      "another service",
      "AuthorizationHeaderMalformed",
      /incorrect service "ec2"/,
    ],
    [
      "AWS4-HMAC-SHA256 Credential=a/20130524/us-east-1/s3/aws3_request,SignedHeaders=host,Signature=0",
      "another terminator",
      "AuthorizationHeaderMalformed",
      /incorrect terminal/,
    ],
    [
      "AWS4-HMAC-SHA256 Credential=a/20130524/us-east-1/s3/aws4_request,SignedHeaders=host,Signature=0",
      "an unknown access key",
      "InvalidAccessKeyId",
      /does not exist/,
    ],
  ];
  for (const [value, what, code, message] of malformed) {
    test(`is refused with ${what}: ${code}`, async () => {
      await refused(code, message, withHeader(signed(), "Authorization", value));
    });
  }

  test("is refused where it is not one of hexadecimal digits, or is another one's", async () => {
    const [name, value = ""] = signed().headers.at(-1) ?? [];
    assert.equal(name, "authorization");
    for (const signature of ["0", "é".repeat(64), "0".repeat(64), `${value.slice(-64)}0`]) {
      await refused(
        "SignatureDoesNotMatch",
        /./,
        withHeader(signed(), "authorization", value.slice(0, -64) + signature),
      );
    }
    assert.equal((await verify(withHeader(signed(), "authorization", value))).kind, "signed");
  });

  test("is refused where it is given twice or beside a presigned URL's", async () => {
    const sent = signed();
    const twice = [...sent.headers, ["Authorization", "AWS4-HMAC-SHA256 x"]] as Sent["headers"];
    await refused("AuthorizationHeaderMalformed", /given once/, { ...sent, headers: twice });
    await refused("InvalidArgument", /Only one auth mechanism/, { ...sent, url: "/bucket/key?X-Amz-Signature=0" });
  });

  test("is refused for another region, which the answer names", async () => {
    const error = await refused(
      "AuthorizationHeaderMalformed",
      /the region 'eu-west-1' is wrong/,
      signed(undefined, { region: "eu-west-1" }),
    );
    assert.equal(error.fields["Region"], "us-east-1");
  });

  test("must cover the host and every x-amz- header", async () => {
    const unsigned = [...signed().headers, ["x-amz-acl", "public-read"], ["content-type", "a/b"]] as Sent["headers"];
    const error = await refused("AccessDenied", /not signed/, { ...signed(), headers: unsigned });
    assert.equal(error.fields["HeadersNotSigned"], "x-amz-acl");
    const hostless = signed(undefined, { signedHeaders: ["x-amz-content-sha256", "x-amz-date"] });
    assert.equal((await refused("AccessDenied", /not signed/, hostless)).fields["HeadersNotSigned"], "host");
  });

  test("needs x-amz-content-sha256, of a value that is known", async () => {
    await refused(
      "InvalidRequest",
      /x-amz-content-sha256/,
      signed((headers) => headers.delete("x-amz-content-sha256")),
    );
    for (const [value, code] of [
      ["", "InvalidArgument"],
      ["abc", "InvalidArgument"],
      ["STREAMING", "InvalidArgument"],
      ["STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "NotImplemented"],
    ] as const) {
      await refused(
        code,
        /./,
        signed((headers) => headers.set("x-amz-content-sha256", value)),
      );
    }
  });

  test("of temporary credentials needs their token while they last", async () => {
    const side = { credential: { ...EXAMPLE, sessionToken: "token", expiresAtMs: EXAMPLE_NOW_MS + 1 } };
    const withToken = (token: string) => signed((headers) => headers.set("x-amz-security-token", token));
    assert.equal((await verify(withToken("token"), side)).kind, "signed");
    await refused("InvalidToken", /./, withToken("other"), side);
    await refused("InvalidAccessKeyId", /./, signed(), side);
    await refused("InvalidToken", /./, withToken("token"));
    await refused("ExpiredToken", /./, withToken("token"), { ...side, nowMs: EXAMPLE_NOW_MS + 1 });
  });
});

describe("a request without a signature", () => {
  test("is anonymous", async () => {
    const sent: Sent = { method: "GET", url: "/b/k?Signature=x&Expires=1", headers: [HOST] };
    assert.deepEqual(await verify(sent), { kind: "anonymous", payload: { kind: "unsigned" } });
  });

  test("cannot have signed chunks", async () => {
    const chunked: [string, string] = ["x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"];
    await refused("InvalidRequest", /without a signature/, { method: "PUT", url: "/b/k", headers: [HOST, chunked] });
  });
});
