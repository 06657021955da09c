/** The fault domains that follow from the settings. */
import type { DomainConfig } from "./config.ts";
import type { StorageSettings } from "./schema/storage-settings.ts";

/** The active domains where neither domains nor nodes are configured. */
const EMBEDDED_DOMAINS: readonly string[] = ["a", "b"];

/** In order of priority. */
export function activeDomainNames(storage: StorageSettings): readonly string[] {
  return storage.activeDomains ?? (storage.nodes === undefined ? EMBEDDED_DOMAINS : []);
}

/** The active domains and, last, the standby domain. */
export function domainNames(storage: StorageSettings): readonly string[] {
  const { standbyDomain } = storage;
  return [...activeDomainNames(storage), ...(standbyDomain === undefined ? [] : [standbyDomain])];
}

/** In order of priority, the standby domain last. */
export function resolveDomains(storage: StorageSettings): DomainConfig[] {
  return domainNames(storage).map((name) => {
    const standby = name === storage.standbyDomain;
    const settings = storage.domains.find((domain) => domain.name === name);
    return {
      name,
      role: standby ? "standby" : "active",
      minNodes: settings?.minNodes ?? (standby ? 0 : 1),
      replicaCount: settings?.replicaCount ?? (standby ? 0 : 1),
      acceptsWrites: settings?.acceptsWrites ?? !standby,
    };
  });
}
