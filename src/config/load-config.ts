/**
 * From the texts of the file and the environment to a configuration, or to everything that is wrong with them:
 * read both, judge each value, take the bad ones out, judge how the others go together, fill in what follows.
 */
import type * as z from "zod";
import { checkSettings } from "./check.ts";
import type { Config, Secrets } from "./config.ts";
import { type Environment, environmentLookup, type ReadSecretFile, readEnvironment } from "./environment-source.ts";
import { type ConfigProblem, type ProblemSource, showValue } from "./problems.ts";
import { ANY_INDEX, listProperties, type Property, type PropertyPath, propertyName } from "./properties.ts";
import { resolveConfig, resolveSecrets } from "./resolve.ts";
import { type Settings, settingsSchema } from "./schema/settings.ts";
import { nearest } from "./suggest.ts";
import { type Finding, Written } from "./written.ts";
import { readYaml } from "./yaml-source.ts";

export interface ConfigSources {
  /** The file's contents; absent where there is no file. */
  readonly yamlText?: string;
  /** For messages. */
  readonly fileName?: string;
  readonly env: Environment;
  readonly readSecretFile: ReadSecretFile;
}

export type LoadedConfig =
  | { readonly config: Config; readonly secrets: Secrets }
  | { readonly problems: readonly ConfigProblem[] };

/** Reads and checks the whole configuration. Never throws for what the user wrote. */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const { env, readSecretFile } = sources;
  const properties = listProperties();
  const written = new Written();
  const findings: Finding[] = [];
  let readable = true;
  if (sources.yamlText !== undefined) {
    const lookup = environmentLookup(env, readSecretFile);
    const yaml = { text: sources.yamlText, fileName: sources.fileName ?? "configuration", lookup };
    const result = readYaml(yaml, written);
    findings.push(...result.findings);
    readable = result.readable;
  }
  findings.push(...readEnvironment({ env, readSecretFile, properties }, written));

  const shape = judgeShape(written, properties);
  findings.push(...shape.findings);
  // Nothing can be said of how the settings go together while those of the file are not known.
  if (readable) findings.push(...checkSettings(shape.settings, uncertainty(findings)));

  if (findings.length > 0) return { problems: describe(findings, written, properties) };
  return { config: resolveConfig(shape.settings), secrets: resolveSecrets(shape.settings) };
}

/** Judges every value by itself. The settings are those that are left without the bad ones. */
function judgeShape(written: Written, properties: readonly Property[]): { settings: Settings; findings: Finding[] } {
  const findings: Finding[] = [];
  const kept = written.copy();
  let result = settingsSchema.safeParse(kept.tree);
  // Taking an entry out of a list of names takes the list out in the second round: it has no index to keep.
  for (let round = 0; !result.success && round < ROUNDS_MAX; round++) {
    for (const issue of result.error.issues) {
      const found = findingsOf(issue, properties);
      if (round === 0) findings.push(...found);
      for (const { path } of found) kept.remove(round === 0 ? path : path.slice(0, -1));
    }
    result = settingsSchema.safeParse(kept.tree);
  }
  if (!result.success)
    throw new Error("settings stay invalid without what was invalid in them", { cause: result.error });
  return { settings: result.data, findings };
}

const ROUNDS_MAX = 3;

function findingsOf(issue: z.core.$ZodIssue, properties: readonly Property[]): Finding[] {
  const path = issue.path.filter((segment) => typeof segment !== "symbol");
  switch (issue.code) {
    case "unrecognized_keys": {
      const siblings = keysUnder(path, properties);
      return issue.keys.map((key) => ({
        path: [...path, key],
        reason: `is no known setting${nearest(key, siblings)}`,
        value: undefined,
      }));
    }
    case "invalid_type":
      return [{ path, reason: issue.expected === "array" ? "must be a list" : "must be a group of settings" }];
    case "too_big":
      return [{ path, reason: `must have at most ${issue.maximum} entries` }];
    default:
      return [{ path, reason: issue.message }];
  }
}

function keysUnder(path: PropertyPath, properties: readonly Property[]): Set<string> {
  const group = pattern(path);
  const under = properties.filter((property) => pattern(property.path.slice(0, path.length)) === group);
  return new Set(under.map((property) => property.path[path.length]).filter((key) => key !== undefined));
}

/** A path as a text that is the same for all entries of a list. */
function pattern(path: PropertyPath): string {
  return path.map((segment) => (typeof segment === "number" ? ANY_INDEX : segment)).join(".");
}

function uncertainty(findings: readonly Finding[]): (path: PropertyPath) => boolean {
  const paths = findings.map(({ path }) => path).filter((path) => path.length > 0);
  return (path) => paths.some((bad) => bad.every((segment, i) => i >= path.length || segment === path[i]));
}

/** Turns findings into problems: named, with value and place, one for each path, in the order of their places. */
function describe(findings: readonly Finding[], written: Written, properties: readonly Property[]): ConfigProblem[] {
  const byPattern = new Map(properties.map((property) => [pattern(property.path), property]));
  const seen = new Set<string>();
  const problems: ConfigProblem[] = [];
  for (const finding of findings) {
    const key = finding.path.join(".");
    if (key !== "" && seen.has(key)) continue;
    seen.add(key);
    const property = byPattern.get(pattern(finding.path)) ?? byPattern.get(pattern(finding.path.slice(0, -1)));
    // What stands under an unknown name may be a secret under a misspelled one.
    const showable = property !== undefined && property.notes.secret !== true;
    const value = showable ? showValue(valueOf(finding, written, property)) : undefined;
    const source = finding.source ?? written.origin(finding.path);
    problems.push({
      ...(key === "" ? {} : { property: propertyName(finding.path) }),
      ...(value === undefined ? {} : { value }),
      reason: finding.reason,
      ...(source === undefined ? {} : { source }),
    });
  }
  return problems.toSorted((one, other) => compareSources(one.source, other.source));
}

/** The environment first, then the file from its top, then what was written nowhere. */
function compareSources(one: ProblemSource | undefined, other: ProblemSource | undefined): number {
  if (one?.kind === "file" && other?.kind === "file") return one.line - other.line || one.column - other.column;
  const rank = (source: ProblemSource | undefined): number =>
    source === undefined ? 2 : source.kind === "file" ? 1 : 0;
  return rank(one) - rank(other);
}

function valueOf(finding: Finding, written: Written, property: Property): unknown {
  if ("value" in finding) return finding.value;
  return written.at(finding.path) ?? property.defaultText;
}
