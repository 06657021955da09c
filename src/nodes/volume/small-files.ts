import { join } from "node:path";
import { systemErrorCode } from "../../shared/errors.ts";
import type { FileSystem, VolumeFile } from "./file-system.ts";

/** Of a file that is being made. */
export const NEW_SUFFIX = ".new";

/**
 * Replaces a small file as a whole: after a crash it is the old one or the new one. Durable when it resolves.
 * @throws what the file system throws
 */
export async function writeSmallFile(
  fileSystem: FileSystem,
  folder: string,
  name: string,
  content: Uint8Array,
): Promise<void> {
  const path = join(folder, name);
  const made = path + NEW_SUFFIX;
  await fileSystem.remove(made);
  await using file = disposable(await fileSystem.open(made, "create"));
  await file.write([content], 0);
  await file.datasync();
  await fileSystem.rename(made, path);
  await fileSystem.syncFolder(folder);
}

/** The content, at most `bytesMax` of it, or undefined when there is no such file. */
export async function readSmallFile(
  fileSystem: FileSystem,
  path: string,
  bytesMax: number,
): Promise<Uint8Array | undefined> {
  let opened: VolumeFile;
  try {
    opened = await fileSystem.open(path, "read");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  }
  await using file = disposable(opened);
  const buffer = new Uint8Array(bytesMax);
  return buffer.subarray(0, await file.read(buffer, 0));
}

function disposable(file: VolumeFile): VolumeFile & AsyncDisposable {
  return Object.assign(file, { [Symbol.asyncDispose]: () => file.close() });
}
