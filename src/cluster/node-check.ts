/**
 * Whether a node is there, is ours, and is the one we know: what its state follows from.
 */
import { LAST_JOURNAL_KEY } from "../nodes/copy-key.ts";
import { NodeError, type ProbeFinding, type StorageNode } from "../nodes/storage-node.ts";
import type { Id } from "../shared/ids.ts";
import { type Identity, judgeIdentity, writeIdentityDocument } from "./identity.ts";

export interface CheckResult {
  /** `answered`: it is there and is ours; `busy`: it answers, but cannot be looked at now, which is no absence. */
  readonly seen: "answered" | "silent" | "busy" | "denied" | "identity-gone" | "identity-wrong";
  /** For an operator; absent when it answered. */
  readonly reason?: string;
  /** The other node of this cluster that it says to be. */
  readonly sibling?: Id;
  /** The node passed admission in this very check and now carries our identity. */
  readonly admittedNow?: boolean;
}

/**
 * Checks a node. One that never was admitted goes through admission and gets our identity; one that was and carries
 * none any more was replaced.
 */
export async function checkNode(
  node: StorageNode,
  expected: Identity,
  how: {
    readonly clusterKey: Uint8Array;
    readonly admitted: boolean;
    /** Whether the cluster has, or had, a node of this uuid. */
    readonly isKnown: (nodeUuid: Id) => Promise<boolean>;
    readonly signal?: AbortSignal;
  },
): Promise<CheckResult> {
  try {
    const findings = await node.probe("reach", how.signal);
    if (findings.some(({ check, passed }) => check === "bucket-exists" && !passed)) {
      if (how.admitted) return { seen: "identity-gone", reason: "its bucket is gone" };
      return await admit(node, expected, { ...how, identified: false });
    }
    const unusable = failure(findings);
    if (unusable !== undefined) return unusable;
    const document = await node.readIdentity(how.signal);
    if (document !== undefined) {
      const verdict = judgeIdentity(document, expected, how.clusterKey);
      if (verdict.kind === "other") {
        const { sibling } = verdict;
        const abandoned = sibling !== undefined && !how.admitted && (await isAbandoned(node, sibling, how));
        return abandoned
          ? await admit(node, expected, { ...how, identified: false, over: document })
          : { seen: "identity-wrong", reason: verdict.reason, ...(sibling === undefined ? {} : { sibling }) };
      }
      return how.admitted ? { seen: "answered" } : await admit(node, expected, { ...how, identified: true });
    }
    if (how.admitted) return { seen: "identity-gone", reason: "the identity that this cluster left on it is gone" };
    return await admit(node, expected, { ...how, identified: false });
  } catch (error) {
    if (error instanceof NodeError) return stateOfError(error);
    throw error;
  }
}

/**
 * Whether a node got its identity from a commit that never came to be: the catalog was lost before its journal had the
 * node, so nobody knows of it and it got no blob.
 */
async function isAbandoned(
  node: StorageNode,
  nodeUuid: Id,
  how: { readonly isKnown: (nodeUuid: Id) => Promise<boolean>; readonly signal?: AbortSignal },
): Promise<boolean> {
  if (await how.isKnown(nodeUuid)) return false;
  const { blobs } = await node.list({ after: LAST_JOURNAL_KEY, limit: 1 }, how.signal);
  return blobs.length === 0;
}

async function admit(
  node: StorageNode,
  expected: Identity,
  how: {
    readonly clusterKey: Uint8Array;
    readonly identified: boolean;
    /** The identity that ours takes the place of. */
    readonly over?: Uint8Array;
    readonly signal?: AbortSignal;
  },
): Promise<CheckResult> {
  const failed = failure(await node.probe("admission", how.signal));
  if (failed !== undefined)
    return failed.seen === "silent" || failed.seen === "busy" ? failed : { ...failed, seen: "identity-wrong" };
  if (!how.identified) {
    await node.writeIdentity(writeIdentityDocument(expected, how.clusterKey), how.signal, how.over);
  }
  return { seen: "answered", admittedNow: true };
}

function failure(findings: readonly ProbeFinding[]): CheckResult | undefined {
  const failed = findings.filter((finding) => !finding.passed);
  if (failed.length === 0) return undefined;
  const reason = failed.map(({ check, reason: why }) => (why === undefined ? check : `${check}: ${why}`)).join("; ");
  const reach = failed.find(({ check }) => check === "reach");
  if (reach?.kind === "busy") return { seen: "busy", reason };
  if (reach !== undefined) return { seen: "silent", reason };
  if (failed.some(({ check }) => check === "access")) return { seen: "denied", reason };
  return { seen: "identity-wrong", reason };
}

function stateOfError(error: NodeError): CheckResult {
  switch (error.kind) {
    case "access-denied":
      return { seen: "denied", reason: error.message };
    case "not-found":
      return { seen: "identity-gone", reason: error.message };
    case "refused":
    case "corrupt":
      return { seen: "identity-wrong", reason: error.message };
    case "busy":
    case "full":
    case "read-only":
      return { seen: "busy", reason: error.message };
    default:
      return { seen: "silent", reason: error.message };
  }
}
