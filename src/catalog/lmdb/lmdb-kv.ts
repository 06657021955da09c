/**
 * The key-value seam over LMDB, for a catalog on one machine: one process, one folder, no server.
 *
 * Decisions
 * - `overlappingSync: false`: a commit is synced before it becomes visible. lmdb-js's default shows it first.
 * - `eventTurnBatching: false`: the groups are made here; and what lmdb-js adds to a transaction for it is a promise that
 *   nobody can handle, whose rejection ends the process when the disk is full.
 * - Pages of 4 KiB on every machine (lmdb-js would take the operating system's size): a commit rewrites each page on the
 *   way to what it changes, so small pages write least; they hold keys of up to 1,978 bytes.
 * - The address space for the whole store is reserved at once. Outgrown, lmdb-js would map the file anew in the middle
 *   of transactions and keep the old maps.
 * - A full store goes on with commits that leave it no larger, out of a reserve: LMDB writes pages anew also to delete,
 *   so that one that had used the last of them could never make room again.
 * - No compaction: pages that deletes free are used again, and the file keeps the largest size that it ever had.
 * - Reads run on the calling thread, from a snapshot that lmdb-js renews with every turn of the event loop and with
 *   every commit, before it answers it. So a snapshot lasts no longer than one call and holds back no page for long.
 */
import { mkdir, open as openFile } from "node:fs/promises";
import { dirname } from "node:path";
import { open, type RootDatabase } from "lmdb";
import { lockFolder } from "../../shared/process-lock.ts";
import {
  CatalogError,
  ChangesForgottenError,
  type KvAtomic,
  type KvChange,
  type KvEntry,
  type KvKey,
  type KvListOptions,
  type KvRange,
  type KvRestored,
  type KvStore,
} from "../kv.ts";
import { checkKey, checkListOptions, checkRange, checkRestore, collectAtomic } from "../kv-atomic.ts";
import { GroupCommit } from "./group-commit.ts";
import { checkStoreFiles } from "./store-files.ts";
import { HEADER_KEY, readHeader, valueOfEntry, versionOfEntry, withoutHeader } from "./stored-entry.ts";

const PAGE_BYTES = 4096;
export const LMDB_BYTES_MAX_DEFAULT = 512 * 1024 ** 3;
export const LMDB_RESERVE_BYTES_DEFAULT = 64 * 1024 ** 2;
/** Reserved address space as a multiple of the largest store: values of several pages leave gaps in the file. */
const MAP_FACTOR = 2;

export interface LmdbKvOptions {
  /** Made if absent; LMDB's files and the lock lie in it. */
  readonly folder: string;
  /** The store is full with more bytes than this in use. */
  readonly bytesMax?: number;
  /** The store is full with fewer bytes than this left on its disk and in its freed pages. */
  readonly reserveBytes?: number;
}

/**
 * Opens a store, or makes it.
 * @throws FolderLockedError when a process has it open; CatalogError `full` when there is no room to make it; Error,
 * which names the file, when it cannot be opened.
 */
export async function openLmdbKv(options: LmdbKvOptions): Promise<KvStore> {
  const { folder, bytesMax = LMDB_BYTES_MAX_DEFAULT, reserveBytes = LMDB_RESERVE_BYTES_DEFAULT } = options;
  await mkdir(folder, { recursive: true });
  const lock = await lockFolder(folder);
  try {
    await checkStoreFiles(folder);
    const db = open<Buffer, Uint8Array>({
      path: folder,
      // A folder whose name has a dot in it would otherwise be taken for a file.
      noSubdir: false,
      keyEncoding: "binary",
      encoding: "binary",
      overlappingSync: false,
      eventTurnBatching: false,
      pageSize: PAGE_BYTES,
      mapSize: bytesMax * MAP_FACTOR,
      maxDbs: 1,
    });
    try {
      const header = db.get(HEADER_KEY);
      const version = header === undefined ? 0 : readHeader(header);
      // LMDB syncs its files, not the folders that name them.
      await syncFolder(folder);
      await syncFolder(dirname(folder));
      return new LmdbKv(db, new GroupCommit({ db, folder, bytesMax, reserveBytes, version }), lock);
    } catch (error) {
      await db.close();
      throw error;
    }
  } catch (error) {
    await lock[Symbol.asyncDispose]();
    throw error;
  }
}

