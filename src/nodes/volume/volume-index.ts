/**
 * Where each blob lies: a cache of what the volumes say. Changes gather in memory and are written to the store now and
 * then, durably and together with the offset up to which each volume is reflected; what came later is read from the
 * volumes at the next start. So the store never claims what a volume might have lost.
 *
 * A deletion leaves an entry as well: it holds against a record of the same key that is found, or lands, later. It knows
 * every volume that holds such a record, and so when it is not wanted any more.
 */
import type { Id } from "../../shared/ids.ts";
import type { CopyKey } from "../storage-node.ts";
import {
  type BlobEntry,
  type BlobPlace,
  copyKeyOf,
  decodeEntry,
  decodeVolume,
  encodeEntry,
  encodeMeta,
  encodeVolume,
  type IndexEntry,
  isBlob,
  KEY_META,
  listBounds,
  recordVolumes,
  type StoredVolume,
  storeKey,
  VOLUME_BOUNDS,
  type VolumeContent,
  type VolumeState,
  volumeKey,
  volumeOf,
} from "./index-entries.ts";
import { DATA_START, recordBytes } from "./layout.ts";

/** A small ordered store of bytes. Keys compare bytewise. */
export interface IndexStore {
  get(key: Uint8Array): Uint8Array | undefined;
  /** Entries with start <= key < end, in order. Read at once: not while the store changes. */
  range(start: Uint8Array, end: Uint8Array): Iterable<{ key: Uint8Array; value: Uint8Array }>;
  /**
   * Sets all entries, or none, and resolves when they are durable. An entry without a value is removed. `read` inside
   * sees the state before.
   */
  commit(entries: (read: IndexStore["get"]) => Iterable<readonly [Uint8Array, Uint8Array | undefined]>): Promise<void>;
  close(): Promise<void>;
}

export interface ListedBlob {
  readonly key: CopyKey;
  readonly entry: BlobEntry;
}

/** What became of a key. */
interface Change {
  /** Undefined: nothing is known of the key any more. */
  readonly entry: IndexEntry | undefined;
}

/** Changes written in one transaction, since writing them holds up everything else. */
const ENTRIES_PER_COMMIT = 1000;
const NOTHING: VolumeContent = { liveBytes: 0, tombstones: 0 };

export class VolumeIndex {
  readonly #store: IndexStore;
  readonly #storeId: Id;
  #changes = new Map<CopyKey, Change>();
  /** Changes that a checkpoint is writing. */
  #writing: ReadonlyMap<CopyKey, Change> = new Map();
  /** Contents by volume, as of now and as of what the store holds. */
  readonly #contents = new Map<number, VolumeContent>();
  #storedContents = new Map<number, VolumeContent>();
  readonly #stored = new Map<number, StoredVolume>();

  /** @throws RangeError when the store belongs to other volumes or to another version */
  constructor(store: IndexStore, storeId: Id) {
    this.#store = store;
    this.#storeId = storeId;
    const meta = store.get(KEY_META);
    if (meta !== undefined && !Buffer.from(meta).equals(encodeMeta(storeId))) {
      throw new RangeError("the index belongs to other volumes or to another version");
    }
    for (const { key, value } of store.range(...VOLUME_BOUNDS)) {
      const number = volumeOf(key);
      const state = decodeVolume(value);
      this.#stored.set(number, state);
      this.#contents.set(number, state);
      this.#storedContents.set(number, state);
    }
  }

  /** The volumes that the store knows. */
  get storedVolumes(): ReadonlyMap<number, StoredVolume> {
    return this.#stored;
  }

  /** Changes that are not in the store yet. */
  get unwritten(): number {
    return this.#changes.size + this.#writing.size;
  }

  /** Bytes of records in the volume that hold a live blob, and deleted keys whose tombstone it holds. */
  content(volume: number): VolumeContent {
    return this.#contents.get(volume) ?? NOTHING;
  }

  get(key: CopyKey): IndexEntry | undefined {
    const unwritten = this.#changes.get(key) ?? this.#writing.get(key);
    if (unwritten !== undefined) return unwritten.entry;
    const value = this.#store.get(storeKey(key));
    return value === undefined ? undefined : decodeEntry(value);
  }

  blob(key: CopyKey): BlobEntry | undefined {
    const entry = this.get(key);
    return entry !== undefined && isBlob(entry) ? entry : undefined;
  }

