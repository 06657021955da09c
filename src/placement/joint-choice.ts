/** Picks the nodes of all slots of a plan together, so that none of them stands in another's way. */
import { compatibleNodes } from "./constraints.ts";
import type { TopologyNode } from "./topology.ts";

/** The copies wanted in one domain. */
export interface ChoiceGroup {
  readonly copies: number;
  /** Nodes of the domain that accept writes, the preferred one first. */
  readonly candidates: readonly TopologyNode[];
}

export interface JointChoice {
  /** For each group its nodes, one for each copy; `undefined` where no node was left that goes with the others. */
  readonly nodes: readonly (readonly (TopologyNode | undefined)[])[];
  /** Whether every copy has a node and no two share a host. */
  readonly perfect: boolean;
}

/** Candidates tried in search of something better than the first choice. Reached only where domains share hosts or storage. */
const TRIALS_MAX = 1_000;

/** More than all copies of a plan sharing hosts could add up to. */
const EMPTY_COST = 1_000;

/**
 * Depth-first over the slots, each candidate in its order of preference: fills as many slots as it can, then shares as
 * few hosts as it can. Usually the first descent is perfect; else the search goes on until it can do no better, or
 * TRIALS_MAX. Groups with few candidates pick first, since they have the least to give way with.
 */
export function chooseTogether(groups: readonly ChoiceGroup[]): JointChoice {
  const search = new Search(groups);
  const cost = search.run();
  return { nodes: search.best, perfect: cost === 0 };
}

interface Slot {
  readonly group: number;
  readonly candidates: readonly TopologyNode[];
}

class Search {
  best: (TopologyNode | undefined)[][] = [];
  readonly #groups: readonly ChoiceGroup[];
  readonly #slots: readonly Slot[];
  readonly #chosen: TopologyNode[] = [];
  /** What each slot holds on the way down. */
  readonly #held: (TopologyNode | undefined)[] = [];
  #bestCost = Number.POSITIVE_INFINITY;
  #enough = 0;
  #trialsLeft = TRIALS_MAX;

  constructor(groups: readonly ChoiceGroup[]) {
    this.#groups = groups;
    const slots: Slot[] = [];
    groups.forEach(({ copies, candidates }, group) => {
      for (let copy = 0; copy < copies; copy++) slots.push({ group, candidates });
    });
    this.#slots = slots.sort((a, b) => a.candidates.length - b.candidates.length);
  }

  run(): number {
    this.#descend(0, 0);
    return this.#bestCost;
  }

  get #done(): boolean {
    return this.#bestCost <= this.#enough || this.#trialsLeft <= 0;
  }

  #descend(depth: number, cost: number): void {
    if (cost >= this.#bestCost) return;
    const slot = this.#slots[depth];
    if (slot === undefined) {
      this.#keep(cost);
      return;
    }
    for (const sharing of [false, true]) {
      for (const candidate of slot.candidates) {
        if (this.#bestCost !== Number.POSITIVE_INFINITY) {
          this.#trialsLeft -= 1;
          if (this.#done) return;
        }
        if (!this.#fits(candidate, sharing)) continue;
        this.#chosen.push(candidate);
        this.#held[depth] = candidate;
        this.#descend(depth + 1, sharing ? cost + 1 : cost);
        this.#chosen.pop();
      }
    }
    if (this.#done) return;
    this.#held[depth] = undefined;
    this.#descend(depth + 1, cost + EMPTY_COST);
  }

  #fits(candidate: TopologyNode, sharing: boolean): boolean {
    let shares = false;
    for (const other of this.#chosen) {
      if (!compatibleNodes(other, candidate)) return false;
      if (other.host === candidate.host) shares = true;
    }
    return shares === sharing;
  }

  #keep(cost: number): void {
    // The bound is worked out only once the first descent has shown that it is needed.
    if (this.#bestCost === Number.POSITIVE_INFINITY && cost > 0) this.#enough = leastCost(this.#groups);
    this.#bestCost = cost;
    this.best = this.#groups.map(() => []);
    this.#slots.forEach((slot, depth) => {
      this.best[slot.group]?.push(this.#held[depth]);
    });
  }
}

/** What no choice can go below: slots for which there are no nodes, and copies for which there are no hosts. */
function leastCost(groups: readonly ChoiceGroup[]): number {
  const hosts = new Set<string>();
  let hostsUsable = 0;
  let filled = 0;
  let empty = 0;
  for (const { copies, candidates } of groups) {
    const own = new Set(candidates.map((node) => node.host));
    for (const host of own) hosts.add(host);
    const fillable = Math.min(copies, candidates.length);
    hostsUsable += Math.min(fillable, own.size);
    filled += fillable;
    empty += copies - fillable;
  }
  return empty * EMPTY_COST + Math.max(0, filled - Math.min(hostsUsable, hosts.size));
}
