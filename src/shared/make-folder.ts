import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { systemErrorCode } from "./errors.ts";

/**
 * Makes a folder, and those above it that are missing. Unlike Node.js's recursive `mkdir` it says why a folder cannot be
 * made (that answers ENOENT on a read-only file system) and always ends (that spins under /proc).
 * @throws the system's error
 */
export async function makeFolder(path: string, mode: number): Promise<void> {
  try {
    await mkdir(path, mode);
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === "EEXIST") return;
    const above = dirname(path);
    if (code !== "ENOENT" || above === path) throw error;
    await makeFolder(above, mode);
    await mkdir(path, mode);
  }
}
