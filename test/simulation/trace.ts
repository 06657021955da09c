/** What happened, line by line: kept where a person is to read it, and always as a hash, so that two runs can be compared. */
import type { Scheduler } from "./scheduler.ts";

export class Trace {
  readonly lines: string[] = [];
  readonly #scheduler: Scheduler;
  readonly #kept: boolean;
  #low = 0x9e3779b9;
  #high = 0x85ebca6b;

  /** @param kept whether lines are kept; the hash is the same either way */
  constructor(scheduler: Scheduler, kept: boolean) {
    this.#scheduler = scheduler;
    this.#kept = kept;
  }

  add(what: string): void {
    const line = `${this.#scheduler.nowMs.toFixed(3).padStart(12)}  ${what}`;
    for (let at = 0; at < line.length; at++) {
      const unit = line.charCodeAt(at);
      this.#low = Math.imul(this.#low ^ unit, 0x9e3779b1);
      this.#high = Math.imul(this.#high ^ unit, 0x5f356495) ^ (this.#low >>> 15);
    }
    if (this.#kept) this.lines.push(line);
  }

  /** 16 hexadecimal digits of all lines so far. */
  get hash(): string {
    return (this.#high >>> 0).toString(16).padStart(8, "0") + (this.#low >>> 0).toString(16).padStart(8, "0");
  }
}
