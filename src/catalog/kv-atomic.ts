/**
 * What the drivers of the key-value seam have in common: how an atomic is collected, and what they all refuse.
 */
import {
  CatalogError,
  KV_KEY_BYTES_MAX,
  KV_LIST_LIMIT_MAX,
  KV_VALUE_BYTES_MAX,
  type KvAtomic,
  type KvCommitResult,
  type KvKey,
  type KvListOptions,
  type KvRange,
  type KvRestored,
} from "./kv.ts";
import { pack } from "./tuple.ts";

/** Keys that begin with this byte are the drivers' own; no packed tuple does. */
export const RESERVED_FIRST_BYTE = 0xff;
/** A range may begin right after, or end right above, a key of full length. */
const BOUND_BYTES_MAX = KV_KEY_BYTES_MAX + 1;
const COUNTER_BYTES = 8;
/** Entries whose keys begin so are this store's own: they are in no change, and no other store gets them. */
const LOCAL_PREFIX = pack(["local"]);

export type KvCheck =
  | { readonly kind: "version"; readonly key: KvKey; readonly version: number | null }
  | { readonly kind: "empty"; readonly range: KvRange };

export type KvMutation =
  | { readonly kind: "set"; readonly key: KvKey; readonly value: Uint8Array }
  | { readonly kind: "delete"; readonly key: KvKey }
  | { readonly kind: "sum"; readonly key: KvKey; readonly deltas: readonly number[] };

/** What an atomic has collected, each list in the order of the calls. */
export interface KvCommitRequest {
  readonly checks: readonly KvCheck[];
  readonly mutations: readonly KvMutation[];
}

/**
 * An atomic that hands what it has collected to `commit`, once. Keys and values are not copied: they must stay
 * as they are until the commit has been answered.
 */
export function collectAtomic(commit: (request: KvCommitRequest) => Promise<KvCommitResult>): KvAtomic {
  const checks: KvCheck[] = [];
  const mutations: KvMutation[] = [];
  let used = false;
  const refuseReuse = (): void => {
    if (used) throw new Error("an atomic is used once");
  };
  const atomic: KvAtomic = {
    check(key, version) {
      refuseReuse();
      checks.push({ kind: "version", key, version });
      return atomic;
    },
    checkEmpty(range) {
      refuseReuse();
      checks.push({ kind: "empty", range });
      return atomic;
    },
    set(key, value) {
      refuseReuse();
      mutations.push({ kind: "set", key, value });
      return atomic;
    },
    delete(key) {
      refuseReuse();
      mutations.push({ kind: "delete", key });
      return atomic;
    },
    sum(key, deltas) {
      refuseReuse();
      if (!deltas.every(Number.isSafeInteger)) throw new RangeError("a counter is changed by safe integers only");
      mutations.push({ kind: "sum", key, deltas });
      return atomic;
    },
    async commit() {
      refuseReuse();
      used = true;
      checkRequest({ checks, mutations });
      return commit({ checks, mutations });
    },
  };
  return atomic;
}

/** Puts what one atomic has collected into another. */
export function replayRequest(atomic: KvAtomic, { checks, mutations }: KvCommitRequest): KvAtomic {
  for (const check of checks) {
    if (check.kind === "version") atomic.check(check.key, check.version);
    else atomic.checkEmpty(check.range);
  }
  for (const mutation of mutations) {
    if (mutation.kind === "set") atomic.set(mutation.key, mutation.value);
    else if (mutation.kind === "sum") atomic.sum(mutation.key, mutation.deltas);
    else atomic.delete(mutation.key);
  }
  return atomic;
}

/** @throws CatalogError `too-large`; RangeError for a key that no tuple packs to. */
export function checkKey(key: KvKey): void {
  if (key.length > KV_KEY_BYTES_MAX) throw new CatalogError("too-large", "a catalog key is longer than its limit");
  if (key.length === 0) throw new RangeError("a catalog key cannot be empty");
  if (key[0] === RESERVED_FIRST_BYTE) throw new RangeError("a catalog key begins with a reserved byte");
}

/** @throws CatalogError `too-large` */
export function checkRange(range: KvRange): void {
  if (range.start.length > BOUND_BYTES_MAX || range.end.length > BOUND_BYTES_MAX) {
    throw new CatalogError("too-large", "a bound of a catalog range is longer than its limit");
  }
}

/** @throws RangeError when the limit is out of its bounds. */
export function checkListOptions(options: KvListOptions): void {
  if (!Number.isInteger(options.limit) || options.limit < 1 || options.limit > KV_LIST_LIMIT_MAX) {
    throw new RangeError("the limit of a catalog list is out of bounds");
  }
}

function checkRequest(request: KvCommitRequest): void {
  for (const check of request.checks) {
    if (check.kind === "version") checkKey(check.key);
    else checkRange(check.range);
  }
  for (const mutation of request.mutations) {
    checkKey(mutation.key);
    if (valueBytes(mutation) > KV_VALUE_BYTES_MAX) {
      throw new CatalogError("too-large", "a catalog value is larger than its limit");
    }
  }
}

/** Whether what is written under a key is in no change. */
export function isLocal(key: KvKey): boolean {
  return LOCAL_PREFIX.every((byte, at) => key[at] === byte);
}

/** @throws RangeError when there is nothing whole to restore */
export function checkRestore(entries: readonly KvRestored[], version: number, current: number): void {
  if (version < current) throw new RangeError("a store cannot be restored to a lower version than it has");
  for (const entry of entries) {
    checkKey(entry.key);
    if (entry.version > version) throw new RangeError("an entry is newer than the store that it is restored to");
  }
}

/** How many bytes of value a mutation writes. */
export function valueBytes(mutation: KvMutation): number {
  switch (mutation.kind) {
    case "set":
      return mutation.value.length;
    case "sum":
      return mutation.deltas.length * COUNTER_BYTES;
    case "delete":
      return 0;
  }
}

/**
 * The value of a counter vector (see readCounters) after `deltas` were added. Counters that either side lacks are
 * zeros; bytes behind the last whole counter are dropped.
 */
export function addToCounters(value: Uint8Array | undefined, deltas: readonly number[]): Buffer {
  const present = value === undefined ? 0 : Math.floor(value.length / COUNTER_BYTES);
  const sums = Buffer.alloc(Math.max(present, deltas.length) * COUNTER_BYTES);
  if (value !== undefined) sums.set(value.subarray(0, present * COUNTER_BYTES));
  for (const [index, delta] of deltas.entries()) {
    const at = index * COUNTER_BYTES;
    sums.writeBigInt64BE(BigInt.asIntN(64, sums.readBigInt64BE(at) + BigInt(delta)), at);
  }
  return sums;
}
