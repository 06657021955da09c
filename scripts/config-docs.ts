/**
 * Writes the table of settings in docs/configuration.md from the schema, between two marks. Run it after a change:
 *
 *   sh bin/run-node scripts/config-docs.ts
 */
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { listProperties, type Property } from "../src/config/properties.ts";

export const CONFIG_DOCS_FILE = resolve(import.meta.dirname, "../docs/configuration.md");
const BEGIN = "<!-- settings: written by scripts/config-docs.ts -->\n";
const END = "<!-- end of settings -->\n";

/** The document with its table as the schema has it. @throws Error where the marks are missing */
export function renderConfigDocs(document: string): string {
  const begin = document.indexOf(BEGIN);
  const end = document.indexOf(END);
  if (begin < 0 || end < begin) throw new Error("docs/configuration.md lacks the marks of the table of settings");
  return `${document.slice(0, begin + BEGIN.length)}\n${renderTables()}\n${document.slice(end)}`;
}

function renderTables(): string {
  const groups = new Map<string, Property[]>();
  for (const property of listProperties()) {
    const group = groupOf(property);
    groups.set(group, [...(groups.get(group) ?? []), property]);
  }
  return [...groups].map(([group, properties]) => `### \`${group}\`\n\n${renderTable(group, properties)}`).join("\n");
}

/** Nodes and domains have tables of their own; everything else goes by its first name. */
function groupOf({ name }: Property): string {
  return /^storage\.(nodes|domains)\[\]/.exec(name)?.[0] ?? name.split(".")[0] ?? name;
}

function renderTable(group: string, properties: readonly Property[]): string {
  const inList = group.endsWith("[]");
  const head = inList
    ? ["property", "default", "value", "meaning"]
    : ["property", "environment", "default", "value", "meaning"];
  const rows = properties.map((property) => [
    `\`${inList ? property.name.slice(group.length + 1) : property.name}\``,
    ...(inList ? [] : [variables(property)]),
    property.defaultText === undefined ? (property.notes.defaultNote ?? "none") : `\`${property.defaultText}\``,
    property.form,
    property.notes.meaning,
  ]);
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.map(escapeCell).join(" | ")} |\n`).join("");
}

/** The short name first: it is the one to use. */
function variables({ variables: [byPath = "", alias], notes }: Property): string {
  const names = alias === undefined ? [byPath] : [alias, byPath];
  return names.map((name) => `\`${name}\``).join(", ") + (notes.secret === true ? " (or with `_FILE`)" : "");
}

function escapeCell(text: string): string {
  return text.replaceAll("|", "\\|");
}

if (import.meta.main) writeFileSync(CONFIG_DOCS_FILE, renderConfigDocs(readFileSync(CONFIG_DOCS_FILE, "utf8")));
