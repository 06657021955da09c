/** The settings of the schema as a list: their paths, the names that people use for them, and their notes. */
import * as z from "zod";
import { formOf } from "./schema/leaves.ts";
import { type SettingNotes, settingNotes } from "./schema/setting-notes.ts";
import { settingsSchema } from "./schema/settings.ts";

/** Keys in camel case and indexes of lists, from the root. */
export type PropertyPath = readonly (string | number)[];

/** Stands in a path for any index of a list. */
export const ANY_INDEX = "[]";

export interface Property {
  /** With ANY_INDEX for indexes. */
  readonly path: readonly string[];
  /** As documentation and messages name it. */
  readonly name: string;
  /** The value is a list, in the environment written as JSON. */
  readonly list: boolean;
  /** What it accepts, to follow "must be". */
  readonly form: string;
  /** As it would be written; absent where `notes.defaultNote` describes it or there is none. */
  readonly defaultText?: string;
  readonly notes: SettingNotes;
  /** Environment variables, the one that follows from the path first. None inside lists. */
  readonly variables: readonly string[];
}

export function listProperties(): Property[] {
  return [...walk(settingsSchema, [])];
}

function* walk(schema: z.ZodType, path: readonly string[]): Generator<Property> {
  const bare = unwrap(schema);
  if (bare instanceof z.ZodObject) {
    for (const [key, child] of Object.entries(bare.shape)) {
      if (child instanceof z.ZodType) yield* walk(child, [...path, key]);
    }
    return;
  }
  const notes = settingNotes.get(schema);
  if (notes === undefined) throw new Error(`the setting ${path.join(".")} has no notes`);
  const element = bare instanceof z.ZodArray && bare.element instanceof z.ZodType ? bare.element : undefined;
  const written = schema instanceof z.ZodPrefault ? schema.def.defaultValue : undefined;
  yield {
    path,
    name: propertyName(path),
    list: element !== undefined,
    form: element === undefined ? (formOf(bare) ?? "") : "a list",
    ...(written !== undefined && element === undefined ? { defaultText: writtenForm(written) } : {}),
    notes,
    variables: path.includes(ANY_INDEX)
      ? []
      : [variableName(path), ...(notes.alias === undefined ? [] : [notes.alias])],
  };
  if (element instanceof z.ZodObject) yield* walk(element, [...path, ANY_INDEX]);
}

function writtenForm(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function unwrap(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) {
    const inner = schema.unwrap();
    if (inner instanceof z.ZodType) return unwrap(inner);
  }
  return schema;
}

/** `BULKHEAD_` and the path in capitals: `BULKHEAD_STORAGE_DEGRADEDWRITE_MINREPLICAS`. */
function variableName(path: readonly string[]): string {
  return `BULKHEAD_${path.join("_").toUpperCase()}`;
}

/** `virtual-nodes-per-node` as `virtualNodesPerNode`; anything that is not kebab case as it is. */
export function camelCase(key: string): string {
  if (!/^[a-z][a-zA-Z0-9]*(-[a-z0-9]+)+$/.test(key)) return key;
  return key.replaceAll(/-([a-z0-9])/g, (_, first: string) => first.toUpperCase());
}

/** The groups of `storage` have kebab case; nodes, domains, keys and everything else have camel case. */
const CAMEL_IN_STORAGE: ReadonlySet<string> = new Set(["accessKey", "secretKey"]);

/** `storage.degraded-write.min-replicas`, `storage.nodes[0].faultDomain`. */
export function propertyName(path: PropertyPath): string {
  let name = "";
  let kebab = false;
  for (const segment of path) {
    if (segment === ANY_INDEX) name += ANY_INDEX;
    else if (typeof segment === "number") name += `[${segment}]`;
    else {
      const shown = kebab && !CAMEL_IN_STORAGE.has(segment) ? kebabCase(segment) : segment;
      name += name === "" ? shown : `.${shown}`;
    }
    if (name === "storage") kebab = true;
    else if (typeof segment === "number" || segment === ANY_INDEX) kebab = false;
  }
  return name;
}

function kebabCase(key: string): string {
  return key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
