import type { EventData } from "node:test";
import { run } from "node:test";
import type { FileResult, TestFailure, TestSkip } from "./report.ts";

/** What a failed file printed is kept up to this many characters, the last ones. */
const OUTPUT_CHARS_MAX = 64 * 1024;
/** A process that goes on for so long after its last test has something open: a server, a timer, a socket. */
const LINGER_MS_MAX = 10_000;

export interface RunFileOptions {
  readonly timeoutMs: number;
  /** Added to this process's own environment. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Runs one test file in a process of its own and never throws: whatever goes wrong is a failure of the result.
 *
 * The process is killed at the timeout, also when it spins and no timer of its own would fire, and when its tests are
 * done and it does not end. (node's own `--test-force-exit` is not used: it loses results that are on their way.)
 */
export async function runFile(file: string, options: RunFileOptions): Promise<FileResult> {
  const startedAt = performance.now();
  const failures: TestFailure[] = [];
  const skips: TestSkip[] = [];
  const notes: string[] = [];
  /** Tests and suites that are declared and not done, by their numbers in the file's process. */
  const open = new Map<number, string>();
  let passed = 0;
  let ended = false;
  let output = "";
  const keep = (text: string): void => {
    output = (output + text).slice(-OUTPUT_CHARS_MAX);
  };

  const lingering = new AbortController();
  let linger: NodeJS.Timeout | undefined;
  const timeout = AbortSignal.timeout(options.timeoutMs);
  const events = run({
    files: [file],
    isolation: "process",
    concurrency: 1,
    signal: AbortSignal.any([timeout, lingering.signal]),
    env: { ...process.env, ...options.env },
  });
  for await (const event of events) {
    switch (event.type) {
      case "test:stdout":
      case "test:stderr":
        keep(event.data.message);
        break;
      case "test:diagnostic":
        // What a test notes down (t.diagnostic); node:test's own counts name no file.
        if (event.data.file !== undefined) notes.push(event.data.message);
        break;
      case "test:enqueue":
        if (isFileItself(event.data, file)) break;
        clearTimeout(linger);
        open.set(event.data.testId, event.data.name);
        break;
      case "test:complete":
        if (isFileItself(event.data, file)) break;
        open.delete(event.data.testId);
        if (open.size === 0) linger = setTimeout(() => lingering.abort(), LINGER_MS_MAX);
        break;
      case "test:summary":
        // The summary of the whole run names no file. The file's own comes only when its process reached its end.
        if (event.data.file !== undefined) ended = true;
        break;
      case "test:pass": {
        if (isFileItself(event.data, file)) break;
        const skip = skipOf(event.data);
        if (skip !== undefined) skips.push(skip);
        else if (event.data.details.type !== "suite") passed++;
        break;
      }
      case "test:fail":
        if (!isFileItself(event.data, file) && !failedByItsTests(event.data)) failures.push(failureOf(event.data));
        break;
    }
  }
  clearTimeout(linger);

  const wholeFile = (problem: string): void => void failures.push({ name: "the whole file", problem });
  if (timeout.aborted)
    wholeFile(`had not ended after ${options.timeoutMs / 1000} s; open: ${[...open.values()].join(" > ")}`);
  else if (lingering.signal.aborted) wholeFile("its process did not end: its tests left something open");
  else if (passed + skips.length + failures.length === 0) wholeFile("ran no test");
  else if (!ended && failures.length === 0) wholeFile("its process ended before its tests did");
  return { file, passed, failures, skips, notes, output, durationMs: performance.now() - startedAt };
}

/** node:test also reports each file as a test of its own; those carry the file's path as their name. */
function isFileItself(data: { readonly name: string }, file: string): boolean {
  return data.name === file;
}

/** A suite, or a test with subtests, that failed only because something inside it did: that one is counted. */
function failedByItsTests(data: EventData.TestFail): boolean {
  const error: unknown = data.details.error;
  return error instanceof Error && "failureType" in error && error.failureType === "subtestsFailed";
}

function skipOf(data: EventData.TestPass): TestSkip | undefined {
  if (data.skip !== undefined && data.skip !== false) {
    return { name: data.name, reason: typeof data.skip === "string" ? data.skip : "no reason given" };
  }
  if (data.todo !== undefined && data.todo !== false) {
    return { name: data.name, reason: typeof data.todo === "string" ? `to do: ${data.todo}` : "to do" };
  }
  return undefined;
}

function failureOf(data: EventData.TestFail): TestFailure {
  const error: unknown = data.details.error;
  const problem = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return data.line === undefined ? { name: data.name, problem } : { name: data.name, problem, line: data.line };
}
