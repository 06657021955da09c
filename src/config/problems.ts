import { inspect } from "node:util";

/** Where a value was written. */
export type ProblemSource =
  | { readonly kind: "file"; readonly fileName: string; readonly line: number; readonly column: number }
  | { readonly kind: "environment"; readonly variable: string };

/** One thing that is wrong with the configuration. Holds no secret and can be shown. */
export interface ConfigProblem {
  /** `storage.nodes[1].weight`; absent where a text could not be read at all. */
  readonly property?: string;
  /** The value as text; absent for secrets, lists, groups and what is missing. */
  readonly value?: string;
  readonly reason: string;
  /** Absent for what was written nowhere. */
  readonly source?: ProblemSource;
}

/** One line for people: `bulkhead.yaml:12:5: storage.replication.factor = 3: must be at most 2, ...`. */
export function formatProblem(problem: ConfigProblem): string {
  const { property, value, reason, source } = problem;
  const parts: string[] = [];
  if (source?.kind === "file") parts.push(`${source.fileName}:${source.line}:${source.column}`);
  if (source?.kind === "environment") parts.push(source.variable);
  if (property !== undefined) parts.push(value === undefined ? property : `${property} = ${value}`);
  parts.push(reason);
  return parts.join(": ");
}

/** A value for a message: scalars only, shortened, and without the user part that a URL may have. */
export function showValue(value: unknown): string | undefined {
  if (typeof value === "string") {
    const shown = value.replaceAll(/\/\/[^/\s]*@/g, "//***@");
    return inspect(shown.length > 200 ? `${shown.slice(0, 200)}...` : shown);
  }
  return typeof value === "number" || typeof value === "boolean" ? String(value) : undefined;
}
