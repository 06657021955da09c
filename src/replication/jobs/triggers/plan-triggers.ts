/**
 * Which jobs begin by themselves: what is to be done about a node that is another one than it was when somebody looked
 * last. Pure. It goes by what is so now, and not by the moment at which it came about: a change that nobody saw happen is
 * acted on by whoever looks next, and one that was acted on is not again.
 */
import type { JobKind } from "../../../catalog/records/job.ts";
import type { SeenCapacity, SeenNode } from "../../../catalog/records/seen-node.ts";
import type { NewEvent } from "../../../cluster/events/event.ts";
import { CHANGE_SHARE, capacityChanged } from "../../../nodes/capacity-change.ts";
import type { Capacity } from "../../../nodes/storage-node.ts";

/** A node as it is now. */
export interface NodeNow {
  readonly name: string;
  readonly domain: string;
  /** It serves a domain that it does not stand in. */
  readonly promoted: boolean;
  /** Its domain is one that holds planned copies. */
  readonly inActiveDomain: boolean;
  /** Its weight in its domain's ring: 0 while it is to take no copies. */
  readonly ringWeight: number;
  readonly decommissioned: boolean;
  readonly online: boolean;
  /** Copies on it are on record as unverified; asked for only while it is away. */
  readonly unverified: boolean;
  /** `undefined` while it is not known. */
  readonly capacity: Pick<Capacity, "totalBytes" | "usedBytes"> | undefined;
}

/** A job that is to be queued for the node. */
export interface Trigger {
  readonly kind: Extract<JobKind, "MIGRATE_FROM_FAILED" | "COPY_TO_PROMOTED" | "RESYNC" | "REBALANCE_TO_NEW">;
  /** For people. */
  readonly cause: string;
}

export interface TriggerPlan {
  readonly jobs: readonly Trigger[];
  readonly events: readonly NewEvent[];
  /** What is on record of the node once the jobs are queued. */
  readonly seen: SeenNode;
}

/** A node of which nothing is to be done: what it is now is how it always was. */
export function seenAsItIs({ domain, ringWeight, decommissioned, unverified, capacity }: NodeNow): SeenNode {
  return {
    ...{ domain, ringWeight, decommissioned, unverified },
    ...(capacity === undefined ? {} : { capacity: bytesOf(capacity) }),
  };
}

/** @param seen `undefined` for a node that is new */
export function planTriggers(seen: SeenNode | undefined, now: NodeNow): TriggerPlan {
  const capacity = planCapacity(seen?.capacity, now);
  const joined = joining(seen, now) ?? capacity.grown;
  const isBack = seen?.unverified === true && now.online && !now.decommissioned;
  const jobs: Trigger[] = [];
  if (now.decommissioned && seen?.decommissioned !== true) {
    jobs.push({ kind: "MIGRATE_FROM_FAILED", cause: "the node was decommissioned" });
  }
  if (now.promoted && seen?.domain !== now.domain) {
    jobs.push({ kind: "COPY_TO_PROMOTED", cause: `the node was promoted into ${now.domain}` });
  }
  if (isBack) jobs.push({ kind: "RESYNC", cause: "the node is back, and its copies have to be checked" });
  if (joined !== undefined && !now.promoted && now.inActiveDomain && now.ringWeight > 0) {
    jobs.push({ kind: "REBALANCE_TO_NEW", cause: joined });
  }
  return {
    jobs,
    events: capacity.events,
    seen: {
      domain: now.domain,
      ringWeight: weightOnRecord(seen, now),
      decommissioned: now.decommissioned,
      unverified: !isBack && !now.online && (seen?.unverified === true || now.unverified),
      ...(capacity.seen === undefined ? {} : { capacity: capacity.seen }),
    },
  };
}

/** Why the ring gives the node copies that others of its domain hold; `undefined` where it does not. */
function joining(seen: SeenNode | undefined, { domain, ringWeight }: NodeNow): string | undefined {
  if (seen === undefined) return "the node was added";
  if (seen.domain !== domain) return `the node was moved into ${domain}`;
  if (seen.ringWeight === 0) return ringWeight > 0 ? "the node takes copies now" : undefined;
  if (!hasGrown(seen.ringWeight, ringWeight)) return undefined;
  return `the node's weight was ${seen.ringWeight} and is ${ringWeight}`;
}

/** A weight that rises step by step is measured from where it stood when copies were moved last. */
function weightOnRecord(seen: SeenNode | undefined, { domain, ringWeight }: NodeNow): number {
  if (seen === undefined || seen.domain !== domain || ringWeight <= seen.ringWeight) return ringWeight;
  return hasGrown(seen.ringWeight, ringWeight) ? ringWeight : seen.ringWeight;
}

function hasGrown(before: number, after: number): boolean {
  return after > before && after - before >= CHANGE_SHARE * before;
}

function planCapacity(
  before: SeenCapacity | undefined,
  { name, domain, capacity: now }: NodeNow,
): { readonly seen: SeenCapacity | undefined; readonly events: readonly NewEvent[]; readonly grown?: string } {
  if (now === undefined) return { seen: before, events: [] };
  const seen = bytesOf(now);
  if (before === undefined) return { seen, events: [] };
  if (!capacityChanged(before, now)) return { seen: before, events: [] };
  const cause = `it had ${inWords(before)}; it has ${inWords(now)}`;
  return {
    seen,
    events: [{ kind: "NODE_CAPACITY_CHANGED", node: name, domain, cause }],
    ...(hasGrown(before.totalBytes, now.totalBytes) ? { grown: "the node's disk has grown" } : {}),
  };
}

function bytesOf({ totalBytes, usedBytes }: SeenCapacity): SeenCapacity {
  return { totalBytes, usedBytes };
}

function inWords({ totalBytes, usedBytes }: SeenCapacity): string {
  return `${totalBytes} bytes, ${usedBytes} of them used`;
}
