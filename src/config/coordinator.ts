/** What the settings of the coordinator come to, and where they contradict each other. */
import { Secret } from "../shared/secret.ts";
import type { CoordinatorConfig, CoordinatorSecrets } from "./config.ts";
import { type CoordinatorSettings, SENTINEL_MASTER } from "./schema/coordinator-settings.ts";
import type { Finding, Uncertain } from "./written.ts";

export function checkCoordinator(settings: CoordinatorSettings, uncertain: Uncertain): Finding[] {
  const { url, username, password, caFile, sentinelMaster } = settings;
  if (uncertain(["coordinator", "url"])) return [];
  const findings: Finding[] = [];
  const find = (key: string, value: string | undefined, reason: string): void => {
    if (value !== undefined && !uncertain(["coordinator", key])) findings.push({ path: ["coordinator", key], reason });
  };
  if (url.kind === "embedded") {
    const reason = "has no use while coordinator.url is embedded:";
    find("username", username, reason);
    find("password", password, reason);
    find("caFile", caFile, reason);
    find("sentinelMaster", sentinelMaster, reason);
    return findings;
  }
  // In a list they are the sentinels', not the server's.
  if (!url.sentinels) {
    if (url.username !== undefined) find("username", username, "is given twice: coordinator.url has a user as well");
    if (url.password !== undefined) find("password", password, "is given twice: coordinator.url has one as well");
    find("sentinelMaster", sentinelMaster, "has no use unless coordinator.url is a list of sentinels");
  }
  const hasPassword = password !== undefined || (!url.sentinels && url.password !== undefined);
  if (!hasPassword) find("username", username, "must be given together with a password");
  if (!url.tls) find("caFile", caFile, "has no use unless coordinator.url begins with rediss://");
  return findings;
}

export function resolveCoordinator({ url, caFile, sentinelMaster }: CoordinatorSettings): CoordinatorConfig {
  if (url.kind === "embedded") return { kind: "embedded" };
  const { addresses, tls, database, sentinels } = url;
  return {
    kind: "redis",
    addresses,
    tls,
    database,
    ...(sentinels ? { sentinelMaster: sentinelMaster ?? SENTINEL_MASTER } : {}),
    ...(caFile === undefined ? {} : { caFile }),
  };
}

export function resolveCoordinatorSecrets({ url, username, password }: CoordinatorSettings): CoordinatorSecrets {
  if (url.kind === "embedded") return { server: {}, sentinels: {} };
  const ofUrl = login(url.username, url.password);
  const own = login(username, password);
  return url.sentinels ? { server: own, sentinels: ofUrl } : { server: { ...ofUrl, ...own }, sentinels: {} };
}

function login(username: string | undefined, password: string | undefined): CoordinatorSecrets["server"] {
  return {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password: new Secret(password) }),
  };
}
