/**
 * What a request says of its own signature, in the Authorization header or in the query of a presigned URL. Nothing is
 * verified here but the form.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
 */
import { invalidArgument, S3Error } from "../errors.ts";
import { headerValue, type S3Headers } from "../headers.ts";
import { formatAmzDate, parseAmzDate, parseHttpDate } from "../http-dates.ts";
import type { S3Query, S3Request } from "../request.ts";
import { ALGORITHM } from "./canonical-request.ts";
import type { CredentialClaim } from "./credential.ts";
import { hasPresignedV2 } from "./presigned-v2.ts";
import { SERVICE, type SigningScope, TERMINATOR } from "./signing-key.ts";

export interface SignatureClaim extends CredentialClaim {
  readonly from: "header" | "query";
  readonly scope: SigningScope;
  /** In lower case, in the order listed. */
  readonly signedHeaders: readonly string[];
  /** As given; not even known to be hexadecimal. */
  readonly signature: string;
  /** `20130524T000000Z` */
  readonly amzDate: string;
  readonly signedAtMs: number;
  /** Of a presigned URL only, counted from `signedAtMs`. */
  readonly expiresSeconds?: number;
}

/** Longest life of a presigned URL: seven days. */
export const EXPIRES_SECONDS_MAX = 604_800;

const QUERY_PARAMETERS = [
  "X-Amz-Algorithm",
  "X-Amz-Credential",
  "X-Amz-Signature",
  "X-Amz-Date",
  "X-Amz-SignedHeaders",
  "X-Amz-Expires",
] as const;

/** Where a request has its signature. @throws S3Error InvalidArgument where it has several */
export function mechanismOf(request: S3Request): "none" | "header" | "query" | "query-v2" {
  const { headers, query } = request;
  const inHeader = headers.has("authorization");
  const inQuery = QUERY_PARAMETERS.some((name) => query.has(name));
  const version2 = hasPresignedV2(query);
  if (Number(inHeader) + Number(inQuery) + Number(version2) > 1) {
    throw invalidArgument(
      "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified",
      "Authorization",
    );
  }
  if (inHeader) return "header";
  if (inQuery) return "query";
  return version2 ? "query-v2" : "none";
}

/**
 * @throws S3Error AccessDenied (no date), AuthorizationHeaderMalformed, InvalidArgument (another scheme), InvalidRequest
 *   (Signature Version 2), NotImplemented (asymmetric signatures)
 */
export function claimInHeader(request: S3Request, nowMs: number): SignatureClaim {
  const { headers } = request;
  const [authorization = "", ...more] = headers.get("authorization") ?? [];
  if (more.length > 0) throw malformedHeader("it must be given once.");
  const { amzDate, signedAtMs } = dateInHeaders(headers, nowMs);
  const scheme = authorization.split(" ", 1)[0] ?? "";
  if (scheme === "AWS") {
    const message = `The authorization mechanism you have provided is not supported. Please use ${ALGORITHM}.`;
    throw new S3Error("InvalidRequest", { message });
  }
  if (scheme === "AWS4-ECDSA-P256-SHA256") throw asymmetric();
  if (scheme !== ALGORITHM) throw invalidArgument("Unsupported Authorization Type", "Authorization");
  const { credential, signedHeaders, signature } = parseComponents(authorization.slice(scheme.length));
  const { accessKeyId, scope } = parseCredential(credential, malformedHeader);
  if (!amzDate.startsWith(scope.date)) {
    throw malformedHeader("Invalid credential date. Date is not the same as X-Amz-Date.");
  }
  const sessionToken = headerValue(headers, "x-amz-security-token");
  return {
    from: "header",
    accessKeyId,
    scope,
    signedHeaders: signedHeaders.toLowerCase().split(";"),
    signature,
    amzDate,
    signedAtMs,
    ...(sessionToken !== undefined && { sessionToken }),
  };
}

/** `Credential=..., SignedHeaders=..., Signature=...`, in any order. */
function parseComponents(text: string): { credential: string; signedHeaders: string; signature: string } {
  const components = new Map<string, string>();
  for (const component of text.split(",")) {
    const equals = component.indexOf("=");
    const name = component.slice(0, Math.max(equals, 0)).trim();
    if (name === "" || components.has(name)) throw malformedHeader("a component is malformed.");
    components.set(name, component.slice(equals + 1).trim());
  }
  const credential = components.get("Credential");
  const signedHeaders = components.get("SignedHeaders");
  const signature = components.get("Signature");
  if (!credential || !signedHeaders || !signature || components.size !== 3) {
    throw malformedHeader(
      "the authorization header requires three components: Credential, SignedHeaders, and Signature.",
    );
  }
  return { credential, signedHeaders, signature };
}

