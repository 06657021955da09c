/** What the command line wants to know of a configuration: whether it is sound, and how to reach its gateway. */
import { join } from "node:path";
import type { Config, ListenAddress, Secrets } from "./config.ts";
import type { Environment } from "./environment-source.ts";
import { type LoadedConfig, loadConfig } from "./load-config.ts";
import { readConfigSources } from "./read-sources.ts";

export interface ConfigOptions {
  /** The configuration file; without it BULKHEAD_CONFIG names it, or there is none. */
  readonly file?: string | undefined;
  readonly env: Environment;
}

/** Reads the files and checks everything. Never throws for what the user wrote. */
export function readConfig(options: ConfigOptions): LoadedConfig {
  const sources = readConfigSources(options);
  return "problems" in sources ? sources : loadConfig(sources);
}

/** How programs on this machine reach the admin API of the gateway that has this configuration. */
export interface LocalGateway {
  readonly adminUrl: string;
  /** The key, where it is configured. */
  readonly apiKey?: string;
  /** Where the gateway keeps the key that it generates else. */
  readonly apiKeyFile: string;
}

export function localGateway(config: Config, secrets: Secrets): LocalGateway {
  return {
    adminUrl: `http://${reachable(config.server.admin.listen)}`,
    ...(secrets.adminApiKey === undefined ? {} : { apiKey: secrets.adminApiKey.reveal() }),
    apiKeyFile: join(config.server.dataDir, "keys", "admin-api-key"),
  };
}

/** An address to connect to: who listens on every address is reached by the loopback. */
function reachable({ host, port }: ListenAddress): string {
  if (host === "0.0.0.0") return `127.0.0.1:${port}`;
  if (host === "::") return `[::1]:${port}`;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
