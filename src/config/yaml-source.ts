/** Reads the YAML file into values and positions, and puts the environment's values in for `${NAME}`. */
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
} from "yaml";
import type { ProblemSource } from "./problems.ts";
import { camelCase, type PropertyPath } from "./properties.ts";
import type { Finding, Written } from "./written.ts";

export const CONFIG_BYTES_MAX = 1_048_576;
/** Values in a file, counted where aliases repeat them. */
const VALUES_MAX = 100_000;
const DEPTH_MAX = 32;

/** The value of a variable; an error's message says why there is none. */
export type Lookup = (name: string) => { readonly value: string } | { readonly refused: string };

export interface YamlSource {
  readonly text: string;
  readonly fileName: string;
  readonly lookup: Lookup;
}

/**
 * Fills `written` from the file.
 * @returns what is wrong with the text; `readable` is false where it could not be read as a whole.
 */
export function readYaml(source: YamlSource, written: Written): { findings: Finding[]; readable: boolean } {
  if (Buffer.byteLength(source.text) > CONFIG_BYTES_MAX) {
    return { findings: [{ path: [], reason: `the file is larger than ${CONFIG_BYTES_MAX} bytes` }], readable: false };
  }
  // Pretty errors quote the lines around them, which may hold secrets.
  const lines = new LineCounter();
  const document = parseDocument(source.text, { lineCounter: lines, prettyErrors: false });
  const place = (offset: number): ProblemSource => {
    const { line, col } = lines.linePos(offset);
    return { kind: "file", fileName: source.fileName, line, column: col };
  };
  const faults = [...document.errors, ...document.warnings];
  if (faults.length > 0) {
    const findings = faults.map(({ message, pos }) => ({
      path: [],
      reason: `is no valid YAML: ${message}`,
      source: place(pos[0]),
    }));
    return { findings, readable: false };
  }
  const reader = new Reader({ document, place, lookup: source.lookup, written });
  const tree = reader.read(document.contents, [], 0);
  if (reader.tooLarge) {
    return {
      findings: [{ path: [], reason: "the file is nested too deeply, or has too many values" }],
      readable: false,
    };
  }
  written.replaceTree(tree ?? {});
  return { findings: reader.findings, readable: true };
}

interface ReaderOptions {
  readonly document: Document;
  readonly place: (offset: number) => ProblemSource;
  readonly lookup: Lookup;
  readonly written: Written;
}

class Reader {
  readonly findings: Finding[] = [];
  tooLarge = false;
  readonly #options: ReaderOptions;
  readonly #resolved = new Map<Alias, unknown>();
  #values = 0;

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  read(node: unknown, path: PropertyPath, depth: number): unknown {
    this.#values += 1;
    if (this.#values > VALUES_MAX || depth > DEPTH_MAX) this.tooLarge = true;
    if (this.tooLarge) return undefined;
    if (isAlias(node)) return this.read(this.#resolve(node), path, depth + 1);
    if (isMap(node)) return this.#readMap(node.items, path, depth);
    if (isSeq(node)) {
      return node.items.map((item, index) => {
        this.#mark([...path, index], item);
        return this.read(item, [...path, index], depth + 1);
      });
    }
    if (!isScalar(node)) return undefined;
    return typeof node.value === "string" ? this.#substitute(node.value, path) : node.value;
  }

  #readMap(pairs: readonly { key: unknown; value: unknown }[], path: PropertyPath, depth: number): unknown {
    const entries = new Map<string, unknown>();
    for (const { key: keyNode, value: valueNode } of pairs) {
      const writtenKey = isScalar(keyNode) ? String(keyNode.value) : "(a key that is no text)";
      const key = camelCase(writtenKey);
      const inner = [...path, key];
      if (entries.has(key)) {
        this.findings.push({ path: inner, reason: `is given twice, the second time as ${writtenKey}` });
        continue;
      }
      this.#mark(inner, keyNode);
      const value = this.read(valueNode, inner, depth + 1);
      // A key with nothing after it stands for a setting that is not set.
      if (value !== null) entries.set(key, value);
    }
    return Object.fromEntries(entries);
  }

  /** Kept, because finding an anchor searches the whole document. */
  #resolve(alias: Alias): unknown {
    if (!this.#resolved.has(alias)) this.#resolved.set(alias, alias.resolve(this.#options.document));
    return this.#resolved.get(alias);
  }

  #mark(path: PropertyPath, node: unknown): void {
    const offset = (node as Node | null)?.range?.[0];
    if (offset !== undefined) this.#options.written.setOrigin(path, this.#options.place(offset));
  }

  /** `$${` stands for a plain `${`. */
  #substitute(text: string, path: PropertyPath): string {
    return text.replaceAll(/(\$?)\$\{([^}]*)\}/g, (whole, escape: string, name: string) => {
      if (escape !== "") return whole.slice(1);
      const found = /^[A-Za-z_][A-Za-z0-9_]*$/.test(name)
        ? this.#options.lookup(name)
        : { refused: `\${${name}} does not name an environment variable` };
      if ("value" in found) return found.value;
      this.findings.push({ path, reason: found.refused, value: undefined });
      return whole;
    });
  }
}
