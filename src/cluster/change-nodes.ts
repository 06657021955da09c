/** Nodes that an operator adds, changes and takes out while the cluster serves. */
import { type Catalog, walkPages } from "../catalog/catalog.ts";
import { copiesRange, nodeConnectionKey, nodeKey, pendingDeletesRange } from "../catalog/keys.ts";
import type { DiskType } from "../placement/topology.ts";
import type { Id, IdSource } from "../shared/ids.ts";
import { changeTopology, copiesOnRecord, nodeNamed } from "./change-topology.ts";
import type { ConfiguredNode } from "./configured-topology.ts";
import { TopologyChangeError } from "./topology-change-error.ts";
import type { NodeRecord } from "./topology-records.ts";
import { loadTopology, type StoredTopology } from "./topology-store.ts";

/** Deletions that were owed to a node and are given up in one commit. */
const PENDING_PAGE = 500;

export interface NodeSettings {
  /** Share of its domain's ring, 100 is usual; 0 takes no new copies. */
  readonly weight?: number;
  /** Whether it takes new copies. */
  readonly acceptsWrites?: boolean;
  /** The fault domain that it is moved to; only a node without copies moves. */
  readonly domain?: string;
  /** `null` takes it away. */
  readonly rack?: string | null;
  readonly diskType?: DiskType;
}

/**
 * Sets what an operator may set of a node. One that says what is there already changes nothing.
 * @throws TopologyChangeError; CatalogError
 */
export function setNode(catalog: Catalog, name: string, settings: NodeSettings): Promise<void> {
  const { rack, domain, ...plain } = settings;
  return changeTopology(catalog, (stored) => {
    const { rack: rackBefore, ...before } = nodeNamed(stored, name);
    const rackAfter = rack === undefined ? rackBefore : rack;
    const moves = domain !== undefined && domain !== before.homeDomain;
    const record: NodeRecord = {
      ...before,
      ...plain,
      // Its copies would lie in a domain that their slots are not of.
      ...(moves ? { domain, homeDomain: domain } : {}),
      ...(rackAfter === undefined || rackAfter === null ? {} : { rack: rackAfter }),
    };
    return { nodes: [record], ...(moves ? { empty: [before] } : {}) };
  });
}

/**
 * Adds a node, with the record of how to reach it in the same commit. A name that the cluster knew before is the same
 * node again.
 * @param connection the bytes of its record, of the node's uuid
 * @returns the node's uuid
 * @throws TopologyChangeError; CatalogError
 */
export async function addNode(
  catalog: Catalog,
  added: { readonly node: ConfiguredNode; readonly connection: (uuid: Id) => Uint8Array },
  ids: IdSource,
): Promise<Id> {
  const { node, connection } = added;
  let uuid = ids.next();
  await changeTopology(catalog, (stored) => {
    const before = [...stored.records.values()].find(({ name }) => name === node.name);
    if (before?.configured === true) throw new TopologyChangeError("refused", `there is a node ${node.name} already`);
    if (before?.leaving === true) {
      throw new TopologyChangeError(
        "refused",
        `a node ${node.name} was removed and is not gone yet: its copies are still to be made anew`,
      );
    }
    uuid = before?.uuid ?? uuid;
    const record: NodeRecord = {
      ...node,
      uuid,
      homeDomain: node.domain,
      admitted: before?.admitted ?? false,
      configured: true,
    };
    return { nodes: [record], also: (atomic) => void atomic.set(nodeConnectionKey(uuid), connection(uuid)) };
  });
  return uuid;
}

/** Replaces how a node that was added is reached. @throws TopologyChangeError; CatalogError */
export function setConnection(catalog: Catalog, uuid: Id, connection: Uint8Array): Promise<void> {
  return changeTopology(catalog, ({ records }) => {
    if (!records.has(uuid)) throw new TopologyChangeError("unknown", "the node was removed meanwhile");
    return { also: (atomic) => void atomic.set(nodeConnectionKey(uuid), connection) };
  });
}

/**
 * Takes a node out of the cluster, in a commit that finds no copy on record on it: a write that was under way is entered
 * without its copy there.
 *
 * With `lost` it goes whatever is on record on it: it is no member any more, its copies count as missing and are made
 * anew from others, and its record goes with the last of them (see `forgetLeftNodes`).
 * @throws TopologyChangeError when copies are on record on it, or the cluster cannot do without it; CatalogError
 */
export async function removeNode(catalog: Catalog, name: string, how: { readonly lost: boolean }): Promise<void> {
  await changeTopology(catalog, (stored) => {
    const record = nodeNamed(stored, name);
    if (how.lost) return { nodes: [{ ...record, acceptsWrites: false, configured: false, leaving: true }] };
    return { removed: [record.uuid], empty: [record] };
  }).catch(async (error: unknown) => {
    if (!(error instanceof TopologyChangeError) || error.message !== copiesOnRecord(name).message) throw error;
    throw new TopologyChangeError(
      "refused",
      `${error.message}: drain it first, or, where it is gone for good, remove it as lost`,
    );
  });
  await forgetLeftNodes(catalog);
}

/** Takes away the records of nodes that were removed as lost and have no copy on record any more. @throws CatalogError */
export async function forgetLeftNodes(catalog: Catalog): Promise<void> {
  const stored = await loadTopology(catalog.kv);
  for (const record of leaving(stored)) {
    if ((await catalog.kv.list(copiesRange(record.uuid), { limit: 1 })).length > 0) continue;
    await giveUpDeletions(catalog, record.uuid);
    try {
      await changeTopology(catalog, ({ records }) =>
        records.get(record.uuid)?.leaving === true ? { removed: [record.uuid], empty: [record] } : {},
      );
    } catch (error) {
      // A copy came to be on record meanwhile: next time.
      if (!(error instanceof TopologyChangeError)) throw error;
    }
  }
}

function leaving(stored: StoredTopology | undefined): NodeRecord[] {
  return [...(stored?.records.values() ?? [])].filter((record) => record.leaving === true);
}

/** Nobody will ask the node any more to delete what it was to delete. */
async function giveUpDeletions(catalog: Catalog, uuid: Id): Promise<void> {
  for await (const page of walkPages(catalog.kv, pendingDeletesRange(uuid), PENDING_PAGE)) {
    if (page.length === 0) return;
    const atomic = catalog.begin().check(nodeKey(uuid), (await catalog.kv.get(nodeKey(uuid)))?.version ?? null);
    for (const { key } of page) atomic.delete(key);
    await catalog.commit(atomic);
  }
}
