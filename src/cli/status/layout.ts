/** Lines of text in columns, cut to a width. Measured before they are coloured. */
import { styleText } from "node:util";
import { printable } from "../age-text.ts";

export type Style = "good" | "bad" | "warn" | "dim" | "head";

/** Text of one style. */
export interface Span {
  readonly text: string;
  readonly style?: Style;
}

export type Cell = string | Span;

export interface Screen {
  /** Columns; no limit when absent. */
  readonly width: number | undefined;
  readonly colors: boolean;
}

const FORMATS = {
  good: "green",
  bad: "red",
  warn: "yellow",
  dim: "dim",
  head: "bold",
} as const;

const GAP = "  ";
const CUT = "~";

/** One line of spans behind each other. */
export function textLine(cells: readonly Cell[], screen: Screen): string {
  let left = screen.width ?? Number.POSITIVE_INFINITY;
  let line = "";
  for (const cell of cells) {
    const { text, style } = spanOf(cell);
    const shown = cutTo(text, left);
    left -= shown.length;
    line += styled(shown, style, screen);
    if (shown !== text) break;
  }
  return line;
}

/**
 * Rows in columns as wide as their widest cell. Where the width does not suffice, lines are cut at their end: what matters
 * least stands last.
 */
export function columns(rows: readonly (readonly Cell[])[], screen: Screen): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, at) => {
      widths[at] = Math.max(widths[at] ?? 0, spanOf(cell).text.length);
    });
  }
  return rows.map((row) => {
    const last = row.findLastIndex((cell) => spanOf(cell).text !== "");
    const cells = row.slice(0, last + 1).flatMap((cell, at): Cell[] => {
      const padding = " ".repeat((widths[at] ?? 0) - spanOf(cell).text.length);
      return at === last ? [cell] : [cell, `${padding}${GAP}`];
    });
    return textLine(cells, screen);
  });
}

/** `[#####-----]  50 %`; nothing of what is not known. */
export function bar(share: number | undefined, width: number): string {
  if (share === undefined || !Number.isFinite(share)) return "";
  const bounded = Math.min(1, Math.max(0, share));
  // Not rounded up: it is full only when all of it is done.
  const filled = Math.floor(bounded * width);
  return `[${"#".repeat(filled)}${"-".repeat(width - filled)}] ${String(Math.floor(bounded * 100)).padStart(3)} %`;
}

function spanOf(cell: Cell): Span {
  return typeof cell === "string" ? { text: printable(cell) } : { ...cell, text: printable(cell.text) };
}

function cutTo(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}${width > 0 ? CUT : ""}`;
}

function styled(text: string, style: Style | undefined, { colors }: Screen): string {
  if (!colors || style === undefined || text === "") return text;
  // Whether the terminal takes colours was decided before.
  return styleText(FORMATS[style], text, { validateStream: false });
}
