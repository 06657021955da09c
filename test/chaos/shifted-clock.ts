/**
 * Preloaded into a gateway (`node --import`): its wall clock is off by as many milliseconds as the file of CLOCK_SHIFT_FILE
 * says, from one moment to the next. The monotonic clock and timers are as they were.
 */
import { readFileSync } from "node:fs";

const POLL_MS = 50;
const file = process.env["CLOCK_SHIFT_FILE"] ?? "";
const realNow = Date.now.bind(Date);
let shiftMs = 0;

function read(): void {
  try {
    const said = Number(readFileSync(file, "utf8"));
    if (Number.isFinite(said)) shiftMs = said;
  } catch {
    // Not written yet: the clock is right.
  }
}

const now = (): number => realNow() + shiftMs;
globalThis.Date = new Proxy(Date, {
  construct: (date, args: unknown[], asked) => {
    const made: unknown = Reflect.construct(date, args.length === 0 ? [now()] : args, asked);
    return made as Date;
  },
  get: (date, name) => (name === "now" ? now : (Reflect.get(date, name) as unknown)),
});

read();
setInterval(read, POLL_MS).unref();
