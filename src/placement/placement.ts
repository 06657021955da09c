/**
 * Decides where the copies of a new blob go. Pure: from the topology, its rings and what is known of the nodes' state.
 */
import type { Id } from "../shared/ids.ts";
import { indexTopology, type TopologyIndex } from "./constraints.ts";
import { type Hash64, type Hasher, unitInterval } from "./hasher.ts";
import { type ChoiceGroup, chooseTogether } from "./joint-choice.ts";
import type { NodeWritable, PlacementPlan, PlannedSlot } from "./plan.ts";
import { createRing, type Ring } from "./ring.ts";
import type { HandoffScope, ReplicationPolicy, Topology, TopologyDomain, TopologyNode } from "./topology.ts";

/** Stand-ins named for a slot. A node known to be away is none of them, so few are ever needed. */
export const STAND_INS_MAX = 7;

/** Hand-off nodes named of each kind: other active domains, standby, the slots' own domains. */
export const HANDOFFS_PER_KIND_MAX = 8;

export interface PlanRequest {
  /** The blob's id: the same key has the same plan as long as the topology and the writable nodes are the same. */
  readonly key: string;
  /** The topology's own when absent. */
  readonly policy?: ReplicationPolicy | undefined;
  readonly writable: NodeWritable;
}

export interface Placement {
  /** Also what `compatible` and `nextCandidate` ask. */
  readonly index: TopologyIndex;
  /**
   * Never fails. Has fewer slots than the policy wants where fewer domains take writes; `acknowledge` does not take such a
   * plan for full.
   */
  plan(request: PlanRequest): PlacementPlan;
}

/**
 * Placement by the strategy `ring`. Builds the topology's rings once (about a millisecond for each thousand positions);
 * a new topology takes a new placement.
 *
 * @throws RangeError when a node's weight asks for more virtual nodes than a ring takes.
 */
export function createPlacement(topology: Topology, hasher: Hasher): Placement {
  return new RingPlacement(topology, hasher);
}

/** A domain with the nodes in it that take new copies as far as the topology says. */
interface DomainRing {
  readonly domain: TopologyDomain;
  readonly ring: Ring<TopologyNode>;
  readonly nodes: readonly TopologyNode[];
  /** Sum of the nodes' weights. */
  readonly weight: number;
}

class RingPlacement implements Placement {
  readonly index: TopologyIndex;
  readonly #hasher: Hasher;
  readonly #policy: ReplicationPolicy;
  /** Domains that take planned copies, in order of priority. */
  readonly #active: readonly DomainRing[];
  readonly #standby: readonly DomainRing[];

  constructor(topology: Topology, hasher: Hasher) {
    this.index = indexTopology(topology);
    this.#hasher = hasher;
    this.#policy = topology.replication;
    const ringOf = (domain: TopologyDomain): DomainRing => domainRing(topology, domain, hasher);
    this.#active = topology.domains.filter((each) => each.role === "active" && each.acceptsWrites).map(ringOf);
    this.#standby = topology.domains.filter((each) => each.role === "standby").map(ringOf);
  }

