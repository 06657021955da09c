/** Contradictions between settings that are each well formed. */
import { domainProblems, replicationProblems, writableDomains } from "../placement/topology-rules.ts";
import { checkNodes } from "./check-nodes.ts";
import type { ListenAddress } from "./config.ts";
import { checkCoordinator } from "./coordinator.ts";
import { activeDomainNames, domainNames, resolveDomains } from "./domains.ts";
import type { Settings } from "./schema/settings.ts";
import type { StorageSettings } from "./schema/storage-settings.ts";
import type { Finding, Uncertain } from "./written.ts";

/** @returns every contradiction, each at the path of a setting that could end it */
export function checkSettings(settings: Settings, uncertain: Uncertain): Finding[] {
  const { storage } = settings;
  return [
    ...checkServer(settings),
    ...checkCoordinator(settings.coordinator, uncertain),
    ...(uncertain(["storage", "activeDomains"]) ? [] : checkActiveDomains(storage)),
    ...checkDomainSettings(storage, uncertain),
    ...checkNodes(storage, uncertain),
    ...(uncertain(["storage", "activeDomains"]) ? [] : checkReplication(storage, uncertain)),
    ...checkWriting(storage),
  ];
}

function checkServer({ server }: Settings): Finding[] {
  const findings: Finding[] = [];
  if (overlap(server.s3.listen, server.admin.listen)) {
    findings.push({
      path: ["server", "admin", "listen"],
      reason: "must differ from server.s3.listen: one port cannot serve both",
      value: formatAddress(server.admin.listen),
    });
  }
  const { accessKey, secretKey } = server.rootKey;
  if ((accessKey === undefined) !== (secretKey === undefined)) {
    const missing = accessKey === undefined ? "accessKey" : "secretKey";
    const other = accessKey === undefined ? "secretKey" : "accessKey";
    findings.push({
      path: ["server", "rootKey", missing],
      reason: `must be given together with server.rootKey.${other}`,
    });
  }
  return findings;
}

function overlap(one: ListenAddress, other: ListenAddress): boolean {
  const everywhere = (host: string): boolean => host === "0.0.0.0" || host === "::";
  if (one.port !== other.port || one.port === 0) return false;
  return one.host.toLowerCase() === other.host.toLowerCase() || everywhere(one.host) || everywhere(other.host);
}

function formatAddress({ host, port }: ListenAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function checkActiveDomains(storage: StorageSettings): Finding[] {
  const path = ["storage", "activeDomains"];
  const { activeDomains, standbyDomain } = storage;
  const findings: Finding[] = [];
  if (activeDomains === undefined) {
    if (storage.nodes !== undefined) findings.push({ path, reason: "must be given where there are nodes" });
  } else if (activeDomains.length === 0) {
    findings.push({ path, reason: "must name at least one domain" });
  }
  for (const [index, name] of (activeDomains ?? []).entries()) {
    if (activeDomains?.indexOf(name) !== index) {
      findings.push({ path: [...path, index], reason: "is listed twice" });
    }
  }
  if (standbyDomain !== undefined && activeDomainNames(storage).includes(standbyDomain)) {
    findings.push({ path: ["storage", "standbyDomain"], reason: "must not be an active domain as well" });
  }
  return findings;
}

function checkDomainSettings(storage: StorageSettings, uncertain: Uncertain): Finding[] {
  const findings: Finding[] = [];
  const known = domainNames(storage);
  const namesUncertain = uncertain(["storage", "activeDomains"]) || uncertain(["storage", "standbyDomain"]);
  for (const [index, domain] of storage.domains.entries()) {
    const path = ["storage", "domains", index] as const;
    const find = (key: string, reason: string): void => {
      if (!uncertain([...path, key])) findings.push({ path: [...path, key], reason });
    };
    if (domain.name === undefined) {
      find("name", "must be given");
      continue;
    }
    if (storage.domains.findIndex(({ name }) => name === domain.name) !== index) find("name", "is given twice");
    if (!known.includes(domain.name) && !namesUncertain) {
      find("name", `must be an active domain or the standby domain: ${known.join(", ")}`);
    }
    const role = domain.name === storage.standbyDomain ? "standby" : "active";
    const { replicaCount = role === "standby" ? 0 : 1, acceptsWrites = role === "active" } = domain;
    for (const { setting, reason } of domainProblems({ role, replicaCount, acceptsWrites })) find(setting, reason);
  }
  return findings;
}

function checkReplication(storage: StorageSettings, uncertain: Uncertain): Finding[] {
  const domains = resolveDomains(storage);
  if (!domains.some(({ role }) => role === "active")) return [];
  const { factor, quorum } = storage.replication;
  return replicationProblems(writableDomains(domains), { factor, quorum }).flatMap(({ setting, reason }): Finding[] => {
    if (setting === "domains") return [{ path: ["storage", "activeDomains"], reason }];
    const doubtful = setting === "factor" ? ["storage", "domains"] : ["storage", "replication", "factor"];
    return uncertain(doubtful) ? [] : [{ path: ["storage", "replication", setting], reason }];
  });
}

function checkWriting({ write, degradedWrite }: StorageSettings): Finding[] {
  const findings: Finding[] = [];
  if (degradedWrite.enabled && !degradedWrite.trackForSync) {
    findings.push({
      path: ["storage", "degradedWrite", "trackForSync"],
      reason: "must be true while storage.degraded-write.enabled is true: copies that are not recorded stay missing",
    });
  }
  if (write.lagTimeout >= write.stallTimeout) {
    findings.push({
      path: ["storage", "write", "lagTimeout"],
      reason: "must be shorter than storage.write.stall-timeout",
    });
  }
  return findings;
}
