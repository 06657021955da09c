/**
 * What the record of a blob proves: how many good copies there are, in which fault domains, and how long ago they were
 * verified. Nothing is asked of a node.
 */
import { type Blob, isReadable, type Slot, type SlotState } from "../../catalog/records/blob.ts";
import type { Members } from "../../cluster/members.ts";
import { isAbsent } from "../../replication/repair/absent-nodes.ts";
import type { Id } from "../../shared/ids.ts";

/** What the copies are judged by, the same for a whole answer. */
export interface Standard {
  readonly members: Members;
  /** The fault domain that each node of the topology lives in, whichever it serves: what fails together. */
  readonly homes: ReadonlyMap<Id, string>;
  /** Domains that are to hold a copy. */
  readonly factor: number;
}

/** Of one blob, or of several taken together. */
export interface Assessment {
  readonly blobs: number;
  /** Of the blob that has the fewest; `undefined` where there is none, as all others. */
  readonly good: number | undefined;
  readonly wanted: number | undefined;
  readonly reachable: number | undefined;
  readonly domainCount: number | undefined;
  /** Domains that hold a good copy of each blob. */
  readonly domains: readonly string[];
  /** The oldest; `never` where a good copy has none on record, `undefined` where there is no good copy. */
  readonly verifiedAtMs: number | "never" | undefined;
  readonly states: Readonly<Record<SlotState, number>>;
  readonly belowPolicy: boolean;
}

const NO_STATES = { ok: 0, missing: 0, handoff: 0, unverified: 0, corrupt: 0, surplus: 0 } as const;

export const NO_BLOBS: Assessment = {
  blobs: 0,
  good: undefined,
  wanted: undefined,
  reachable: undefined,
  domainCount: undefined,
  domains: [],
  verifiedAtMs: undefined,
  states: NO_STATES,
  belowPolicy: false,
};

export function standardOf(members: Members): Standard {
  const { nodes, replication } = members.topology;
  return {
    members,
    homes: new Map(nodes.map(({ uuid, homeDomain }) => [uuid, homeDomain])),
    factor: replication.factor,
  };
}

export function assessBlob({ members, homes, factor }: Standard, { slots }: Blob): Assessment {
  const good = slots.filter(isGood).filter(({ location }) => !isAbsent(members, location.nodeUuid));
  const reachable = good.filter(({ location }) => members.servesReads(location.nodeUuid)).length;
  const domains = [...new Set(good.flatMap(({ location }) => homes.get(location.nodeUuid) ?? []))];
  const wanted = slots.filter(({ state }) => state !== "surplus").length;
  const states: Record<SlotState, number> = { ...NO_STATES };
  for (const { state } of slots) states[state]++;
  return {
    blobs: 1,
    good: good.length,
    wanted,
    reachable,
    domainCount: domains.length,
    domains,
    verifiedAtMs: good.map(({ verifiedAtMs }) => verifiedAtMs ?? "never").reduce(older, undefined),
    states,
    belowPolicy: good.length < wanted || domains.length < factor,
  };
}

/** The two taken together: an object is as safe as the blob of it that is least so. */
export function together(one: Assessment, other: Assessment): Assessment {
  if (one.blobs === 0) return other;
  if (other.blobs === 0) return one;
  const states: Record<SlotState, number> = { ...one.states };
  for (const state of Object.keys(NO_STATES) as SlotState[]) states[state] += other.states[state];
  return {
    blobs: one.blobs + other.blobs,
    good: least(one.good, other.good),
    wanted: Math.max(one.wanted ?? 0, other.wanted ?? 0),
    reachable: least(one.reachable, other.reachable),
    domainCount: least(one.domainCount, other.domainCount),
    domains: one.domains.filter((domain) => other.domains.includes(domain)),
    verifiedAtMs: older(one.verifiedAtMs, other.verifiedAtMs),
    states,
    belowPolicy: one.belowPolicy || other.belowPolicy,
  };
}

/** A copy that is on record as right, wherever it is. One that is to be checked first proves nothing. */
function isGood(slot: Slot): slot is Slot & { location: NonNullable<Slot["location"]> } {
  return isReadable(slot) && slot.state !== "unverified";
}

function least(one = Number.POSITIVE_INFINITY, other = Number.POSITIVE_INFINITY): number {
  return Math.min(one, other);
}

function older(one: Assessment["verifiedAtMs"], other: Assessment["verifiedAtMs"]): Assessment["verifiedAtMs"] {
  if (one === "never" || other === "never") return "never";
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other);
}