  plan({ key, policy = this.#policy, writable }: PlanRequest): PlacementPlan {
    const hash = this.#hasher(key);
    const ordered = this.#inOrderOfChoice(key, policy, writable);
    const chosen = ordered.slice(0, policy.factor);
    const slots = this.#slots(chosen, hash, writable);
    return new LazyPlan(slots, () => this.#handoff(policy.degradedWrite.handoff, { ordered, slots, hash, writable }));
  }

  /**
   * All domains that take planned copies, the first `factor` of them to be used. With more than `factor` and the choice
   * by hash, weighted rendezvous hashing ranks them for each blob; one without a node that accepts writes goes last,
   * so that its blobs have all their copies elsewhere instead of owing one.
   */
  #inOrderOfChoice(key: string, policy: ReplicationPolicy, writable: NodeWritable): readonly DomainRing[] {
    if (policy.domainChoice === "priority" || policy.factor >= this.#active.length) return this.#active;
    return this.#active
      .map((each) => {
        const draw = unitInterval(this.#hasher(`${each.domain.name}/${key}`));
        return {
          each,
          away: each.nodes.some((node) => writable(node.uuid)) ? 0 : 1,
          score: -each.weight / Math.log(draw),
        };
      })
      .sort((a, b) => a.away - b.away || b.score - a.score)
      .map(({ each }) => each);
  }

  #slots(chosen: readonly DomainRing[], hash: Hash64, writable: NodeWritable): PlannedSlot[] {
    let groups = chosen.map((each) => choiceGroup(each, hash, writable, each.domain.replicaCount + STAND_INS_MAX));
    let choice = chooseTogether(groups);
    const cut = groups.some(({ copies, candidates }) => candidates.length === copies + STAND_INS_MAX);
    if (!choice.perfect && cut) {
      // The nodes left off the lists may do better.
      groups = chosen.map((each) => choiceGroup(each, hash, writable, Number.POSITIVE_INFINITY));
      choice = chooseTogether(groups);
    }
    return chosen.flatMap(({ domain }, i) => {
      const candidates = groups[i]?.candidates ?? [];
      const nodes = choice.nodes[i] ?? [];
      const standIns = candidates.filter((node) => !nodes.includes(node)).slice(0, STAND_INS_MAX);
      return nodes.map((node) => ({
        domain: domain.name,
        candidates: node === undefined ? [] : [node.uuid, ...standIns.map((each) => each.uuid)],
      }));
    });
  }

  #handoff(scope: HandoffScope, plan: HandoffRequest): Id[] {
    if (scope === "none") return [];
    const domains = new Set(plan.slots.map((slot) => slot.domain));
    const first = plan.slots.flatMap((slot) => slot.candidates.slice(0, 1));
    const hosts = new Set(first.map((id) => this.index.get(id)?.host));
    const nodesOf = (rings: readonly DomainRing[]): Id[] => {
      const lists = rings.map(({ ring }) =>
        firstWritable(ring.walk(plan.hash), (id) => !first.includes(id) && plan.writable(id), HANDOFFS_PER_KIND_MAX),
      );
      const nodes = inTurn(lists).slice(0, HANDOFFS_PER_KIND_MAX);
      const sharesHost = (node: TopologyNode): number => (hosts.has(node.host) ? 1 : 0);
      return nodes.sort((a, b) => sharesHost(a) - sharesHost(b)).map((node) => node.uuid);
    };
    const others = nodesOf(plan.ordered.filter(({ domain }) => !domains.has(domain.name)));
    const standby = scope === "any" ? nodesOf(this.#standby) : [];
    const own = nodesOf(plan.ordered.filter(({ domain }) => domains.has(domain.name)));
    return [...others, ...standby, ...own];
  }
}

interface HandoffRequest {
  readonly ordered: readonly DomainRing[];
  readonly slots: readonly PlannedSlot[];
  readonly hash: Hash64;
  readonly writable: NodeWritable;
}

class LazyPlan implements PlacementPlan {
  readonly slots: readonly PlannedSlot[];
  readonly #findHandoff: () => readonly Id[];
  #found: readonly Id[] | undefined;

  constructor(slots: readonly PlannedSlot[], findHandoff: () => readonly Id[]) {
    this.slots = slots;
    this.#findHandoff = findHandoff;
  }

  get handoff(): readonly Id[] {
    this.#found ??= this.#findHandoff();
    return this.#found;
  }
}

function domainRing(topology: Topology, domain: TopologyDomain, hasher: Hasher): DomainRing {
  const nodes = topology.nodes.filter((node) => node.domain === domain.name && node.acceptsWrites && node.weight > 0);
  return {
    domain,
    ring: createRing({ members: nodes, virtualNodesPerNode: topology.virtualNodesPerNode, hasher }),
    nodes,
    weight: nodes.reduce((sum, node) => sum + node.weight, 0),
  };
}

/** The first of each list, then the second of each, and so on. */
function inTurn<T>(lists: readonly (readonly T[])[]): T[] {
  const longest = Math.max(0, ...lists.map((list) => list.length));
  return Array.from({ length: longest }, (_, i) => lists.flatMap((list) => list.slice(i, i + 1))).flat();
}

function choiceGroup(from: DomainRing, hash: Hash64, writable: NodeWritable, max: number): ChoiceGroup {
  return { copies: from.domain.replicaCount, candidates: firstWritable(from.ring.walk(hash), writable, max) };
}

function firstWritable(walk: Iterable<TopologyNode>, writable: NodeWritable, max: number): TopologyNode[] {
  const found: TopologyNode[] = [];
  for (const node of walk) {
    if (writable(node.uuid)) found.push(node);
    if (found.length >= max) break;
  }
  return found;
}
