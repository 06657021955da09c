/**
 * A weighted consistent-hash ring. A node owns virtual nodes in proportion to its weight, at positions that depend on
 * nothing but its own uuid; so a node that comes, goes or changes weight moves only its own share, and the order in
 * which nodes are configured does not matter.
 */
import type { Id } from "../shared/ids.ts";
import type { Hash64, Hasher } from "./hasher.ts";

/**
 * Positions of one virtual node. A node's share strays from its weight by about 1/sqrt(its positions): with the usual
 * 150 virtual nodes that is 8 % for one position each and 2.9 % for eight.
 */
export const POSITIONS_PER_VIRTUAL_NODE = 8;

/** Most virtual nodes of one node. A weight that asks for more is refused, since cutting it would falsify its share. */
export const VIRTUAL_NODES_MAX = 20_000;

export interface RingMember {
  readonly uuid: Id;
  /** 100 stands for `virtualNodesPerNode` virtual nodes; 0 keeps the member off the ring. */
  readonly weight: number;
}

export interface Ring<M extends RingMember> {
  /** Positions of all members together. */
  readonly size: number;
  /**
   * Every member once, in the order in which the ring meets them from `hash` on. Finding the start costs O(log size),
   * and only what is consumed is walked.
   */
  walk(hash: Hash64): Iterable<M>;
}

export interface RingOptions<M extends RingMember> {
  readonly members: readonly M[];
  readonly virtualNodesPerNode: number;
  readonly hasher: Hasher;
}

/** @throws RangeError when a member's weight asks for more than VIRTUAL_NODES_MAX virtual nodes. */
export function createRing<M extends RingMember>({ members, virtualNodesPerNode, hasher }: RingOptions<M>): Ring<M> {
  const sorted = members.filter((member) => member.weight > 0).toSorted((a, b) => (a.uuid < b.uuid ? -1 : 1));
  const unordered: Position[] = [];
  sorted.forEach((member, owner) => {
    const count = virtualNodes(member.weight, virtualNodesPerNode) * POSITIONS_PER_VIRTUAL_NODE;
    for (let i = 0; i < count; i++) {
      const { high, low } = hasher(`${member.uuid}#${i}`);
      unordered.push({ high, low, owner });
    }
  });
  return new SortedRing(sorted, unordered.sort(byPosition));
}

interface Position extends Hash64 {
  /** Index of the member that owns it. */
  readonly owner: number;
}

/**
 * Positions that collide all stay, in the order of their owners' uuids: the first one owns the arc, the next one has it
 * as soon as the first is gone, and no member's coming or going moves anything between two others.
 */
function byPosition(a: Position, b: Position): number {
  return a.high - b.high || a.low - b.low || a.owner - b.owner;
}

function virtualNodes(weight: number, virtualNodesPerNode: number): number {
  const count = Math.max(1, Math.round((virtualNodesPerNode * weight) / 100));
  if (!(count <= VIRTUAL_NODES_MAX)) {
    throw new RangeError(`a weight of ${weight} at ${virtualNodesPerNode} virtual nodes per node exceeds the ring`);
  }
  return count;
}

class SortedRing<M extends RingMember> implements Ring<M> {
  readonly size: number;
  readonly #members: readonly M[];
  readonly #high: Uint32Array;
  readonly #low: Uint32Array;
  readonly #owner: Uint32Array;

  constructor(members: readonly M[], positions: readonly Position[]) {
    this.size = positions.length;
    this.#members = members;
    this.#high = Uint32Array.from(positions, (position) => position.high);
    this.#low = Uint32Array.from(positions, (position) => position.low);
    this.#owner = Uint32Array.from(positions, (position) => position.owner);
  }

  *walk(hash: Hash64): Generator<M, void> {
    const met = new Uint8Array(this.#members.length);
    let left = this.#members.length;
    // Every member has a position, so one turn meets them all. Indexes stay within the arrays throughout.
    for (let i = this.#firstAtOrAfter(hash); left > 0; i++) {
      if (i === this.size) i = 0;
      const owner = this.#owner[i] as number;
      if (met[owner] === 1) continue;
      met[owner] = 1;
      left -= 1;
      yield this.#members[owner] as M;
    }
  }

  /** Index of the first position that is not before `hash`; the size when all are. */
  #firstAtOrAfter(hash: Hash64): number {
    let from = 0;
    let to = this.size;
    while (from < to) {
      const middle = (from + to) >>> 1;
      const high = this.#high[middle] as number;
      const before = high < hash.high || (high === hash.high && (this.#low[middle] as number) < hash.low);
      if (before) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}
