/** Puts the settings of the environment over those of the file. */
import type { ProblemSource } from "./problems.ts";
import { camelCase, type Property } from "./properties.ts";
import { nearest } from "./suggest.ts";
import { type Finding, isGroup, type Written } from "./written.ts";
import type { Lookup } from "./yaml-source.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** @throws whatever reading fails with; its message must not hold the secret. */
export type ReadSecretFile = (path: string) => string;

/**
 * Variables that begin like a setting's and are none are refused, as misspelled ones would else go unnoticed. Others
 * that begin with BULKHEAD_ are left alone: other programs and tests have theirs.
 */
const SETTING_VARIABLE = /^BULKHEAD_(SERVER|STORAGE|CATALOG|COORDINATOR|LOG|S3|ADMIN|ROOT)_/;

/** Read by the command line, not by the gateway. */
const COMMAND_LINE_VARIABLES: ReadonlySet<string> = new Set(["BULKHEAD_ADMIN_URL"]);

/** What Kubernetes sets in every pod for a service of the name bulkhead-..., such as BULKHEAD_S3_SERVICE_HOST. */
const SERVICE_LINK = /_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/;

/** A variable that is set to nothing counts as not set: compose files and charts write such. */
export function isSet(env: Environment, name: string): boolean {
  return env[name] !== undefined && env[name] !== "";
}

/** Looks `${NAME}` up: the variable itself, or the file that `NAME_FILE` names. */
export function environmentLookup(env: Environment, readSecretFile: ReadSecretFile): Lookup {
  return (name) => {
    const direct = env[name];
    if (direct !== undefined) return { value: direct };
    const file = env[`${name}_FILE`];
    if (file === undefined) return { refused: `the environment variable ${name} is not set` };
    return readFromFile(readSecretFile, file);
  };
}

export interface EnvironmentSource {
  readonly env: Environment;
  readonly readSecretFile: ReadSecretFile;
  readonly properties: readonly Property[];
}

/** Fills `written` from the environment. */
export function readEnvironment(source: EnvironmentSource, written: Written): Finding[] {
  const { env, properties } = source;
  const findings: Finding[] = [];
  for (const property of properties) {
    const set = spellings(property).filter((name) => isSet(env, name));
    const [variable, another] = set;
    if (variable === undefined) continue;
    const origin: ProblemSource = { kind: "environment", variable };
    if (another !== undefined) {
      const reason = `is set twice, by ${variable} and ${another}`;
      findings.push({ path: property.path, reason, source: origin, value: undefined });
      continue;
    }
    const read = readVariable(variable, property, source);
    if ("value" in read) written.set(property.path, read.value, origin);
    else findings.push({ path: property.path, reason: read.refused, source: origin, value: read.shown });
  }
  return [...findings, ...unknownVariables(env, properties)];
}

function spellings(property: Property): string[] {
  const files = property.notes.secret === true ? property.variables.map((name) => `${name}_FILE`) : [];
  return [...property.variables, ...files];
}

function readVariable(
  variable: string,
  property: Property,
  { env, readSecretFile }: EnvironmentSource,
): { readonly value: unknown } | { readonly refused: string; readonly shown?: string } {
  const text = env[variable] ?? "";
  if (!property.variables.includes(variable)) return readFromFile(readSecretFile, text);
  if (!property.list) return { value: text };
  try {
    const list: unknown = JSON.parse(text);
    if (Array.isArray(list)) return { value: withCamelKeys(list) };
  } catch {
    // Falls through: the message of JSON.parse quotes the text, which may hold secrets.
  }
  return { refused: "must be a list in JSON" };
}

function readFromFile(
  readSecretFile: ReadSecretFile,
  file: string,
): { readonly value: string } | { readonly refused: string; readonly shown: string } {
  try {
    return { value: readSecretFile(file).replace(/\r?\n$/, "") };
  } catch (error) {
    const why = error instanceof Error ? error.message : "unknown error";
    return { refused: `the file ${file} that is to hold it cannot be read: ${why}`, shown: file };
  }
}

function withCamelKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withCamelKeys);
  if (!isGroup(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [camelCase(key), withCamelKeys(inner)]));
}

function unknownVariables(env: Environment, properties: readonly Property[]): Finding[] {
  const known = new Set([...properties.flatMap(spellings), ...COMMAND_LINE_VARIABLES]);
  return Object.keys(env)
    .filter((name) => SETTING_VARIABLE.test(name) && isSet(env, name) && !known.has(name) && !SERVICE_LINK.test(name))
    .map((variable) => ({
      path: [],
      reason: `is no known setting${nearest(variable, known)}`,
      source: { kind: "environment", variable },
    }));
}
