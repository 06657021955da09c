/**
 * A disk in memory that loses power. Of what was not synced, sectors and names are kept or lost by chance; what was
 * synced stays. Calls take a few turns of the event loop, by chance too: one seed gives one interleaving.
 */
import type { FileSystem, OpenMode, VolumeFile } from "../../src/nodes/volume/file-system.ts";
import type { Random } from "../../src/shared/random.ts";

const SECTOR_BYTES = 512;
/** Most turns of the event loop that a call takes. */
const TURNS_MAX = 3;

type Change = { readonly position: number; readonly bytes: Uint8Array } | { readonly truncate: number };

interface Inode {
  content: Buffer;
  /** What a power cut leaves for certain. */
  durable: Buffer;
  /** Changes since, in order. */
  changes: Change[];
}

export type DiskCall = "open" | "read" | "write" | "datasync" | "truncate" | "rename" | "syncFolder";

export class CrashDisk {
  /** Called in every call; may throw, as the file system would. */
  fault: (call: DiskCall, path: string) => void = () => {};
  freeBytes = 2 ** 40;
  readonly #random: Random;
  #names = new Map<string, Inode>();
  #durableNames = new Map<string, Inode>();
  #generation = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Cuts the power. No call of an earlier mount ends any more; the next one finds what the disk kept. */
  crash(): void {
    this.#generation++;
    const names = this.#random.float() < 0.5 ? this.#names : this.#durableNames;
    this.#names = new Map();
    for (const [path, inode] of names) {
      const content = this.#afterPowerCut(inode);
      this.#names.set(path, { content, durable: Buffer.from(content), changes: [] });
    }
    this.#durableNames = new Map(this.#names);
  }

  paths(): string[] {
    return [...this.#names.keys()].sort();
  }

  /** What a file holds, to look at or to change. */
  content(path: string): Buffer {
    return this.#inode(path).content;
  }

  /** Replaces what a file holds, durably. */
  replace(path: string, content: Uint8Array): void {
    this.#names.set(path, { content: Buffer.from(content), durable: Buffer.from(content), changes: [] });
    this.#durableNames = new Map(this.#names);
  }

  mount(): FileSystem {
    const generation = this.#generation;
    const call = async (name: DiskCall, path: string): Promise<void> => {
      this.fault(name, path);
      for (let left = Math.floor(this.#random.float() * (TURNS_MAX + 1)); left > 0; left--) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      if (generation !== this.#generation) await new Promise<never>(() => {});
    };
    return {
      open: async (path, mode) => {
        await call("open", path);
        return this.#open(path, mode, (name) => call(name, path));
      },
      makeFolder: () => call("open", ""),
      list: async (folder) => {
        await call("open", folder);
        const inside = this.paths().filter((path) => path.startsWith(`${folder}/`));
        return inside.map((path) => path.slice(folder.length + 1));
      },
      rename: async (from, to) => {
        await call("rename", from);
        this.#names.set(to, this.#inode(from));
        this.#names.delete(from);
      },
      remove: async (path) => {
        await call("rename", path);
        this.#names.delete(path);
      },
      syncFolder: async (path) => {
        await call("syncFolder", path);
        this.#durableNames = new Map(this.#names);
      },
      space: async () => {
        await call("open", "");
        return { totalBytes: 2 ** 41, freeBytes: this.freeBytes };
      },
    };
  }

  #open(path: string, mode: OpenMode, call: (name: DiskCall) => Promise<void>): VolumeFile {
    if (mode === "create") {
      if (this.#names.has(path)) throw systemError("EEXIST");
      this.#names.set(path, { content: Buffer.alloc(0), durable: Buffer.alloc(0), changes: [] });
    }
    const inode = this.#inode(path);
    // Bytes may reach the disk as soon as a call has begun, or only when it ends.
    const change = async (name: DiskCall, change: Change): Promise<void> => {
      const early = this.#random.float() < 0.5;
      const ended = call(name);
      if (!early) await ended;
      inode.content = applied(inode.content, change);
      inode.changes.push(change);
      await ended;
    };
    return {
      async read(buffer, position) {
        await call("read");
        return inode.content.copy(buffer, 0, position, position + buffer.length);
      },
      write: (buffers, position) => change("write", { position, bytes: Buffer.concat(buffers) }),
      truncate: (length) => change("truncate", { truncate: length }),
      // One at a time for each file, as the driver does it.
      async datasync() {
        const synced = Buffer.from(inode.content);
        const changes = inode.changes.length;
        await call("datasync");
        inode.durable = synced;
        inode.changes = inode.changes.slice(changes);
      },
      async size() {
        await call("read");
        return inode.content.length;
      },
      async close() {},
    };
  }

  #inode(path: string): Inode {
    const inode = this.#names.get(path);
    if (inode === undefined) throw systemError("ENOENT");
    return inode;
  }

  #afterPowerCut({ durable, changes }: Inode): Buffer {
    let content: Buffer = Buffer.from(durable);
    const kept = this.#random.float();
    for (const change of changes) {
      if ("truncate" in change) {
        if (this.#random.float() < kept) content = applied(content, change);
        continue;
      }
      for (let at = 0; at < change.bytes.length; ) {
        const position = change.position + at;
        const end = at + Math.min(SECTOR_BYTES - (position % SECTOR_BYTES), change.bytes.length - at);
        if (this.#random.float() < kept) {
          content = applied(content, { position, bytes: change.bytes.subarray(at, end) });
        }
        at = end;
      }
    }
    return content;
  }
}

function applied(content: Buffer, change: Change): Buffer {
  const end = "truncate" in change ? change.truncate : Math.max(content.length, change.position + change.bytes.length);
  let next = content;
  if (end !== content.length) {
    next = Buffer.alloc(end);
    content.copy(next);
  }
  if (!("truncate" in change)) next.set(change.bytes, change.position);
  return next;
}

export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: made by a test`), { code });
}
