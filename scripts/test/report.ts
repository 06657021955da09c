import { inspect } from "node:util";

export interface TestFailure {
  readonly name: string;
  /** What was thrown, or a sentence. */
  readonly problem: unknown;
  readonly line?: number;
}

export interface TestSkip {
  readonly name: string;
  readonly reason: string;
}

export interface FileResult {
  readonly file: string;
  readonly passed: number;
  readonly failures: readonly TestFailure[];
  readonly skips: readonly TestSkip[];
  /** What its tests noted down: seeds, figures. */
  readonly notes: readonly string[];
  /** What the file printed on both streams, its end where it was long. */
  readonly output: string;
  readonly durationMs: number;
}

export interface Total {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** One line for a file that passed, and its notes; for another its failures in full and what it printed. `label` is its short path. */
export function formatFile(result: FileResult, label: string): string {
  const counts = formatTotal({
    passed: result.passed,
    failed: result.failures.length,
    skipped: result.skips.length,
  });
  const head = `${result.failures.length > 0 ? "FAIL" : "ok  "} ${label}: ${counts} (${(result.durationMs / 1000).toFixed(1)} s)\n${indent(result.notes.map((note) => `${note}\n`).join(""))}`;
  if (result.failures.length === 0) return head;
  const failures = result.failures.map((failure) => formatFailure(failure, label));
  const output = result.output === "" ? "" : `\n${indent(`what ${label} printed:\n${result.output.trimEnd()}`)}\n`;
  return `${head}${failures.join("")}${output}\n`;
}

function formatFailure(failure: TestFailure, label: string): string {
  const place = failure.line === undefined ? label : `${label}:${failure.line}`;
  const problem =
    typeof failure.problem === "string"
      ? failure.problem
      : inspect(failure.problem, { depth: 5, maxStringLength: 8192 });
  return `\n${indent(`${failure.name} (${place})\n${indent(problem)}`)}\n`;
}

/** Every reason once, with what it kept from running. */
export function formatSkips(results: readonly FileResult[]): string {
  const namesByReason = Map.groupBy(
    results.flatMap((result) => result.skips),
    (skip) => skip.reason,
  );
  const lines = [...namesByReason].map(([reason, skips]) => {
    const names = skips.map((skip) => skip.name);
    return `\nskipped, ${reason}\n${indent(names.join("\n"))}\n`;
  });
  return lines.join("");
}

export function total(results: readonly FileResult[]): Total {
  const sum = (count: (result: FileResult) => number): number => results.reduce((n, result) => n + count(result), 0);
  return {
    passed: sum((result) => result.passed),
    failed: sum((result) => result.failures.length),
    skipped: sum((result) => result.skips.length),
  };
}

/** The line by which people and CI read the outcome: `N passed, N failed, N skipped`. */
export function formatTotal({ passed, failed, skipped }: Total): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, "  ");
}
