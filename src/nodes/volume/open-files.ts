import type { FileSystem, VolumeFile } from "./file-system.ts";

interface OpenFile {
  readonly file: Promise<VolumeFile>;
  readers: number;
  /** Stays open although nobody reads it: the file of a volume that is written. */
  pinned: boolean;
}

export interface OpenFilesOptions {
  readonly fileSystem: FileSystem;
  readonly pathOf: (volume: number) => string;
  /** Files that nobody reads are closed beyond this many. */
  readonly filesMax: number;
}

/** The files of a node's volumes, opened for reading when needed and kept open up to a limit, oldest use first out. */
export class OpenFiles {
  readonly #options: OpenFilesOptions;
  /** In order of last use. */
  readonly #files = new Map<number, OpenFile>();
  /** Reads that go on over several calls, by volume. */
  readonly #holds = new Map<number, number>();

  constructor(options: OpenFilesOptions) {
    this.#options = options;
  }

  /** Serves reads of a volume through the file that its writer holds, which is closed here. */
  pin(volume: number, file: VolumeFile): void {
    this.#files.set(volume, { file: Promise.resolve(file), readers: 0, pinned: true });
  }

  unpin(volume: number): void {
    const open = this.#files.get(volume);
    if (open !== undefined) open.pinned = false;
    this.#closeOldest();
  }

  /** Says that a volume will be read again. @returns called, as often as one likes, when it will not */
  hold(volume: number): () => void {
    this.#holds.set(volume, (this.#holds.get(volume) ?? 0) + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const others = (this.#holds.get(volume) ?? 1) - 1;
      if (others === 0) this.#holds.delete(volume);
      else this.#holds.set(volume, others);
    };
  }

  /** Whether a volume is being read, or held. */
  inUse(volume: number): boolean {
    return this.#holds.has(volume) || (this.#files.get(volume)?.readers ?? 0) > 0;
  }

  /** Whether any volume is held. */
  get held(): boolean {
    return this.#holds.size > 0;
  }

  /** Closes the file of a volume that is not in use. */
  async closeVolume(volume: number): Promise<void> {
    const open = this.#files.get(volume);
    this.#files.delete(volume);
    // It is about to be removed: a failure to close it loses nothing.
    await open?.file.then((file) => file.close()).catch(() => {});
  }

  /** Fills the buffer; returns the number of bytes read, fewer only at the end of the file. */
  async read(volume: number, buffer: Uint8Array, position: number): Promise<number> {
    const open = this.#use(volume);
    try {
      return await (await open.file).read(buffer, position);
    } finally {
      open.readers--;
      this.#closeOldest();
    }
  }

  /** Closes all files. No read is under way. */
  async close(): Promise<void> {
    const files = [...this.#files.values()];
    this.#files.clear();
    await Promise.allSettled(files.map(async ({ file }) => (await file).close()));
  }

  #use(volume: number): OpenFile {
    const { fileSystem, pathOf } = this.#options;
    const open = this.#files.get(volume) ?? {
      file: fileSystem.open(pathOf(volume), "read"),
      readers: 0,
      pinned: false,
    };
    open.readers++;
    this.#files.delete(volume);
    this.#files.set(volume, open);
    // A file that could not be opened is tried anew by the next reader.
    open.file.catch(() => {
      if (this.#files.get(volume) === open) this.#files.delete(volume);
    });
    return open;
  }

  #closeOldest(): void {
    for (const [volume, open] of this.#files) {
      if (this.#files.size <= this.#options.filesMax) return;
      if (open.pinned || open.readers > 0) continue;
      this.#files.delete(volume);
      // Read-only by now: a failure to close it loses nothing.
      open.file.then((file) => file.close()).catch(() => {});
    }
  }
}