  /**
   * Enters a durable record. A blob that is there already keeps its place, one that was deleted stays deleted; that the
   * volume holds a record of it is noted.
   * @returns the entry that holds now
   */
  addBlob(key: CopyKey, place: BlobPlace): IndexEntry {
    const existing = this.get(key);
    if (existing === undefined) return this.#set(key, undefined, { ...place, others: [] });
    if (recordVolumes(existing).includes(place.volume)) return existing;
    return this.#set(
      key,
      existing,
      isBlob(existing)
        ? { ...existing, others: [...existing.others, place.volume] }
        : { ...existing, records: [...existing.records, place.volume] },
    );
  }

  /**
   * Enters a second durable record of a blob, which takes the place of the first. If the blob does not lie there any
   * more the record is noted only.
   * @param isThere whether there still is a volume of this number
   */
  moveBlob(key: CopyKey, move: { from: BlobPlace; to: BlobPlace; isThere: (volume: number) => boolean }): void {
    const { from, to, isThere } = move;
    const existing = this.get(key);
    if (existing === undefined || !isBlob(existing) || !samePlace(existing, from)) {
      this.addBlob(key, to);
      return;
    }
    const others = recordVolumes(existing).filter((volume) => volume !== to.volume && isThere(volume));
    this.#set(key, existing, { ...to, others });
  }

  /** Enters a durable deletion. */
  bury(key: CopyKey, volume: number): void {
    const existing = this.get(key);
    if (existing !== undefined && !isBlob(existing)) return;
    this.#set(key, existing, { deadIn: volume, records: existing === undefined ? [] : recordVolumes(existing) });
  }

  /** Enters that a deletion was made durable anew in another volume. */
  moveTombstone(key: CopyKey, move: { from: number; to: number; isThere: (volume: number) => boolean }): void {
    const existing = this.get(key);
    if (existing === undefined || isBlob(existing) || existing.deadIn !== move.from) return;
    this.#set(key, existing, { deadIn: move.to, records: existing.records.filter(move.isThere) });
  }

  /** Nothing is known any more of a deleted key. No volume holds a record of it, or only one that goes with its tombstone. */
  forget(key: CopyKey): void {
    const existing = this.get(key);
    if (existing !== undefined && !isBlob(existing)) this.#set(key, existing, undefined);
  }

  /** Live blobs after a key, in key order, at most `limit`. */
  list(session: number | undefined, after: CopyKey | undefined, limit: number): ListedBlob[] {
    // What is not written yet is little, and listings are rare.
    const unwritten = new Set([...this.#writing.keys(), ...this.#changes.keys()]);
    const page: ListedBlob[] = [];
    const [start, end] = listBounds(session, after);
    for (const { key, value } of this.#store.range(start, end)) {
      if (page.length >= limit) break;
      const copyKey = copyKeyOf(key);
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
   * Writes all changes made so far and the states of all volumes, which must be those of this moment; a volume without
   * a state is not known any more, so that a start that finds it reads it from its beginning. Not twice at a time.
   * After an error the changes are still held in memory.
   */
  async checkpoint(volumes: ReadonlyMap<number, VolumeState>): Promise<void> {
    const changes = [...this.#changes];
    this.#writing = this.#changes;
    this.#changes = new Map();
    try {
      for (let at = 0; at < changes.length; at += ENTRIES_PER_COMMIT) {
        await this.#commit(changes.slice(at, at + ENTRIES_PER_COMMIT), volumes);
      }
      // Last, so that a volume is never said to be reflected further than it is.
      await this.#commitStates(volumes);
    } catch (error) {
      this.#changes = new Map([...this.#writing, ...this.#changes]);
      throw error;
    } finally {
      this.#writing = new Map();
    }
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  #set<T extends IndexEntry | undefined>(key: CopyKey, before: IndexEntry | undefined, entry: T): T {
    this.#changes.set(key, { entry });
    count(this.#contents, before, -1);
    count(this.#contents, entry, 1);
    return entry;
  }

  async #commit(
    changes: readonly (readonly [CopyKey, Change])[],
    volumes: ReadonlyMap<number, VolumeState>,
  ): Promise<void> {
    const contents = new Map(this.#storedContents);
    await this.#store.commit((read) => {
      const sets: (readonly [Uint8Array, Uint8Array | undefined])[] = [[KEY_META, encodeMeta(this.#storeId)]];
      const touched = new Set<number>();
      for (const [key, { entry }] of changes) {
        const at = storeKey(key);
        const value = read(at);
        const before = value && decodeEntry(value);
        for (const number of [count(contents, before, -1), count(contents, entry, 1)]) {
          if (number !== undefined) touched.add(number);
        }
        sets.push([at, entry && encodeEntry(entry)]);
      }
      for (const number of touched) {
        const now = volumes.get(number);
        const state = this.#stored.get(number) ?? (now && { ...now, settledEnd: DATA_START });
        if (state !== undefined) {
          sets.push([volumeKey(number), encodeVolume({ ...state, ...(contents.get(number) ?? NOTHING) })]);
        }
      }
      return sets;
    });
    this.#storedContents = contents;
  }

  async #commitStates(volumes: ReadonlyMap<number, VolumeState>): Promise<void> {
    const gone = [...this.#stored.keys()].filter((number) => !volumes.has(number));
    const states = new Map<number, StoredVolume>();
    for (const [number, state] of volumes) {
      states.set(number, { ...state, ...(this.#storedContents.get(number) ?? NOTHING) });
    }
    await this.#store.commit(() => [
      [KEY_META, encodeMeta(this.#storeId)],
      ...gone.map((number) => [volumeKey(number), undefined] as const),
      ...[...states].map(([number, state]) => [volumeKey(number), encodeVolume(state)] as const),
    ]);
    for (const number of gone) this.#stored.delete(number);
    for (const [number, state] of states) this.#stored.set(number, state);
  }
}

/** Adds an entry to the content of its volume, or takes it out of it; returns the volume's number. */
function count(contents: Map<number, VolumeContent>, entry: IndexEntry | undefined, sign: 1 | -1): number | undefined {
  if (entry === undefined) return undefined;
  const number = isBlob(entry) ? entry.volume : entry.deadIn;
  const { liveBytes, tombstones } = contents.get(number) ?? NOTHING;
  const now = isBlob(entry)
    ? { liveBytes: liveBytes + sign * recordBytes(entry.length), tombstones }
    : { liveBytes, tombstones: tombstones + sign };
  if (now.liveBytes === 0 && now.tombstones === 0) contents.delete(number);
  else contents.set(number, now);
  return number;
}

function samePlace(a: BlobPlace, b: BlobPlace): boolean {
  return a.volume === b.volume && a.offset === b.offset;
}

function sessionPrefix(session: number): string {
  return `${session.toString(16).padStart(8, "0")}/`;
}
