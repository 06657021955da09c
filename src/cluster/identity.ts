/**
 * The identity that Bulkhead leaves on a node: which cluster's node it is, and which one. Signed, so that nobody who
 * can write to a bucket can pass it off as another node.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import * as z from "zod";
import type { Id } from "../shared/ids.ts";

export interface Identity {
  readonly clusterId: Id;
  readonly nodeUuid: Id;
}

const documentSchema = z.object({
  format: z.literal(1),
  clusterId: z.string(),
  nodeUuid: z.string(),
  signature: z.string(),
});

/** The document as it lies on the node: JSON, signed with the cluster's key. */
export function writeIdentityDocument(identity: Identity, clusterKey: Uint8Array): Buffer {
  const { clusterId, nodeUuid } = identity;
  const signature = sign(identity, clusterKey).toString("hex");
  return Buffer.from(`${JSON.stringify({ format: 1, clusterId, nodeUuid, signature })}\n`);
}

/**
 * Whose the document says that the node is.
 * @returns undefined when it cannot be read; `signed` tells whether it was signed with the cluster's key
 */
export function readIdentityDocument(
  document: Uint8Array,
  clusterKey: Uint8Array,
): (Identity & { readonly signed: boolean }) | undefined {
  const parsed = parseDocument(document);
  return parsed && { clusterId: parsed.clusterId, nodeUuid: parsed.nodeUuid, signed: isSigned(parsed, clusterKey) };
}

export type IdentityVerdict =
  | { readonly kind: "same" }
  /** Another node's, another cluster's, or none at all; `reason` is for an operator. */
  | {
      readonly kind: "other";
      readonly reason: string;
      /** The other node of this cluster that it says to be. */
      readonly sibling?: Id;
    };

export function judgeIdentity(document: Uint8Array, expected: Identity, clusterKey: Uint8Array): IdentityVerdict {
  const parsed = parseDocument(document);
  if (parsed === undefined) return { kind: "other", reason: "its identity document cannot be read" };
  if (parsed.clusterId !== expected.clusterId) {
    return { kind: "other", reason: `it belongs to another cluster (${parsed.clusterId})` };
  }
  if (!isSigned(parsed, clusterKey)) {
    return { kind: "other", reason: "its identity is not signed with this cluster's key" };
  }
  if (parsed.nodeUuid !== expected.nodeUuid) {
    const sibling = parsed.nodeUuid;
    return { kind: "other", reason: `it is another node of this cluster (${sibling})`, sibling };
  }
  return { kind: "same" };
}

function parseDocument(document: Uint8Array): z.infer<typeof documentSchema> | undefined {
  try {
    return documentSchema.parse(JSON.parse(Buffer.from(document).toString()));
  } catch {
    return undefined;
  }
}

function isSigned(document: z.infer<typeof documentSchema>, clusterKey: Uint8Array): boolean {
  const signature = Buffer.from(document.signature, "hex");
  const right = sign(document, clusterKey);
  return signature.length === right.length && timingSafeEqual(signature, right);
}

function sign({ clusterId, nodeUuid }: Identity, clusterKey: Uint8Array): Buffer {
  return createHmac("sha256", clusterKey).update(`bulkhead-node-identity:1:${clusterId}:${nodeUuid}`).digest();
}
