import type { Topology, TopologyNode } from "../placement/topology.ts";

/** What the configuration says of a node. */
export type ConfiguredNode = Omit<TopologyNode, "uuid" | "homeDomain" | "writeGeneration" | "decommissionedAtMs">;

export interface ConfiguredTopology extends Omit<Topology, "epoch" | "nodes"> {
  readonly nodes: readonly ConfiguredNode[];
  /** The names that nodes had before, by their names now. Not kept: once carried over they say nothing any more. */
  readonly formerNames?: ReadonlyMap<string, string>;
}
