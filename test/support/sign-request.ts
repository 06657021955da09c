/**
 * Signature Version 4 from the client's side, in as few lines as it takes and nothing from src/: for requests that no
 * SDK would send.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
import { createHmac, hash } from "node:crypto";

export interface SigningKeyPair {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
}

export interface RequestToSign {
  readonly method: string;
  /** Path and query, encoded as they are sent. */
  readonly target: string;
  /** Names in lower case; `host` among them. */
  readonly headers: Readonly<Record<string, string>>;
  /** Value of x-amz-content-sha256. */
  readonly payload: string;
  readonly nowMs: number;
}

export interface Signed {
  readonly headers: Readonly<Record<string, string>>;
  readonly signature: string;
  readonly amzDate: string;
  /** Signs the next chunk, or the trailer, of a body that goes on from this signature. */
  readonly sign: (lines: readonly string[]) => string;
}

export const EMPTY_SHA256 = hash("sha256", "");

/** The headers of a request, with those of its signature. */
export function signRequest(keys: SigningKeyPair, request: RequestToSign): Signed {
  const amzDate = amzDateOf(request.nowMs);
  const scope = `${amzDate.slice(0, 8)}/${keys.region}/s3/aws4_request`;
  const headers = { ...request.headers, "x-amz-date": amzDate, "x-amz-content-sha256": request.payload };
  const names = Object.keys(headers).sort();
  const [path = "", query = ""] = request.target.split(/\?(.*)/s);
  const canonical = [
    request.method,
    path,
    canonicalQuery(query),
    ...names.map((name) => `${name}:${(headers as Record<string, string>)[name]?.trim()}`),
    "",
    names.join(";"),
    request.payload,
  ].join("\n");
  const key = signingKey(keys, amzDate.slice(0, 8));
  const signature = hmac(
    key,
    ["AWS4-HMAC-SHA256", amzDate, scope, hash("sha256", Buffer.from(canonical, "latin1"))].join("\n"),
  ).toString("hex");
  const authorization = `AWS4-HMAC-SHA256 Credential=${keys.accessKeyId}/${scope}, SignedHeaders=${names.join(";")}, Signature=${signature}`;
  return {
    headers: { ...headers, authorization },
    signature,
    amzDate,
    sign: ([kind = "", ...lines]) => hmac(key, [kind, amzDate, scope, ...lines].join("\n")).toString("hex"),
  };
}

/** A body in signed chunks, with a signed trailer where one is given. */
export function signedChunks(
  signed: Signed,
  chunks: readonly Uint8Array[],
  trailer?: readonly [string, string],
): Buffer {
  const pieces: (string | Uint8Array)[] = [];
  let previous = signed.signature;
  for (const chunk of [...chunks, new Uint8Array(0)]) {
    previous = signed.sign(["AWS4-HMAC-SHA256-PAYLOAD", previous, EMPTY_SHA256, hash("sha256", chunk)]);
    pieces.push(`${chunk.length.toString(16)};chunk-signature=${previous}\r\n`);
    if (chunk.length > 0) pieces.push(chunk, "\r\n");
  }
  if (trailer !== undefined) {
    const [name, value] = trailer;
    const signature = signed.sign(["AWS4-HMAC-SHA256-TRAILER", previous, hash("sha256", `${name}:${value}\n`)]);
    pieces.push(`${name}:${value}\r\nx-amz-trailer-signature:${signature}\r\n`);
  }
  pieces.push("\r\n");
  return Buffer.concat(pieces.map((piece) => Buffer.from(piece)));
}

function canonicalQuery(query: string): string {
  const pairs = query.split("&").filter((pair) => pair !== "");
  return pairs
    .map((pair) => (pair.includes("=") ? pair : `${pair}=`))
    .map((pair) => ({ pair, name: pair.slice(0, pair.indexOf("=")) }))
    .sort((a, b) => (a.name === b.name ? Number(a.pair > b.pair) : a.name > b.name ? 1 : -1))
    .map(({ pair }) => pair)
    .join("&");
}

function signingKey({ secretAccessKey, region }: SigningKeyPair, date: string): Buffer {
  return ["s3", "aws4_request"].reduce(hmac, hmac(hmac(Buffer.from(`AWS4${secretAccessKey}`), date), region));
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

function amzDateOf(nowMs: number): string {
  return `${new Date(nowMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, "")}Z`;
}
