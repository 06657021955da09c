/** Changes of the topology by an operator, each one commit under a new epoch, judged as a whole before it is made. */
import { type Catalog, COMMIT_ATTEMPTS_MAX } from "../catalog/catalog.ts";
import { copiesRange, nodeConnectionKey, nodeKey, pendingDeletesRange, topologyKey } from "../catalog/keys.ts";
import { CatalogError, type KvAtomic } from "../catalog/kv.ts";
import type { RuledTopology } from "../placement/topology-rules.ts";
import type { Id } from "../shared/ids.ts";
import { requireSound, TopologyChangeError } from "./topology-change-error.ts";
import { encodeNode, encodeTopology, type NodeRecord, type TopologyRecord } from "./topology-records.ts";
import { loadTopology, type StoredTopology } from "./topology-store.ts";

/** What is to be another one than it is; the rest stays. */
export interface TopologyChange {
  readonly shape?: Partial<Omit<TopologyRecord, "epoch">>;
  /** Nodes that are new, or to be as given. */
  readonly nodes?: readonly NodeRecord[];
  /** Nodes whose records go. */
  readonly removed?: readonly Id[];
  /** Nodes on which no copy may be on record in the commit, nor one that is still to be deleted. */
  readonly empty?: readonly Pick<NodeRecord, "uuid" | "name">[];
  /** Further writes of the same commit. Without any change of the topology they are made as well. */
  readonly also?: (atomic: KvAtomic) => void | Promise<void>;
}

/**
 * Changes the topology in one commit; a change that leaves everything as it is commits nothing.
 * @param decide from the topology as it is to what is to change; it runs again when another commit came first
 * @throws TopologyChangeError also of `decide`; CatalogError
 */
export async function changeTopology(
  catalog: Catalog,
  decide: (stored: StoredTopology) => TopologyChange,
): Promise<void> {
  for (let attempt = 0; attempt < COMMIT_ATTEMPTS_MAX; attempt++) {
    const entry = await catalog.kv.get(topologyKey());
    const stored = await loadTopology(catalog.kv);
    if (entry === undefined || stored === undefined) throw new CatalogError("unavailable", "there is no topology yet");
    const change = onlyWhatChanges(stored, decide(stored));
    requireSound(ruled(stored), ruled(applied(stored, change)));
    const changesNothing = change.nodes.length === 0 && change.removed.length === 0 && change.shape === undefined;
    if (changesNothing && change.also === undefined) return;
    const atomic = catalog.begin().check(entry.key, entry.version);
    if (!changesNothing) enterChange(atomic, stored, change);
    for (const { uuid } of change.empty) atomic.checkEmpty(copiesRange(uuid)).checkEmpty(pendingDeletesRange(uuid));
    await change.also?.(atomic);
    const result = await catalog.commit(atomic);
    if (result.committed) return;
    const held = change.empty.find(({ uuid }) =>
      [copiesRange(uuid), pendingDeletesRange(uuid)].some(({ start }) => Buffer.compare(start, result.failed) === 0),
    );
    if (held !== undefined) throw copiesOnRecord(held.name);
  }
  throw new CatalogError("unavailable", "the topology kept changing while it was to be changed");
}

/** A topology as it is judged: with the nodes that are in use. */
export function ruled({ topology, records }: StoredTopology): RuledTopology {
  return { ...topology, nodes: [...records.values()].filter(({ configured }) => configured) };
}

/** The record of a node that is in use. @throws TopologyChangeError */
export function nodeNamed({ records }: StoredTopology, name: string): NodeRecord {
  const record = [...records.values()].find((each) => each.name === name && each.configured);
  if (record === undefined) throw new TopologyChangeError("unknown", `there is no node ${name}`);
  return record;
}

export function copiesOnRecord(name: string): TopologyChangeError {
  return new TopologyChangeError("refused", `copies are on record on node ${name}, or still to be deleted there`);
}

type Effective = TopologyChange & Required<Pick<TopologyChange, "nodes" | "removed" | "empty">>;

function onlyWhatChanges(stored: StoredTopology, change: TopologyChange): Effective {
  const { shape, nodes = [], removed = [], empty = [], also } = change;
  const { nodes: _nodes, ...before } = stored.topology;
  const sameShape = encodeTopology({ ...before, ...shape }).equals(encodeTopology(before));
  return {
    ...(shape === undefined || sameShape ? {} : { shape }),
    nodes: nodes.filter((record) => {
      const earlier = stored.records.get(record.uuid);
      return earlier === undefined || !encodeNode(earlier).equals(encodeNode(record));
    }),
    removed,
    empty,
    ...(also === undefined ? {} : { also }),
  };
}

function applied({ topology, records }: StoredTopology, change: Effective): StoredTopology {
  const after = new Map(records);
  for (const record of change.nodes) after.set(record.uuid, record);
  for (const uuid of change.removed) after.delete(uuid);
  return { topology: { ...topology, ...change.shape }, records: after };
}

function enterChange(atomic: KvAtomic, { topology }: StoredTopology, change: Effective): void {
  const generations = new Map(topology.nodes.map(({ uuid, writeGeneration }) => [uuid, writeGeneration]));
  const { nodes: _nodes, ...rest } = topology;
  atomic.set(topologyKey(), encodeTopology({ ...rest, ...change.shape, epoch: rest.epoch + 1 }));
  // Its admission may be put on record meanwhile, which is no change of the topology.
  for (const record of change.nodes) {
    atomic.check(nodeKey(record.uuid), generations.get(record.uuid) ?? null);
    atomic.set(nodeKey(record.uuid), encodeNode(record));
  }
  for (const uuid of change.removed) {
    atomic.check(nodeKey(uuid), generations.get(uuid) ?? null);
    atomic.delete(nodeKey(uuid)).delete(nodeConnectionKey(uuid));
  }
}
