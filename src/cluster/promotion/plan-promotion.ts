/**
 * Decides which standby nodes are promoted and demoted. Pure: from the topology, what is known of the nodes, and what the
 * look before remembered. All times are monotonic and of one process: no two machines' clocks are compared.
 */
import type { Topology, TopologyDomain, TopologyNode } from "../../placement/topology.ts";
import type { Id } from "../../shared/ids.ts";

export interface PromotionLimits {
  /** How long a domain has to be short of nodes, without a break, before one is promoted; and back before one is demoted. */
  readonly hysteresisMs: number;
  /** Least time between two changes for the same domain, so that the first has taken effect. */
  readonly coolDownMs: number;
  readonly autoDemote: boolean;
}

export interface NodeFacts {
  readonly healthy: boolean;
  /** 0 (idle) to 1. */
  readonly loadScore: number;
  readonly freeBytes: number | undefined;
}

export interface PromotionView {
  readonly topology: Topology;
  readonly nowMs: number;
  /** `undefined` for a node that this process cannot call. */
  readonly factsOf: (uuid: Id) => NodeFacts | undefined;
  /** Whether something of the domain is on record as missing, misplaced, unverified or corrupt. */
  readonly wantsRepair: (domain: string) => boolean;
}

/** What one look has to know of those before. Empty at the start of a process. */
export interface PromotionMemory {
  /** Since when a domain has been short of healthy nodes. */
  readonly shortSinceMs: ReadonlyMap<string, number>;
  /** Since when it has had enough of its own. */
  readonly recoveredSinceMs: ReadonlyMap<string, number>;
  readonly changedAtMs: ReadonlyMap<string, number>;
}

export const NO_MEMORY: PromotionMemory = {
  shortSinceMs: new Map(),
  recoveredSinceMs: new Map(),
  changedAtMs: new Map(),
};

export interface PromotionDecision {
  readonly kind: "promote" | "demote";
  readonly node: TopologyNode;
  /** The active domain that it is to serve, or serves. */
  readonly domain: string;
  /** A sentence for an operator. */
  readonly cause: string;
}

/** One look: at most one change a domain, domains in order of priority. */
export function planPromotion(
  view: PromotionView,
  memory: PromotionMemory,
  limits: PromotionLimits,
): { readonly decisions: readonly PromotionDecision[]; readonly memory: PromotionMemory } {
  const shortSinceMs = new Map<string, number>();
  const recoveredSinceMs = new Map<string, number>();
  const changedAtMs = new Map(memory.changedAtMs);
  const decisions: PromotionDecision[] = [];
  const free = standbyNodes(view);
  for (const domain of view.topology.domains) {
    if (domain.role !== "active" || !domain.acceptsWrites) continue;
    const { name } = domain;
    const short = healthyIn(view, domain).length < domain.minNodes;
    const recovered = healthyIn(view, domain).filter(({ homeDomain }) => homeDomain === name).length >= domain.minNodes;
    if (short) shortSinceMs.set(name, memory.shortSinceMs.get(name) ?? view.nowMs);
    if (recovered) recoveredSinceMs.set(name, memory.recoveredSinceMs.get(name) ?? view.nowMs);
    const changedMs = changedAtMs.get(name);
    if (changedMs !== undefined && view.nowMs < changedMs + limits.coolDownMs) continue;
    const decision = hasLasted(shortSinceMs.get(name), view, limits)
      ? promotion(view, domain, free)
      : limits.autoDemote && hasLasted(recoveredSinceMs.get(name), view, limits)
        ? demotion(view, domain)
        : undefined;
    if (decision === undefined) continue;
    decisions.push(decision);
    changedAtMs.set(name, view.nowMs);
    if (decision.kind === "promote") free.splice(free.indexOf(decision.node), 1);
  }
  return { decisions, memory: { shortSinceMs, recoveredSinceMs, changedAtMs } };
}

/** The nodes that could be promoted now, the best one first: the least load, the most room, then the name. */
export function standbyNodes(view: Pick<PromotionView, "topology" | "factsOf">): TopologyNode[] {
  const pools = new Set(view.topology.domains.filter(({ role }) => role === "standby").map(({ name }) => name));
  return view.topology.nodes
    .flatMap((node) => {
      const facts = view.factsOf(node.uuid);
      const usable = pools.has(node.homeDomain) && node.domain === node.homeDomain;
      return usable && node.acceptsWrites && node.weight > 0 && facts?.healthy === true ? [{ node, facts }] : [];
    })
    .sort(
      (a, b) =>
        a.facts.loadScore - b.facts.loadScore ||
        (b.facts.freeBytes ?? 0) - (a.facts.freeBytes ?? 0) ||
        (a.node.name < b.node.name ? -1 : 1),
    )
    .map(({ node }) => node);
}

function hasLasted(sinceMs: number | undefined, { nowMs }: PromotionView, { hysteresisMs }: PromotionLimits): boolean {
  return sinceMs !== undefined && nowMs >= sinceMs + hysteresisMs && nowMs > sinceMs;
}

function healthyIn({ topology, factsOf }: PromotionView, { name }: TopologyDomain): TopologyNode[] {
  return topology.nodes.filter(({ uuid, domain }) => domain === name && factsOf(uuid)?.healthy === true);
}

function promotion(
  view: PromotionView,
  domain: TopologyDomain,
  free: readonly TopologyNode[],
): PromotionDecision | undefined {
  const [node] = free;
  if (node === undefined) return undefined;
  const healthy = healthyIn(view, domain).length;
  const cause = `domain ${domain.name} has ${healthy} healthy nodes of at least ${domain.minNodes}`;
  return { kind: "promote", node, domain: domain.name, cause };
}

function demotion(view: PromotionView, { name }: TopologyDomain): PromotionDecision | undefined {
  const node = view.topology.nodes.findLast(({ domain, homeDomain }) => domain === name && homeDomain !== name);
  // One that cannot be reached keeps what it has until it can: nothing could be moved from it.
  if (node === undefined || view.factsOf(node.uuid)?.healthy !== true || view.wantsRepair(name)) return undefined;
  return { kind: "demote", node, domain: name, cause: `domain ${name} has recovered and its data are back` };
}
