/**
 * The shape of a cluster: fault domains and the nodes in them. Pure data; the catalog owns it, placement plans with
 * it. A topology never changes in place: a change makes a new one with a higher epoch.
 */
import type { Id } from "../shared/ids.ts";

export type DiskType = "ssd" | "hdd" | "nvme" | "unknown";

export interface TopologyNode {
  /** What the catalog knows the node by; survives renaming and moving it. */
  readonly uuid: Id;
  readonly name: string;
  /** The fault domain that it serves now. */
  readonly domain: string;
  /** The fault domain that it physically lives in; differs from `domain` while it is promoted from standby. */
  readonly homeDomain: string;
  /** Share of its domain's ring, 100 is usual; 0 takes no new copies. */
  readonly weight: number;
  /** Whether it takes new copies as far as the operator is concerned. Health is not part of the topology. */
  readonly acceptsWrites: boolean;
  /**
   * Grows whenever the node stops accepting writes. A commit that points to a new copy checks that it has not
   * moved since the copy was planned.
   */
  readonly writeGeneration: number;
  /** Two copies never share one. */
  readonly physicalStorageId: string;
  /** Two copies share none where there are several. */
  readonly host: string;
  readonly rack?: string;
  readonly diskType: DiskType;
  /** Set once it was away for too long: its copies are made anew elsewhere, and only an operator takes it back. */
  readonly decommissionedAtMs?: number;
}

export interface TopologyDomain {
  readonly name: string;
  /** Active domains hold the planned copies; the standby domain supplies stand-ins. */
  readonly role: "active" | "standby";
  /** Healthy nodes below which a standby node is promoted. */
  readonly minNodes: number;
  /** Copies inside the domain, on distinct nodes. */
  readonly replicaCount: number;
  /** Whether it takes planned copies and counts for the factor. */
  readonly acceptsWrites: boolean;
}

export type HandoffScope = "any" | "active" | "none";

/** How many copies of a blob there are to be, and when a write is acknowledged. */
export interface ReplicationPolicy {
  /** Domains that hold a copy. */
  readonly factor: number;
  /** Domains that must hold a durable copy before a write is acknowledged: 1 to `factor`. */
  readonly quorum: number;
  /** Which domains when there are more than `factor`: a weighted hash per blob, or always the first ones. */
  readonly domainChoice: "hash" | "priority";
  readonly degradedWrite: {
    readonly enabled: boolean;
    /** Least copies, hand-off copies included; two wherever two nodes accept writes. */
    readonly minReplicas: number;
    readonly handoff: HandoffScope;
  };
}

export interface Topology {
  readonly epoch: number;
  /** In order of priority. At most one has the role standby. */
  readonly domains: readonly TopologyDomain[];
  readonly nodes: readonly TopologyNode[];
  /** Virtual nodes of a node with weight 100. */
  readonly virtualNodesPerNode: number;
  readonly replication: ReplicationPolicy;
}
