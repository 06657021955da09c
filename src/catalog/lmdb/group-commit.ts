/**
 * Writes commits to LMDB in groups: whatever has come in while one transaction is being made durable goes into the
 * next, which costs one sync however many commits it holds.
 *
 * A transaction of lmdb-js is a callback, run while the one write transaction is open. When it has returned, a thread
 * writes and syncs the pages, then writes and syncs the meta page; only then can a reader see any of it, and only then
 * does the promise resolve. What a callback throws does not undo what it has put. So everything that can be refused is
 * refused before the first put of a commit, and what is left to throw are LMDB's own errors, which spoil the
 * transaction: LMDB then refuses to commit it.
 */
import type { RootDatabase } from "lmdb";
import { CatalogError, type KvCommitResult, type KvRestored, type KvWrite } from "../kv.ts";
import {
  addToCounters,
  isLocal,
  type KvCheck,
  type KvCommitRequest,
  type KvMutation,
  valueBytes,
} from "../kv-atomic.ts";
import { ChangeLog } from "./change-log.ts";
import { commitFailureCode, errorNumber, judgeFailure } from "./failures.ts";
import { roomOf } from "./room.ts";
import {
  ENTRY_OVERHEAD_BYTES,
  encodeEntry,
  encodeHeader,
  HEADER_KEY,
  valueOfEntry,
  versionOfEntry,
  withoutHeader,
} from "./stored-entry.ts";

/** Most commits in one transaction: its callback runs on the main thread, some 10 us a commit. */
const BATCH_COMMITS_MAX = 512;
/** A transaction takes no further commit once it holds this many bytes of values. */
const BATCH_VALUE_BYTES_MAX = 8 * 1024 * 1024;
/** Most commits that wait for a transaction; more are refused. */
const WAITING_COMMITS_MAX = 16_384;

export interface GroupCommitOptions {
  readonly db: RootDatabase<Buffer, Uint8Array>;
  readonly folder: string;
  /** With more bytes than this in use, the store is full. */
  readonly bytesMax: number;
  /** With fewer bytes than this left to write, the store is full. */
  readonly reserveBytes: number;
  /** The version of the last commit. */
  readonly version: number;
}

interface WaitingCommit {
  readonly request: KvCommitRequest;
  readonly resolve: (result: KvCommitResult) => void;
  readonly reject: (error: CatalogError) => void;
  /** What it will be answered once its transaction is durable. */
  answer?: KvCommitResult | CatalogError;
}

export class GroupCommit {
  readonly #db: RootDatabase<Buffer, Uint8Array>;
  readonly #folder: string;
  readonly #bytesMax: number;
  readonly #reserveBytes: number;
  readonly #changes: ChangeLog;
  #version: number;
  #waiting: WaitingCommit[] = [];
  #working: Promise<void> | undefined;
  #broken: CatalogError | undefined;

  constructor(options: GroupCommitOptions) {
    this.#db = options.db;
    this.#folder = options.folder;
    this.#bytesMax = options.bytesMax;
    this.#reserveBytes = options.reserveBytes;
    this.#version = options.version;
    this.#changes = new ChangeLog(options.db, options.version);
  }

