/** Shows the status again and again, in place, until the user has seen enough. */
import { type Clock, keepAlive, sleep } from "../../shared/clock.ts";
import type { AdminClient } from "../admin-client.ts";
import { formatSpan } from "../age-text.ts";
import { CliError, EXIT } from "../errors.ts";
import { textLine } from "./layout.ts";
import { type Frame, renderStatus } from "./render.ts";
import { readStatus, type StatusView } from "./status-view.ts";
import type { Terminal } from "./terminal.ts";

export interface WatchOptions {
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly terminal: Terminal;
  readonly print: (text: string) => void;
}

/** The other screen of the terminal, without a cursor: what stood there before is there again in the end. */
const BEGIN = "\u001B[?1049h\u001B[?25l";
const END = "\u001B[?25h\u001B[?1049l";
const HOME = "\u001B[H";
const CLEAR_LINE_END = "\u001B[K";
const CLEAR_BELOW = "\u001B[J";

/** What was seen last, and what keeps it from being seen now. */
interface Seen {
  readonly view?: StatusView;
  readonly seenAtMs?: number;
  readonly problem?: string;
}

/** @throws CliError where asking again makes no sense: the key is refused */
export async function watchStatus(admin: AdminClient, options: WatchOptions): Promise<void> {
  const { clock, terminal, print, intervalMs } = options;
  using interrupted = terminal.untilInterrupted();
  using _waiting = keepAlive();
  if (terminal.interactive) print(BEGIN);
  try {
    let seen: Seen = {};
    while (!interrupted.aborted) {
      seen = await lookAgain(admin, seen, clock);
      if (interrupted.aborted) return;
      draw(seen, options);
      await pause(intervalMs, () => draw(seen, options), { interrupted, terminal, clock });
    }
  } finally {
    if (terminal.interactive) print(END);
  }
}

async function lookAgain(admin: AdminClient, before: Seen, clock: Clock): Promise<Seen> {
  try {
    return { view: await readStatus(admin), seenAtMs: clock.nowMs() };
  } catch (error) {
    if (!(error instanceof CliError) || error.exitCode === EXIT.denied) throw error;
    return { ...before, problem: error.message };
  }
}

function draw(seen: Seen, { clock, terminal, print, intervalMs }: WatchOptions): void {
  const size = terminal.interactive ? terminal.size() : undefined;
  const nowMs = clock.nowMs();
  const frame: Frame = { nowMs, colors: terminal.colors, width: size?.columns, height: undefined };
  const head = heading(seen, frame, intervalMs);
  const height = size === undefined ? undefined : Math.max(1, size.rows - head.length);
  const lines = [...head, ...(seen.view === undefined ? [] : renderStatus(seen.view, { ...frame, height }))];
  if (!terminal.interactive) return print(`${lines.join("\n")}\n\n`);
  const shown = size === undefined ? lines : lines.slice(0, size.rows);
  // In one piece and over what is there, so that nothing flickers; no newline behind the last line, which would scroll.
  print(`${HOME}${shown.map((line) => `${line}${CLEAR_LINE_END}`).join("\r\n")}${CLEAR_BELOW}`);
}

/** Two lines: the second is empty unless something is the matter. */
function heading({ problem, seenAtMs }: Seen, frame: Frame, intervalMs: number): string[] {
  const time = `${new Date(frame.nowMs).toISOString().slice(0, 19).replace("T", " ")} UTC`;
  const title = `bulkhead status  ${time}  every ${intervalMs / 1000} s`;
  if (problem === undefined) return [textLine([{ text: title, style: "dim" }], frame), ""];
  const age = seenAtMs === undefined ? "nothing seen yet" : `seen ${formatSpan((frame.nowMs - seenAtMs) / 1000)} ago`;
  return [`${title}  ${age}`, problem].map((text) => textLine([{ text, style: "bad" }], frame));
}

/** Until the time is over or the user has seen enough; draws again when the terminal has another size. */
async function pause(
  delayMs: number,
  redraw: () => void,
  { interrupted, terminal, clock }: { interrupted: AbortSignal; terminal: Terminal; clock: Clock },
): Promise<void> {
  const stopListening = terminal.onResize(redraw);
  try {
    await sleep(clock, delayMs, interrupted);
  } catch (error) {
    if (!interrupted.aborted) throw error;
  } finally {
    stopListening();
  }
}
