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

/** A deletion that the store may show before the journal has it. */
interface Deletion {
  /** The commit that it came with; 0 when there was none. Does not fail. */
  readonly version: Promise<number>;
}

export class JournaledKv implements Kv {
  readonly #store: Kv;
  readonly #journal: CommitJournal;
  /** The last deletion of each key, as Latin-1 text, that the journal does not have yet. */
  readonly #deleting = new Map<string, Deletion>();
  readonly #committing = new Set<Promise<unknown>>();

  constructor(store: Kv, journal: CommitJournal) {
    this.#store = store;
    this.#journal = journal;
  }

  async get(key: KvKey): Promise<KvEntry | undefined> {
    const deletions = this.#deletionsOf([key]);
    const entry = await this.#store.get(key);
    await this.#journaled([entry], deletions);
    return entry;
  }

  async getMany(keys: readonly KvKey[]): Promise<(KvEntry | undefined)[]> {
    const deletions = this.#deletionsOf(keys);
    const entries = await this.#store.getMany(keys);
    await this.#journaled(entries, deletions);
    return entries;
  }

  async list(range: KvRange, options: KvListOptions): Promise<KvEntry[]> {
    const deletions = this.#deletionsIn(range);
    const entries = await this.#store.list(range, options);
    await this.#journaled(entries, deletions);
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
    const committing = this.#commitToStore(request, true);
    const deleted = request.mutations.flatMap(({ kind, key }) => (kind === "delete" ? [keyText(key)] : []));
    const deletion = { version: committing.then(versionOf, (error: unknown) => this.#versionAfter(error)) };
    for (const key of deleted) this.#deleting.set(key, deletion);
    const shipped = this.#shipped(committing);
    this.#committing.add(shipped);
    try {
      return await shipped;
    } finally {
      this.#committing.delete(shipped);
      // One that the journal did not take in time stays, so that nobody sees it before the journal has it.
      if ((await deletion.version) <= this.#journal.shippedThrough) this.#forget(deleted, deletion);
    }
  }

  /** A commit that it cannot be later than, of whose outcome only an error is known. */
  async #versionAfter(error: unknown): Promise<number> {
    if (!(error instanceof CatalogError) || error.kind !== "unknown-outcome") return 0;
    const version = await this.#store.version().catch(() => 0);
    this.#journal.committed(version);
    return version;
  }

  #forget(keys: readonly string[], deletion: Deletion): void {
    for (const key of keys) if (this.#deleting.get(key) === deletion) this.#deleting.delete(key);
  }

  async #commitToStore(request: KvCommitRequest, journaled: boolean): Promise<KvCommitResult> {
    const result = await replayRequest(this.#store.atomic(), request).commit();
    if (result.committed && journaled) this.#journal.committed(result.version);
    return result;
  }

  async #shipped(committing: Promise<KvCommitResult>): Promise<KvCommitResult> {
    const result = await committing;
    if (result.committed) await this.#journal.shipped(result.version);
    return result;
  }

  #deletionsOf(keys: readonly KvKey[]): [string, Deletion][] {
    if (this.#deleting.size === 0) return [];
    return keys.flatMap((key) => {
      const text = keyText(key);
      const deletion = this.#deleting.get(text);
      return deletion === undefined ? [] : [[text, deletion]];
    });
  }

  #deletionsIn({ start, end }: KvRange): [string, Deletion][] {
    if (this.#deleting.size === 0) return [];
    const [first, last] = [keyText(start), keyText(end)];
    return [...this.#deleting].filter(([key]) => key >= first && key < last);
  }

  /** Resolves when the journal has what was read: the entries, and the deletions of those that were not there. */
  async #journaled(
    entries: readonly (KvEntry | undefined)[],
    deletions: readonly (readonly [string, Deletion])[],
  ): Promise<void> {
    const journal = this.#journal;
    if (!journal.sync) return;
    let version = 0;
    for (const entry of entries) {
      if (entry !== undefined && entry.version > version && !isLocal(entry.key)) version = entry.version;
    }
    for (const [key, deletion] of deletions) {
      const deletedBy = await deletion.version;
      if (deletedBy <= journal.shippedThrough) this.#forget([key], deletion);
      else version = Math.max(version, deletedBy);
    }
    if (version <= journal.shippedThrough) return;
    // Nobody may have told the journal of a commit whose answer was lost.
    journal.committed(version);
    try {
      await journal.shipped(version);
    } catch (error) {
      throw new CatalogError("unavailable", "the journal is behind what is to be read", { cause: error });
    }
  }
}

function versionOf(result: KvCommitResult): number {
  return result.committed ? result.version : 0;
}
