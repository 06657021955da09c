/** Which nodes may hold copies of one blob together. */
import type { Id } from "../shared/ids.ts";
import type { Topology, TopologyNode } from "./topology.ts";

/** A topology's nodes by id. */
export type TopologyIndex = ReadonlyMap<Id, TopologyNode>;

/**
 * - `planned`: the copy that a slot asks for.
 * - `handoff`: a copy kept for a slot elsewhere until it can move home. It may share a home domain with another copy.
 */
export type CopyKind = "planned" | "handoff";

export function indexTopology(topology: Topology): TopologyIndex {
  return new Map(topology.nodes.map((node) => [node.uuid, node]));
}

/**
 * Whether `candidate` may take a planned copy beside one on `other`: never the same node or physical storage; and never
 * two domains' copies in one home domain, which would fail together although the domains are two by name.
 */
export function compatibleNodes(other: TopologyNode, candidate: TopologyNode): boolean {
  return (
    sharesNoStorage(other, candidate) &&
    (other.domain === candidate.domain || other.homeDomain !== candidate.homeDomain)
  );
}

function sharesNoStorage(other: TopologyNode, candidate: TopologyNode): boolean {
  return other.uuid !== candidate.uuid && other.physicalStorageId !== candidate.physicalStorageId;
}

/**
 * Whether `candidate` may take a copy of a blob that has copies, or is about to, on `chosen`. A node that is not in the
 * topology may not; a chosen one that left it excludes nothing but itself.
 */
export function compatible(
  index: TopologyIndex,
  chosen: readonly Id[],
  candidate: Id,
  kind: CopyKind = "planned",
): boolean {
  const node = index.get(candidate);
  if (node === undefined) return false;
  const allows = kind === "planned" ? compatibleNodes : sharesNoStorage;
  return chosen.every((id) => {
    const other = index.get(id);
    return other === undefined ? id !== candidate : allows(other, node);
  });
}

/**
 * The first of `candidates` that is compatible with `chosen`; `undefined` when none is. For a planned copy those on a host
 * that holds no copy go before the others. For a hand-off copy their order decides alone, because there it says which
 * domain comes first.
 */
export function nextCandidate(
  index: TopologyIndex,
  chosen: readonly Id[],
  candidates: readonly Id[],
  kind: CopyKind = "planned",
): Id | undefined {
  const possible = candidates.filter((candidate) => compatible(index, chosen, candidate, kind));
  if (kind === "handoff") return possible[0];
  const hostOf = (id: Id): string | undefined => index.get(id)?.host;
  const hosts = new Set(chosen.map(hostOf));
  return possible.find((candidate) => !hosts.has(hostOf(candidate))) ?? possible[0];
}
