/**
 * The changes of commits, in LMDB beside the entries: under `FF 66` and the version (8 bytes), what the commit wrote.
 * There is one for every version from the first that was not forgotten on.
 */
import type { RootDatabase } from "lmdb";
import { ChangesForgottenError, type KvChange, type KvWrite } from "../kv.ts";
import { RESERVED_FIRST_BYTE } from "../kv-atomic.ts";
import { decodeWrites, encodeWrites } from "../kv-change.ts";
import { readVersion, VERSION_BYTES, writeVersion } from "./stored-entry.ts";

const TAG = 0x66;
const VERSION_AT = 2;
/** Behind every change. */
const END = Buffer.of(RESERVED_FIRST_BYTE, TAG + 1);
/** Changes forgotten in one transaction, more than one can add. */
const FORGET_MAX = 2_048;

type Db = RootDatabase<Buffer, Uint8Array>;

export class ChangeLog {
  readonly #db: Db;
  /** The lowest version whose change is on record, or would be. */
  #first: number;
  #forgetThrough = 0;

  /** @param version of the last commit */
  constructor(db: Db, version: number) {
    this.#db = db;
    this.#first = version + 1;
    for (const key of db.getKeys({ start: changeKey(0), end: END, limit: 1 })) this.#first = versionOf(key);
  }

  /** See Kv.changes. */
  read(after: number, bytesMax: number): KvChange[] {
    if (after + 1 < this.#first) throw new ChangesForgottenError(this.#first - 1);
    const changes: KvChange[] = [];
    let bytes = 0;
    // Where no snapshot can be had, a range of lmdb-js is empty without a word; a get throws.
    this.#db.getBinaryFast(END);
    for (const { key, value } of this.#db.getRange({ start: changeKey(after + 1), end: END })) {
      if (bytes >= bytesMax) break;
      changes.push({ version: versionOf(key), writes: decodeWrites(Buffer.from(value)) });
      bytes += value.length;
    }
    return changes;
  }

  /** See Kv.forgetChanges. */
  forget(through: number): void {
    this.#forgetThrough = Math.max(this.#forgetThrough, through);
  }

  /** Within a transaction. */
  record(version: number, writes: readonly KvWrite[]): void {
    this.#db.putSync(changeKey(version), encodeWrites(writes));
  }

  /**
   * Within a transaction: removes some of what may be forgotten. What is returned is to be called once it is durable.
   * @param version of the last commit
   */
  prune(version: number): () => void {
    const end = Math.min(this.#forgetThrough + 1, this.#first + FORGET_MAX, version + 1);
    for (let version = this.#first; version < end; version++) this.#db.removeSync(changeKey(version));
    return () => {
      this.#first = Math.max(this.#first, end);
    };
  }

  /** Within a transaction: removes all of them; the next one will be `next`. The return is as with `prune`. */
  clear(next: number): () => void {
    for (const key of [...this.#db.getKeys({ start: changeKey(0), end: END })]) this.#db.removeSync(key);
    return () => {
      this.#first = next;
    };
  }
}

function changeKey(version: number): Buffer {
  const key = Buffer.allocUnsafe(VERSION_AT + VERSION_BYTES);
  key[0] = RESERVED_FIRST_BYTE;
  key[1] = TAG;
  writeVersion(key, version, VERSION_AT);
  return key;
}

function versionOf(key: Uint8Array): number {
  return readVersion(Buffer.from(key.buffer, key.byteOffset, key.byteLength), VERSION_AT);
}
