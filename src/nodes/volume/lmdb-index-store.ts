/**
 * The index of a volume node in LMDB. Every commit is synced: without that, LMDB may come back from a power cut
 * damaged in ways that it does not notice. The index can afford it because it is written seldom.
 */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { open, type RootDatabase } from "lmdb";
import { NodeError } from "../storage-node.ts";
import { isLmdbFile } from "./lmdb-file.ts";
import type { IndexStore } from "./volume-index.ts";

const DATA_FILE = "data.mdb";
/** Left where LMDB found its file damaged while it was used: the next start makes the index anew. */
const DAMAGED_FILE = "damaged";
/** What the store keeps in its folder. */
export const LMDB_FILES = [DATA_FILE, "lock.mdb", DAMAGED_FILE] as const;

const PAGE_BYTES = 4096;
/** Address space, reserved but not used: about 3,000 million blobs. */
const MAP_BYTES = 256 * 1024 ** 3;

/**
 * Opens or creates the store in a folder, which exists.
 * @throws Error where the folder holds no readable store
 */
export function openLmdbIndexStore(folder: string): IndexStore {
  if (existsSync(join(folder, DAMAGED_FILE))) throw new Error("the index was found to be damaged");
  if (!isLmdbFile(join(folder, DATA_FILE), PAGE_BYTES)) throw new Error("the index is no LMDB file");
  return new LmdbIndexStore(folder);
}

class LmdbIndexStore implements IndexStore {
  readonly #folder: string;
  readonly #db: RootDatabase<Uint8Array, Uint8Array>;
  #broken: NodeError | undefined;

  constructor(folder: string) {
    this.#folder = folder;
    this.#db = open<Uint8Array, Uint8Array>({
      path: folder,
      // A folder whose name has a dot in it would otherwise be taken for a file.
      noSubdir: false,
      keyEncoding: "binary",
      encoding: "binary",
      overlappingSync: false,
      pageSize: PAGE_BYTES,
      mapSize: MAP_BYTES,
      maxDbs: 1,
    });
  }

  get(key: Uint8Array): Uint8Array | undefined {
    try {
      return this.#db.get(key);
    } catch (error) {
      throw this.#damaged(error);
    }
  }

  *range(start: Uint8Array, end: Uint8Array): Generator<{ key: Uint8Array; value: Uint8Array }, void, undefined> {
    try {
      yield* this.#db.getRange({ start, end });
    } catch (error) {
      throw this.#damaged(error);
    }
  }

  async commit(entries: Parameters<IndexStore["commit"]>[0]): Promise<void> {
    // After a failure LMDB may wait for ever on its next transaction.
    if (this.#broken !== undefined) throw this.#broken;
    try {
      await this.#db.transaction(() => {
        // A throw would not undo what was put before it: everything is computed first.
        const sets = [...entries((key) => this.#db.get(key))];
        for (const [key, value] of sets) {
          if (value === undefined) this.#db.removeSync(key);
          else this.#db.putSync(key, value);
        }
      });
    } catch (error) {
      await settleCommitError(error);
      if (!this.#usable()) {
        this.#broken = new NodeError("io", "the index of the node has failed and must be opened again", {
          cause: error,
        });
      }
      throw error;
    }
    // Reads of this turn of the event loop would still see the state before.
    this.#db.resetReadTxn();
  }

  close(): Promise<void> {
    return this.#db.close();
  }

  #damaged(error: unknown): NodeError {
    try {
      writeFileSync(join(this.#folder, DAMAGED_FILE), "");
    } catch {
      // The error below says enough.
    }
    return new NodeError("io", "the index of the node is damaged and is made anew at the next start", { cause: error });
  }

  #usable(): boolean {
    try {
      this.#db.resetReadTxn();
      this.#db.get(Buffer.of(0));
      return true;
    } catch {
      return false;
    }
  }
}

/** lmdb-js attaches a promise rejected with the cause to its errors; unhandled, it would end the process. */
async function settleCommitError(error: unknown): Promise<void> {
  if (typeof error !== "object" || error === null || !("commitError" in error)) return;
  await Promise.resolve(error.commitError).catch(() => {});
}
