/**
 * What a disk keeps over a power cut. It is told, in order, of everything that is done to the disk; what was synced
 * stays, and of the rest an arbitrary part: of bytes each sector, of names each creation, renaming and removal by itself.
 */
import { dirname } from "node:path";
import type { Random } from "../../src/shared/random.ts";
import { PagedFile } from "./paged-file.ts";

const SECTOR_BYTES = 512;
/** Chance. */
const INDEX_LOST = 0.1;

/** Files by path, and the entries of the index by key in hexadecimal. */
export interface DiskImage {
  readonly files: ReadonlyMap<string, PagedFile>;
  readonly index: ReadonlyMap<string, Uint8Array>;
}

export const EMPTY_DISK: DiskImage = { files: new Map(), index: new Map() };

/** A file of its own, whatever it is called now. */
export type FileNumber = number;

type Bytes =
  | { readonly kind: "write"; readonly file: FileNumber; readonly position: number; readonly bytes: Uint8Array }
  | { readonly kind: "truncate"; readonly file: FileNumber; readonly length: number };

type Name =
  | { readonly kind: "create"; readonly path: string; readonly file: FileNumber }
  | { readonly kind: "rename"; readonly path: string; readonly to: string; readonly file: FileNumber }
  | { readonly kind: "remove"; readonly path: string };

/** One step of a disk. A sync makes durable what was changed before its beginning, after `changes` changes. */
export type DiskEvent =
  | Bytes
  | Name
  | { readonly kind: "sync"; readonly file: FileNumber; readonly changes: number }
  | { readonly kind: "sync folder"; readonly folder: string; readonly changes: number }
  /** A commit of the index, which is durable or did not happen. */
  | { readonly kind: "index"; readonly sets: readonly (readonly [string, Uint8Array | undefined])[] };

export function isChange(event: DiskEvent): event is Bytes | Name {
  return event.kind !== "sync" && event.kind !== "sync folder" && event.kind !== "index";
}

interface Unsynced<T> {
  /** Its number among the changes of this disk, from 1 on. */
  readonly number: number;
  readonly change: T;
}

export interface PlatterFaults {
  /** Syncs of files are answered and do nothing. */
  readonly ignoresSync?: boolean;
  /** Syncs of folders are answered and do nothing. */
  readonly ignoresFolderSync?: boolean;
}

export class Platter {
  readonly #faults: PlatterFaults;
  /** Of files, as far as they are synced. */
  readonly #contents = new Map<FileNumber, PagedFile>();
  readonly #bytes = new Map<FileNumber, Unsynced<Bytes>[]>();
  readonly #names = new Map<string, FileNumber>();
  #unsyncedNames: Unsynced<Name>[] = [];
  readonly #index: Map<string, Uint8Array>;
  #changes = 0;

  /** The files of the image have the numbers 1, 2, ... in the order of its map. */
  constructor(image: DiskImage, faults: PlatterFaults = {}) {
    this.#faults = faults;
    this.#index = new Map(image.index);
    for (const [path, content] of image.files) {
      const file = this.#names.size + 1;
      this.#names.set(path, file);
      this.#contents.set(file, content.copy());
    }
  }

  apply(event: DiskEvent): void {
    if (isChange(event)) this.#changes++;
    const number = this.#changes;
    switch (event.kind) {
      case "write":
      case "truncate": {
        const unsynced = this.#bytes.get(event.file) ?? [];
        this.#bytes.set(event.file, unsynced);
        unsynced.push({ number, change: event });
        return;
      }
      case "create":
        this.#contents.set(event.file, new PagedFile());
        this.#unsyncedNames.push({ number, change: event });
        return;
      case "rename":
      case "remove":
        this.#unsyncedNames.push({ number, change: event });
        return;
      case "sync":
        if (this.#faults.ignoresSync !== true) this.#sync(event.file, event.changes);
        return;
      case "sync folder":
        if (this.#faults.ignoresFolderSync !== true) this.#syncFolder(event.folder, event.changes);
        return;
      case "index":
        setAll(this.#index, event.sets);
    }
  }

  /** What is found when the power is back. Now and then the index is gone, which is only a cache. */
  survivors(random: Random): DiskImage {
    const names = new Map(this.#names);
    const keepsName = chanceOf(random);
    for (const { change } of this.#unsyncedNames) if (random.float() < keepsName) applyName(names, change);
    const files = new Map<string, PagedFile>();
    for (const [path, file] of names) files.set(path, this.#survivor(file, random));
    return { files, index: random.float() < INDEX_LOST ? new Map() : new Map(this.#index) };
  }

  #survivor(file: FileNumber, random: Random): PagedFile {
    const content = (this.#contents.get(file) ?? new PagedFile()).copy();
    const keeps = chanceOf(random);
    for (const { change } of this.#bytes.get(file) ?? []) {
      if (change.kind === "truncate") {
        if (random.float() < keeps) content.truncate(change.length);
        continue;
      }
      const { position, bytes } = change;
      for (let at = 0; at < bytes.length; ) {
        const end = Math.min(bytes.length, at + SECTOR_BYTES - ((position + at) % SECTOR_BYTES));
        if (random.float() < keeps) content.write(bytes.subarray(at, end), position + at);
        at = end;
      }
    }
    return content;
  }

  #sync(file: FileNumber, changes: number): void {
    const content = this.#contents.get(file);
    const unsynced = this.#bytes.get(file);
    if (content === undefined || unsynced === undefined) return;
    for (const { number, change } of unsynced) {
      if (number > changes) continue;
      if (change.kind === "truncate") content.truncate(change.length);
      else content.write(change.bytes, change.position);
    }
    this.#bytes.set(
      file,
      unsynced.filter(({ number }) => number > changes),
    );
  }

  #syncFolder(folder: string, changes: number): void {
    const isSynced = ({ number, change }: Unsynced<Name>): boolean =>
      number <= changes && dirname(change.path) === folder;
    for (const unsynced of this.#unsyncedNames) if (isSynced(unsynced)) applyName(this.#names, unsynced.change);
    this.#unsyncedNames = this.#unsyncedNames.filter((unsynced) => !isSynced(unsynced));
  }
}

/** Nothing, everything, or a share: each happens. */
function chanceOf(random: Random): number {
  const pick = random.float();
  if (pick < 0.25) return 0;
  return pick < 0.5 ? 1 : random.float();
}

function applyName(names: Map<string, FileNumber>, change: Name): void {
  names.delete(change.path);
  if (change.kind === "create") names.set(change.path, change.file);
  if (change.kind === "rename") names.set(change.to, change.file);
}

export function setAll(
  index: Map<string, Uint8Array>,
  sets: readonly (readonly [string, Uint8Array | undefined])[],
): void {
  for (const [key, value] of sets) {
    if (value === undefined) index.delete(key);
    else index.set(key, value);
  }
}
