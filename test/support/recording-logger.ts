/** A logger that keeps its lines, as they would be written. */
import { createLoggers, type Logger } from "../../src/observability/logger.ts";
import { systemClock } from "../../src/shared/clock.ts";

export function recordingLogger(): { readonly logger: Logger; readonly lines: () => readonly string[] } {
  const lines: string[] = [];
  const stream = { write: (line: string) => void lines.push(line) };
  return {
    logger: createLoggers({ level: "trace", clock: systemClock, stream }).named("coordination"),
    lines: () => lines,
  };
}
