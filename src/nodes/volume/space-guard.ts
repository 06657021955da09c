import { NodeError } from "../storage-node.ts";
import type { FileSystem } from "./file-system.ts";

/** While this much is free beyond the reserve, what is written is counted rather than asking the file system again. */
const PLENTY_BYTES = 1024 * 1024 * 1024;
/** Written bytes after which the file system is asked again in any case: others write to the disk too. */
const RECHECK_BYTES = 64 * 1024 * 1024;

/** Turns writes away before the disk is full, so that deletions and the index find room. */
export class SpaceGuard {
  readonly #fileSystem: FileSystem;
  readonly #path: string;
  readonly #reserveBytes: number;
  /** Bytes promised to writes that have not ended. */
  #promisedBytes = 0;
  #freeBytes = 0;
  #admittedSince = Number.POSITIVE_INFINITY;

  constructor(fileSystem: FileSystem, path: string, reserveBytes: number) {
    this.#fileSystem = fileSystem;
    this.#path = path;
    this.#reserveBytes = reserveBytes;
  }

  /**
   * @param reserveBytes what has to stay free
   * @returns called when the bytes have been written, or will not be
   * @throws NodeError `full`
   */
  async admit(bytes: number, reserveBytes = this.#reserveBytes): Promise<() => void> {
    const recent = this.#admittedSince + bytes <= RECHECK_BYTES;
    if (!recent || this.#left(bytes, reserveBytes) < PLENTY_BYTES) {
      this.#freeBytes = (await this.#fileSystem.space(this.#path)).freeBytes;
      this.#admittedSince = 0;
      if (this.#left(bytes, reserveBytes) < 0) throw new NodeError("full", `the disk of ${this.#path} is full`);
    }
    this.#promisedBytes += bytes;
    this.#admittedSince += bytes;
    return () => {
      this.#promisedBytes -= bytes;
    };
  }

  disk(): Promise<{ totalBytes: number; freeBytes: number }> {
    return this.#fileSystem.space(this.#path);
  }

  /** Total and free bytes of the disk; free is what puts may use. */
  async capacity(): Promise<{ totalBytes: number; freeBytes: number }> {
    const { totalBytes, freeBytes } = await this.disk();
    return { totalBytes, freeBytes: Math.max(0, freeBytes - this.#reserveBytes) };
  }

  #left(bytes: number, reserveBytes: number): number {
    return this.#freeBytes - reserveBytes - this.#promisedBytes - bytes;
  }
}
