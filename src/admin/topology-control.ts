/** What the admin API changes of the cluster, each for this process at once and for all within an interval. */
import type { LimitedWork, LiveLimits, WorkLimits } from "../catalog/records/live-limits.ts";
import type { DomainSettings } from "../cluster/change-domains.ts";
import type { NodeSettings } from "../cluster/change-nodes.ts";
import type { PolicySettings } from "../cluster/change-policy.ts";
import type { TopologyDomain } from "../placement/topology.ts";
import type { Secret } from "../shared/secret.ts";

/** What the configuration that was read again changed. */
export interface ReloadReport {
  /** Whether the topology is another one than before. */
  readonly changed: boolean;
  /** Settings that are other ones in the file, and are taken over at the next start only. */
  readonly needsRestart: readonly string[];
}

/** The limits in force, and those of them that an operator set. */
export interface LimitsInForce {
  readonly limits: Readonly<Record<LimitedWork, Readonly<Required<WorkLimits>>>>;
  readonly live: LiveLimits;
}

/** Every change resolves when this process goes by it. All throw TopologyChangeError and CatalogError. */
export interface TopologyControl {
  /** @param settings those of `storage.nodes[]` of a file, in camel case. Resolves when it was checked, or soon. */
  readonly addNode: (settings: Readonly<Record<string, unknown>>) => Promise<void>;
  readonly setNode: (name: string, settings: NodeSettings) => Promise<void>;
  /** Replaces the keys of a node that was added. */
  readonly setNodeKeys: (name: string, keys: { accessKey: string; secretKey: Secret }) => Promise<void>;
  readonly removeNode: (name: string, how: { readonly lost: boolean }) => Promise<void>;
  readonly addDomain: (
    name: string,
    settings: DomainSettings & { readonly role?: TopologyDomain["role"] },
  ) => Promise<void>;
  readonly setDomain: (name: string, settings: DomainSettings) => Promise<void>;
  readonly removeDomain: (name: string) => Promise<void>;
  readonly setPolicy: (settings: PolicySettings, expectedEpoch?: number) => Promise<void>;
  /** The limits of background work. */
  readonly limits: () => LimitsInForce;
  /** Reads the configuration again and takes over what can be. */
  readonly reload: () => Promise<ReloadReport>;
}
