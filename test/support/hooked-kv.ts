/** A key-value store under which a test can slip in commits of its own, or lose the answer to one. */
import type {
  KvAtomic,
  KvChange,
  KvCommitResult,
  KvEntry,
  KvKey,
  KvListOptions,
  KvRange,
  KvRestored,
  KvStore,
} from "../../src/catalog/kv.ts";
import { collectAtomic, type KvCommitRequest, replayRequest } from "../../src/catalog/kv-atomic.ts";

export interface KvHooks {
  /** Stands between a commit and the store; `pass` commits it. */
  commit?: (request: KvCommitRequest, pass: () => Promise<KvCommitResult>) => Promise<KvCommitResult>;
  /** Runs before an entry, or several, are read by their keys. */
  get?: (keys: readonly KvKey[]) => Promise<void>;
  /** Runs before a list is read. */
  list?: (range: KvRange) => Promise<void>;
}

export class HookedKv implements KvStore {
  hooks: KvHooks = {};
  readonly #under: KvStore;

  constructor(under: KvStore) {
    this.#under = under;
  }

  async get(key: KvKey): Promise<KvEntry | undefined> {
    await this.hooks.get?.([key]);
    return this.#under.get(key);
  }

  async getMany(keys: readonly KvKey[]): Promise<(KvEntry | undefined)[]> {
    await this.hooks.get?.(keys);
    return this.#under.getMany(keys);
  }

  async list(range: KvRange, options: KvListOptions): Promise<KvEntry[]> {
    await this.hooks.list?.(range);
    return this.#under.list(range, options);
  }

  atomic(): KvAtomic {
    return collectAtomic((request) => {
      const pass = (): Promise<KvCommitResult> => replayRequest(this.#under.atomic(), request).commit();
      return this.hooks.commit === undefined ? pass() : this.hooks.commit(request, pass);
    });
  }

  version(): Promise<number> {
    return this.#under.version();
  }

  changes(after: number, bytesMax: number): Promise<KvChange[]> {
    return this.#under.changes(after, bytesMax);
  }

  forgetChanges(through: number): void {
    this.#under.forgetChanges(through);
  }

  restore(entries: readonly KvRestored[], version: number): Promise<void> {
    return this.#under.restore(entries, version);
  }

  close(): Promise<void> {
    return this.#under.close();
  }
}
