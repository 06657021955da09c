/** What was written in the file and the environment, before it is judged. */
import type { ProblemSource } from "./problems.ts";
import type { PropertyPath } from "./properties.ts";

/** Something wrong with the value at a path. */
export interface Finding {
  readonly path: PropertyPath;
  readonly reason: string;
  /** Where the value at the path is not what is to be shown. */
  readonly value?: unknown;
  /** Where it is not the origin of the path. */
  readonly source?: ProblemSource;
}

/** Whether something at, above or below a path is already known to be wrong, so that nothing follows from it. */
export type Uncertain = (path: PropertyPath) => boolean;

/** Values under keys in camel case, and where each came from. */
export class Written {
  #tree: unknown = {};
  readonly #origins = new Map<string, ProblemSource>();

  get tree(): unknown {
    return this.#tree;
  }

  /** The values alone, to be changed independently. */
  copy(): Written {
    const copy = new Written();
    copy.#tree = structuredClone(this.#tree);
    return copy;
  }

  replaceTree(tree: unknown): void {
    this.#tree = tree;
  }

  at(path: PropertyPath): unknown {
    let value = this.#tree;
    for (const segment of path) value = child(value, segment);
    return value;
  }

  /** Sets a value, making the groups above it. Does nothing where one of them is something else than a group. */
  set(path: readonly string[], value: unknown, source: ProblemSource): void {
    let group = this.#tree;
    for (const [depth, key] of path.entries()) {
      if (!isGroup(group)) return;
      if (depth === path.length - 1) group[key] = value;
      else group = group[key] ??= {};
    }
    this.setOrigin(path, source);
  }

  /** Takes the value at a path away; an entry of a list becomes an empty group, so that the others keep their index. */
  remove(path: PropertyPath): void {
    const last = path.at(-1);
    const parent = this.at(path.slice(0, -1));
    if (last === undefined) this.#tree = {};
    else if (Array.isArray(parent) && typeof last === "number") parent[last] = {};
    else if (isGroup(parent)) delete parent[last];
  }

  setOrigin(path: PropertyPath, source: ProblemSource): void {
    this.#origins.set(path.join("."), source);
  }

  /** Where the value at a path was written, or else what it would belong to. */
  origin(path: PropertyPath): ProblemSource | undefined {
    for (let depth = path.length; depth > 0; depth--) {
      const source = this.#origins.get(path.slice(0, depth).join("."));
      if (source !== undefined) return source;
    }
    return undefined;
  }
}

export function isGroup(value: unknown): value is Record<string | number, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function child(value: unknown, segment: string | number): unknown {
  if (Array.isArray(value)) return typeof segment === "number" ? value[segment] : undefined;
  return isGroup(value) && Object.hasOwn(value, segment) ? value[segment] : undefined;
}
