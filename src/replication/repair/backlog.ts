/**
 * How much waits for repair, and since when. Counted from the record of the slots that want it, never from the objects;
 * at most so many entries at a time, and not again within a moment, whoever asks.
 */
import { decodeRepairEntry, locateBlob } from "../../catalog/blobs.ts";
import { walk } from "../../catalog/catalog.ts";
import { deadLettersRange, partsOfRepairKey, repairRange } from "../../catalog/keys.ts";
import type { Kv } from "../../catalog/kv.ts";
import { decodeDeadLetter } from "../../catalog/records/dead-letter.ts";
import type { Clock } from "../../shared/clock.ts";

/** Entries that are counted: of what is more, it is only said that there is more. */
const ENTRIES_MAX = 100_000;
const PAGE = 5_000;

export interface BacklogCounts {
  readonly missing: number;
  readonly handoff: number;
  readonly unverified: number;
  readonly corrupt: number;
  readonly deadLetters: number;
  /** Since when the slot wants repair that does so longest, of those that were counted; wall clock. */
  readonly oldestMissingSinceMs: number | undefined;
  /** Domains that those belong to that were counted, dead letters not among them. */
  readonly domains: ReadonlySet<string>;
  /** There is more than was counted. */
  readonly more: boolean;
}

export class Backlog {
  readonly #kv: Kv;
  readonly #clock: Clock;
  readonly #cacheMs: number;
  #counted: { readonly atMs: number; readonly counts: Promise<BacklogCounts> } | undefined;

  /** @param cacheMs how long what was counted is told again */
  constructor({ kv, clock, cacheMs }: { readonly kv: Kv; readonly clock: Clock; readonly cacheMs: number }) {
    this.#kv = kv;
    this.#clock = clock;
    this.#cacheMs = cacheMs;
  }

  /** @throws CatalogError, RecordError */
  read(): Promise<BacklogCounts> {
    const nowMs = this.#clock.monotonicMs();
    const last = this.#counted;
    if (last !== undefined && nowMs < last.atMs + this.#cacheMs) return last.counts;
    const counts = this.#count();
    const counted = { atMs: nowMs, counts };
    this.#counted = counted;
    counts.catch(() => {
      if (this.#counted === counted) this.#counted = undefined;
    });
    return counts;
  }

  async #count(): Promise<BacklogCounts> {
    const states = { missing: 0, handoff: 0, unverified: 0, corrupt: 0 };
    let oldest: number | undefined;
    const domains = new Set<string>();
    let entries = 0;
    for await (const entry of walk(this.#kv, repairRange(), PAGE)) {
      if (++entries > ENTRIES_MAX) break;
      const { work, sinceMs, home } = decodeRepairEntry(entry.value);
      const { blobId, slot } = partsOfRepairKey(entry.key);
      // Entries of earlier versions do not tell.
      const found = work ?? (await locateBlob(this.#kv, blobId, home))?.blob.slots[slot];
      if (found === undefined || found.state === "ok" || found.state === "surplus") continue;
      const { state } = found;
      domains.add(found.domain);
      states[state] += 1;
      if (state === "missing") oldest = Math.min(oldest ?? sinceMs, sinceMs);
    }
    let deadLetters = 0;
    for await (const entry of walk(this.#kv, deadLettersRange(), PAGE)) {
      if (++entries > ENTRIES_MAX) break;
      deadLetters += 1;
      const { sinceMs } = decodeDeadLetter(entry.value);
      oldest = Math.min(oldest ?? sinceMs, sinceMs);
    }
    return { ...states, deadLetters, domains, oldestMissingSinceMs: oldest, more: entries > ENTRIES_MAX };
  }
}

/** Slots that want repair, dead letters among them. */
export function totalOf({ missing, handoff, unverified, corrupt, deadLetters }: BacklogCounts): number {
  return missing + handoff + unverified + corrupt + deadLetters;
}
