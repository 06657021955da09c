/**
 * The record of slots that want repair, in the order in which they are worked on: those with the fewest good copies
 * first, also where such work arrives while other work is under way.
 */
import { repairRange } from "../../catalog/keys.ts";
import type { Kv, KvEntry } from "../../catalog/kv.ts";
import type { Clock } from "../../shared/clock.ts";
import { Throttle } from "../scrub/throttle.ts";

/** Entries read a second: the many that wait for a lost domain must not cost a core each time that one is added. */
const ENTRIES_PER_SECOND = 50_000;
/**
 * It begins again from the front only if reading the record took at most one part in so many of the time since it did so
 * last: where a great deal waits at the front, the rest still gets its turn.
 */
const READING_SHARE = 5;

export class RepairQueue {
  readonly #kv: Kv;
  readonly #clock: Clock;
  readonly #batchSize: number;
  readonly #throttle: Throttle;
  #arrived = false;

  /** @param batchSize entries read at a time */
  constructor({ kv, clock, batchSize }: { readonly kv: Kv; readonly clock: Clock; readonly batchSize: number }) {
    this.#kv = kv;
    this.#clock = clock;
    this.#batchSize = batchSize;
    this.#throttle = new Throttle(clock, ENTRIES_PER_SECOND);
  }

  /** There is work that may be more urgent than what is at hand: whoever reads begins again from the front. */
  workArrived(): void {
    this.#arrived = true;
  }

  /** Everything on record from the front to the end; entries may come twice where work arrived. @throws the signal's reason */
  async *entries(signal: AbortSignal): AsyncGenerator<KvEntry, void, undefined> {
    const range = repairRange();
    let start = range.start;
    let startedMs = this.#clock.monotonicMs();
    let readingMs = 0;
    this.#arrived = false;
    for (;;) {
      const beganMs = this.#clock.monotonicMs();
      const page = await this.#kv.list({ start, end: range.end }, { limit: this.#batchSize });
      await this.#throttle.take(page.length, signal);
      readingMs += this.#clock.monotonicMs() - beganMs;
      let restarted = false;
      for (const entry of page) {
        restarted = this.#arrived && this.#clock.monotonicMs() - startedMs >= READING_SHARE * readingMs;
        if (restarted) break;
        yield entry;
      }
      const last = page.at(-1);
      if (restarted) {
        this.#arrived = false;
        start = range.start;
        startedMs = this.#clock.monotonicMs();
        readingMs = 0;
      } else if (last === undefined || page.length < this.#batchSize) return;
      else start = Buffer.concat([last.key, Buffer.of(0)]);
    }
  }
}
