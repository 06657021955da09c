/**
 * What is to be done with a slot whose copy is to leave its node, or may have to. Pure: from the placement, what the
 * topology says of the nodes, and the blob's record. Health is left out where keys are assigned: a node that is only
 * away keeps what is its own, so that nothing healthy moves on its account.
 */
import type { Blob, Slot } from "../../catalog/records/blob.ts";
import { compatible, nextCandidate } from "../../placement/constraints.ts";
import type { Placement } from "../../placement/placement.ts";
import type { PlannedSlot } from "../../placement/plan.ts";
import type { TopologyNode } from "../../placement/topology.ts";
import type { Id } from "../../shared/ids.ts";

/** What placement says now. */
export interface PlanningView {
  readonly placement: Placement;
  /** Nodes that take copies as far as the topology says, whether they can be reached now or not. */
  readonly assigned: (uuid: Id) => boolean;
  /** Nodes that take copies at this moment. */
  readonly writable: (uuid: Id) => boolean;
  /** Nodes whose copies can be read at this moment. */
  readonly readable: (uuid: Id) => boolean;
}

/** How a slot is to be filled: which node takes its copy, and what the slot is then. */
export interface SlotTarget {
  readonly nodeUuid: Id;
  readonly state: "ok" | "handoff";
  readonly domain: string;
}

/**
 * - `stay`: the copy is where it belongs, or nothing can be said of it.
 * - `move`: a copy is made on `target`, then the old one leaves.
 * - `adopt`: the target holds a surplus copy of the blob already, in slot `surplus`; the two change their parts.
 * - `drop`: the copy is one more than are wanted, and all that are wanted are good.
 * - `wait`: nothing can be done with it now; `reason` says why.
 */
export type SlotPlan =
  | { readonly kind: "stay" }
  | { readonly kind: "move"; readonly target: SlotTarget }
  | { readonly kind: "adopt"; readonly target: SlotTarget; readonly surplus: number }
  | { readonly kind: "drop" }
  | { readonly kind: "wait"; readonly reason: string };

const STAY: SlotPlan = { kind: "stay" };

/**
 * Rebalance: a copy moves iff the plan of its blob puts its domain's slot on another node that holds none.
 * @param onto the only node that copies may move to; any when absent
 */
export function planRebalance(view: PlanningView, blob: Blob, number: number, onto?: Id): SlotPlan {
  const slot = blob.slots[number];
  // What is not known to be good is repair's, and a surplus copy has no place of its own.
  if (slot?.state !== "ok" || slot.location === undefined) return STAY;
  if (view.placement.index.get(slot.location.nodeUuid)?.domain !== slot.domain) return STAY;
  const nodeUuid = assignedNode(view, blob, number);
  if (nodeUuid === undefined || (onto !== undefined && nodeUuid !== onto)) return STAY;
  if (!view.writable(nodeUuid)) return { kind: "wait", reason: "the node that it belongs to takes no copies now" };
  if (!compatible(view.placement.index, nodesBeside(blob, number), nodeUuid)) {
    return { kind: "wait", reason: "another copy of the blob is too near to the node that it belongs to" };
  }
  return towards(blob, number, { nodeUuid, state: "ok", domain: slot.domain });
}

/**
 * Drain: the copy leaves its node for where it belongs now: in its slot's domain by the ring, else on any other node of
 * it, else as a hand-off copy where the policy allows one. Never with fewer copies on the way.
 * @param toDomain takes over the slot: its own domain is being drained
 */
export function planDrain(view: PlanningView, blob: Blob, number: number, toDomain?: string): SlotPlan {
  const slot = blob.slots[number];
  if (slot?.location === undefined) return STAY;
  if (slot.state === "surplus") {
    return isComplete(blob, view.readable)
      ? { kind: "drop" }
      : { kind: "wait", reason: "other copies of the blob want repair first" };
  }
  if (toDomain !== undefined && slot.domain !== toDomain) return planTakeover(view, blob, number, toDomain);
  const nodeUuid = homeNode(view, blob, number, slot.domain);
  if (nodeUuid !== undefined) return towards(blob, number, { nodeUuid, state: "ok", domain: slot.domain });
  return planHandoff(view, blob, number, slot);
}

function planTakeover(view: PlanningView, blob: Blob, number: number, toDomain: string): SlotPlan {
  const there = blob.slots.filter(
    ({ state, domain }, at) => at !== number && state !== "surplus" && domain === toDomain,
  );
  if (there.length > 0) {
    // Two copies in one domain are worth one. The blob has a copy in each domain that is left to it, or wants another.
    const free = freeDomains(view, blob, number)[0];
    if (free === undefined)
      return { kind: "wait", reason: `${toDomain} holds a copy already, and no other domain is free` };
    return moveTo(view, blob, number, free);
  }
  return moveTo(view, blob, number, toDomain);
}

