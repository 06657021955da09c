/** What an operator asks of a gateway while it serves, each as the admin API has it done. */
import type { Catalog } from "../../src/catalog/catalog.ts";
import { type DomainSettings, setDomain } from "../../src/cluster/change-domains.ts";
import { addNode, type NodeSettings, removeNode, setNode } from "../../src/cluster/change-nodes.ts";
import { type PolicySettings, setPolicy } from "../../src/cluster/change-policy.ts";
import type { ConfiguredNode } from "../../src/cluster/configured-topology.ts";
import { rejoinNode } from "../../src/cluster/health/decommissioner.ts";
import type { LiveTopology } from "../../src/cluster/live-topology.ts";
import type { Promoter } from "../../src/cluster/promotion/promoter.ts";
import type { Jobs } from "../../src/replication/jobs/jobs.ts";
import type { Clock } from "../../src/shared/clock.ts";
import type { IdSource } from "../../src/shared/ids.ts";
import type { Background } from "./background.ts";
import type { Mutation } from "./mutation.ts";

export interface Operator {
  readonly setNode: (name: string, settings: NodeSettings) => Promise<void>;
  readonly addNode: (node: ConfiguredNode) => Promise<void>;
  readonly removeNode: (name: string) => Promise<void>;
  readonly rejoinNode: (name: string) => Promise<void>;
  readonly setDomain: (name: string, settings: DomainSettings) => Promise<void>;
  readonly setPolicy: (settings: PolicySettings) => Promise<void>;
  readonly promoter: Pick<Promoter, "promote" | "demote">;
  readonly jobs: Jobs;
}

export function operatorOf(
  deps: Pick<Background, "jobs" | "redundancy" | "onRemoved"> & {
    readonly catalog: Catalog;
    readonly liveTopology: LiveTopology;
    readonly clock: Clock;
    readonly ids: IdSource;
    readonly mutation: Mutation;
  },
): Operator {
  const { catalog, liveTopology, clock, ids, jobs, redundancy, onRemoved, mutation } = deps;
  const followed = async (change: Promise<unknown>): Promise<void> => {
    await change;
    await liveTopology.refresh();
  };
  return {
    setNode: (name, settings) => followed(setNode(catalog, name, settings)),
    addNode: (node) => followed(addNode(catalog, { node, connection: () => Buffer.from(node.name) }, ids)),
    async removeNode(name) {
      await followed(removeNode(mutation.removalCatalog?.(catalog) ?? catalog, name, { lost: false }));
      onRemoved();
    },
    rejoinNode: (name) => followed(rejoinNode(catalog, name)),
    setDomain: (name, settings) => followed(setDomain(catalog, name, settings)),
    setPolicy: (settings) => followed(setPolicy({ catalog, clock }, settings)),
    promoter: redundancy.promoter,
    jobs,
  };
}
