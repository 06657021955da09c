/**
 * The store with its journal: a commit is answered when the journal has it (`sync`) or will have it within moments
 * (`async`).
 *
 * In `sync`, what the store shows before the journal has it is shown to nobody: were the store lost in that moment, a
 * reader would have seen what never was.
 */
import { keyText } from "../key-text.ts";
import {
  CatalogError,
  type Kv,
  type KvAtomic,
  type KvCommitResult,
  type KvEntry,
  type KvKey,
  type KvListOptions,
  type KvRange,
} from "../kv.ts";
import { collectAtomic, isLocal, type KvCommitRequest, replayRequest } from "../kv-atomic.ts";

export interface CommitJournal {
  /** Whether answers wait for the journal. */
  readonly sync: boolean;
  /** The last commit that is durable in the journal. */
  readonly shippedThrough: number;
  /** Why nothing can be made durable now, if so. */
  readonly failure: Error | undefined;
  committed(version: number): void;
  /** @throws CatalogError `unknown-outcome` after the timeout */
  shipped(version: number): Promise<void>;
}

export class JournaledKv implements Kv {
  readonly #store: Kv;
  readonly #journal: CommitJournal;
  /** Keys, as Latin-1 text, that commits under way delete, each with the end of the last such commit. */
  readonly #deleting = new Map<string, Promise<unknown>>();
  readonly #committing = new Set<Promise<unknown>>();

  constructor(store: Kv, journal: CommitJournal) {
    this.#store = store;
    this.#journal = journal;
  }

  async get(key: KvKey): Promise<KvEntry | undefined> {
    const deletion = this.#deleting.size === 0 ? undefined : this.#deleting.get(keyText(key));
    const entry = await this.#store.get(key);
    await this.#journaled([entry], deletion);
    return entry;
  }

  async getMany(keys: readonly KvKey[]): Promise<(KvEntry | undefined)[]> {
    const deletions = this.#deleting.size === 0 ? [] : keys.flatMap((key) => this.#deleting.get(keyText(key)) ?? []);
    const entries = await this.#store.getMany(keys);
    await this.#journaled(entries, Promise.all(deletions));
    return entries;
  }

  async list(range: KvRange, options: KvListOptions): Promise<KvEntry[]> {
    const deletions = this.#deletionsIn(range);
    const entries = await this.#store.list(range, options);
    await this.#journaled(entries, Promise.all(deletions));
    return entries;
  }

  atomic(): KvAtomic {
    return collectAtomic((request) => this.#commit(request));
  }

  version(): Promise<number> {
    return this.#store.version();
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#committing);
    await this.#store.close();
  }

  async #commit(request: KvCommitRequest): Promise<KvCommitResult> {
    const { sync, failure } = this.#journal;
    const journaled = request.mutations.some(({ key }) => !isLocal(key));
    if (!sync || !journaled) return this.#commitToStore(request, journaled);
    if (failure !== undefined) throw new CatalogError("unavailable", "no node takes the journal", { cause: failure });
    const committing = this.#commitAndShip(request);
    const deleted = request.mutations.flatMap(({ kind, key }) => (kind === "delete" ? [keyText(key)] : []));
    for (const key of deleted) this.#deleting.set(key, committing);
    this.#committing.add(committing);
    try {
      return await committing;
    } finally {
      this.#committing.delete(committing);
      for (const key of deleted) if (this.#deleting.get(key) === committing) this.#deleting.delete(key);
    }
  }

  async #commitToStore(request: KvCommitRequest, journaled: boolean): Promise<KvCommitResult> {
    const result = await replayRequest(this.#store.atomic(), request).commit();
    if (result.committed && journaled) this.#journal.committed(result.version);
    return result;
  }

  async #commitAndShip(request: KvCommitRequest): Promise<KvCommitResult> {
    const result = await this.#commitToStore(request, true);
    if (result.committed) await this.#journal.shipped(result.version);
    return result;
  }

  #deletionsIn({ start, end }: KvRange): Promise<unknown>[] {
    if (this.#deleting.size === 0) return [];
    const [first, last] = [keyText(start), keyText(end)];
    return [...this.#deleting].flatMap(([key, deletion]) => (key >= first && key < last ? [deletion] : []));
  }

  /** Resolves when the journal has what was read: the entries, and the deletions of those that were not there. */
  async #journaled(entries: readonly (KvEntry | undefined)[], deletion: Promise<unknown> | undefined): Promise<void> {
    if (!this.#journal.sync) return;
    let version = 0;
    for (const entry of entries) {
      if (entry !== undefined && entry.version > version && !isLocal(entry.key)) version = entry.version;
    }
    try {
      if (version > this.#journal.shippedThrough) await this.#journal.shipped(version);
      await deletion;
    } catch (error) {
      throw new CatalogError("unavailable", "the journal is behind what is to be read", { cause: error });
    }
  }
}
