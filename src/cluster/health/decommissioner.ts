/**
 * As the leader, decommissions a node that most gateways have reported as missed for long: a commit under a new topology
 * epoch, which every gateway follows.
 */
import type { Catalog } from "../../catalog/catalog.ts";
import { copiesRange } from "../../catalog/keys.ts";
import type { Logger } from "../../observability/logger.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Id } from "../../shared/ids.ts";
import { changeTopology, nodeNamed } from "../change-topology.ts";
import type { Members } from "../members.ts";
import { TopologyChangeError } from "../topology-change-error.ts";
import { type NodeView, nodeToDecommission } from "./decommission.ts";
import { FreshReports, forgetReports, liveSessions, readReports } from "./reports.ts";

export interface DecommissionerDeps {
  readonly catalog: Catalog;
  /** What the leader decides is committed by. */
  readonly leaders: Catalog;
  readonly members: () => Members;
  readonly isLeader: () => boolean;
  /** Whether this gateway is cut off itself, see isolation.ts. */
  readonly holdsBack?: () => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly intervalMs: number;
  /** Resolves when this process goes by the topology in the catalog. */
  readonly refresh: () => Promise<void>;
}

export class Decommissioner {
  readonly #deps: DecommissionerDeps;
  readonly #fresh: FreshReports;

  constructor(deps: DecommissionerDeps) {
    this.#deps = deps;
    this.#fresh = new FreshReports(deps);
  }

  /** One look, at every interval. @throws CatalogError; RecordError */
  async run(): Promise<void> {
    const { catalog, isLeader, holdsBack } = this.#deps;
    if (!isLeader() || holdsBack?.() === true) return;
    const reports = this.#fresh.of(await readReports(catalog));
    const nodes = await this.#views();
    const gateways = await liveSessions(catalog);
    await forgetReports(
      catalog,
      [...reports.keys()].filter((session) => !gateways.has(session)),
    );
    const node = nodeToDecommission({ nodes, gateways, reports });
    if (node !== undefined) await this.#decommission(node);
  }

  async #views(): Promise<NodeView[]> {
    const { catalog, members } = this.#deps;
    const all = members().all();
    const first = await Promise.all(all.map(({ spec }) => catalog.kv.list(copiesRange(spec.uuid), { limit: 1 })));
    return all.map(({ spec, state, missedProbes }, at) => ({
      uuid: spec.uuid,
      name: spec.name,
      state,
      missed: missedProbes,
      holdsCopies: (first[at]?.length ?? 0) > 0,
    }));
  }

  async #decommission({ uuid, name, missed }: NodeView): Promise<void> {
    const { leaders, members, clock, logger, refresh } = this.#deps;
    const decommissioned = members().topology.nodes.filter((node) => node.decommissionedAtMs !== undefined);
    const known = new Set<Id>(decommissioned.map((node) => node.uuid));
    await changeTopology(leaders, ({ records }) => {
      const record = records.get(uuid);
      // Checked again on what is committed upon: of two that take themselves for the leader one takes a node, not both.
      const others = [...records.values()].filter((each) => each.decommissionedAtMs !== undefined);
      const changed = others.some((each) => !known.has(each.uuid));
      if (record === undefined || record.decommissionedAtMs !== undefined || changed) return {};
      return { nodes: [{ ...record, decommissionedAtMs: clock.nowMs() }] };
    });
    logger.warn({ node: name, missed }, "a node was away for too long and is decommissioned");
    await refresh();
  }
}

/**
 * Takes a decommissioned node back, under a new epoch: it is checked as one that joins. One that is not decommissioned is
 * left as it is.
 * @throws TopologyChangeError; CatalogError
 */
export function rejoinNode(catalog: Catalog, name: string): Promise<void> {
  return changeTopology(catalog, (stored) => {
    const record = nodeNamed(stored, name);
    if (record.decommissionedAtMs === undefined) {
      throw new TopologyChangeError("refused", `node ${name} is not decommissioned`);
    }
    const { decommissionedAtMs: _away, ...back } = record;
    return { nodes: [back] };
  });
}
