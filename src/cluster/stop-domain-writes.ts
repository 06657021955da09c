/** A domain that is to be left stops taking copies, with all its nodes, in one commit under a new epoch. */
import type { Catalog } from "../catalog/catalog.ts";
import type { Topology } from "../placement/topology.ts";
import { changeTopology } from "./change-topology.ts";
import { TopologyChangeError } from "./topology-change-error.ts";

/**
 * Has a domain take no copies any more. One that takes none already changes nothing.
 * @param successor the domain that its copies go to
 * @throws TopologyChangeError when that leaves too few domains, or the successor is none; CatalogError
 */
export function stopDomainWrites(catalog: Catalog, name: string, successor: string): Promise<void> {
  return changeTopology(catalog, ({ topology, records }) => {
    requireSuccessor(topology, name, successor);
    const domains = topology.domains.map((domain) =>
      domain.name === name ? { ...domain, acceptsWrites: false } : domain,
    );
    const open = [...records.values()].filter(({ domain, acceptsWrites }) => domain === name && acceptsWrites);
    return { shape: { domains }, nodes: open.map((record) => ({ ...record, acceptsWrites: false })) };
  });
}

function requireSuccessor({ domains, nodes, replication }: Topology, name: string, successor: string): void {
  const domain = domains.find((each) => each.name === name);
  if (domain === undefined) throw new TopologyChangeError("unknown", `there is no domain ${name}`);
  if (domain.role !== "active") throw new TopologyChangeError("refused", `${name} is no active domain`);
  const takers = domains.filter(
    (each) =>
      each.name !== name &&
      each.role === "active" &&
      each.acceptsWrites &&
      nodes.some((node) => node.domain === each.name && node.acceptsWrites),
  );
  if (!takers.some((each) => each.name === successor)) {
    throw new TopologyChangeError("refused", `${successor} is no other active domain that takes copies`);
  }
  if (takers.length < replication.factor) {
    const reason = `the replication factor is ${replication.factor}, and ${takers.length} domains would be left`;
    throw new TopologyChangeError("refused", reason);
  }
}
