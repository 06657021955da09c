/** Fault domains that an operator adds, changes and takes out while the cluster serves. */
import type { Catalog } from "../catalog/catalog.ts";
import type { TopologyDomain } from "../placement/topology.ts";
import { changeTopology } from "./change-topology.ts";
import { TopologyChangeError } from "./topology-change-error.ts";
import type { StoredTopology } from "./topology-store.ts";

export interface DomainSettings {
  /** Healthy nodes below which a standby node is promoted. */
  readonly minNodes?: number;
  /** Copies inside the domain. */
  readonly replicaCount?: number;
  /** Whether it takes planned copies and counts for the factor. */
  readonly acceptsWrites?: boolean;
  /** Its place among the active domains; 0 comes first. */
  readonly priority?: number;
}

/**
 * Adds a domain. An active one takes no copies until it is told to, which it can be when it has nodes.
 * @throws TopologyChangeError; CatalogError
 */
export function addDomain(
  catalog: Catalog,
  name: string,
  settings: DomainSettings & { readonly role?: TopologyDomain["role"] },
): Promise<void> {
  const { role = "active", priority, ...given } = settings;
  return changeTopology(catalog, ({ topology: { domains } }) => {
    if (domains.some((domain) => domain.name === name)) {
      throw new TopologyChangeError("refused", `there is a domain ${name} already`);
    }
    const usual = role === "active" ? { minNodes: 1, replicaCount: 1 } : { minNodes: 0, replicaCount: 0 };
    const added: TopologyDomain = { name, role, ...usual, acceptsWrites: false, ...given };
    return { shape: { domains: placed([...domains, added], added, priority) } };
  });
}

/** @throws TopologyChangeError; CatalogError */
export function setDomain(catalog: Catalog, name: string, settings: DomainSettings): Promise<void> {
  const { priority, ...given } = settings;
  return changeTopology(catalog, (stored) => {
    const before = domainNamed(stored, name);
    const after = { ...before, ...given };
    const domains = stored.topology.domains.map((domain) => (domain === before ? after : domain));
    return { shape: { domains: placed(domains, after, priority) } };
  });
}

/** Takes out a domain that has no node. @throws TopologyChangeError; CatalogError */
export function removeDomain(catalog: Catalog, name: string): Promise<void> {
  return changeTopology(catalog, (stored) => {
    const before = domainNamed(stored, name);
    const nodes = [...stored.records.values()].filter(
      ({ domain, homeDomain, configured, leaving }) =>
        (configured || leaving === true) && (domain === name || homeDomain === name),
    );
    if (nodes.length > 0) {
      const names = nodes.map((node) => node.name).join(", ");
      throw new TopologyChangeError("refused", `domain ${name} has nodes: ${names}`);
    }
    return { shape: { domains: stored.topology.domains.filter((domain) => domain !== before) } };
  });
}

function domainNamed({ topology }: StoredTopology, name: string): TopologyDomain {
  const found = topology.domains.find((domain) => domain.name === name);
  if (found === undefined) throw new TopologyChangeError("unknown", `there is no domain ${name}`);
  return found;
}

/** The domains with one of them at its place among the active ones; the standby domain comes last. */
function placed(
  domains: readonly TopologyDomain[],
  domain: TopologyDomain,
  priority: number | undefined,
): TopologyDomain[] {
  const standby = domains.filter(({ role }) => role === "standby");
  const active = domains.filter(({ role }) => role === "active");
  if (priority === undefined) return [...active, ...standby];
  if (domain.role === "standby") {
    throw new TopologyChangeError("refused", "the standby domain has no priority: it comes last");
  }
  const others = active.filter((each) => each !== domain);
  return [...others.slice(0, priority), domain, ...others.slice(priority), ...standby];
}