  /** Resolves once the commit is durable, or a check has failed. @throws CatalogError */
  commit(request: KvCommitRequest): Promise<KvCommitResult> {
    return new Promise((resolve, reject) => {
      if (this.#broken !== undefined) {
        reject(this.#broken);
      } else if (this.#waiting.length >= WAITING_COMMITS_MAX) {
        reject(new CatalogError("unavailable", "too many catalog commits are waiting"));
      } else {
        this.#waiting.push({ request, resolve, reject });
        this.#working ??= this.#work();
      }
    });
  }

  /** The version of the last commit that is durable. */
  get version(): number {
    return this.#version;
  }

  get changes(): Pick<ChangeLog, "read" | "forget"> {
    return this.#changes;
  }

  /** See Kv.restore. No commit is under way. @throws CatalogError */
  async restore(entries: readonly KvRestored[], version: number): Promise<void> {
    let cleared = (): void => {};
    const failure = await this.#transact(() => {
      for (const { key, value, version: written } of entries) {
        if (value === null) this.#db.removeSync(key);
        else this.#db.putSync(key, encodeEntry(written, value));
      }
      cleared = this.#changes.clear(version + 1);
      this.#db.putSync(HEADER_KEY, encodeHeader(version));
      return version;
    });
    if (failure !== undefined) throw failure;
    cleared();
  }

  /** Why the store can no longer be used, if so. */
  get broken(): CatalogError | undefined {
    return this.#broken;
  }

  /** Resolves when no commit is under way or waiting. */
  async idle(): Promise<void> {
    await this.#working;
  }

  async #work(): Promise<void> {
    while (this.#waiting.length > 0) {
      if (this.#broken === undefined) await this.#writeBatch();
      else for (const commit of this.#takeBatch()) commit.reject(this.#broken);
    }
    this.#working = undefined;
  }

  async #writeBatch(): Promise<void> {
    let batch: WaitingCommit[] = [];
    let pruned = (): void => {};
    // Taken only when the transaction is open, so that what came in until then goes along.
    const failure = await this.#transact((full) => {
      batch = this.#takeBatch();
      pruned = this.#changes.prune(this.#version);
      return this.#apply(batch, full);
    });
    if (failure === undefined) pruned();
    // It may have failed before it took any.
    if (failure !== undefined && batch.length === 0) batch = this.#takeBatch();
    for (const commit of batch) answer(commit, failure);
  }

  #takeBatch(): WaitingCommit[] {
    let count = 0;
    let bytes = 0;
    for (const commit of this.#waiting) {
      if (count === BATCH_COMMITS_MAX || bytes >= BATCH_VALUE_BYTES_MAX) break;
      count += 1;
      for (const mutation of commit.request.mutations) bytes += valueBytes(mutation);
    }
    return this.#waiting.splice(0, count);
  }

  /** Runs one transaction, which answers the version that it leaves; tells why it failed, if it did. */
  async #transact(run: (full: boolean) => number): Promise<CatalogError | undefined> {
    let version = this.#version;
    let thrown: unknown;
    try {
      const full = this.#isFull();
      await this.#db.transaction(() => {
        try {
          version = run(full);
        } catch (error) {
          thrown = error;
          throw error;
        }
      });
      this.#version = version;
      return undefined;
    } catch (error) {
      const commitCode = await commitFailureCode(error);
      const { refusal, broken } = judgeFailure(this.#db, this.#folder, {
        // The transaction was committed although its callback threw: a part of it is in the store.
        partial: thrown !== undefined && error === thrown,
        cause: thrown ?? error,
        code: errorNumber(thrown) ?? commitCode,
      });
      this.#broken ??= broken;
      return refusal;
    }
  }

  /** Within a transaction: applies every commit whose checks hold. Returns the version of the last one. */
  #apply(batch: readonly WaitingCommit[], full: boolean): number {
    let version = this.#version;
    for (const commit of batch) {
      const { checks, mutations } = commit.request;
      const failed = checks.find((check) => !this.#holds(check));
      if (failed !== undefined) {
        commit.answer = { committed: false, failed: failed.kind === "version" ? failed.key : failed.range.start };
      } else if (full && this.#grows(mutations)) {
        commit.answer = new CatalogError("full", "the catalog has no room left");
      } else {
        version += 1;
        const writes = mutations.map((mutation) => this.#mutate(mutation, version));
        this.#changes.record(
          version,
          writes.filter(({ key }) => !isLocal(key)),
        );
        commit.answer = { committed: true, version };
      }
    }
    if (version !== this.#version) this.#db.putSync(HEADER_KEY, encodeHeader(version));
    return version;
  }

  #isFull(): boolean {
    const { usedBytes, freeBytes } = roomOf(this.#db, this.#folder);
    return usedBytes > this.#bytesMax || freeBytes < this.#reserveBytes;
  }

  /** Whether the mutations would leave the store larger. Those that do not are what makes room in a full one. */
  #grows(mutations: readonly KvMutation[]): boolean {
    let growth = 0;
    for (const mutation of mutations) {
      const before = this.#db.getBinaryFast(mutation.key)?.length;
      if (before !== undefined) growth -= mutation.key.length + before;
      if (mutation.kind === "delete") continue;
      const written = ENTRY_OVERHEAD_BYTES + valueBytes(mutation);
      // A sum keeps the counters that it does not reach.
      growth += mutation.key.length + (mutation.kind === "sum" ? Math.max(before ?? 0, written) : written);
    }
    return growth > 0;
  }

  #holds(check: KvCheck): boolean {
    if (check.kind === "version") {
      const stored = this.#db.getBinaryFast(check.key);
      return (stored === undefined ? null : versionOfEntry(stored)) === check.version;
    }
    const range = withoutHeader(check.range);
    if (range === undefined) return true;
    for (const _key of this.#db.getKeys({ start: range.start, end: range.end, limit: 1 })) return false;
    return true;
  }

  #mutate(mutation: KvMutation, version: number): KvWrite {
    const key = Buffer.from(mutation.key.buffer, mutation.key.byteOffset, mutation.key.byteLength);
    switch (mutation.kind) {
      case "set": {
        const stored = encodeEntry(version, mutation.value);
        this.#db.putSync(key, stored);
        return { key, value: valueOfEntry(stored) };
      }
      case "delete":
        this.#db.removeSync(key);
        return { key, value: null };
      case "sum": {
        const stored = this.#db.getBinary(key);
        const value = addToCounters(stored === undefined ? undefined : valueOfEntry(stored), mutation.deltas);
        this.#db.putSync(key, encodeEntry(version, value));
        return { key, value };
      }
    }
  }
}

function answer(commit: WaitingCommit, failure: CatalogError | undefined): void {
  if (failure !== undefined) commit.reject(failure);
  else if (commit.answer instanceof CatalogError) commit.reject(commit.answer);
  else if (commit.answer !== undefined) commit.resolve(commit.answer);
}
