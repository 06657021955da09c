import { mkdir } from "node:fs/promises";
import { findProgram, runProgram, succeed } from "./programs.ts";

export interface SmallDiskOptions {
  readonly mebibytes: number;
  readonly readOnly?: boolean;
}

/**
 * Mounts a disk of its own, of memory, at a folder for the length of a scope. Without the rights for that it tells the
 * test, which is then skipped, and returns undefined.
 */
export async function smallDisk(
  path: string,
  { mebibytes, readOnly = false }: SmallDiskOptions,
  test: { skip(message: string): void },
): Promise<AsyncDisposable | undefined> {
  if (process.getuid?.() !== 0 || findProgram("mount") === undefined) {
    test.skip("only root mounts a disk");
    return undefined;
  }
  await mkdir(path, { recursive: true });
  const options = `size=${mebibytes}m,${readOnly ? "ro" : "rw"}`;
  const { code, stderr } = await runProgram("mount", ["-t", "tmpfs", "-o", options, "tmpfs", path]);
  if (code !== 0) {
    test.skip(`no disk can be mounted: ${stderr.trim()}`);
    return undefined;
  }
  return { [Symbol.asyncDispose]: async () => void (await succeed("umount", ["--lazy", path])) };
}
