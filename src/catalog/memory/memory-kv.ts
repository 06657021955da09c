/**
 * The key-value seam in memory, for tests, the simulation and `memory:` catalogs. It keeps nothing on a disk, waits
 * for nothing and applies a commit within the call: whoever replays the calls gets the same answers.
 */
import { keyText } from "../key-text.ts";
import {
  CatalogError,
  ChangesForgottenError,
  type KvAtomic,
  type KvChange,
  type KvCommitResult,
  type KvEntry,
  type KvKey,
  type KvListOptions,
  type KvRange,
  type KvRestored,
  type KvStore,
  type KvWrite,
} from "../kv.ts";
import {
  addToCounters,
  checkKey,
  checkListOptions,
  checkRange,
  checkRestore,
  collectAtomic,
  isLocal,
  type KvCheck,
  type KvCommitRequest,
  type KvMutation,
} from "../kv-atomic.ts";
import { writesBytes } from "../kv-change.ts";

export function memoryKv(): KvStore {
  return new MemoryKv();
}

interface StoredEntry {
  readonly value: Buffer;
  readonly version: number;
}

class MemoryKv implements KvStore {
  /** Keys as Latin-1 strings, one character a byte: they compare as their bytes do. Sorted. */
  readonly #keys: string[] = [];
  readonly #entries = new Map<string, StoredEntry>();
  /** Of every version that was not forgotten, without a gap. */
  #changes: KvChange[] = [];
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
    const start = this.#positionOf(keyText(range.start));
    const end = this.#positionOf(keyText(range.end));
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

  async version(): Promise<number> {
    this.#refuseIfClosed();
    return this.#version;
  }

  async changes(after: number, bytesMax: number): Promise<KvChange[]> {
    this.#refuseIfClosed();
    const first = this.#version - this.#changes.length;
    if (after < first) throw new ChangesForgottenError(first);
    const found: KvChange[] = [];
    let bytes = 0;
    for (const change of this.#changes.slice(after - first)) {
      if (bytes >= bytesMax) break;
      found.push({ version: change.version, writes: change.writes.map(copyOfWrite) });
      bytes += writesBytes(change.writes);
    }
    return found;
  }

  forgetChanges(through: number): void {
    this.#changes = this.#changes.filter(({ version }) => version > through);
  }

  async restore(entries: readonly KvRestored[], version: number): Promise<void> {
    this.#refuseIfClosed();
    checkRestore(entries, version, this.#version);
    for (const { key, value, version } of entries) {
      if (value === null) this.#remove(keyText(key));
      else this.#put(keyText(key), Buffer.from(value), version);
    }
    this.#version = version;
    this.#changes = [];
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #refuseIfClosed(): void {
    if (this.#closed) throw new CatalogError("unavailable", "the catalog is closed");
  }

  #read(key: KvKey): KvEntry | undefined {
    checkKey(key);
    return this.#copyOf(keyText(key));
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
    const writes = request.mutations.map((mutation) => this.#apply(mutation));
    this.#changes.push({ version: this.#version, writes: writes.filter(({ key }) => !isLocal(key)) });
    return { committed: true, version: this.#version };
  }

  #holds(check: KvCheck): boolean {
    if (check.kind === "version") return (this.#entries.get(keyText(check.key))?.version ?? null) === check.version;
    const first = this.#keys[this.#positionOf(keyText(check.range.start))];
    return first === undefined || first >= keyText(check.range.end);
  }

  #apply(mutation: KvMutation): KvWrite {
    const key = Buffer.from(mutation.key);
    const text = keyText(key);
    switch (mutation.kind) {
      case "set":
        return { key, value: this.#put(text, Buffer.from(mutation.value), this.#version) };
      case "sum": {
        const value = addToCounters(this.#entries.get(text)?.value, mutation.deltas);
        return { key, value: this.#put(text, value, this.#version) };
      }
      case "delete":
        this.#remove(text);
        return { key, value: null };
    }
  }

  #put(text: string, value: Buffer, version: number): Buffer {
    if (!this.#entries.has(text)) this.#keys.splice(this.#positionOf(text), 0, text);
    this.#entries.set(text, { value, version });
    return value;
  }

  #remove(text: string): void {
    if (this.#entries.delete(text)) this.#keys.splice(this.#positionOf(text), 1);
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

/** A copy, for the same reason as `#copyOf`'s. */
function copyOfWrite({ key, value }: KvWrite): KvWrite {
  return { key: Buffer.from(key), value: value === null ? null : Buffer.from(value) };
}
