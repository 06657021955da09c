/**
 * The connection of one gateway process to the catalog's store: answers take time, get lost, or come when the process is
 * no more. What a commit that was sent does is decided by the store, whoever still waits for it.
 */
import {
  CatalogError,
  type KvAtomic,
  type KvChange,
  type KvCommitResult,
  type KvEntry,
  type KvKey,
  type KvListOptions,
  type KvRange,
  type KvRestored,
  type KvStore,
} from "../../src/catalog/kv.ts";
import { collectAtomic, type KvCommitRequest, replayRequest } from "../../src/catalog/kv-atomic.ts";
import type { Chance } from "./chance.ts";
import type { Life, Scheduler } from "./scheduler.ts";

/** Probabilities per call, and times. */
export interface StoreConditions {
  readonly latencyMsMax: number;
  /** The store cannot be asked; nothing was written. */
  readonly unavailable: number;
  /** The answer to a commit is lost. Half of these commits were made. */
  readonly unknownOutcome: number;
  /** A commit is made after its answer was taken for lost. */
  readonly lateCommit: number;
}

export const CALM_STORE: StoreConditions = { latencyMsMax: 1, unavailable: 0, unknownOutcome: 0, lateCommit: 0 };

/** A commit on its way is made at the latest after this, whatever became of its sender. */
export const LATE_COMMIT_MS_MAX = 20_000;

export interface StoreDeps {
  readonly scheduler: Scheduler;
  readonly chance: Chance;
  readonly conditions: () => StoreConditions;
  /** The store's disk is gone: nothing is answered, and nothing that is on its way arrives. */
  readonly lost: () => boolean;
  /** Told of every commit that was made, before anything else happens. */
  readonly onCommit: (by: string, request: KvCommitRequest, version: number) => void;
}

export class StoreConnection implements KvStore {
  readonly #under: KvStore;
  readonly #deps: StoreDeps;
  readonly #life: Life;
  readonly #by: string;

  constructor(under: KvStore, deps: StoreDeps, gateway: { readonly life: Life; readonly name: string }) {
    this.#under = under;
    this.#deps = deps;
    this.#life = gateway.life;
    this.#by = gateway.name;
  }

  get(key: KvKey): Promise<KvEntry | undefined> {
    return this.#read(() => this.#under.get(key));
  }

  getMany(keys: readonly KvKey[]): Promise<(KvEntry | undefined)[]> {
    return this.#read(() => this.#under.getMany(keys));
  }

  list(range: KvRange, options: KvListOptions): Promise<KvEntry[]> {
    return this.#read(() => this.#under.list(range, options));
  }

  version(): Promise<number> {
    return this.#read(() => this.#under.version());
  }

  changes(after: number, bytesMax: number): Promise<KvChange[]> {
    return this.#read(() => this.#under.changes(after, bytesMax));
  }

  forgetChanges(through: number): void {
    if (!this.#gone) this.#under.forgetChanges(through);
  }

  async restore(entries: readonly KvRestored[], version: number): Promise<void> {
    await this.#read(() => this.#under.restore(entries, version));
  }

  async close(): Promise<void> {}

  atomic(): KvAtomic {
    return collectAtomic((request) => this.#commit(request));
  }

  get #gone(): boolean {
    return this.#life.ended || this.#deps.lost();
  }

  #read<T>(ask: () => Promise<T>): Promise<T> {
    const { scheduler, chance, conditions } = this.#deps;
    return new Promise((resolve, reject) => {
      if (this.#gone) return;
      const { unavailable, latencyMsMax } = conditions();
      const fails = chance.happens(unavailable);
      scheduler.after(chance.between(0, latencyMsMax), () => {
        if (this.#gone) return;
        if (fails) reject(new CatalogError("unavailable", "the store does not answer"));
        else ask().then(resolve, reject);
      });
    });
  }

  #commit(request: KvCommitRequest): Promise<KvCommitResult> {
    const { scheduler, chance, conditions } = this.#deps;
    const { unavailable, unknownOutcome, lateCommit, latencyMsMax } = conditions();
    return new Promise((resolve, reject) => {
      if (this.#gone) return;
      const answer = (end: () => void): void => {
        scheduler.after(chance.between(0, latencyMsMax), () => {
          if (!this.#gone) end();
        });
      };
      const unknown = (): void => reject(new CatalogError("unknown-outcome", "the answer to a commit was lost"));
      const onItsWayMs = chance.between(0, latencyMsMax);
      if (chance.happens(unavailable)) {
        answer(() => reject(new CatalogError("unavailable", "the store does not answer")));
      } else if (chance.happens(lateCommit)) {
        answer(unknown);
        scheduler.after(chance.between(0, LATE_COMMIT_MS_MAX), () => void this.#apply(request));
      } else if (chance.happens(unknownOutcome)) {
        const made = chance.happens(0.5);
        scheduler.after(onItsWayMs, () => {
          if (made) void this.#apply(request);
          answer(unknown);
        });
      } else {
        scheduler.after(onItsWayMs, () => {
          this.#apply(request).then(
            (result) => answer(() => resolve(result)),
            (error: unknown) => answer(() => reject(error)),
          );
        });
      }
    });
  }

  async #apply(request: KvCommitRequest): Promise<KvCommitResult> {
    if (this.#deps.lost()) return new Promise(() => {});
    const result = await replayRequest(this.#under.atomic(), request).commit();
    if (result.committed) this.#deps.onCommit(this.#by, request, result.version);
    return result;
  }
}
