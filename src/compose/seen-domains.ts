import type { ReplicationPolicy } from "../placement/topology.ts";

/**
 * Whether all is seen that was acknowledged. Every commit is in a quorum of domains, so that many have to answer with
 * all their nodes that one of them is among these; a degraded one may be on any two nodes, so all have to answer.
 */
export function domainsThatAnswer(
  active: readonly string[],
  unseen: readonly { readonly domain: string }[],
  { quorum, degradedWrite }: Pick<ReplicationPolicy, "quorum" | "degradedWrite">,
): { readonly answering: number; readonly needed: number; readonly enough: boolean } {
  const silent = new Set(unseen.map(({ domain }) => domain));
  const answering = active.filter((name) => !silent.has(name)).length;
  const needed = degradedWrite.enabled ? active.length : active.length - Math.min(quorum, active.length) + 1;
  return { answering, needed, enough: degradedWrite.enabled ? unseen.length === 0 : answering >= needed };
}
