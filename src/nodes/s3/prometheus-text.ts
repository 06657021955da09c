/**
 * Prometheus' text format, version 0.0.4, as far as it carries samples; comments with their types and help are skipped.
 * https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 */

export interface Sample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  /** May be NaN or infinite. */
  readonly value: number;
  /** Milliseconds since the epoch, where the sample carries them. */
  readonly timestampMs?: number;
}

/** The text is not in the format. */
export class PrometheusTextError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "PrometheusTextError";
  }
}

const BLANK = /[ \t]*/y;
const NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const LABEL = /[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\[\\"n])*)"[ \t]*/y;
const VALUE_AND_TIME = /^[ \t]*([^ \t]+)(?:[ \t]+(-?\d+))?[ \t]*$/;
const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const INFINITE = /^([+-]?)inf(?:inity)?$/i;
const NOT_A_NUMBER = /^[+-]?nan$/i;

/**
 * The sample of one line without its line break; `undefined` for a comment and a blank line.
 * @throws PrometheusTextError
 */
export function parseSample(line: string): Sample | undefined {
  const start = endOf(BLANK, line, 0) ?? 0;
  if (start === line.length || line[start] === "#") return undefined;
  const nameEnd = endOf(NAME, line, start);
  if (nameEnd === undefined) throw new PrometheusTextError("a line does not begin with a metric's name");
  const open = endOf(BLANK, line, nameEnd) ?? nameEnd;
  const { labels, end } = line[open] === "{" ? parseLabels(line, open + 1) : { labels: NO_LABELS, end: nameEnd };
  const [, value, timestamp] = VALUE_AND_TIME.exec(line.slice(end)) ?? [];
  // A name that runs on into something else is followed by no blank.
  if (value === undefined || (end === nameEnd && open === nameEnd)) {
    throw new PrometheusTextError("a metric is not followed by a value, and at most a time");
  }
  return {
    name: line.slice(start, nameEnd),
    labels,
    value: parseValue(value),
    ...(timestamp === undefined ? {} : { timestampMs: Number(timestamp) }),
  };
}

const NO_LABELS: ReadonlyMap<string, string> = new Map();

/** @param from behind the opening brace */
function parseLabels(line: string, from: number): { labels: ReadonlyMap<string, string>; end: number } {
  const labels = new Map<string, string>();
  let at = from;
  for (;;) {
    const blankEnd = endOf(BLANK, line, at) ?? at;
    // A comma may stand after the last label.
    if (line[blankEnd] === "}") return { labels, end: blankEnd + 1 };
    LABEL.lastIndex = at;
    const [whole, name, value] = LABEL.exec(line) ?? [];
    if (whole === undefined || name === undefined || value === undefined) {
      throw new PrometheusTextError("a label is not written as it has to be");
    }
    if (labels.has(name)) throw new PrometheusTextError("a label is there twice");
    labels.set(name, unescape(value));
    at += whole.length;
    if (line[at] === ",") at += 1;
    else if (line[at] !== "}") throw new PrometheusTextError("the labels do not end");
  }
}

function unescape(text: string): string {
  return text.replace(/\\([\\"n])/g, (_, escaped: string) => (escaped === "n" ? "\n" : escaped));
}

function parseValue(text: string): number {
  if (DECIMAL.test(text)) return Number(text);
  if (NOT_A_NUMBER.test(text)) return Number.NaN;
  const sign = INFINITE.exec(text)?.[1];
  if (sign === undefined) throw new PrometheusTextError("a value is no number");
  return sign === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

/** Where the match ends that begins exactly at `at`. */
function endOf(pattern: RegExp, line: string, at: number): number | undefined {
  pattern.lastIndex = at;
  return pattern.test(line) ? pattern.lastIndex : undefined;
}

/**
 * The samples of a text that comes in pieces, one after the other. Holds one line and one piece at a time.
 * @throws PrometheusTextError while iterating, and what the source throws
 */
export async function* samplesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Sample, void, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* samplesIn(lines);
  }
  yield* samplesIn([rest + decoder.decode()]);
}

function* samplesIn(lines: readonly string[]): Generator<Sample, void, undefined> {
  for (const line of lines) {
    const sample = parseSample(line);
    if (sample !== undefined) yield sample;
  }
}
