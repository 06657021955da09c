/**
 * The connection of one gateway process to the catalog's store: answers take time, get lost, or come when the process is
 * no more. What a commit that was sent does is decided by the store, whoever still waits for it.
 */
import {
  CatalogError,
  type Kv,
  type KvAtomic,
  type KvCommitResult,
  type KvEntry,
  type KvKey,
  type KvListOptions,
  type KvRange,
} from "../../src/catalog/kv.ts";
import { collectAtomic, type KvCommitRequest } from "../../src/catalog/kv-atomic.ts";
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
const LATE_COMMIT_MS_MAX = 20_000;

export interface StoreDeps {
  readonly scheduler: Scheduler;
  readonly chance: Chance;
  readonly conditions: () => StoreConditions;
  /** Told of every commit that was made, before anything else happens. */
  readonly onCommit: (by: string, request: KvCommitRequest) => void;
}

export class StoreConnection implements Kv {
  readonly #under: Kv;
  readonly #deps: StoreDeps;
  readonly #life: Life;
  readonly #by: string;

  constructor(under: Kv, deps: StoreDeps, gateway: { readonly life: Life; readonly name: string }) {
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

  async close(): Promise<void> {}

  atomic(): KvAtomic {
    return collectAtomic((request) => this.#commit(request));
  }

  #read<T>(ask: () => Promise<T>): Promise<T> {
    const { scheduler, chance, conditions } = this.#deps;
    return new Promise((resolve, reject) => {
      if (this.#life.ended) return;
      const { unavailable, latencyMsMax } = conditions();
      const fails = chance.happens(unavailable);
      scheduler.after(chance.between(0, latencyMsMax), () => {
        if (this.#life.ended) return;
        if (fails) reject(new CatalogError("unavailable", "the store does not answer"));
        else ask().then(resolve, reject);
      });
    });
  }

  #commit(request: KvCommitRequest): Promise<KvCommitResult> {
    const { scheduler, chance, conditions } = this.#deps;
    const { unavailable, unknownOutcome, lateCommit, latencyMsMax } = conditions();
    return new Promise((resolve, reject) => {
      if (this.#life.ended) return;
      const answer = (end: () => void): void => {
        scheduler.after(chance.between(0, latencyMsMax), () => {
          if (!this.#life.ended) end();
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
    const atomic = this.#under.atomic();
    for (const check of request.checks) {
      if (check.kind === "version") atomic.check(check.key, check.version);
      else atomic.checkEmpty(check.range);
    }
    for (const mutation of request.mutations) {
      if (mutation.kind === "set") atomic.set(mutation.key, mutation.value);
      else if (mutation.kind === "sum") atomic.sum(mutation.key, mutation.deltas);
      else atomic.delete(mutation.key);
    }
    const result = await atomic.commit();
    if (result.committed) this.#deps.onCommit(this.#by, request);
    return result;
  }
}
