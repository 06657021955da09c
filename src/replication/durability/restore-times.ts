/** How long it takes until a copy that was lost stands again, as measured; kept over restarts. */
import type { Catalog } from "../../catalog/catalog.ts";
import type { KvKey } from "../../catalog/kv.ts";
import type { SlotState } from "../../catalog/records/blob.ts";
import { decodeRecord, encodeRecord } from "../../catalog/records/codec.ts";
import { pack } from "../../catalog/tuple.ts";
import type { Clock } from "../../shared/clock.ts";
import { LocalRecord, type RecordCodec } from "../scrub/local-record.ts";

/** The mean of the first so many is a plain one; from then on each weighs this part of it, and older ones fade. */
const WEIGHT_COUNT = 100;
/** As a clock that is set back would give less, and a mean of nothing cannot be computed with. */
const TIME_MS_MIN = 1;

export interface RestoreMean {
  /** Copies that were measured. */
  readonly count: number;
  readonly meanMs: number;
}

export const restoreTimesKey = (): KvKey => pack(["local", "restore-times"]);

const RESTORE_TIMES_FORMAT = 1;

export const restoreTimesCodec: RecordCodec<RestoreMean> = {
  encode: ({ count, meanMs }) => encodeRecord(RESTORE_TIMES_FORMAT, [count, Math.round(meanMs)]),
  decode(value) {
    const reader = decodeRecord("restore times", value, RESTORE_TIMES_FORMAT);
    return { count: reader.int(), meanMs: reader.int() };
  },
};

export class RestoreTimes {
  readonly #clock: Clock;
  readonly #record: LocalRecord<RestoreMean>;
  #mean: RestoreMean | undefined;
  #loaded = false;
  #saved: RestoreMean | undefined;

  constructor({ catalog, clock }: { readonly catalog: Catalog; readonly clock: Clock }) {
    this.#clock = clock;
    this.#record = new LocalRecord(catalog, restoreTimesKey(), restoreTimesCodec);
  }

  /**
   * A slot was made good.
   * @param cause the state that it was in; a hand-off copy that was moved home had not been lost
   * @param sinceMs when it came to that state, on the wall clock; absent where no copy was made
   */
  restored(cause: SlotState, sinceMs: number | undefined): void {
    if (sinceMs === undefined || cause === "handoff") return;
    const timeMs = Math.max(TIME_MS_MIN, this.#clock.nowMs() - sinceMs);
    const { count, meanMs } = this.#mean ?? { count: 0, meanMs: 0 };
    const weight = 1 / Math.min(count + 1, WEIGHT_COUNT);
    this.#mean = { count: count + 1, meanMs: meanMs + weight * (timeMs - meanMs) };
  }

  /** `undefined` while nothing was measured. */
  get mean(): RestoreMean | undefined {
    return this.#mean;
  }

  /** Takes up what is kept, in place of what this process knows: another one measures. @throws CatalogError; RecordError */
  async refresh(): Promise<void> {
    this.#mean = await this.#record.load();
    this.#saved = this.#mean;
    this.#loaded = true;
  }

  /** Takes up what was measured before the start, and keeps what was since. @throws CatalogError; RecordError */
  async save(): Promise<void> {
    if (!this.#loaded) {
      const before = await this.#record.load();
      this.#mean = before === undefined ? this.#mean : joined(before, this.#mean);
      this.#saved = before;
      this.#loaded = true;
    }
    const mean = this.#mean;
    if (mean === undefined || mean === this.#saved) return;
    await this.#record.save(mean);
    this.#saved = mean;
  }
}

/** What was measured before and since, as if it were one row, each weighed by its count as far as that counts. */
function joined(before: RestoreMean, since: RestoreMean | undefined): RestoreMean {
  if (since === undefined) return before;
  const share = Math.min(1, since.count / Math.min(before.count + since.count, WEIGHT_COUNT));
  return { count: before.count + since.count, meanMs: before.meanMs + share * (since.meanMs - before.meanMs) };
}
