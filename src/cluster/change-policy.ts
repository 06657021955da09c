/** How many copies there are to be and when a write is acknowledged, as an operator sets it while the cluster serves. */
import type { Catalog } from "../catalog/catalog.ts";
import type { KvAtomic } from "../catalog/kv.ts";
import { type QuorumSetting, resolveQuorum } from "../placement/quorum.ts";
import type { ReplicationPolicy } from "../placement/topology.ts";
import type { Clock } from "../shared/clock.ts";
import { changeTopology } from "./change-topology.ts";
import { enterLiveLimits, type LiveLimitsChange } from "./live-limits.ts";
import { enterPastFactor } from "./policy-history.ts";
import { TopologyChangeError } from "./topology-change-error.ts";

export interface PolicySettings {
  readonly factor?: number;
  /** Words are taken for the factor that there is then. */
  readonly quorum?: QuorumSetting;
  readonly domainChoice?: ReplicationPolicy["domainChoice"];
  readonly degradedWrite?: Partial<ReplicationPolicy["degradedWrite"]>;
  readonly virtualNodesPerNode?: number;
  /** Of background work; in the same commit. */
  readonly limits?: LiveLimitsChange;
}

/**
 * @param expectedEpoch where it is given and the topology has another one, nothing changes
 * @throws TopologyChangeError; CatalogError
 */
export async function setPolicy(
  deps: { readonly catalog: Catalog; readonly clock: Clock },
  settings: PolicySettings,
  expectedEpoch?: number,
): Promise<void> {
  const { catalog, clock } = deps;
  const { quorum, degradedWrite, virtualNodesPerNode, limits, ...plain } = settings;
  await changeTopology(catalog, ({ topology }) => {
    if (expectedEpoch !== undefined && topology.epoch !== expectedEpoch) {
      throw new TopologyChangeError(
        "refused",
        `the settings have version ${topology.epoch}, not ${expectedEpoch}: somebody changed them meanwhile`,
      );
    }
    const before = topology.replication;
    const after = { ...before, ...plain, degradedWrite: { ...before.degradedWrite, ...degradedWrite } };
    // A number is judged with the whole.
    const resolved = typeof quorum === "string" ? resolveQuorum(quorum, after.factor) : (quorum ?? before.quorum);
    const also = async (atomic: KvAtomic): Promise<void> => {
      await enterPastFactor(catalog, atomic, { before, after, clock });
      if (limits !== undefined) await enterLiveLimits(catalog, atomic, limits);
    };
    return {
      ...(after.factor === before.factor && limits === undefined ? {} : { also }),
      shape: {
        replication: { ...after, quorum: resolved },
        ...(virtualNodesPerNode === undefined ? {} : { virtualNodesPerNode }),
      },
    };
  });
}
