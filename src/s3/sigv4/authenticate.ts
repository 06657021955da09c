/**
 * Who sends a request, proven by its signature in the Authorization header or in a presigned URL. What it may do is no
 * matter of this file, nor is whether the body is the one that was signed (payload-mode.ts, aws-chunked.ts).
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
 */
import { S3Error } from "../errors.ts";
import { headerValue } from "../headers.ts";
import { formatIsoDate } from "../http-dates.ts";
import { queryValue, type S3Request } from "../request.ts";
import { canonicalRequest, stringToSign } from "./canonical-request.ts";
import { type Credential, type CredentialLookup, findCredential } from "./credential.ts";
import { type PayloadMode, parsePayloadMode, UNSIGNED_PAYLOAD } from "./payload-mode.ts";
import { verifyPresignedV2 } from "./presigned-v2.ts";
import { claimInHeader, claimInQuery, mechanismOf, type SignatureClaim } from "./signature-claim.ts";
import { type SigningKeys, type SigningScope, sameText, sign } from "./signing-key.ts";

/** Furthest that a client's clock may be off, either way. */
export const CLOCK_SKEW_MS_MAX = 15 * 60 * 1000;

export interface Authenticator<C extends Credential> {
  readonly lookup: CredentialLookup<C>;
  /** The only region that signatures may name. */
  readonly region: string;
  readonly signingKeys: SigningKeys;
}

/** What the signature of each chunk goes on from (aws-chunked.ts). */
export interface ChunkSigning {
  readonly signingKey: Buffer;
  readonly scope: SigningScope;
  /** `20130524T000000Z` */
  readonly amzDate: string;
  /** The request's own signature. */
  readonly seedSignature: string;
}

export type Authentication<C extends Credential> =
  | { readonly kind: "anonymous"; readonly payload: PayloadMode }
  | {
      readonly kind: "signed";
      readonly from: "header" | "query";
      readonly credential: C;
      readonly payload: PayloadMode;
      /** Set where the payload comes in signed chunks. */
      readonly chunkSigning?: ChunkSigning;
    };

/**
 * @returns the credential that signed the request, or that it is anonymous
 * @throws S3Error with the code that AWS gives to each fault
 */
export async function authenticate<C extends Credential>(
  request: S3Request,
  authenticator: Authenticator<C>,
  nowMs: number,
): Promise<Authentication<C>> {
  const mechanism = mechanismOf(request);
  if (mechanism === "none") return { kind: "anonymous", payload: unsignedPayload(request) };
  if (mechanism === "query-v2") {
    const credential = await verifyPresignedV2(request, authenticator.lookup, nowMs);
    return { kind: "signed", from: "query", credential, payload: unsignedPayload(request) };
  }
  const claim = mechanism === "header" ? claimInHeader(request, nowMs) : claimInQuery(request.query);
  checkTime(claim, request, nowMs);
  checkRegion(claim, authenticator.region);
  const credential = await findCredential(claim, authenticator.lookup, nowMs);
  checkSignedHeaders(claim, request);

  const payloadHash = payloadHashOf(claim, request);
  const payload = parsePayloadMode(payloadHash);
  const signingKey = authenticator.signingKeys.get(credential, claim.scope);
  const canonical = canonicalRequest(request, claim.signedHeaders, payloadHash);
  const toSign = stringToSign(claim.amzDate, claim.scope, canonical);
  const expected = sign(signingKey, toSign);
  if (!sameText(expected, claim.signature)) {
    throw new S3Error("SignatureDoesNotMatch", {
      // What the client needs to find its own mistake; all of it comes from the request.
      fields: {
        AWSAccessKeyId: claim.accessKeyId,
        StringToSign: toSign,
        SignatureProvided: claim.signature,
        CanonicalRequest: canonical,
      },
    });
  }
  const signedChunks = payload.kind === "aws-chunked" && payload.signed;
  return {
    kind: "signed",
    from: claim.from,
    credential,
    payload,
    ...(signedChunks && {
      chunkSigning: { signingKey, scope: claim.scope, amzDate: claim.amzDate, seedSignature: expected },
    }),
  };
}

