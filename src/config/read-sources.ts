/** Fetches the texts that the configuration is made of. The rest of this folder touches no file. */
import { readFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { systemErrorCode } from "../shared/errors.ts";
import type { Environment } from "./environment-source.ts";
import type { ConfigSources } from "./load-config.ts";
import type { ConfigProblem } from "./problems.ts";
import { CONFIG_BYTES_MAX } from "./yaml-source.ts";

const SECRET_FILE_BYTES_MAX = 65_536;
const ENVIRONMENT_FILE = ".env";

/**
 * @param options `file` is the configuration file; without it BULKHEAD_CONFIG names it, or there is none.
 * @returns what loadConfig takes, or why a file could not be read.
 */
export function readConfigSources(options: {
  readonly file?: string | undefined;
  readonly env: Environment;
}): ConfigSources | { readonly problems: readonly ConfigProblem[] } {
  const { env } = options;
  const fileName = options.file ?? (env["BULKHEAD_CONFIG"] === "" ? undefined : env["BULKHEAD_CONFIG"]);
  const sources = { env, readSecretFile: (path: string) => readText(path, SECRET_FILE_BYTES_MAX) };
  if (fileName === undefined) return sources;
  try {
    return { ...sources, fileName, yamlText: readText(fileName, CONFIG_BYTES_MAX) };
  } catch (error) {
    const why = error instanceof Error ? error.message : "unknown error";
    return { problems: [{ reason: `the configuration file ${fileName} cannot be read: ${why}` }] };
  }
}

/**
 * The environment, with what `.env` in the working directory says under it, where there is such a file.
 *
 * @throws where there is one that cannot be read
 */
export function withEnvironmentFile(env: Environment): Environment {
  try {
    return { ...parseEnv(readFileSync(ENVIRONMENT_FILE, "utf8")), ...env };
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return env;
    throw error;
  }
}

/** @throws Error with a sentence that holds nothing of the file */
function readText(path: string, bytesMax: number): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new Error(systemErrorCode(error) ?? "unknown error", { cause: error });
  }
  if (bytes.length > bytesMax) throw new Error(`it is larger than ${bytesMax} bytes`);
  return bytes.toString("utf8");
}
