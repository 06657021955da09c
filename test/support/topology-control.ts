/** Changes of a cluster in memory by the admin API: real commits, over members that do not follow by themselves. */
import type { TopologyControl } from "../../src/admin/topology-control.ts";
import { addDomain, removeDomain, setDomain } from "../../src/cluster/change-domains.ts";
import { removeNode, setNode } from "../../src/cluster/change-nodes.ts";
import { setPolicy } from "../../src/cluster/change-policy.ts";
import { TopologyChangeError } from "../../src/cluster/topology-change-error.ts";
import type { InMemoryGateway } from "./in-memory-gateway.ts";

/** What would open nodes is refused with what was asked for, so that a test sees it. */
export function staticTopologyControl(gateway: InMemoryGateway): TopologyControl {
  const { clock } = gateway;
  const { catalog } = gateway.process;
  const refused = (what: unknown): Promise<never> =>
    Promise.reject(new TopologyChangeError("refused", JSON.stringify(what)));
  return {
    addNode: refused,
    setNode: (name, settings) => setNode(catalog, name, settings),
    setNodeKeys: (name, keys) => refused([name, keys]),
    removeNode: (name, how) => removeNode(catalog, name, how),
    addDomain: (name, settings) => addDomain(catalog, name, settings),
    setDomain: (name, settings) => setDomain(catalog, name, settings),
    removeDomain: (name) => removeDomain(catalog, name),
    setPolicy: (settings, expectedEpoch) => setPolicy({ catalog, clock }, settings, expectedEpoch),
    reload: async () => ({ changed: false, needsRestart: ["server.s3"] }),
  };
}
