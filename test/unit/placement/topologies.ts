/** Topologies for the placement tests, and arbitrary ones for their properties. */
import fc from "fast-check";
import type { ConfiguredNode } from "../../../src/cluster/configured-topology.ts";
import type { Hasher } from "../../../src/placement/hasher.ts";
import type { ReplicationPolicy, Topology, TopologyDomain, TopologyNode } from "../../../src/placement/topology.ts";

export function policyOf(factor: number, overrides: Partial<ReplicationPolicy> = {}): ReplicationPolicy {
  return {
    factor,
    quorum: factor <= 2 ? factor : Math.floor(factor / 2) + 1,
    domainChoice: "hash",
    degradedWrite: { enabled: true, minReplicas: 1, handoff: "any" },
    ...overrides,
  };
}

export function domainOf(name: string, overrides: Partial<TopologyDomain> = {}): TopologyDomain {
  return { name, role: "active", minNodes: 1, replicaCount: 1, acceptsWrites: true, ...overrides };
}

export const standbyDomain: TopologyDomain = domainOf("standby", {
  role: "standby",
  minNodes: 0,
  replicaCount: 0,
  acceptsWrites: false,
});

/** A node as a configuration names it, on a host and a storage of its own. */
export function configuredNode({ name, domain }: { readonly name: string; readonly domain: string }): ConfiguredNode {
  return {
    name,
    domain,
    weight: 100,
    acceptsWrites: true,
    physicalStorageId: name,
    host: `host of ${name}`,
    diskType: "unknown",
  };
}

/** The same in a topology. */
export function nodeOf(uuid: string, domain: string, overrides: Partial<TopologyNode> = {}): TopologyNode {
  return { ...configuredNode({ name: uuid, domain }), uuid, homeDomain: domain, writeGeneration: 0, ...overrides };
}

export function topologyOf(
  domains: readonly TopologyDomain[],
  nodes: readonly TopologyNode[],
  replication: ReplicationPolicy,
): Topology {
  return { epoch: 1, domains, nodes, virtualNodesPerNode: 150, replication };
}

/** Domains d0, d1, ... with nodes d0-0, d0-1, ... in each. */
export function evenTopology(domainCount: number, nodesEach: number, replication: ReplicationPolicy): Topology {
  const domains = Array.from({ length: domainCount }, (_, d) => domainOf(`d${d}`));
  const nodes = domains.flatMap(({ name }) =>
    Array.from({ length: nodesEach }, (_, n) => nodeOf(`${name}-${n}`, name)),
  );
  return topologyOf(domains, nodes, replication);
}

/** A quick 64-bit hash without WebAssembly; as even as these tests need. */
export const quickHasher: Hasher = (text) => {
  let high = 0x9e3779b9;
  let low = 0x85ebca6b;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    high = Math.imul(high ^ unit, 0x9e3779b1);
    low = Math.imul(low ^ unit, 0x85ebca77) + high;
  }
  return { high: mixed(high ^ (low >>> 7)), low: mixed(low ^ (high >>> 9)) };
};

function mixed(bits: number): number {
  let z = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
  return (z ^ (z >>> 16)) >>> 0;
}

/** Small clusters full of trouble: shared hosts and storage, promoted nodes, nodes and domains that take nothing. */
export const troubledTopology: fc.Arbitrary<Topology> = fc
  .record({
    domainCount: fc.integer({ min: 1, max: 4 }),
    replicaCounts: fc.array(fc.integer({ min: 1, max: 2 }), { minLength: 4, maxLength: 4 }),
    takesWrites: fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 4, maxLength: 4 }),
    factor: fc.integer({ min: 1, max: 4 }),
    domainChoice: fc.constantFrom("hash" as const, "priority" as const),
    handoff: fc.constantFrom("any" as const, "active" as const, "none" as const),
    nodes: fc.array(
      fc.record({
        domain: fc.integer({ min: 0, max: 4 }),
        home: fc.option(fc.integer({ min: 0, max: 4 }), { freq: 5 }),
        weight: fc.constantFrom(0, 1, 50, 100, 300),
        acceptsWrites: fc.integer({ min: 0, max: 9 }),
        storage: fc.integer({ min: 0, max: 12 }),
        host: fc.integer({ min: 0, max: 5 }),
      }),
      { maxLength: 12 },
    ),
  })
  .map(({ domainCount, replicaCounts, takesWrites, factor, domainChoice, handoff, nodes }) => {
    const domains = Array.from({ length: domainCount }, (_, d) =>
      domainOf(`d${d}`, { replicaCount: replicaCounts[d] ?? 1, acceptsWrites: takesWrites[d] !== 0 }),
    );
    const named = [...domains, standbyDomain];
    const nameAt = (d: number): string => named[d % named.length]?.name ?? "d0";
    return topologyOf(
      named,
      nodes.map((node, i) =>
        nodeOf(`n${i}`, nameAt(node.domain), {
          homeDomain: nameAt(node.home ?? node.domain),
          weight: node.weight,
          acceptsWrites: node.acceptsWrites !== 0,
          physicalStorageId: `s${node.storage}`,
          host: `h${node.host}`,
        }),
      ),
      policyOf(Math.min(factor, domainCount), {
        domainChoice,
        degradedWrite: { enabled: true, minReplicas: 1, handoff },
      }),
    );
  });