/** Of a request whose signature, if any, says nothing of chunks. */
function unsignedPayload(request: S3Request): PayloadMode {
  const payload = parsePayloadMode(headerValue(request.headers, "x-amz-content-sha256") ?? UNSIGNED_PAYLOAD);
  if (payload.kind === "aws-chunked" && payload.signed) {
    throw new S3Error("InvalidRequest", {
      message:
        "Requests without a signature of version 4 don't support this x-amz-content-sha256 value. Please use UNSIGNED-PAYLOAD or STREAMING-UNSIGNED-PAYLOAD-TRAILER.",
    });
  }
  return payload;
}

/** Signed requests must be fresh; presigned URLs may be as old as they say themselves. */
function checkTime(claim: SignatureClaim, request: S3Request, nowMs: number): void {
  const serverTime = isoSeconds(nowMs);
  if (claim.expiresSeconds === undefined) {
    if (Math.abs(nowMs - claim.signedAtMs) <= CLOCK_SKEW_MS_MAX) return;
    throw new S3Error("RequestTimeTooSkewed", {
      fields: {
        RequestTime: headerValue(request.headers, "x-amz-date") ?? headerValue(request.headers, "date") ?? "",
        ServerTime: serverTime,
        MaxAllowedSkewMilliseconds: CLOCK_SKEW_MS_MAX,
      },
    });
  }
  if (claim.signedAtMs - nowMs > CLOCK_SKEW_MS_MAX) {
    throw new S3Error("AccessDenied", { message: "Request is not valid yet", fields: { ServerTime: serverTime } });
  }
  const expiresAtMs = claim.signedAtMs + claim.expiresSeconds * 1000;
  if (nowMs > expiresAtMs) {
    throw new S3Error("AccessDenied", {
      message: "Request has expired",
      fields: {
        "X-Amz-Expires": claim.expiresSeconds,
        Expires: isoSeconds(expiresAtMs),
        ServerTime: serverTime,
      },
    });
  }
}

function checkRegion(claim: SignatureClaim, region: string): void {
  if (claim.scope.region === region) return;
  const reason = `the region '${claim.scope.region}' is wrong; expecting '${region}'`;
  // SDKs read the field and try again with the right region.
  const fields = { Region: region };
  if (claim.from === "header") {
    const message = `The authorization header is malformed; ${reason}`;
    throw new S3Error("AuthorizationHeaderMalformed", { message, fields });
  }
  const message = `Error parsing the X-Amz-Credential parameter; ${reason}`;
  throw new S3Error("AuthorizationQueryParametersError", { message, fields });
}

/** The host, and all that S3 itself reads, must be under the signature; else whoever relays it could change it. */
function checkSignedHeaders(claim: SignatureClaim, request: S3Request): void {
  const signed = new Set(claim.signedHeaders);
  const missing = [...request.headers.keys()].filter((name) => name.startsWith("x-amz-") && !signed.has(name));
  if (!signed.has("host")) missing.unshift("host");
  if (missing.length === 0) return;
  throw new S3Error("AccessDenied", {
    message: "There were headers present in the request which were not signed",
    fields: { HeadersNotSigned: missing.join(", ") },
  });
}

function payloadHashOf(claim: SignatureClaim, request: S3Request): string {
  const header = headerValue(request.headers, "x-amz-content-sha256");
  if (header !== undefined) return header;
  if (claim.from === "query") return queryValue(request.query, "X-Amz-Content-Sha256") ?? UNSIGNED_PAYLOAD;
  throw new S3Error("InvalidRequest", {
    message: "Missing required header for this request: x-amz-content-sha256",
  });
}

function isoSeconds(ms: number): string {
  return `${formatIsoDate(ms).slice(0, 19)}Z`;
}
