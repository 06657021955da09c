/**
 * The topology as the catalog keeps it: one record for the domains and the policy, one for each node.
 */
import { decodeRecord, encodeRecord, type Field, type RecordReader } from "../catalog/records/codec.ts";
import type { DiskType, HandoffScope, Topology, TopologyNode } from "../placement/topology.ts";
import { idBytes } from "../shared/ids.ts";
import type { ConfiguredNode, ConfiguredTopology } from "./configured-topology.ts";

/** A node as it is kept: its write generation is the version of its entry. */
export interface NodeRecord extends Omit<TopologyNode, "writeGeneration"> {
  /** Whether it passed admission and carries our identity: one that carries none later was replaced. */
  readonly admitted: boolean;
  /** Whether the configuration names it. One that it does not name any more keeps its record with its copies. */
  readonly configured: boolean;
  /** An operator took it out though copies are on record on it: its record goes when there are none any more. */
  readonly leaving?: boolean;
  /** The domain that it was promoted to before, while copies of that domain are still on it. */
  readonly demotedFrom?: string;
}

const NODE_FORMAT = 1;

export function encodeNode(node: NodeRecord): Buffer {
  return encodeRecord(NODE_FORMAT, [
    idBytes(node.uuid),
    node.name,
    node.domain,
    node.homeDomain,
    node.weight,
    node.acceptsWrites,
    node.physicalStorageId,
    node.host,
    node.rack ?? null,
    node.diskType,
    node.admitted,
    node.configured,
    node.decommissionedAtMs ?? null,
    node.leaving ?? null,
    node.demotedFrom ?? null,
  ]);
}

const DISK_TYPES: readonly DiskType[] = ["ssd", "hdd", "nvme", "unknown"];

export function decodeNode(value: Uint8Array): NodeRecord {
  const reader = decodeRecord("node", value, NODE_FORMAT);
  const node = {
    uuid: reader.id(),
    name: reader.string(),
    domain: reader.string(),
    homeDomain: reader.string(),
    weight: reader.int(),
    acceptsWrites: reader.bool(),
    physicalStorageId: reader.string(),
    host: reader.string(),
  };
  const rack = reader.optionalString();
  const rest = { diskType: reader.oneOf(DISK_TYPES), admitted: reader.bool(), configured: reader.bool() };
  const decommissionedAtMs = reader.optionalInt();
  const leaving = reader.optionalBool() === true;
  const demotedFrom = reader.optionalString();
  return {
    ...node,
    ...(rack === undefined ? {} : { rack }),
    ...rest,
    ...(decommissionedAtMs === undefined ? {} : { decommissionedAtMs }),
    ...(leaving ? { leaving } : {}),
    ...(demotedFrom === undefined ? {} : { demotedFrom }),
  };
}

/** The topology without its nodes, which have records of their own. */
export type TopologyRecord = Omit<Topology, "nodes">;

const TOPOLOGY_FORMAT = 1;

export function encodeTopology(topology: TopologyRecord): Buffer {
  return encodeRecord(TOPOLOGY_FORMAT, [topology.epoch, ...shapeFields(topology)]);
}

const ROLES = ["active", "standby"] as const;
const DOMAIN_CHOICES = ["hash", "priority"] as const;
const HANDOFF_SCOPES: readonly HandoffScope[] = ["any", "active", "none"];

export function decodeTopology(value: Uint8Array): TopologyRecord {
  const reader = decodeRecord("topology", value, TOPOLOGY_FORMAT);
  return { epoch: reader.int(), ...readShape(reader) };
}

const FILE_FORMAT = 1;

/** What a configuration says of the topology; the same bytes in whatever order it names the nodes. */
export function encodeFile(file: ConfiguredTopology): Buffer {
  const nodes = file.nodes.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map(configuredNodeFields);
  return encodeRecord(FILE_FORMAT, [...shapeFields(file), nodes]);
}

export function decodeFile(value: Uint8Array): ConfiguredTopology {
  const reader = decodeRecord("applied file", value, FILE_FORMAT);
  return { ...readShape(reader), nodes: reader.list(readConfiguredNode) };
}

type Shape = Omit<Topology, "epoch" | "nodes">;

function shapeFields({ virtualNodesPerNode, domains, replication }: Shape): Field[] {
  const { factor, quorum, domainChoice, degradedWrite } = replication;
  return [
    virtualNodesPerNode,
    domains.map((domain) => [domain.name, domain.role, domain.minNodes, domain.replicaCount, domain.acceptsWrites]),
    [factor, quorum, domainChoice, degradedWrite.enabled, degradedWrite.minReplicas, degradedWrite.handoff],
  ];
}

function readShape(reader: RecordReader): Shape {
  const virtualNodesPerNode = reader.int();
  const domains = reader.list((domain) => ({
    name: domain.string(),
    role: domain.oneOf(ROLES),
    minNodes: domain.int(),
    replicaCount: domain.int(),
    acceptsWrites: domain.bool(),
  }));
  const policy = reader.nested();
  return {
    virtualNodesPerNode,
    domains,
    replication: {
      factor: policy.int(),
      quorum: policy.int(),
      domainChoice: policy.oneOf(DOMAIN_CHOICES),
      degradedWrite: {
        enabled: policy.bool(),
        minReplicas: policy.int(),
        handoff: policy.oneOf(HANDOFF_SCOPES),
      },
    },
  };
}

function configuredNodeFields(node: ConfiguredNode): Field[] {
  const { name, domain, weight, acceptsWrites, physicalStorageId, host, rack, diskType } = node;
  return [name, domain, weight, acceptsWrites, physicalStorageId, host, rack ?? null, diskType];
}

function readConfiguredNode(reader: RecordReader): ConfiguredNode {
  const [name, domain] = [reader.string(), reader.string()];
  const [weight, acceptsWrites] = [reader.int(), reader.bool()];
  const [physicalStorageId, host, rack] = [reader.string(), reader.string(), reader.optionalString()];
  const diskType = reader.oneOf(DISK_TYPES);
  const node = { name, domain, weight, acceptsWrites, physicalStorageId, host, diskType };
  return rack === undefined ? node : { ...node, rack };
}
