/**
 * The seam under the catalog: an ordered key-value store with atomic compare-and-set commits, in the manner of
 * Deno KV. Everything that Bulkhead knows is kept through these few calls; S3 semantics live above them, once.
 *
 * Promises of every driver (test/contract/kv-contract.ts holds them to it):
 * - A read sees one snapshot, which includes every commit that was answered before the read began.
 * - No commit is visible to a read before it is durable.
 * - `commit` applies all mutations or none; checks are evaluated against the state that it replaces.
 * - Keys are ordered by their bytes. Versions grow with every commit, in commit order, over the whole store.
 * - A store keeps what every commit wrote on record as a change, in the same commit, until it is forgotten. The journal
 *   is made of these, and so is every catalog that is rebuilt.
 *
 * What it does NOT promise: two `list` calls see one snapshot; a page is consistent, a walk over pages is not.
 */

/** Longest key in bytes. LMDB takes 1,978 with its default page, PostgreSQL's B-tree about 2,700. */
export const KV_KEY_BYTES_MAX = 1900;
/** Largest value in bytes; longer lists are paged over several keys. */
export const KV_VALUE_BYTES_MAX = 65_536;
/** Most entries that one `list` may ask for. */
export const KV_LIST_LIMIT_MAX = 10_000;

/** A packed tuple (see tuple.ts). */
export type KvKey = Uint8Array;

export interface KvEntry {
  readonly key: Buffer;
  readonly value: Buffer;
  /** The version of the commit that wrote the entry last. */
  readonly version: number;
}

/** A half-open range of keys: `start` belongs to it, `end` does not. */
export interface KvRange {
  readonly start: KvKey;
  readonly end: KvKey;
}

export interface KvListOptions {
  /** At most this many entries, 1 to KV_LIST_LIMIT_MAX. */
  readonly limit: number;
  /** From the end of the range to its start. */
  readonly reverse?: boolean;
}

export type KvCommitResult =
  | { readonly committed: true; readonly version: number }
  /** A check failed and nothing was written; `failed` is the key, or the range's start, of the first that did. */
  | { readonly committed: false; readonly failed: KvKey };

/** Collects checks and mutations and commits them as one. Used once. */
export interface KvAtomic {
  /** The commit fails unless the key's entry has this version; `null` means that there is no entry. */
  check(key: KvKey, version: number | null): this;
  /** The commit fails unless the range holds no entry. */
  checkEmpty(range: KvRange): this;
  set(key: KvKey, value: Uint8Array): this;
  delete(key: KvKey): this;
  /**
   * Adds to a vector of signed 64-bit counters (see readCounters); an absent entry counts as zeros. Blind: it
   * conflicts with no other `sum`.
   */
  sum(key: KvKey, deltas: readonly number[]): this;
  /**
   * Resolves once the commit is durable, or once a check has failed.
   * @throws CatalogError; after `unknown-outcome` the commit may or may not have happened.
   */
  commit(): Promise<KvCommitResult>;
}

/** What a commit left under a key: a value (a sum's is what it came to), or null where it deleted the entry. */
export interface KvWrite {
  readonly key: Buffer;
  readonly value: Buffer | null;
}

/** What one commit wrote, in the order in which it did; each key may occur more than once. Without local keys. */
export interface KvChange {
  readonly version: number;
  readonly writes: readonly KvWrite[];
}

/** An entry, or the absence of one, as it was in another store. */
export interface KvRestored {
  readonly key: KvKey;
  readonly value: Uint8Array | null;
  /** Of the commit that wrote it. */
  readonly version: number;
}

export interface Kv {
  /** @throws CatalogError */
  get(key: KvKey): Promise<KvEntry | undefined>;
  /** The entries of several keys, in the order asked, from one snapshot. @throws CatalogError */
  getMany(keys: readonly KvKey[]): Promise<(KvEntry | undefined)[]>;
  /** One page of a range, in key order. @throws CatalogError */
  list(range: KvRange, options: KvListOptions): Promise<KvEntry[]>;
  atomic(): KvAtomic;
  /** The version of the last commit that reads can see; 0 before the first. @throws CatalogError */
  version(): Promise<number>;
  /** Ends the store after the commits under way. Later calls are refused. */
  close(): Promise<void>;
}

/** What a driver offers besides, for the journal: the changes of commits, and how to replay them. */
export interface KvStore extends Kv {
  /**
   * The changes of all commits after a version, in commit order: as many as come to about `bytesMax` bytes of keys and
   * values, at least one if there is one.
   * @throws ChangesForgottenError when some of them were forgotten; CatalogError
   */
  changes(after: number, bytesMax: number): Promise<KvChange[]>;
  /** Lets the changes up to a version go, some at a time, with the commits that follow. */
  forgetChanges(through: number): void;
  /**
   * Writes entries as they were in another store, and takes over its version. No change is recorded of it, and all
   * that were are forgotten. Resolves when it is durable. Only while nobody else uses the store.
   * @param version of the other store, not lower than this one's
   * @throws CatalogError
   */
  restore(entries: readonly KvRestored[], version: number): Promise<void>;
}

/** Changes that were asked for are not on record any more. */
export class ChangesForgottenError extends Error {
  /** Those after this commit are. */
  readonly keptAfter: number;
  constructor(keptAfter: number) {
    super(`only changes after commit ${keptAfter} are on record`);
    this.name = "ChangesForgottenError";
    this.keptAfter = keptAfter;
  }
}

/**
 * - `full`: no room is left; nothing was written. Permanent until an operator makes room.
 * - `too-large`: a key or value is over its limit; nothing was written. A bug or a record that wants paging.
 * - `unavailable`: the store could not be asked, or is closed; nothing was written.
 * - `unknown-outcome`: the answer to a commit was lost.
 */
export type CatalogErrorKind = "full" | "too-large" | "unavailable" | "unknown-outcome";

export class CatalogError extends Error {
  readonly kind: CatalogErrorKind;
  constructor(kind: CatalogErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CatalogError";
    this.kind = kind;
  }
}

/** The counters that `sum` keeps in a value: signed 64-bit big-endian integers, exact up to 2^53. */
export function readCounters(value: Uint8Array): number[] {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  const counters: number[] = [];
  for (let at = 0; at + 8 <= value.byteLength; at += 8) counters.push(Number(view.getBigInt64(at)));
  return counters;
}
