/**
 * URLs of this gateway, presigned with the root user's keys.
 */
import { presignUrl, signedAtMs, type UrlKeys, type UrlToSign } from "../shared/presign-url.ts";
import type { S3Settings } from "./call.ts";

export interface PresignRequest {
  readonly method: UrlToSign["method"];
  readonly bucket: string;
  readonly key: string;
  readonly versionId?: string;
  readonly nowMs: number;
  readonly expiresSeconds: number;
}

export interface PresignedUrl {
  readonly url: string;
  readonly expiresAtMs: number;
}

export type Presigner = (request: PresignRequest) => PresignedUrl;

/** By which address clients reach the gateway is not known. */
export class NoPublicAddressError extends Error {
  constructor(reason: string) {
    super(`server.s3.publicUrl is not set, and ${reason}`);
    this.name = "NoPublicAddressError";
  }
}

/**
 * @param listenUrl the address that the gateway listens on, asked for at each call; undefined before it does
 * @returns what throws NoPublicAddressError, and RangeError for a life that S3 does not take
 */
export function createPresigner(
  settings: Pick<S3Settings, "domain" | "publicUrl">,
  keys: UrlKeys,
  listenUrl: () => string | undefined,
): Presigner {
  return ({ method, bucket, key, versionId, nowMs, expiresSeconds }) => {
    const base = settings.publicUrl ?? reachable(listenUrl());
    const virtual = virtualOrigin(base, bucket, settings);
    const url = presignUrl(
      {
        method,
        origin: virtual ?? base,
        path: virtual === undefined ? `/${bucket}/${key}` : `/${key}`,
        query: versionId === undefined ? {} : { versionId },
        nowMs,
        expiresSeconds,
      },
      keys,
    );
    return { url, expiresAtMs: signedAtMs(nowMs) + expiresSeconds * 1000 };
  };
}

function reachable(listenUrl: string | undefined): string {
  if (listenUrl === undefined) throw new NoPublicAddressError("the gateway does not listen yet");
  const { hostname } = new URL(listenUrl);
  if (hostname === "0.0.0.0" || hostname === "[::]") {
    throw new NoPublicAddressError("the gateway listens on every address: it cannot tell how clients reach it");
  }
  return listenUrl;
}

/**
 * The address of a bucket by its name in the host, where requests sent there are known to arrive: the public URL, if
 * there is one, is that of the domain. A name with dots is in no wildcard certificate.
 */
function virtualOrigin(
  base: string,
  bucket: string,
  { domain, publicUrl }: Pick<S3Settings, "domain" | "publicUrl">,
): string | undefined {
  const { protocol, hostname, port } = new URL(base);
  if (domain === undefined || (publicUrl !== undefined && hostname !== domain)) return undefined;
  if (protocol === "https:" && bucket.includes(".")) return undefined;
  return `${protocol}//${bucket}.${domain}${port === "" ? "" : `:${port}`}`;
}
