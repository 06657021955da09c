import type { ConfiguredNode, ConfiguredTopology } from "../cluster/configured-topology.ts";
import type { NodeConfig, StorageConfig } from "../config/config.ts";

/** The configuration's part that the catalog's topology is made of. */
export function configuredTopology(storage: StorageConfig): ConfiguredTopology {
  return {
    domains: storage.domains,
    nodes: storage.nodes.map(configuredNode),
    formerNames: new Map(
      storage.nodes.flatMap(({ name, formerName }) => (formerName === undefined ? [] : [[name, formerName]])),
    ),
    virtualNodesPerNode: storage.virtualNodesPerNode,
    replication: storage.replication,
  };
}

/** A node as the catalog's topology has it. */
export function configuredNode(node: NodeConfig): ConfiguredNode {
  const { name, domain, weight, enabled, physicalStorageId, host, rack, diskType } = node;
  return {
    name,
    domain,
    weight,
    acceptsWrites: enabled,
    physicalStorageId,
    host,
    ...(rack === undefined ? {} : { rack }),
    diskType,
  };
}
