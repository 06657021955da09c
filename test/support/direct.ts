/** Reads past the gateway, over a gateway in memory whose nodes answer HEAD as S3 nodes do. */
import { hash } from "node:crypto";
import type { DirectContext } from "../../src/admin/direct-view.ts";
import type { DirectNode } from "../../src/nodes/s3/direct-node.ts";
import type { ServedAs } from "../../src/nodes/storage-node.ts";
import { type DeclineReason, DirectReads } from "../../src/objects/direct-reads.ts";
import { DirectCopies } from "../../src/replication/read/direct-copies.ts";
import { createPresigner } from "../../src/s3/presign.ts";
import { Secret } from "../../src/shared/secret.ts";
import { GRACE_MS, type InMemoryGateway } from "./in-memory-gateway.ts";

export const URL_KEYS = { accessKey: "ROOTKEY", secretKey: new Secret("root-secret"), region: "us-east-1" };

/** Makes every node say of its copies what an S3 node would: ETag and a time, the same for all of them. */
export function answerAsS3(gateway: InMemoryGateway, change: Partial<ServedAs> = {}): void {
  const modifiedAtMs = gateway.clock.nowMs() - 1_000;
  for (const { control, store } of gateway.nodes.values()) {
    control.hooks.head = async (key, pass) => {
      const stat = await pass(key);
      const etag = hash("md5", store.blobs.get(key)?.bytes ?? "");
      return stat && { ...stat, served: { etag, modifiedAtMs, ...change } };
    };
  }
}

export interface DirectWorld {
  readonly reads: DirectReads;
  /** What became of reads that a bucket wanted sent on. */
  readonly outcomes: ({ readonly node: string } | { readonly declined: DeclineReason })[];
}

/** URLs are `direct:{node}/{copy key}?{expires}`, so that tests see what they lead to. @param internal nodes without an endpoint of their own for others */
export function directWorld(
  gateway: InMemoryGateway,
  how: { readonly graceMs?: number; readonly internal?: readonly string[]; readonly volumes?: readonly string[] } = {},
): DirectWorld {
  const outcomes: DirectWorld["outcomes"] = [];
  const { clock, random } = gateway;
  const directOf = (uuid: string): DirectNode | undefined => {
    const { name } = gateway.nodeOf(uuid);
    return how.volumes?.includes(name) === true
      ? undefined
      : {
          external: how.internal?.includes(name) !== true,
          sign: (key, { method, expiresSeconds, headers }) =>
            `direct:${name}/${key}?${JSON.stringify({ method, expiresSeconds, headers })}`,
        };
  };
  const reads = new DirectReads({
    catalog: gateway.process.catalog,
    copies: new DirectCopies({ members: () => gateway.members, directOf, clock, random }),
    clock,
    graceMs: how.graceMs ?? GRACE_MS,
    onRedirect: (outcome) => void outcomes.push(outcome),
  });
  return { reads, outcomes };
}

/** What the admin API needs of all this. */
export function directContext(gateway: InMemoryGateway): DirectContext {
  return {
    catalog: gateway.process.catalog,
    members: () => gateway.members,
    directReads: directWorld(gateway).reads,
    presign: createPresigner({}, URL_KEYS, () => "http://127.0.0.1:9070"),
    clock: gateway.clock,
  };
}
