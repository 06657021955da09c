/**
 * A disk in memory that tells of every step, so that the power can be cut at each of them afterwards. Calls take a few
 * turns of the event loop, by chance: one seed gives one interleaving.
 */
import type { FileSystem, OpenMode, VolumeFile } from "../../src/nodes/volume/file-system.ts";
import type { IndexStore } from "../../src/nodes/volume/volume-index.ts";
import type { Random } from "../../src/shared/random.ts";
import { systemError } from "../support/crash-disk.ts";
import { PagedFile } from "./paged-file.ts";
import { type DiskEvent, type DiskImage, type FileNumber, isChange, setAll } from "./platter.ts";

const TOTAL_BYTES = 2 ** 41;

export interface DiskOptions {
  readonly random: Random;
  /** Most turns of the event loop that a call takes. */
  readonly turnsMax: number;
  readonly onEvent?: (event: DiskEvent) => void;
  /** Syncs are answered at once and done later. */
  readonly answersBeforeSync?: boolean;
}

interface OpenFile {
  readonly number: FileNumber;
  readonly content: PagedFile;
}

export class Disk {
  readonly #options: DiskOptions;
  readonly #files = new Map<string, OpenFile>();
  readonly #index: Map<string, Uint8Array>;
  #sortedKeys: string[] | undefined;
  #filesMade = 0;
  #changes = 0;
  #off = false;

  constructor(image: DiskImage, options: DiskOptions) {
    this.#options = options;
    for (const [path, content] of image.files) {
      this.#files.set(path, { number: ++this.#filesMade, content: content.copy() });
    }
    this.#index = new Map(image.index);
  }

  /** No call ends any more, and nothing is done to the disk. */
  powerOff(): void {
    this.#off = true;
  }

  fileSystem(): FileSystem {
    return {
      open: async (path, mode) => {
        await this.#call();
        return this.#open(path, mode);
      },
      makeFolder: () => this.#call(),
      list: async (folder) => {
        await this.#call();
        return [...this.#files.keys()]
          .filter((path) => path.startsWith(`${folder}/`))
          .map((path) => path.slice(folder.length + 1))
          .sort();
      },
      rename: async (path, to) => {
        const file = this.#file(path);
        this.#files.delete(path);
        this.#files.set(to, file);
        this.#tell({ kind: "rename", path, to, file: file.number });
        await this.#call();
      },
      remove: async (path) => {
        if (this.#files.delete(path)) this.#tell({ kind: "remove", path });
        await this.#call();
      },
      syncFolder: (folder) => this.#sync({ kind: "sync folder", folder, changes: this.#changes }),
      space: async () => {
        await this.#call();
        return { totalBytes: TOTAL_BYTES, freeBytes: TOTAL_BYTES / 2 };
      },
    };
  }

  indexStore(): IndexStore {
    const hex = (key: Uint8Array): string => Buffer.from(key).toString("hex");
    const get = (key: Uint8Array): Uint8Array | undefined => this.#index.get(hex(key));
    return {
      get,
      range: (start, end) => this.#range(hex(start), hex(end)),
      commit: async (entries) => {
        await this.#call();
        const sets = [...entries(get)].map(([key, value]) => [hex(key), value && Uint8Array.from(value)] as const);
        this.#sortedKeys = undefined;
        setAll(this.#index, sets);
        this.#tell({ kind: "index", sets });
        await this.#call();
      },
      async close() {},
    };
  }

  *#range(start: string, end: string): Generator<{ key: Uint8Array; value: Uint8Array }, void, undefined> {
    this.#sortedKeys ??= [...this.#index.keys()].sort();
    for (const key of this.#sortedKeys) {
      const value = key >= start && key < end ? this.#index.get(key) : undefined;
      if (value !== undefined) yield { key: Buffer.from(key, "hex"), value };
    }
  }

  #open(path: string, mode: OpenMode): VolumeFile {
    if (mode === "create") {
      if (this.#files.has(path)) throw systemError("EEXIST");
      const number = ++this.#filesMade;
      this.#files.set(path, { number, content: new PagedFile() });
      this.#tell({ kind: "create", path, file: number });
    }
    const { number: file, content } = this.#file(path);
    return {
      read: async (buffer, position) => {
        await this.#call();
        return content.read(buffer, position);
      },
      write: async (buffers, position) => {
        const bytes = Buffer.concat(buffers);
        content.write(bytes, position);
        this.#tell({ kind: "write", file, position, bytes });
        await this.#call();
      },
      truncate: async (length) => {
        content.truncate(length);
        this.#tell({ kind: "truncate", file, length });
        await this.#call();
      },
      datasync: () => this.#sync({ kind: "sync", file, changes: this.#changes }),
      size: async () => {
        await this.#call();
        return content.length;
      },
      async close() {},
    };
  }

  /** Takes its time, and is done at the end of it. */
  async #sync(event: DiskEvent): Promise<void> {
    const done = this.#call().then(() => this.#tell(event));
    if (this.#options.answersBeforeSync !== true) await done;
  }

  #tell(event: DiskEvent): void {
    if (this.#off) return;
    if (isChange(event)) this.#changes++;
    this.#options.onEvent?.(event);
  }

  async #call(): Promise<void> {
    const { random, turnsMax } = this.#options;
    if (turnsMax > 0) {
      for (let left = Math.floor(random.float() * (turnsMax + 1)); left > 0; left--) {
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    if (this.#off) await new Promise<never>(() => {});
  }

  #file(path: string): OpenFile {
    const file = this.#files.get(path);
    if (file === undefined) throw systemError("ENOENT");
    return file;
  }
}
