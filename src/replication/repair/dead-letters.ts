/** Slots whose repair was given up, for an operator: to look at them, and to have them tried again. */
import { locateBlob } from "../../catalog/blobs.ts";
import { type Catalog, walk } from "../../catalog/catalog.ts";
import { deadLetterKey, deadLettersRange, partsOfDeadLetterKey } from "../../catalog/keys.ts";
import type { KvEntry } from "../../catalog/kv.ts";
import type { SlotState } from "../../catalog/records/blob.ts";
import { type DeadLetter, decodeDeadLetter } from "../../catalog/records/dead-letter.ts";
import type { Id } from "../../shared/ids.ts";
import type { SlotLedger } from "../slot-ledger.ts";
import { forEachConcurrently } from "../worker.ts";

/** Which slot of which blob. */
export interface SlotName {
  readonly blobId: Id;
  readonly slot: number;
}

export interface DeadLetterReport extends SlotName {
  readonly letter: DeadLetter;
  readonly state: SlotState;
  /** The fault domain that the copy belongs to. */
  readonly domain: string;
}

/** Letters that one call to replay them all works on: it is called again while there are more. */
export const REPLAY_MAX = 10_000;
/** Slots put on record at a time; the catalog commits them together. */
const CONCURRENCY = 16;

export class DeadLetters {
  readonly #catalog: Catalog;
  readonly #ledger: SlotLedger;

  constructor({ catalog, ledger }: { readonly catalog: Catalog; readonly ledger: SlotLedger }) {
    this.#catalog = catalog;
    this.#ledger = ledger;
  }

  /**
   * A page of them, in the order of their blob ids.
   * @returns `next`, to be given as `after`, where there are more
   * @throws CatalogError
   */
  async list(request: {
    readonly after?: SlotName | undefined;
    readonly limit: number;
  }): Promise<{ readonly letters: readonly DeadLetterReport[]; readonly next: SlotName | undefined }> {
    const { after, limit } = request;
    const range = deadLettersRange();
    const start = after && Buffer.concat([deadLetterKey(after.blobId, after.slot), Buffer.of(0)]);
    const entries = await this.#catalog.kv.list({ start: start ?? range.start, end: range.end }, { limit });
    const reports = await Promise.all(entries.map((entry) => this.#report(entry)));
    const last = entries.at(-1);
    return {
      letters: reports.filter((report) => report !== undefined),
      next: last === undefined || entries.length < limit ? undefined : partsOfDeadLetterKey(last.key),
    };
  }

  /** `undefined` where the slot is no dead letter, or no more. @throws CatalogError */
  async get({ blobId, slot }: SlotName): Promise<DeadLetterReport | undefined> {
    const entry = await this.#catalog.kv.get(deadLetterKey(blobId, slot));
    return entry && (await this.#report(entry));
  }

  /** Makes one work for repair again. @returns whether it was a dead letter. @throws CatalogError, SlotContentionError */
  async replay({ blobId, slot }: SlotName): Promise<boolean> {
    const entry = await this.#catalog.kv.get(deadLetterKey(blobId, slot));
    return entry !== undefined && (await this.#replay(entry));
  }

  /**
   * Makes all of them work for repair again, at most REPLAY_MAX at a call.
   * @throws CatalogError, SlotContentionError; what was replayed before stays so
   */
  async replayAll(signal: AbortSignal): Promise<{ readonly replayed: number; readonly more: boolean }> {
    const { kv } = this.#catalog;
    const replay = new AbortController();
    let begun = 0;
    let replayed = 0;
    const ends = AbortSignal.any([signal, replay.signal]);
    await forEachConcurrently(walk(kv, deadLettersRange()), CONCURRENCY, ends, async (entry) => {
      if (++begun >= REPLAY_MAX) replay.abort();
      if (await this.#replay(entry)) replayed += 1;
    });
    return { replayed, more: (await kv.list(deadLettersRange(), { limit: 1 })).length > 0 };
  }

  async #replay(entry: KvEntry): Promise<boolean> {
    const { blobId, slot } = partsOfDeadLetterKey(entry.key);
    const { home } = decodeDeadLetter(entry.value);
    const outcome = await this.#ledger.change(blobId, home, ({ blob, deadLetters }) =>
      deadLetters.has(slot) ? { slots: blob.slots, revived: new Set([slot]) } : undefined,
    );
    return outcome === "changed";
  }

  async #report(entry: KvEntry): Promise<DeadLetterReport | undefined> {
    const name = partsOfDeadLetterKey(entry.key);
    const letter = decodeDeadLetter(entry.value);
    const located = await locateBlob(this.#catalog.kv, name.blobId, letter.home);
    const slot = located?.blob.slots[name.slot];
    return slot && { ...name, letter, state: slot.state, domain: slot.domain };
  }
}
