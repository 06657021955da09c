/**
 * The key-value seam in memory, for tests, the simulation and `memory:` catalogs. It keeps nothing on a disk, waits
 * for nothing and applies a commit within the call: whoever replays the calls gets the same answers.
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
} from "../kv.ts";
import {
  addToCounters,
  checkKey,
  checkListOptions,
  checkRange,
  collectAtomic,
  type KvCheck,
  type KvCommitRequest,
  type KvMutation,
} from "../kv-atomic.ts";

export function memoryKv(): Kv {
  return new MemoryKv();
}

interface StoredEntry {
  readonly value: Buffer;
  readonly version: number;
}

class MemoryKv implements Kv {
  /** Keys as Latin-1 strings, one character a byte: they compare as their bytes do. Sorted. */
  readonly #keys: string[] = [];
  readonly #entries = new Map<string, StoredEntry>();
  #version = 0;
  #closed = false;

  async get(key: KvKey): Promise<KvEntry | undefined> {
    this.#refuseIfClosed();
    return this.#read(key);
  }

  async getMany(keys: readonly KvKey[]): Promise<(KvEntry | undefined)[]> {
    this.#refuseIfClosed();
    return keys.map((key) => this.#read(key));
  }

  async list(range: KvRange, options: KvListOptions): Promise<KvEntry[]> {
    this.#refuseIfClosed();
    checkRange(range);
    checkListOptions(options);
    const start = this.#positionOf(textOf(range.start));
    const end = this.#positionOf(textOf(range.end));
    const found =
      options.reverse === true
        ? this.#keys.slice(Math.max(start, end - options.limit), Math.max(start, end)).reverse()
        : this.#keys.slice(start, Math.min(end, start + options.limit));
    return found.flatMap((text) => this.#copyOf(text) ?? []);
  }

  atomic(): KvAtomic {
    return collectAtomic(async (request) => {
      this.#refuseIfClosed();
      return this.#commit(request);
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #refuseIfClosed(): void {
    if (this.#closed) throw new CatalogError("unavailable", "the catalog is closed");
  }

  #read(key: KvKey): KvEntry | undefined {
    checkKey(key);
    return this.#copyOf(textOf(key));
  }

  /** A copy, so that nobody changes the store through what it answered. */
  #copyOf(text: string): KvEntry | undefined {
    const entry = this.#entries.get(text);
    if (entry === undefined) return undefined;
    return { key: Buffer.from(text, "latin1"), value: Buffer.from(entry.value), version: entry.version };
  }

  #commit(request: KvCommitRequest): KvCommitResult {
    for (const check of request.checks) {
      if (!this.#holds(check)) {
        return { committed: false, failed: check.kind === "version" ? check.key : check.range.start };
      }
    }
    this.#version += 1;
    for (const mutation of request.mutations) this.#apply(mutation);
    return { committed: true, version: this.#version };
  }

  #holds(check: KvCheck): boolean {
    if (check.kind === "version") return (this.#entries.get(textOf(check.key))?.version ?? null) === check.version;
    const first = this.#keys[this.#positionOf(textOf(check.range.start))];
    return first === undefined || first >= textOf(check.range.end);
  }

  #apply(mutation: KvMutation): void {
    const text = textOf(mutation.key);
    switch (mutation.kind) {
      case "set":
        this.#put(text, Buffer.from(mutation.value));
        return;
      case "sum":
        this.#put(text, addToCounters(this.#entries.get(text)?.value, mutation.deltas));
        return;
      case "delete":
        if (this.#entries.delete(text)) this.#keys.splice(this.#positionOf(text), 1);
    }
  }

  #put(text: string, value: Buffer): void {
    if (!this.#entries.has(text)) this.#keys.splice(this.#positionOf(text), 0, text);
    this.#entries.set(text, { value, version: this.#version });
  }

  /** How many keys lie before `text`. */
  #positionOf(text: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#keys[middle] ?? "") < text) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function textOf(key: KvKey): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}
