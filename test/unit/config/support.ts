import assert from "node:assert/strict";
import type { Config, Secrets } from "../../../src/config/config.ts";
import { loadConfig } from "../../../src/config/load-config.ts";
import { type ConfigProblem, formatProblem } from "../../../src/config/problems.ts";

interface Given {
  readonly yaml?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What secret files hold, by path. */
  readonly files?: Readonly<Record<string, string>>;
}

function load({ yaml, env = {}, files = {} }: Given): ReturnType<typeof loadConfig> {
  return loadConfig({
    ...(yaml === undefined ? {} : { yamlText: yaml, fileName: "bulkhead.yaml" }),
    env,
    readSecretFile: (path) => {
      const text = files[path];
      if (text === undefined) throw new Error("ENOENT");
      return text;
    },
  });
}

export function loaded(given: Given): { config: Config; secrets: Secrets } {
  const result = load(given);
  if ("problems" in result) assert.fail(result.problems.map(formatProblem).join("\n"));
  return result;
}

export function problemsOf(given: Given): readonly ConfigProblem[] {
  const result = load(given);
  return "problems" in result ? result.problems : assert.fail("the configuration was accepted");
}

/** The problems as lines, as the command line prints them. */
export function linesOf(given: Given): string[] {
  return problemsOf(given).map(formatProblem);
}

/** Two domains with a volume each, to be added to. `storage` is continued with two spaces of indentation. */
export function storageYaml(more = ""): string {
  return `storage:
  active-domains: [a, b]
  nodes:
    - { name: node-a, endpoint: "volume:/srv/a", faultDomain: a }
    - { name: node-b, endpoint: "volume:/srv/b", faultDomain: b }
${more}`;
}
