/** A domain that is to be left stops taking copies, with all its nodes, in one commit under a new epoch. */
import { type Catalog, COMMIT_ATTEMPTS_MAX } from "../catalog/catalog.ts";
import { nodeKey, topologyKey } from "../catalog/keys.ts";
import { CatalogError } from "../catalog/kv.ts";
import type { Topology } from "../placement/topology.ts";
import { TopologyChangeError } from "./change-topology.ts";
import { encodeNode, encodeTopology } from "./topology-records.ts";
import { loadTopology } from "./topology-store.ts";

/**
 * Has a domain take no copies any more. One that takes none already changes nothing.
 * @param successor the domain that its copies go to
 * @throws TopologyChangeError when that leaves too few domains, or the successor is none; CatalogError
 */
export async function stopDomainWrites(catalog: Catalog, name: string, successor: string): Promise<void> {
  for (let attempt = 0; attempt < COMMIT_ATTEMPTS_MAX; attempt++) {
    const entry = await catalog.kv.get(topologyKey());
    const stored = await loadTopology(catalog.kv);
    if (entry === undefined || stored === undefined) throw new CatalogError("unavailable", "there is no topology yet");
    requireSuccessor(stored.topology, name, successor);
    const { nodes, ...rest } = stored.topology;
    const domains = rest.domains.map((domain) => (domain.name === name ? { ...domain, acceptsWrites: false } : domain));
    const changed = nodes.filter(({ uuid, domain }) => domain === name && stored.records.get(uuid)?.acceptsWrites);
    const closed = rest.domains.every((domain) => domain.name !== name || !domain.acceptsWrites);
    if (closed && changed.length === 0) return;
    const atomic = catalog
      .begin()
      .check(entry.key, entry.version)
      .set(entry.key, encodeTopology({ ...rest, domains, epoch: rest.epoch + 1 }));
    for (const { uuid, writeGeneration } of changed) {
      const record = stored.records.get(uuid);
      if (record === undefined) continue;
      atomic.check(nodeKey(uuid), writeGeneration);
      atomic.set(nodeKey(uuid), encodeNode({ ...record, acceptsWrites: false }));
    }
    if ((await catalog.commit(atomic)).committed) return;
  }
  throw new CatalogError("unavailable", "the topology kept changing while a domain was to be closed");
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
