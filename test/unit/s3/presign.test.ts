import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { S3Settings } from "../../../src/s3/call.ts";
import { createPresigner, NoPublicAddressError, type PresignRequest } from "../../../src/s3/presign.ts";
import { parseS3Request, queryValue, type S3Request } from "../../../src/s3/request.ts";
import { Secret } from "../../../src/shared/secret.ts";
import { EXAMPLE, EXAMPLE_NOW_MS, refused, verify } from "./sigv4/requests.ts";

const LISTEN = "http://127.0.0.1:9070";
const KEYS = { accessKey: EXAMPLE.accessKeyId, secretKey: new Secret(EXAMPLE.secretAccessKey), region: "us-east-1" };
const REQUEST: PresignRequest = {
  method: "GET",
  bucket: "box",
  key: "a",
  nowMs: EXAMPLE_NOW_MS,
  expiresSeconds: 60,
};

type Settings = Pick<S3Settings, "domain" | "publicUrl">;

function presign(request: Partial<PresignRequest> = {}, settings: Settings = {}, listen = LISTEN): string {
  return createPresigner(settings, KEYS, () => listen)({ ...REQUEST, ...request }).url;
}

function originOf(request: Partial<PresignRequest>, settings: Settings): string {
  return new URL(presign(request, settings)).origin;
}

/** The request that a client makes of a URL, as it arrives. */
function arriving(url: string, method: string, domain?: string): { request: S3Request; verified: Promise<unknown> } {
  const { origin, host } = new URL(url);
  const sent = { method, url: url.slice(origin.length), headers: [["Host", host]] as [string, string][] };
  const request = parseS3Request({ ...sent, rawHeaders: sent.headers.flat() }, domain === undefined ? {} : { domain });
  return { request, verified: verify(sent, domain === undefined ? {} : { domain }) };
}

test("a URL names its object, whatever the key, and the gateway takes its signature", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: "binary", minLength: 1, maxLength: 60 }).filter((key) => key.isWellFormed()),
      fc.constantFrom("GET" as const, "HEAD" as const, "PUT" as const),
      fc.boolean(),
      async (key, method, virtual) => {
        const domain = virtual ? "s3.example.com" : undefined;
        const url = presign({ key, method }, domain === undefined ? {} : { domain });
        const { request, verified } = arriving(url, method, domain);
        assert.deepEqual([request.bucket, request.key], ["box", key]);
        await verified;
      },
    ),
  );
});

test("a URL is for one method, one version and one life", async () => {
  const url = presign({ versionId: "null" });
  assert.equal(queryValue(arriving(url, "GET").request.query, "versionId"), "null");
  await arriving(url, "GET").verified;
  const { host, origin } = new URL(url);
  const sent = { method: "PUT", url: url.slice(origin.length), headers: [["Host", host]] as [string, string][] };
  await refused("SignatureDoesNotMatch", /./, sent);
  await refused("SignatureDoesNotMatch", /./, { ...sent, method: "GET", url: sent.url.replace("null", "other") });
  await refused("AccessDenied", /expired/, { ...sent, method: "GET" }, { nowMs: EXAMPLE_NOW_MS + 60_001 });
});

test("the address is the public one, else the one that is listened on", () => {
  assert.equal(originOf({}, {}), LISTEN);
  assert.equal(originOf({}, { publicUrl: "https://gw.example.com" }), "https://gw.example.com");
});

test("the bucket stands in the host where requests sent there arrive", () => {
  const domain = "s3.example.com";
  assert.equal(originOf({}, { domain }), "http://box.s3.example.com:9070");
  assert.equal(originOf({}, { domain, publicUrl: "https://s3.example.com" }), "https://box.s3.example.com");
  assert.equal(originOf({}, { domain, publicUrl: "https://s3.example.com:8443" }), "https://box.s3.example.com:8443");
  // The proxy is known by another name: whether it takes the domain's is not known.
  assert.equal(originOf({}, { domain, publicUrl: "https://gw.example.com" }), "https://gw.example.com");
  // No wildcard certificate covers it.
  assert.equal(
    originOf({ bucket: "a.box" }, { domain, publicUrl: "https://s3.example.com" }),
    "https://s3.example.com",
  );
  assert.equal(originOf({ bucket: "a.box" }, { domain }), "http://a.box.s3.example.com:9070");
});

test("without a public address, one that means every address is refused by the setting's name", () => {
  for (const listen of ["http://0.0.0.0:9070", "http://[::]:9070"]) {
    assert.throws(() => presign({}, {}, listen), /server\.s3\.publicUrl/);
    assert.ok(presign({}, { publicUrl: "https://gw.example.com" }, listen));
  }
  assert.throws(() => createPresigner({}, KEYS, () => undefined)(REQUEST), NoPublicAddressError);
});
