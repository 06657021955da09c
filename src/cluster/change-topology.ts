/** Changes of the topology by an operator, each one commit under a new epoch. */
import { type Catalog, COMMIT_ATTEMPTS_MAX } from "../catalog/catalog.ts";
import { nodeKey, topologyKey } from "../catalog/keys.ts";
import { CatalogError } from "../catalog/kv.ts";
import { encodeNode, encodeTopology, type NodeRecord } from "./topology-records.ts";
import { loadTopology, type StoredTopology } from "./topology-store.ts";

/** What was asked for makes no sense for the topology as it is; the message says why, for an operator. */
export class TopologyChangeError extends Error {
  readonly kind: "unknown" | "refused";
  constructor(kind: "unknown" | "refused", message: string) {
    super(message);
    this.name = "TopologyChangeError";
    this.kind = kind;
  }
}

export interface NodeSettings {
  /** Share of its domain's ring, 100 is usual; 0 takes no new copies. */
  readonly weight?: number;
  /** Whether it takes new copies. */
  readonly acceptsWrites?: boolean;
}

/**
 * Sets what an operator may set of a node. One that says what is there already changes nothing.
 * @throws TopologyChangeError; CatalogError
 */
export function setNode(catalog: Catalog, name: string, settings: NodeSettings): Promise<void> {
  return changeNodes(catalog, ({ records }) => {
    const record = [...records.values()].find((each) => each.name === name && each.configured);
    if (record === undefined) throw new TopologyChangeError("unknown", `there is no node ${name}`);
    return [{ ...record, ...settings }];
  });
}

/**
 * @param change from the topology as it is to the records of the nodes that are to be others
 * @throws what `change` throws; CatalogError
 */
export async function changeNodes(
  catalog: Catalog,
  change: (stored: StoredTopology) => readonly NodeRecord[],
): Promise<void> {
  for (let attempt = 0; attempt < COMMIT_ATTEMPTS_MAX; attempt++) {
    const entry = await catalog.kv.get(topologyKey());
    const stored = await loadTopology(catalog.kv);
    if (entry === undefined || stored === undefined) throw new CatalogError("unavailable", "there is no topology yet");
    const generations = new Map(stored.topology.nodes.map(({ uuid, writeGeneration }) => [uuid, writeGeneration]));
    const changed = change(stored).filter((record) => {
      const before = stored.records.get(record.uuid);
      return before === undefined || !encodeNode(before).equals(encodeNode(record));
    });
    if (changed.length === 0) return;
    const { nodes: _nodes, ...rest } = stored.topology;
    const atomic = catalog
      .begin()
      .check(entry.key, entry.version)
      .set(entry.key, encodeTopology({ ...rest, epoch: rest.epoch + 1 }));
    for (const record of changed) {
      // Its admission may be put on record meanwhile, which is no change of the topology.
      atomic.check(nodeKey(record.uuid), generations.get(record.uuid) ?? null);
      atomic.set(nodeKey(record.uuid), encodeNode(record));
    }
    if ((await catalog.commit(atomic)).committed) return;
  }
  throw new CatalogError("unavailable", "the topology kept changing while it was to be changed");
}
