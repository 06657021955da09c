/**
 * The topology in the catalog, which owns it. At start the configuration is applied to what is there: nodes are matched
 * by name (or by the one that they had before), new ones get a uuid, and those that are no longer named keep their record, so that no copy is forgotten.
 */
import { type Catalog, COMMIT_ATTEMPTS_MAX, walk } from "../catalog/catalog.ts";
import { appliedFileKey, copiesRange, nodeConnectionKey, nodeKey, nodesRange, topologyKey } from "../catalog/keys.ts";
import { CatalogError, type Kv } from "../catalog/kv.ts";
import type { Topology, TopologyNode } from "../placement/topology.ts";
import type { Clock } from "../shared/clock.ts";
import type { Id, IdSource } from "../shared/ids.ts";
import type { ConfiguredTopology } from "./configured-topology.ts";
import { mergeTopology } from "./merge-topology.ts";
import { enterPastFactor } from "./policy-history.ts";
import { asConfigured, withNewNames } from "./rename-nodes.ts";
import { requireSound, TopologyChangeError } from "./topology-change-error.ts";
import {
  decodeFile,
  decodeNode,
  decodeTopology,
  encodeFile,
  encodeNode,
  encodeTopology,
  type NodeRecord,
} from "./topology-records.ts";

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
    const { admitted: _admitted, configured, leaving: _leaving, demotedFrom: _demotedFrom, ...spec } = record;
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
 * Carries what the configuration says anew into the catalog's topology, under a new epoch if that changes anything.
 * @param clock for the record of past factors; without one none is kept
 * @throws TopologyConflictError; TopologyChangeError when the whole would contradict itself, a node with copies would be
 *   in another domain, or two nodes would become one; CatalogError
 */
export async function applyConfiguration(
  catalog: Catalog,
  configured: ConfiguredTopology,
  ids: IdSource,
  clock?: Clock,
): Promise<StoredTopology> {
  for (let attempt = 0; attempt < COMMIT_ATTEMPTS_MAX; attempt++) {
    const entry = await catalog.kv.get(topologyKey());
    const stored = await loadTopology(catalog.kv);
    const file = await readFile(catalog.kv);
    const renamed = stored && withNewNames(stored.records, file?.applied, configured);
    const merged =
      stored === undefined || renamed?.lastFile === undefined
        ? configured
        : mergeTopology(renamed.lastFile, configuredPart({ ...stored, records: renamed.records }), configured);
    requireSound(configured, merged);
    const changes = changedNodes({ lying: stored?.records, renamed: renamed?.records }, merged, ids);
    const dropped = renamed?.dropped ?? [];
    const { nodes: _nodes, ...wanted } = merged;
    const sameFile = file?.bytes.equals(encodeFile(configured)) === true;
    const epoch = stored?.topology.epoch ?? 0;
    const same = stored !== undefined && encodeTopology({ ...wanted, epoch }).equals(encodeTopology(stored.topology));
    const unchanged = stored !== undefined && same && changes.length === 0 && dropped.length === 0;
    if (unchanged && sameFile) return stored;
    const atomic = catalog
      .begin()
      .check(topologyKey(), entry?.version ?? null)
      .set(appliedFileKey(), encodeFile(configured));
    if (clock !== undefined && stored !== undefined) {
      await enterPastFactor(catalog, atomic, { before: stored.topology.replication, after: merged.replication, clock });
    }
    if (!unchanged) atomic.set(topologyKey(), encodeTopology({ ...wanted, epoch: epoch + 1 }));
    const generations = new Map(stored?.topology.nodes.map(({ uuid, writeGeneration }) => [uuid, writeGeneration]));
    for (const record of changes) {
      // Its admission may be put on record meanwhile, which is no change of the topology.
      atomic.check(nodeKey(record.uuid), generations.get(record.uuid) ?? null);
      atomic.set(nodeKey(record.uuid), encodeNode(record));
      const before = stored?.records.get(record.uuid);
      if (before === undefined || before.homeDomain === record.homeDomain) continue;
      await requireNoCopies(catalog.kv, { before, after: record });
      atomic.checkEmpty(copiesRange(record.uuid));
    }
    for (const { uuid } of dropped) {
      atomic.check(nodeKey(uuid), generations.get(uuid) ?? null);
      atomic.delete(nodeKey(uuid)).delete(nodeConnectionKey(uuid));
    }
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

/** Copies are of a domain: on a node of another one no slot would expect them. @throws TopologyChangeError; CatalogError */
async function requireNoCopies(
  kv: Kv,
  { before, after }: { readonly before: NodeRecord; readonly after: NodeRecord },
): Promise<void> {
  if ((await kv.list(copiesRange(before.uuid), { limit: 1 })).length === 0) return;
  const moved = `nodes.${after.name}.faultDomain is ${after.homeDomain} in the configuration`;
  throw new TopologyChangeError(
    "refused",
    `${moved}, and copies are on record on the node that belong to ${before.domain}: leave it in ${before.homeDomain}, drain it, and move it when it is empty`,
  );
}

/** What of a topology a configuration file says. */
function configuredPart({ topology, records }: StoredTopology): ConfiguredTopology {
  const { epoch: _epoch, ...shape } = topology;
  const nodes = [...records.values()].filter(({ configured }) => configured);
  return { ...shape, nodes: nodes.map(asConfigured) };
}

async function readFile(kv: Kv): Promise<{ readonly applied: ConfiguredTopology; readonly bytes: Buffer } | undefined> {
  const entry = await kv.get(appliedFileKey());
  return entry && { applied: decodeFile(entry.value), bytes: entry.value };
}

/** @param known what is on record, as it lies there and by the names that the configuration gives */
function changedNodes(
  known: {
    readonly lying: ReadonlyMap<Id, NodeRecord> | undefined;
    readonly renamed: ReadonlyMap<Id, NodeRecord> | undefined;
  },
  configured: ConfiguredTopology,
  ids: IdSource,
): NodeRecord[] {
  const byName = new Map([...(known.renamed?.values() ?? [])].map((record) => [record.name, record]));
  const changes: NodeRecord[] = [];
  for (const node of configured.nodes) {
    const before = byName.get(node.name);
    byName.delete(node.name);
    const record: NodeRecord = {
      ...node,
      uuid: before?.uuid ?? ids.next(),
      // A node that was promoted stays so as long as it is at home where it was.
      domain: before?.homeDomain === node.domain ? before.domain : node.domain,
      homeDomain: node.domain,
      admitted: before?.admitted ?? false,
      configured: true,
      ...(before?.decommissionedAtMs === undefined ? {} : { decommissionedAtMs: before.decommissionedAtMs }),
      ...(before?.demotedFrom === undefined ? {} : { demotedFrom: before.demotedFrom }),
    };
    const lies = known.lying?.get(record.uuid);
    if (lies === undefined || !encodeNode(lies).equals(encodeNode(record))) changes.push(record);
  }
  for (const gone of byName.values()) if (gone.configured) changes.push({ ...gone, configured: false });
  return changes;
}
