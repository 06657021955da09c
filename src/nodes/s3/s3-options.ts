import type { Clock } from "../../shared/clock.ts";
import type { Id } from "../../shared/ids.ts";
import type { Random } from "../../shared/random.ts";
import type { Secret } from "../../shared/secret.ts";
import { BLOCK_BYTES, NodeError } from "../storage-node.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
/** S3's own limit on an object sent in one request. */
const PUT_BYTES_MAX = 5 * 1024 * MIB;

/** Everything that an S3 node bounds. Finer timeouts, retries and concurrency are the wrappers' (nodes/wrappers). */
export interface S3NodeLimits {
  /** Connections to the node. Calls beyond them wait; the concurrency wrapper bounds how many. */
  readonly connectionsMax: number;
  readonly connectTimeoutMs: number;
  /** From the last byte that the node took of the request to the head of its answer. */
  readonly headersTimeoutMs: number;
  /** Between two chunks of an answer that somebody is waiting for. */
  readonly bodyTimeoutMs: number;
  /** An idle connection is closed after this; below the idle timeout of common servers, so that they do not close first. */
  readonly keepAliveMs: number;
  /** Bytes of one answer held for a slow reader before the node is no longer read from. */
  readonly readBufferBytes: number;
  /** Longest blob sent in one request; at most 5 GiB. */
  readonly multipartThresholdBytes: number;
  /** Part of a multipart upload: a multiple of BLOCK_BYTES, at least 5 MiB, S3's own limit. */
  readonly partBytes: number;
  /** Longest XML document taken from a node: 1,000 keys of 1,024 bytes, each escaped threefold, and what is around them. */
  readonly documentBytesMax: number;
  /** Largest difference between the node's clock and ours that admission lets pass. Nodes refuse requests at 15 min. */
  readonly clockSkewMsMax: number;
}

export const DEFAULT_S3_NODE_LIMITS: S3NodeLimits = {
  connectionsMax: 256,
  connectTimeoutMs: 3_000,
  headersTimeoutMs: 30_000,
  bodyTimeoutMs: 15_000,
  keepAliveMs: 10_000,
  readBufferBytes: 256 * KIB,
  multipartThresholdBytes: 128 * MIB,
  partBytes: 32 * MIB,
  documentBytesMax: 8 * MIB,
  clockSkewMsMax: 5 * 60_000,
};

/** Where a server's metrics are and what opens them. */
export interface MetricsPlace {
  /** Begins with a slash. */
  readonly path: string;
  /** Bearer token; servers that are set to serve their metrics to anybody want none. */
  readonly token?: Secret;
}

export interface S3NodeOptions {
  /** The configured name, for logs and metrics. */
  readonly name: string;
  /** `http://host[:port]` or `https://host[:port]`; the bucket is addressed by path. */
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** PEM of the certificate authorities to trust, in place of the system's. */
  readonly ca?: string;
  /** Where its server serves metrics; without it the node cannot tell its capacity. */
  readonly metrics?: MetricsPlace;
  readonly clusterId: Id;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits?: Partial<S3NodeLimits>;
}

export interface Endpoint {
  /** Scheme, host and port. */
  readonly origin: string;
  /** What the Host header says, and so what is signed: host, and the port unless it is the scheme's own. */
  readonly host: string;
}

/** @throws NodeError `invalid` that says what is wrong with it, but not what stands there: it may hold a password */
export function parseEndpoint(text: string): Endpoint {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) throw new NodeError("invalid", "the endpoint is no URL");
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new NodeError("invalid", "the endpoint is neither http:// nor https://");
  }
  if (url.username !== "" || url.password !== "") throw new NodeError("invalid", "the endpoint holds credentials");
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    throw new NodeError("invalid", "the endpoint has a path, a query or a fragment");
  }
  return { origin: url.origin, host: url.host };
}

/** Wider than AWS's rules, which other engines do not share, but nothing that would need escaping in a path. */
const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$/;

/** @throws NodeError `invalid` */
export function checkBucket(bucket: string): void {
  if (!BUCKET.test(bucket) || bucket.includes("..")) {
    throw new NodeError("invalid", "the bucket name is not 3 to 63 letters, digits, dots, hyphens and underscores");
  }
}

/** @throws NodeError `invalid` */
export function checkRegion(region: string): void {
  if (!/^[A-Za-z0-9-]{1,64}$/.test(region)) {
    throw new NodeError("invalid", "the region is not 1 to 64 letters, digits and hyphens");
  }
}

/** @throws NodeError `invalid` */
export function checkLimits({ partBytes, multipartThresholdBytes }: S3NodeLimits): void {
  if (partBytes <= 0 || partBytes % BLOCK_BYTES !== 0) {
    throw new NodeError("invalid", "the part size is no multiple of the block size");
  }
  if (multipartThresholdBytes > PUT_BYTES_MAX) {
    throw new NodeError("invalid", "the multipart threshold is above the 5 GiB that one request can carry");
  }
}
