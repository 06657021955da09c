/**
 * The topology in the catalog, which owns it. At start the configuration is applied to what is there: nodes are matched
 * by name, new ones get a uuid, and those that are no longer named keep their record, so that no copy is forgotten.
 */
import { type Catalog, COMMIT_ATTEMPTS_MAX, walk } from "../catalog/catalog.ts";
import { nodeKey, nodesRange, topologyKey } from "../catalog/keys.ts";
import { CatalogError, type Kv } from "../catalog/kv.ts";
import type { Topology, TopologyNode } from "../placement/topology.ts";
import type { Id, IdSource } from "../shared/ids.ts";
import { decodeNode, decodeTopology, encodeNode, encodeTopology, type NodeRecord } from "./topology-records.ts";

/** What the configuration says of a node. */
export type ConfiguredNode = Omit<TopologyNode, "uuid" | "homeDomain" | "writeGeneration">;

export interface ConfiguredTopology extends Omit<Topology, "epoch" | "nodes"> {
  readonly nodes: readonly ConfiguredNode[];
}

export interface StoredTopology {
  readonly topology: Topology;
  /** The records of all nodes by uuid, those that are not configured any more included. */
  readonly records: ReadonlyMap<Id, NodeRecord>;
}

/** `undefined` in a catalog that has none yet. */
export async function loadTopology(kv: Kv): Promise<StoredTopology | undefined> {
  const entry = await kv.get(topologyKey());
  if (entry === undefined) return undefined;
  const records = new Map<Id, NodeRecord>();
  const nodes: TopologyNode[] = [];
  for await (const nodeEntry of walk(kv, nodesRange())) {
    const record = decodeNode(nodeEntry.value);
    const { admitted: _admitted, configured, ...spec } = record;
    records.set(record.uuid, record);
    nodes.push({ ...spec, acceptsWrites: spec.acceptsWrites && configured, writeGeneration: nodeEntry.version });
  }
  const stored = decodeTopology(entry.value);
  const priority = new Map(stored.domains.map((domain, index) => [domain.name, index]));
  const rank = (node: TopologyNode): number => priority.get(node.domain) ?? priority.size;
  // The records lie in the order of their uuids, which says nothing to anybody.
  nodes.sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
  return { topology: { ...stored, nodes }, records };
}

/**
 * Makes the catalog's topology what the configuration says, under a new epoch if that changes anything.
 * @throws CatalogError
 */
export async function applyConfiguration(
  catalog: Catalog,
  configured: ConfiguredTopology,
  ids: IdSource,
): Promise<StoredTopology> {
  for (let attempt = 0; attempt < COMMIT_ATTEMPTS_MAX; attempt++) {
    const entry = await catalog.kv.get(topologyKey());
    const stored = await loadTopology(catalog.kv);
    const changes = changedNodes(stored, configured, ids);
    const { nodes: _nodes, ...wanted } = configured;
    const epoch = stored?.topology.epoch ?? 0;
    const same = stored !== undefined && encodeTopology({ ...wanted, epoch }).equals(encodeTopology(stored.topology));
    if (stored !== undefined && same && changes.length === 0) return stored;
    const atomic = catalog
      .begin()
      .check(topologyKey(), entry?.version ?? null)
      .set(topologyKey(), encodeTopology({ ...wanted, epoch: epoch + 1 }));
    for (const record of changes) atomic.set(nodeKey(record.uuid), encodeNode(record));
    if ((await catalog.commit(atomic)).committed) {
      const applied = await loadTopology(catalog.kv);
      if (applied !== undefined) return applied;
    }
  }
  throw new CatalogError("unavailable", "the topology kept changing while the configuration was to be applied");
}

/**
 * Records that a node passed admission and carries our identity.
 * @returns its new write generation, `undefined` when the record changed meanwhile
 */
export async function recordAdmission(catalog: Catalog, uuid: Id): Promise<number | undefined> {
  const entry = await catalog.kv.get(nodeKey(uuid));
  if (entry === undefined) return undefined;
  const record = decodeNode(entry.value);
  if (record.admitted) return entry.version;
  const result = await catalog.commit(
    catalog
      .begin()
      .check(entry.key, entry.version)
      .set(entry.key, encodeNode({ ...record, admitted: true })),
  );
  return result.committed ? result.version : undefined;
}

function changedNodes(stored: StoredTopology | undefined, configured: ConfiguredTopology, ids: IdSource): NodeRecord[] {
  const byName = new Map([...(stored?.records.values() ?? [])].map((record) => [record.name, record]));
  const changes: NodeRecord[] = [];
  for (const node of configured.nodes) {
    const before = byName.get(node.name);
    byName.delete(node.name);
    const record: NodeRecord = {
      ...node,
      uuid: before?.uuid ?? ids.next(),
      homeDomain: node.domain,
      admitted: before?.admitted ?? false,
      configured: true,
    };
    if (before === undefined || !encodeNode(before).equals(encodeNode(record))) changes.push(record);
  }
  for (const gone of byName.values()) if (gone.configured) changes.push({ ...gone, configured: false });
  return changes;
}
