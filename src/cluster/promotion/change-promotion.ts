/** Promotions and demotions in the catalog: each one commit under a new topology epoch. */
import type { Catalog } from "../../catalog/catalog.ts";
import { changeTopology, nodeNamed } from "../change-topology.ts";
import { TopologyChangeError } from "../topology-change-error.ts";
import type { NodeRecord } from "../topology-records.ts";
import type { StoredTopology } from "../topology-store.ts";
import { PROMOTION_TABLE, type PromotionEvent, promotionStateOf } from "./promotion-state.ts";

/** A decision was made under a topology that is not the current one any more. */
export class StaleEpochError extends Error {
  constructor() {
    super("the topology changed since this was decided");
    this.name = "StaleEpochError";
  }
}

export interface Promotion {
  /** Name of the node. */
  readonly node: string;
  /** The active domain that it is to serve. */
  readonly domain: string;
  /** The epoch under which it was decided; any when absent. */
  readonly epoch?: number;
}

/** @throws StaleEpochError, TopologyChangeError; CatalogError */
export function promoteNode(catalog: Catalog, { node, domain, epoch }: Promotion): Promise<void> {
  return changeTopology(catalog, (stored) => {
    const record = recordOf(stored, node, epoch);
    step(stored, record, "promote");
    const target = stored.topology.domains.find(({ name }) => name === domain);
    if (target === undefined) throw new TopologyChangeError("unknown", `there is no domain ${domain}`);
    if (target.role !== "active") throw new TopologyChangeError("refused", `domain ${domain} is not an active one`);
    const { demotedFrom, ...rest } = record;
    // What it still has of another domain has to leave it as before.
    const keeps = demotedFrom !== undefined && demotedFrom !== domain;
    return { nodes: [{ ...rest, domain, ...(keeps ? { demotedFrom } : {}) }] };
  });
}

/** @throws StaleEpochError, TopologyChangeError; CatalogError */
export function demoteNode(
  catalog: Catalog,
  { node, epoch }: { readonly node: string; readonly epoch?: number },
): Promise<void> {
  return changeTopology(catalog, (stored) => {
    const record = recordOf(stored, node, epoch);
    step(stored, record, "demote");
    if (record.demotedFrom !== undefined) {
      const why = `it still has copies of domain ${record.demotedFrom} from before`;
      throw new TopologyChangeError("refused", `node ${record.name}: ${why}`);
    }
    return { nodes: [{ ...record, domain: record.homeDomain, demotedFrom: record.domain }] };
  });
}

/** No copy of the domain that it served is left on the node. @throws CatalogError */
export function endDemotion(catalog: Catalog, nodeUuid: string, demotedFrom: string): Promise<void> {
  return changeTopology(catalog, ({ records }) => {
    const record = records.get(nodeUuid);
    if (record === undefined || record.demotedFrom !== demotedFrom) return {};
    const { demotedFrom: _demotedFrom, ...rest } = record;
    return { nodes: [rest] };
  });
}

function recordOf(stored: StoredTopology, name: string, epoch: number | undefined): NodeRecord {
  if (epoch !== undefined && epoch !== stored.topology.epoch) throw new StaleEpochError();
  return nodeNamed(stored, name);
}

function step({ topology }: StoredTopology, record: NodeRecord, event: PromotionEvent): void {
  const home = topology.domains.find(({ name }) => name === record.homeDomain);
  if (home?.role !== "standby") {
    throw new TopologyChangeError(
      "refused",
      `node ${record.name} is no standby node: its home is ${record.homeDomain}`,
    );
  }
  const next = PROMOTION_TABLE[promotionStateOf(record)][event];
  if ("refused" in next) throw new TopologyChangeError("refused", `node ${record.name}: ${next.refused}`);
}
