/**
 * URLs by which others read copies from an S3 node itself, past the gateway. Each is signed for the endpoint by which
 * they reach the node, which need not be the one that the gateway uses.
 */
import type { Id } from "../../shared/ids.ts";
import { presignUrl, type UrlKeys } from "../../shared/presign-url.ts";
import type { CopyKey } from "../storage-node.ts";
import { NodeKeys } from "./node-keys.ts";

export interface CopyUrl {
  readonly method: "GET" | "HEAD";
  readonly nowMs: number;
  readonly expiresSeconds: number;
  /** Content headers that the node is to send, names in lower case: a copy has none of its own. */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

export interface DirectNode {
  /** Whether an endpoint was named for use from outside; else URLs are for the one that the gateway uses. */
  readonly external: boolean;
  /** @throws RangeError for a life that S3 does not take */
  sign(key: CopyKey, url: CopyUrl): string;
}

export interface DirectNodeOptions {
  readonly clusterId: Id;
  readonly endpoint: string;
  readonly externalEndpoint?: string;
  readonly bucket: string;
  readonly keys: UrlKeys;
}

export function directNode({ clusterId, endpoint, externalEndpoint, bucket, keys }: DirectNodeOptions): DirectNode {
  const nodeKeys = new NodeKeys(clusterId);
  return {
    external: externalEndpoint !== undefined,
    sign: (key, { method, nowMs, expiresSeconds, headers }) =>
      presignUrl(
        {
          method,
          origin: externalEndpoint ?? endpoint,
          path: `/${bucket}/${nodeKeys.blob(key)}`,
          query: Object.fromEntries(headers.map(([name, value]) => [`response-${name}`, value])),
          nowMs,
          expiresSeconds,
        },
        keys,
      ),
  };
}
