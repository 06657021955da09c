/**
 * Where background work on a node stands: kept in the catalog, so that it survives a restart, under keys of this store
 * alone (see kv-atomic.ts). Losing it only means that the work begins anew.
 */
import type { Catalog } from "../../catalog/catalog.ts";
import type { KvKey } from "../../catalog/kv.ts";

export interface RecordCodec<T> {
  encode(value: T): Uint8Array;
  /** @throws RecordError */
  decode(value: Uint8Array): T;
}

/** Somebody else does the same work: one of the two has to end. */
export class RecordTakenError extends Error {
  constructor() {
    super("the record of background work was changed by somebody else");
    this.name = "RecordTakenError";
  }
}

/** One such record, with one writer. */
export class LocalRecord<T> {
  readonly #catalog: Catalog;
  readonly #key: KvKey;
  readonly #codec: RecordCodec<T>;
  #version: number | null = null;

  constructor(catalog: Catalog, key: KvKey, codec: RecordCodec<T>) {
    this.#catalog = catalog;
    this.#key = key;
    this.#codec = codec;
  }

  /** @throws CatalogError, RecordError */
  async load(): Promise<T | undefined> {
    const entry = await this.#catalog.kv.get(this.#key);
    this.#version = entry?.version ?? null;
    return entry === undefined ? undefined : this.#codec.decode(entry.value);
  }

  /** @throws RecordTakenError when it is not as it was loaded or saved last; CatalogError, SessionEndedError */
  async save(value: T): Promise<void> {
    const atomic = this.#catalog.begin().check(this.#key, this.#version).set(this.#key, this.#codec.encode(value));
    const result = await this.#catalog.commit(atomic);
    if (!result.committed) throw new RecordTakenError();
    this.#version = result.version;
  }
}
