/**
 * What the volume driver asks of a file system, as a seam: tests replace it by one that loses unsynced writes as a
 * power cut does, or that fails.
 */
import { constants, type FileHandle, mkdir, open, readdir, rename, rm, statfs } from "node:fs/promises";
import { dirname, resolve } from "node:path";

export interface VolumeFile {
  /** Fills the buffer from `position` on; returns the number of bytes read, fewer only at the end of the file. */
  read(buffer: Uint8Array, position: number): Promise<number>;
  /** Writes all buffers end to end, beginning at `position`. After an error some of it may have been written. */
  write(buffers: readonly Uint8Array[], position: number): Promise<void>;
  truncate(length: number): Promise<void>;
  /** Resolves when everything written before the call is durable, and the length with it. */
  datasync(): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

/** `create` fails where the file exists. */
export type OpenMode = "read" | "read-write" | "create";

export interface FileSystem {
  open(path: string, mode: OpenMode): Promise<VolumeFile>;
  /** With its parents, all durable; succeeds where it exists. */
  makeFolder(path: string): Promise<void>;
  /** Names, in any order. */
  list(path: string): Promise<string[]>;
  rename(from: string, to: string): Promise<void>;
  /** A file or a folder with all it holds; succeeds where there is none. */
  remove(path: string): Promise<void>;
  /** Resolves when names created, renamed or removed in the folder are durable. */
  syncFolder(path: string): Promise<void>;
  space(path: string): Promise<{ totalBytes: number; freeBytes: number }>;
}

/** Buffers that one system call takes (IOV_MAX of Linux and macOS). */
const BUFFERS_PER_WRITE = 1024;

const FLAGS: Record<OpenMode, number> = {
  read: constants.O_RDONLY,
  "read-write": constants.O_RDWR,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
};

class NodeFile implements VolumeFile {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async read(buffer: Uint8Array, position: number): Promise<number> {
    let done = 0;
    while (done < buffer.length) {
      const { bytesRead } = await this.#handle.read(buffer, done, buffer.length - done, position + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }

  async write(buffers: readonly Uint8Array[], position: number): Promise<void> {
    let at = position;
    for (let first = 0; first < buffers.length; first += BUFFERS_PER_WRITE) {
      at = await this.#writeAll(buffers.slice(first, first + BUFFERS_PER_WRITE), at);
    }
  }

  /** A write may stop early, for example where the disk is nearly full: go on where it stopped until it fails. */
  async #writeAll(buffers: Uint8Array[], position: number): Promise<number> {
    let left = buffers;
    let at = position;
    for (;;) {
      const { bytesWritten } = await this.#handle.writev(left, at);
      at += bytesWritten;
      left = behind(left, bytesWritten);
      if (left.length === 0) return at;
    }
  }

  async truncate(length: number): Promise<void> {
    await this.#handle.truncate(length);
  }

  async datasync(): Promise<void> {
    await this.#handle.datasync();
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

/** What is left of the buffers after their first `bytes` bytes. */
function behind(buffers: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes;
  const left: Uint8Array[] = [];
  for (const buffer of buffers) {
    if (skip >= buffer.length) skip -= buffer.length;
    else {
      left.push(skip === 0 ? buffer : buffer.subarray(skip));
      skip = 0;
    }
  }
  return left;
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export const nodeFileSystem: FileSystem = {
  async open(path, mode) {
    return new NodeFile(await open(path, FLAGS[mode], 0o640));
  },
  async makeFolder(path) {
    const first = await mkdir(path, { recursive: true, mode: 0o750 });
    if (first === undefined) return;
    // A folder is as durable as its name in the folder above.
    for (let made = resolve(path); ; made = dirname(made)) {
      await syncFolder(dirname(made));
      if (made === resolve(first)) return;
    }
  },
  list: (path) => readdir(path),
  rename: (from, to) => rename(from, to),
  remove: (path) => rm(path, { recursive: true, force: true }),
  syncFolder,
  async space(path) {
    const { bsize, blocks, bavail } = await statfs(path);
    return { totalBytes: bsize * blocks, freeBytes: bsize * bavail };
  },
};