class LmdbKv implements KvStore {
  readonly #db: RootDatabase<Buffer, Uint8Array>;
  readonly #commits: GroupCommit;
  readonly #lock: AsyncDisposable;
  #closing: Promise<void> | undefined;

  constructor(db: RootDatabase<Buffer, Uint8Array>, commits: GroupCommit, lock: AsyncDisposable) {
    this.#db = db;
    this.#commits = commits;
    this.#lock = lock;
  }

  async get(key: KvKey): Promise<KvEntry | undefined> {
    checkKey(key);
    return this.#read(() => this.#entryAt(key));
  }

  async getMany(keys: readonly KvKey[]): Promise<(KvEntry | undefined)[]> {
    for (const key of keys) checkKey(key);
    return this.#read(() => keys.map((key) => this.#entryAt(key)));
  }

  async list(range: KvRange, options: KvListOptions): Promise<KvEntry[]> {
    checkRange(range);
    checkListOptions(options);
    return this.#read(() => this.#entriesOf(range, options));
  }

  atomic(): KvAtomic {
    return collectAtomic((request) => {
      this.#refuseIfClosed();
      return this.#commits.commit(request);
    });
  }

  async version(): Promise<number> {
    return this.#read(() => this.#commits.version);
  }

  async changes(after: number, bytesMax: number): Promise<KvChange[]> {
    return this.#read(() => this.#commits.changes.read(after, bytesMax));
  }

  forgetChanges(through: number): void {
    this.#commits.changes.forget(through);
  }

  async restore(entries: readonly KvRestored[], version: number): Promise<void> {
    this.#refuseIfClosed();
    checkRestore(entries, version, this.#commits.version);
    await this.#commits.idle();
    await this.#commits.restore(entries, version);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await using _lock = this.#lock;
    await this.#commits.idle();
    await this.#db.close();
  }

  #refuseIfClosed(): void {
    if (this.#closing !== undefined) throw new CatalogError("unavailable", "the catalog is closed");
  }

  /** Runs a read within one turn of the event loop, so that all of it sees one snapshot. */
  #read<T>(read: () => T): T {
    this.#refuseIfClosed();
    if (this.#commits.broken !== undefined) throw this.#commits.broken;
    try {
      return read();
    } catch (error) {
      if (error instanceof ChangesForgottenError) throw error;
      throw new CatalogError("unavailable", "the catalog store could not be read", { cause: error });
    }
  }

  #entryAt(key: KvKey): KvEntry | undefined {
    const stored = this.#db.getBinary(key);
    if (stored === undefined) return undefined;
    return { key: Buffer.from(key), value: valueOfEntry(stored), version: versionOfEntry(stored) };
  }

  #entriesOf(range: KvRange, { limit, reverse = false }: KvListOptions): KvEntry[] {
    const within = withoutHeader(range);
    if (within === undefined) return [];
    const { start, end } = within;
    const found = this.#db.getRange(
      reverse
        ? { start: end, exclusiveStart: true, end: start, inclusiveEnd: true, reverse, limit }
        : { start, end, limit },
    );
    // Where no snapshot can be had, a range of lmdb-js is empty without a word; a get throws.
    this.#db.getBinaryFast(HEADER_KEY);
    const entries: KvEntry[] = [];
    for (const { key, value } of found) {
      const copy = Buffer.from(key.buffer, key.byteOffset, key.byteLength);
      entries.push({ key: copy, value: valueOfEntry(value), version: versionOfEntry(value) });
    }
    return entries;
  }
}

async function syncFolder(path: string): Promise<void> {
  const handle = await openFile(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
