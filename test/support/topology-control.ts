/** Changes of a cluster in memory by the admin API: real commits, over members that do not follow by themselves. */
import type { TopologyControl } from "../../src/admin/topology-control.ts";
import { addDomain, removeDomain, setDomain } from "../../src/cluster/change-domains.ts";
import { removeNode, setNode } from "../../src/cluster/change-nodes.ts";
import { setPolicy } from "../../src/cluster/change-policy.ts";
import { TopologyChangeError } from "../../src/cluster/topology-change-error.ts";
import { WorkLimitsInForce } from "../../src/compose/live-limits.ts";
import type { InMemoryGateway } from "./in-memory-gateway.ts";

/** The defaults. */
const CONFIGURED = {
  rebalance: { enabled: true, automatic: true, rateLimitPerSecond: 10, cleanupSource: false },
  repair: { rateLimitPerSecond: "auto", bandwidthLimitBytesPerSecond: "auto" },
  scrub: { enabled: true, intervalMs: 1, copiesPerSecond: 100, bytesPerSecond: 20 * 2 ** 20 },
} as const;

/** What would open nodes is refused with what was asked for, so that a test sees it. */
export function staticTopologyControl(gateway: InMemoryGateway): TopologyControl {
  const { clock } = gateway;
  const { catalog } = gateway.process;
  const refused = (what: unknown): Promise<never> =>
    Promise.reject(new TopologyChangeError("refused", JSON.stringify(what)));
  const limits = new WorkLimitsInForce(catalog.kv, CONFIGURED, {
    moving: { set: () => {} },
    restoring: { set: () => {} },
    scrubbing: { setRates: () => {} },
  });
  return {
    addNode: refused,
    setNode: (name, settings) => setNode(catalog, name, settings),
    setNodeKeys: (name, keys) => refused([name, keys]),
    removeNode: (name, how) => removeNode(catalog, name, how),
    addDomain: (name, settings) => addDomain(catalog, name, settings),
    setDomain: (name, settings) => setDomain(catalog, name, settings),
    removeDomain: (name) => removeDomain(catalog, name),
    async setPolicy(settings, expectedEpoch) {
      await setPolicy({ catalog, clock }, settings, expectedEpoch);
      await limits.refresh();
    },
    limits: () => limits.inForce(),
    reload: async () => ({ changed: false, needsRestart: ["server.s3"] }),
  };
}
