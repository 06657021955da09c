/**
 * Where each blob lies: a cache of what the volumes say. Changes gather in memory and are written to the store now and
 * then, durably and together with the offset up to which each volume is reflected; what came later is read from the
 * volumes at the next start. So the store never claims what a volume might have lost.
 *
 * A deletion leaves an entry as well: it holds against a record of the same key that is found, or lands, later.
 */
import type { Id } from "../../shared/ids.ts";
import { idBytes, idFromBytes } from "../../shared/ids.ts";
import { COPY_KEY_BYTES, copyKeyBytes, copyKeyFromBytes } from "../copy-key.ts";
import type { CopyKey } from "../storage-node.ts";
import { DATA_START, recordBytes } from "./layout.ts";

/** A small ordered store of bytes. Keys compare bytewise. */
export interface IndexStore {
  get(key: Uint8Array): Uint8Array | undefined;
  /** Entries with start <= key < end, in order. Read at once: not while the store changes. */
  range(start: Uint8Array, end: Uint8Array): Iterable<{ key: Uint8Array; value: Uint8Array }>;
  /** Sets all entries, or none, and resolves when they are durable. `read` inside sees the state before. */
  commit(entries: (read: IndexStore["get"]) => Iterable<readonly [Uint8Array, Uint8Array]>): Promise<void>;
  close(): Promise<void>;
}

export interface BlobEntry {
  readonly volume: number;
  /** Of the record's header. */
  readonly offset: number;
  readonly length: number;
  readonly blobId: Id;
}

/** A key whose deletion is recorded in this volume. */
export interface DeadEntry {
  readonly deadIn: number;
}

export type IndexEntry = BlobEntry | DeadEntry;

export interface ListedBlob {
  readonly key: CopyKey;
  readonly entry: BlobEntry;
}

export interface VolumeState {
  /** Everything before this offset is reflected in the store. */
  readonly settledEnd: number;
  readonly marker: Uint8Array;
}

export interface StoredVolume extends VolumeState {
  /** Bytes of records that hold a live blob. */
  readonly liveBytes: number;
}

const KEY_META = Buffer.from([0]);
const TAG_COPY = 1;
const TAG_VOLUME = 2;
const META_FORMAT = 1;
const ENTRY_BLOB = 1;
const ENTRY_DEAD = 2;
/** Changes written in one transaction, since writing them holds up everything else. */
const ENTRIES_PER_COMMIT = 1000;

export class VolumeIndex {
  readonly #store: IndexStore;
  readonly #storeId: Id;
  #changes = new Map<CopyKey, IndexEntry>();
  /** Changes that a checkpoint is writing. */
  #writing: ReadonlyMap<CopyKey, IndexEntry> = new Map();
  /** Live bytes by volume, as of now and as of what the store holds. */
  readonly #live = new Map<number, number>();
  readonly #storedLive = new Map<number, number>();
  readonly #stored = new Map<number, StoredVolume>();

  /** @throws RangeError when the store belongs to other volumes or to another version */
  constructor(store: IndexStore, storeId: Id) {
    this.#store = store;
    this.#storeId = storeId;
    const meta = store.get(KEY_META);
    if (meta !== undefined && !Buffer.from(meta).equals(encodeMeta(storeId))) {
      throw new RangeError("the index belongs to other volumes or to another version");
    }
    for (const { key, value } of store.range(Buffer.from([TAG_VOLUME]), Buffer.from([TAG_VOLUME + 1]))) {
      const number = Buffer.from(key).readUInt32BE(1);
      const state = decodeVolume(value);
      this.#stored.set(number, state);
      this.#live.set(number, state.liveBytes);
      this.#storedLive.set(number, state.liveBytes);
    }
  }

  /** The volumes that the store knew when it was opened. */
  get storedVolumes(): ReadonlyMap<number, StoredVolume> {
    return this.#stored;
  }

  /** Changes that are not in the store yet. */
  get unwritten(): number {
    return this.#changes.size + this.#writing.size;
  }