function moveTo(view: PlanningView, blob: Blob, number: number, domain: string): SlotPlan {
  const nodeUuid = homeNode(view, blob, number, domain);
  if (nodeUuid === undefined) return { kind: "wait", reason: `no node of ${domain} can take the copy now` };
  return towards(blob, number, { nodeUuid, state: "ok", domain });
}

/** Domains with a node that takes copies and that hold none of the blob's, in no order that matters. */
function freeDomains(view: PlanningView, blob: Blob, number: number): string[] {
  const taken = new Set(blob.slots.flatMap(({ domain }, at) => (at === number ? [] : [domain])));
  const own = blob.slots[number]?.domain;
  const planned = planOf(view, blob, view.assigned).map(({ domain }) => domain);
  return planned.filter((domain) => domain !== own && !taken.has(domain));
}

function planHandoff(view: PlanningView, blob: Blob, number: number, slot: Slot): SlotPlan {
  const others = nodesBeside(blob, number);
  const { handoff } = view.placement.plan({ key: blob.blobId, writable: view.writable });
  const own = slot.location?.nodeUuid;
  const candidates = handoff.filter((uuid) => uuid !== own && view.writable(uuid));
  const nodeUuid = nextCandidate(view.placement.index, others, candidates, "handoff");
  if (nodeUuid === undefined) return { kind: "wait", reason: "no other node can take the copy now" };
  return towards(blob, number, { nodeUuid, state: "handoff", domain: slot.domain });
}

/** The node of a domain that is to have a slot's copy: by the ring, else whichever can take it. */
function homeNode(view: PlanningView, blob: Blob, number: number, domain: string): Id | undefined {
  const own = blob.slots[number]?.location?.nodeUuid;
  const others = nodesBeside(blob, number);
  const planned = planOf(view, blob, view.writable).filter((slot) => slot.domain === domain);
  const byRing = planned.flatMap(({ candidates }) => candidates.slice(0, 1));
  const standIns = planned.flatMap(({ candidates }) => candidates.slice(1));
  const rest = nodesOf(view.placement, domain).map(({ uuid }) => uuid);
  const wanted = [...byRing, ...standIns, ...rest].filter((uuid) => uuid !== own && view.writable(uuid));
  const surplus = surplusNodes(blob);
  // A surplus copy that is on the way of the planned one is no hindrance: it takes its part.
  const held = wanted.find((uuid) => surplus.has(uuid) && compatible(view.placement.index, others, uuid));
  return held ?? nextCandidate(view.placement.index, others, wanted);
}

/** The node that the ring assigns to a slot whose copy is elsewhere in the domain; `undefined` where it is at home. */
function assignedNode(view: PlanningView, blob: Blob, number: number): Id | undefined {
  const slot = blob.slots[number];
  const own = slot?.location?.nodeUuid;
  if (slot === undefined || own === undefined) return undefined;
  const planned = planOf(view, blob, view.assigned)
    .filter(({ domain }) => domain === slot.domain)
    .flatMap(({ candidates }) => candidates.slice(0, 1));
  if (planned.includes(own)) return undefined;
  const inDomain = blob.slots.flatMap(({ domain, state, location }, at) =>
    domain === slot.domain && state !== "surplus" ? [{ at, nodeUuid: location?.nodeUuid }] : [],
  );
  const held = new Set(inDomain.map(({ nodeUuid }) => nodeUuid));
  const open = planned.filter((uuid) => !held.has(uuid));
  const strays = inDomain.filter(({ nodeUuid }) => nodeUuid === undefined || !planned.includes(nodeUuid));
  return open[strays.findIndex(({ at }) => at === number)];
}

function towards(blob: Blob, number: number, target: SlotTarget): SlotPlan {
  const surplus = blob.slots.findIndex(
    ({ state, location }, at) => at !== number && state === "surplus" && location?.nodeUuid === target.nodeUuid,
  );
  return surplus < 0 ? { kind: "move", target } : { kind: "adopt", target, surplus };
}

function planOf({ placement }: PlanningView, blob: Blob, writable: (uuid: Id) => boolean): readonly PlannedSlot[] {
  return placement.plan({ key: blob.blobId, writable }).slots;
}

function nodesOf({ index }: Placement, domain: string): TopologyNode[] {
  return [...index.values()].filter((node) => node.domain === domain);
}

/** The nodes that hold the blob's other copies, without those that are surplus. */
export function nodesBeside({ slots }: Blob, number: number): Id[] {
  return slots.flatMap(({ state, location }, at) =>
    at === number || state === "surplus" || location === undefined ? [] : [location.nodeUuid],
  );
}

function surplusNodes({ slots }: Blob): Set<Id> {
  return new Set(
    slots.flatMap(({ state, location }) => (state === "surplus" && location !== undefined ? [location.nodeUuid] : [])),
  );
}

/** Whether every copy that is wanted is known to be good, and on a node that can be asked for it now. */
export function isComplete({ slots }: Blob, readable: (uuid: Id) => boolean): boolean {
  return slots.every(
    ({ state, location }) =>
      state === "surplus" || (state === "ok" && location !== undefined && readable(location.nodeUuid)),
  );
}