/** `x-amz-date` goes before `Date`, which a proxy or a browser may have set. */
function dateInHeaders(headers: S3Headers, nowMs: number): { amzDate: string; signedAtMs: number } {
  const text = headerValue(headers, "x-amz-date") ?? headerValue(headers, "date") ?? "";
  const signedAtMs = parseAmzDate(text) ?? parseHttpDate(text, nowMs);
  if (signedAtMs === undefined) {
    throw new S3Error("AccessDenied", {
      message: "AWS authentication requires a valid Date or x-amz-date header",
    });
  }
  return { amzDate: formatAmzDate(signedAtMs), signedAtMs };
}

/** @throws S3Error AuthorizationQueryParametersError, NotImplemented (asymmetric signatures) */
export function claimInQuery(query: S3Query): SignatureClaim {
  const [algorithm, credential, signature, amzDate, signedHeaders, expires] = QUERY_PARAMETERS.map((name) => {
    const values = query.get(name) ?? [];
    if (values.length > 1) throw malformedQuery(`${name} must be given once.`);
    return values[0];
  });
  if (algorithm === "AWS4-ECDSA-P256-SHA256") throw asymmetric();
  if (algorithm && algorithm !== ALGORITHM) throw malformedQuery(`X-Amz-Algorithm only supports "${ALGORITHM}"`);
  if (!algorithm || !credential || !signature || !amzDate || !signedHeaders || !expires) {
    throw malformedQuery(
      "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
    );
  }
  const { accessKeyId, scope } = parseCredential(credential, (reason) =>
    malformedQuery(`Error parsing the X-Amz-Credential parameter; ${reason}`),
  );
  const signedAtMs = parseAmzDate(amzDate);
  if (signedAtMs === undefined) {
    throw malformedQuery(`X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`);
  }
  if (!amzDate.startsWith(scope.date)) {
    throw malformedQuery(
      `Invalid credential date "${scope.date}". This date is not the same as X-Amz-Date: "${amzDate.slice(0, 8)}".`,
    );
  }
  const sessionToken = query.get("X-Amz-Security-Token")?.[0];
  return {
    from: "query",
    accessKeyId,
    scope,
    signedHeaders: signedHeaders.toLowerCase().split(";"),
    signature,
    amzDate,
    signedAtMs,
    expiresSeconds: parseExpires(expires),
    ...(sessionToken !== undefined && { sessionToken }),
  };
}

function parseExpires(text: string): number {
  if (!/^[+-]?\d+$/.test(text)) throw malformedQuery("X-Amz-Expires should be a number");
  const seconds = Number(text);
  if (seconds < 0) throw malformedQuery("X-Amz-Expires must be non-negative");
  if (seconds > EXPIRES_SECONDS_MAX) {
    throw malformedQuery(
      "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds",
    );
  }
  return seconds;
}

/** `AKID/20130524/us-east-1/s3/aws4_request`; the access key id itself may hold slashes. */
function parseCredential(
  credential: string,
  malformed: (reason: string) => S3Error,
): { accessKeyId: string; scope: SigningScope } {
  const parts = credential.split("/");
  const [date, region, service, terminator] = parts.splice(-4);
  const accessKeyId = parts.join("/");
  if (accessKeyId === "" || !date || !region || service === undefined || terminator === undefined) {
    throw malformed('the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".');
  }
  if (!/^\d{8}$/.test(date)) {
    throw malformed(`incorrect date format "${date}". This date in the credential must be in the format "yyyyMMdd".`);
  }
  if (service !== SERVICE) {
    throw malformed(`incorrect service "${service}". This endpoint belongs to "${SERVICE}".`);
  }
  if (terminator !== TERMINATOR) {
    throw malformed(`incorrect terminal "${terminator}". This endpoint uses "${TERMINATOR}".`);
  }
  return { accessKeyId, scope: { date, region } };
}

function malformedHeader(reason: string): S3Error {
  return new S3Error("AuthorizationHeaderMalformed", { message: `The authorization header is malformed; ${reason}` });
}

function malformedQuery(message: string): S3Error {
  return new S3Error("AuthorizationQueryParametersError", { message });
}

function asymmetric(): S3Error {
  return new S3Error("NotImplemented", {
    message: `Signatures of AWS4-ECDSA-P256-SHA256 are not implemented. Please use ${ALGORITHM}.`,
  });
}