  /** Bytes of records in the volume that hold a live blob. */
  liveBytes(volume: number): number {
    return this.#live.get(volume) ?? 0;
  }

  get(key: CopyKey): IndexEntry | undefined {
    const unwritten = this.#changes.get(key) ?? this.#writing.get(key);
    if (unwritten !== undefined) return unwritten;
    const value = this.#store.get(storeKey(key));
    return value === undefined ? undefined : decodeEntry(value);
  }

  blob(key: CopyKey): BlobEntry | undefined {
    const entry = this.get(key);
    return entry !== undefined && isBlob(entry) ? entry : undefined;
  }

  /**
   * Enters a durable record. One that is there already keeps its place; one that was deleted stays deleted.
   * @returns the entry that holds now
   */
  addBlob(key: CopyKey, entry: BlobEntry): IndexEntry {
    const existing = this.get(key);
    if (existing !== undefined) return existing;
    this.#changes.set(key, entry);
    this.#addLive(this.#live, entry, 1);
    return entry;
  }

  /** Enters a durable deletion. */
  bury(key: CopyKey, volume: number): void {
    const existing = this.get(key);
    if (existing !== undefined && !isBlob(existing)) return;
    this.#changes.set(key, { deadIn: volume });
    if (existing !== undefined) this.#addLive(this.#live, existing, -1);
  }

