/**
 * Presigned URLs of Signature Version 2. aws-cli 1 and boto3 still make them in us-east-1 and other old regions unless
 * told otherwise, so `aws s3 presign` would not work without. Version 2 in the Authorization header is refused.
 *
 * Version 2 leaves most query parameters out of the signature, so that whoever holds a URL could turn it into another
 * call. Here every parameter must be under the signature; URLs of listings are refused for that.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html
 */
import { createHmac } from "node:crypto";
import { S3Error } from "../errors.ts";
import { headerValue } from "../headers.ts";
import { formatIsoDate } from "../http-dates.ts";
import { queryValue, type S3Query, type S3Request } from "../request.ts";
import { type Credential, type CredentialLookup, findCredential } from "./credential.ts";
import { sameText } from "./signing-key.ts";

/** Whether a query has a signature of version 2. */
export function hasPresignedV2(query: S3Query): boolean {
  return query.has("AWSAccessKeyId") && query.has("Signature");
}

/**
 * The credential that signed the URL.
 * @throws S3Error AccessDenied, InvalidAccessKeyId, InvalidRequest, InvalidToken, SignatureDoesNotMatch
 */
export async function verifyPresignedV2<C extends Credential>(
  request: S3Request,
  lookup: CredentialLookup<C>,
  nowMs: number,
): Promise<C> {
  const accessKeyId = single(request.query, "AWSAccessKeyId");
  const signature = single(request.query, "Signature");
  const expires = single(request.query, "Expires");
  refuseUnsigned(request.query);
  checkExpiry(expires, nowMs);
  const sessionToken = hoisted(request, "x-amz-security-token");
  const claim = { accessKeyId, ...(sessionToken !== undefined && { sessionToken }) };
  const credential = await findCredential(claim, lookup, nowMs);
  const toSign = stringToSign(request, expires);
  const expected = createHmac("sha1", credential.secretAccessKey).update(toSign, "latin1").digest("base64");
  if (sameText(expected, signature)) return credential;
  throw new S3Error("SignatureDoesNotMatch", {
    fields: { AWSAccessKeyId: accessKeyId, StringToSign: toSign, SignatureProvided: signature },
  });
}

function stringToSign(request: S3Request, expires: string): string {
  const lines = [
    request.method,
    hoisted(request, "content-md5") ?? "",
    hoisted(request, "content-type") ?? "",
    expires,
    ...amzNames(request).map((name) => `${name}:${hoisted(request, name) ?? ""}`),
  ];
  return `${lines.join("\n")}\n${canonicalResource(request)}`;
}

/** The path as it was sent, and the parameters that say which part or version of the resource is meant. */
function canonicalResource(request: S3Request): string {
  const path = request.addressing === "virtual" ? `/${request.bucket}${request.rawPath}` : request.rawPath;
  const parameters = [...request.query.keys()].filter((name) => SUBRESOURCES.has(name)).sort();
  const pairs = parameters.map((name) => {
    const value = queryValue(request.query, name) ?? "";
    return value === "" ? name : `${name}=${toBytes(value)}`;
  });
  return pairs.length === 0 ? path : `${path}?${pairs.join("&")}`;
}

function amzNames(request: S3Request): string[] {
  const names = [...request.headers.keys(), ...request.query.keys()].filter((name) => name.startsWith("x-amz-"));
  return [...new Set(names)].sort();
}

/** A header, or the parameter of its name that the signer made of it. */
function hoisted(request: S3Request, name: string): string | undefined {
  const header = headerValue(request.headers, name);
  if (header !== undefined) return header.trim();
  const parameter = queryValue(request.query, name);
  return parameter === undefined ? undefined : toBytes(parameter.trim());
}

function checkExpiry(expires: string, nowMs: number): void {
  if (!/^\d{1,12}$/.test(expires)) {
    throw new S3Error("AccessDenied", { message: "Invalid date (should be seconds since epoch)" });
  }
  const expiresAtMs = Number(expires) * 1000;
  if (nowMs <= expiresAtMs) return;
  throw new S3Error("AccessDenied", {
    message: "Request has expired",
    fields: { Expires: formatIsoDate(expiresAtMs), ServerTime: formatIsoDate(nowMs) },
  });
}

function single(query: S3Query, name: string): string {
  const values = query.get(name) ?? [];
  const [value] = values;
  if (value !== undefined && value !== "" && values.length === 1) return value;
  throw new S3Error("AccessDenied", {
    message: "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters, once each",
  });
}

/** Of a parameter given twice only the first would be signed. */
function refuseUnsigned(query: S3Query): void {
  for (const [name, values] of query) {
    const covered = AUTHENTICATION.has(name) || SUBRESOURCES.has(name) || name.startsWith("x-amz-");
    if (covered && values.length === 1) continue;
    throw new S3Error("InvalidRequest", {
      message: "Signature Version 2 does not cover all parameters of the request. Please use AWS4-HMAC-SHA256.",
    });
  }
}

/** Text as one character a byte of its UTF-8, as everything is signed here. */
function toBytes(text: string): string {
  return Buffer.from(text).toString("latin1");
}

const AUTHENTICATION: ReadonlySet<string> = new Set([
  "AWSAccessKeyId",
  "Signature",
  "Expires",
  "content-md5",
  "content-type",
]);

/** Parameters under the signature. AWS's list, as far as they mean something to calls on objects. */
const SUBRESOURCES: ReadonlySet<string> = new Set([
  "acl",
  "partNumber",
  "response-cache-control",
  "response-content-disposition",
  "response-content-encoding",
  "response-content-language",
  "response-content-type",
  "response-expires",
  "restore",
  "select",
  "select-type",
  "tagging",
  "torrent",
  "uploadId",
  "uploads",
  "versionId",
]);
