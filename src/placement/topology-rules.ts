/**
 * Whether a topology contradicts itself. The same rules judge a configuration file, what a start or a reload makes of it
 * and the catalog's topology, and every change by an operator.
 */
import { VIRTUAL_NODES_MAX } from "./ring.ts";
import type { ReplicationPolicy, TopologyDomain } from "./topology.ts";

export interface RuledNode {
  readonly name: string;
  readonly domain: string;
  readonly weight: number;
  readonly physicalStorageId: string;
}

export interface RuledTopology {
  /** In order of priority. */
  readonly domains: readonly TopologyDomain[];
  /** Nodes that are in use. */
  readonly nodes: readonly RuledNode[];
  readonly virtualNodesPerNode: number;
  readonly replication: ReplicationPolicy;
}

/** Something that cannot stand, by the name of a setting that could end it. */
export interface TopologyProblem {
  /** `replication.factor`, `domains.NAME.replicaCount`, `nodes.NAME.domain`, ... */
  readonly path: string;
  /** To follow the path. */
  readonly reason: string;
}

/** Everything in which a topology contradicts itself; empty for one that is sound. */
export function topologyProblems(topology: RuledTopology): TopologyProblem[] {
  const { domains, nodes, replication } = topology;
  const { factor, quorum, degradedWrite } = replication;
  return [
    ...checkNames(topology),
    ...domains.flatMap((domain) =>
      domainProblems(domain).map(({ setting, reason }) => ({ path: `domains.${domain.name}.${setting}`, reason })),
    ),
    ...populationProblems(domains, nodes).map(({ domain, setting, reason }) => ({
      path: setting === undefined ? `domains.${domain}` : `domains.${domain}.${setting}`,
      reason,
    })),
    ...replicationProblems(writableDomains(domains), { factor, quorum }).map(({ setting, reason }) => ({
      path: setting === "domains" ? setting : `replication.${setting}`,
      reason,
    })),
    ...degradedWriteProblems(degradedWrite.minReplicas, nodes.length).map((reason) => ({
      path: "replication.degradedWrite.minReplicas",
      reason,
    })),
    ...checkWeights(topology),
  ];
}

/** The problems that `after` has and `before` has not: a change is not to blame for what was there. */
export function newProblems(before: RuledTopology, after: RuledTopology): TopologyProblem[] {
  const known = new Set(topologyProblems(before).map(told));
  return topologyProblems(after).filter((problem) => !known.has(told(problem)));
}

/** As a sentence. */
export function told({ path, reason }: TopologyProblem): string {
  return `${path} ${reason}`;
}

/** How many domains take planned copies. */
export function writableDomains(domains: readonly TopologyDomain[]): number {
  return domains.filter(({ role, acceptsWrites }) => role === "active" && acceptsWrites).length;
}

/** What a domain's own settings must not say. */
export function domainProblems(
  domain: Pick<TopologyDomain, "role" | "replicaCount" | "acceptsWrites">,
): { readonly setting: "replicaCount" | "acceptsWrites"; readonly reason: string }[] {
  if (domain.role === "active") {
    const reason = "must be at least 1 in an active domain; acceptsWrites: false keeps copies out of it";
    return domain.replicaCount === 0 ? [{ setting: "replicaCount", reason }] : [];
  }
  const reason = "of the standby domain: it takes no planned copies until a node is promoted";
  const copies = { setting: "replicaCount", reason: `must be 0, the only number ${reason}` } as const;
  const writes = { setting: "acceptsWrites", reason: `must be false, the only value ${reason}` } as const;
  return [...(domain.replicaCount > 0 ? [copies] : []), ...(domain.acceptsWrites ? [writes] : [])];
}

/** Nodes that a domain must have. One that takes no copies yet may wait for its nodes. */
export function populationProblems(
  domains: readonly TopologyDomain[],
  nodes: readonly Pick<RuledNode, "domain" | "physicalStorageId">[],
): { readonly domain: string; readonly setting?: "replicaCount"; readonly reason: string }[] {
  return domains.flatMap(({ name, role, replicaCount, acceptsWrites }) => {
    const members = nodes.filter(({ domain }) => domain === name);
    if (members.length === 0) {
      const empty = role === "active" && acceptsWrites;
      return empty ? [{ domain: name, reason: "is an active domain without any node" }] : [];
    }
    const storages = new Set(members.map(({ physicalStorageId }) => physicalStorageId)).size;
    const reason = `must be at most ${storages}, the number of the domain's nodes with a physicalStorageId of their own`;
    return replicaCount > storages ? [{ domain: name, setting: "replicaCount", reason }] : [];
  });
}

/**
 * @param writable domains that take planned copies
 * @param policy a quorum that is not a number follows from the factor; without a factor it is `writable`
 */
export function replicationProblems(
  writable: number,
  policy: { readonly factor?: number | undefined; readonly quorum: number | string },
): { readonly setting: "domains" | "factor" | "quorum"; readonly reason: string }[] {
  const count = "the number of active domains that accept writes";
  if (writable === 0) return [{ setting: "domains", reason: "must hold at least one domain that accepts writes" }];
  const { factor = writable, quorum } = policy;
  const whose = policy.factor === undefined ? `${count}, which is the factor` : "the factor";
  return [
    ...(factor > writable ? [{ setting: "factor", reason: `must be at most ${writable}, ${count}` } as const] : []),
    ...(typeof quorum === "number" && quorum > factor
      ? [{ setting: "quorum", reason: `must be at most ${factor}, ${whose}` } as const]
      : []),
  ];
}

/** Reasons against the least number of copies of a degraded write. */
export function degradedWriteProblems(minReplicas: number, nodes: number): string[] {
  return minReplicas > nodes ? [`must be at most ${nodes}, the number of nodes`] : [];
}

function checkNames({ domains, nodes }: RuledTopology): TopologyProblem[] {
  const known = new Set(domains.map(({ name }) => name));
  const standby = domains.filter(({ role }) => role === "standby").map(({ name }) => name);
  const names = domains.map(({ name }) => name).join(", ");
  return [
    ...repeated(domains).map((name) => ({ path: `domains.${name}`, reason: "is the name of two domains" })),
    ...standby.slice(1).map((name) => ({
      path: `domains.${name}.role`,
      reason: `must be active, because ${standby[0]} is the standby domain`,
    })),
    ...repeated(nodes).map((name) => ({ path: `nodes.${name}`, reason: "is the name of two nodes" })),
    ...nodes
      .filter(({ domain }) => !known.has(domain))
      .map(({ name }) => ({
        path: `nodes.${name}.domain`,
        reason: `must be an active domain or the standby domain: ${names}`,
      })),
  ];
}

function checkWeights({ nodes, virtualNodesPerNode }: RuledTopology): TopologyProblem[] {
  const max = Math.floor((VIRTUAL_NODES_MAX * 100) / virtualNodesPerNode);
  return nodes
    .filter(({ weight }) => weight > max)
    .map(({ name }) => ({
      path: `nodes.${name}.weight`,
      reason: `must be at most ${max} with ${virtualNodesPerNode} virtual nodes at weight 100`,
    }));
}

function repeated(things: readonly { readonly name: string }[]): string[] {
  const seen = new Set<string>();
  return things.flatMap(({ name }) => (seen.has(name) ? [name] : (seen.add(name), [])));
}