  /** Live blobs after a key, in key order, at most `limit`. */
  list(session: number | undefined, after: CopyKey | undefined, limit: number): ListedBlob[] {
    // What is not written yet is little, and listings are rare.
    const unwritten = new Set([...this.#writing.keys(), ...this.#changes.keys()]);
    const page: ListedBlob[] = [];
    const [start, end] = listBounds(session, after);
    for (const { key, value } of this.#store.range(start, end)) {
      if (page.length >= limit) break;
      const copyKey = copyKeyFromBytes(key.subarray(1));
      const entry = decodeEntry(value);
      if (!unwritten.has(copyKey) && isBlob(entry)) page.push({ key: copyKey, entry });
    }
    const prefix = session === undefined ? "" : sessionPrefix(session);
    for (const key of unwritten) {
      const entry = key.startsWith(prefix) && key > (after ?? "") ? this.blob(key) : undefined;
      if (entry !== undefined) page.push({ key, entry });
    }
    return page.sort((a, b) => (a.key < b.key ? -1 : 1)).slice(0, limit);
  }

  /**
   * Writes all changes made so far and the states of all volumes, which must be those of this moment. Not twice at a
   * time.
   * After an error the changes are still held in memory.
   */
  async checkpoint(volumes: ReadonlyMap<number, VolumeState>): Promise<void> {
    const entries = [...this.#changes];
    this.#writing = this.#changes;
    this.#changes = new Map();
    try {
      for (let at = 0; at < entries.length; at += ENTRIES_PER_COMMIT) {
        await this.#commit(entries.slice(at, at + ENTRIES_PER_COMMIT), volumes, false);
      }
      // Last, so that a volume is never said to be reflected further than it is.
      await this.#commit([], volumes, true);
    } catch (error) {
      this.#changes = new Map([...this.#writing, ...this.#changes]);
      throw error;
    } finally {
      this.#writing = new Map();
    }
    for (const [number, state] of volumes) this.#stored.set(number, { ...state, liveBytes: this.liveBytes(number) });
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  async #commit(
    entries: readonly (readonly [CopyKey, IndexEntry])[],
    volumes: ReadonlyMap<number, VolumeState>,
    settled: boolean,
  ): Promise<void> {
    const live = new Map(this.#storedLive);
    await this.#store.commit((read) => {
      const sets: (readonly [Uint8Array, Uint8Array])[] = [[KEY_META, encodeMeta(this.#storeId)]];
      const touched = new Set(settled ? volumes.keys() : []);
      const count = (entry: IndexEntry, sign: 1 | -1): void => {
        if (!isBlob(entry)) return;
        this.#addLive(live, entry, sign);
        touched.add(entry.volume);
      };
      for (const [key, entry] of entries) {
        const at = storeKey(key);
        const before = read(at);
        if (before !== undefined) count(decodeEntry(before), -1);
        count(entry, 1);
        sets.push([at, encodeEntry(entry)]);
      }
      for (const number of touched) {
        const now = volumes.get(number);
        const before = this.#stored.get(number) ?? (now && { ...now, settledEnd: DATA_START });
        const state = settled ? now : before;
        if (state !== undefined) sets.push([volumeKey(number), encodeVolume(state, live.get(number) ?? 0)]);
      }
      return sets;
    });
    for (const [number, bytes] of live) this.#storedLive.set(number, bytes);
  }

  #addLive(live: Map<number, number>, { volume, length }: BlobEntry, sign: 1 | -1): void {
    live.set(volume, (live.get(volume) ?? 0) + sign * recordBytes(length));
  }
}

export function isBlob(entry: IndexEntry): entry is BlobEntry {
  return "offset" in entry;
}

function sessionPrefix(session: number): string {
  return `${session.toString(16).padStart(8, "0")}/`;
}

/** Keys of the store from the first to list to behind the last. */
function listBounds(session: number | undefined, after: CopyKey | undefined): [start: Buffer, end: Buffer] {
  const first = Buffer.alloc(1 + COPY_KEY_BYTES, 0);
  first[0] = TAG_COPY;
  if (session !== undefined) first.writeUInt32BE(session, 1);
  const last = Buffer.alloc(1 + COPY_KEY_BYTES + 1, 0xff);
  last[0] = TAG_COPY;
  if (session !== undefined) last.writeUInt32BE(session, 1);
  if (after === undefined) return [first, last];
  // The smallest key greater than `after`.
  const next = Buffer.concat([storeKey(after), Buffer.of(0)]);
  return [Buffer.compare(next, first) > 0 ? next : first, last];
}

function storeKey(key: CopyKey): Buffer {
  const out = Buffer.allocUnsafe(1 + COPY_KEY_BYTES);
  out[0] = TAG_COPY;
  out.set(copyKeyBytes(key), 1);
  return out;
}

function volumeKey(volume: number): Buffer {
  const out = Buffer.allocUnsafe(5);
  out[0] = TAG_VOLUME;
  out.writeUInt32BE(volume, 1);
  return out;
}

function encodeMeta(storeId: Id): Buffer {
  return Buffer.concat([Buffer.of(META_FORMAT), idBytes(storeId)]);
}

function encodeEntry(entry: IndexEntry): Buffer {
  if (!isBlob(entry)) {
    const out = Buffer.alloc(5);
    out[0] = ENTRY_DEAD;
    out.writeUInt32BE(entry.deadIn, 1);
    return out;
  }
  const out = Buffer.allocUnsafe(33);
  out[0] = ENTRY_BLOB;
  out.writeUInt32BE(entry.volume, 1);
  out.writeUIntBE(entry.offset, 5, 6);
  out.writeUIntBE(entry.length, 11, 6);
  out.set(idBytes(entry.blobId), 17);
  return out;
}

function decodeEntry(value: Uint8Array): IndexEntry {
  const from = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (from[0] === ENTRY_DEAD) return { deadIn: from.readUInt32BE(1) };
  return {
    volume: from.readUInt32BE(1),
    offset: from.readUIntBE(5, 6),
    length: from.readUIntBE(11, 6),
    blobId: idFromBytes(from.subarray(17, 33)),
  };
}

function encodeVolume(state: VolumeState, liveBytes: number): Buffer {
  const out = Buffer.alloc(28);
  out.writeUIntBE(state.settledEnd, 0, 6);
  out.writeUIntBE(liveBytes, 6, 6);
  out.set(state.marker, 12);
  return out;
}

function decodeVolume(value: Uint8Array): StoredVolume {
  const from = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return {
    settledEnd: from.readUIntBE(0, 6),
    liveBytes: from.readUIntBE(6, 6),
    marker: Buffer.from(from.subarray(12, 28)),
  };
}
