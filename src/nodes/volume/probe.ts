import { join } from "node:path";
import { systemErrorCode, toError } from "../../shared/errors.ts";
import { NodeError, type ProbeDepth, type ProbeFinding } from "../storage-node.ts";
import type { FileSystem } from "./file-system.ts";
import { DATA_START, decodeSuperblock, SUPERBLOCK_BYTES, SUPERBLOCK_OFFSETS } from "./layout.ts";
import { readSmallFile, writeSmallFile } from "./small-files.ts";
import { toNodeError } from "./volume-errors.ts";
import { VOLUME_NAME } from "./volume-set.ts";

export interface ProbeRequest {
  readonly fileSystem: FileSystem;
  readonly path: string;
  readonly depth: ProbeDepth;
  /** Volume files that could not be read when the node was opened. */
  readonly unreadable: readonly string[];
}

export const CANARY_FILE = "canary";
const CANARY = Buffer.from("bulkhead canary");

/** The canary is a file of its own: a blob would leave a tombstone behind with every probe. */
export async function probeFolder({ fileSystem, path, depth, unreadable }: ProbeRequest): Promise<ProbeFinding[]> {
  const findings = [await check("reach", () => fileSystem.space(path))];
  if (depth === "reach") return findings;
  if (depth === "list") return [...findings, await check("list", () => readSuperblocks(fileSystem, path))];
  findings.push(
    await check("read-after-write", async () => {
      await writeSmallFile(fileSystem, path, CANARY_FILE, CANARY);
      const read = await readSmallFile(fileSystem, join(path, CANARY_FILE), 2 * CANARY.length);
      await fileSystem.remove(join(path, CANARY_FILE));
      if (read === undefined || !CANARY.equals(read))
        throw new NodeError("corrupt", "the disk returned other bytes than were written");
    }),
  );
  if (depth === "admission") {
    findings.push(
      await check("volumes-readable", async () => {
        if (unreadable.length > 0)
          throw new NodeError("corrupt", `these volumes cannot be read: ${unreadable.join(", ")}`);
      }),
    );
  }
  return findings;
}

async function check(name: string, work: () => Promise<unknown>): Promise<ProbeFinding> {
  try {
    await work();
    return { check: name, passed: true };
  } catch (error) {
    const code = systemErrorCode(error);
    const { kind } = toNodeError(error, name);
    return { check: name, passed: false, reason: code ?? toError(error).message, kind };
  }
}

/** Volumes looked at by one probe: drawn from the end, where the newest are. */
const VOLUMES_MAX = 64;

/** Whether the newest volumes can be told for what they are. What lies in them is for the scrub. */
async function readSuperblocks(fileSystem: FileSystem, path: string): Promise<void> {
  const names = (await fileSystem.list(path)).filter((name) => VOLUME_NAME.test(name)).sort();
  for (const name of names.slice(-VOLUMES_MAX)) {
    const bytes = new Uint8Array(DATA_START);
    try {
      const file = await fileSystem.open(join(path, name), "read");
      try {
        await file.read(bytes, 0);
      } finally {
        await file.close();
      }
    } catch (error) {
      // Compaction has removed it meanwhile.
      if (systemErrorCode(error) === "ENOENT") continue;
      throw error;
    }
    const whole = SUPERBLOCK_OFFSETS.some(
      (at) => decodeSuperblock(bytes.subarray(at, at + SUPERBLOCK_BYTES)) !== undefined,
    );
    if (!whole) throw new NodeError("corrupt", `neither superblock of volume ${name} is whole`);
  }
}
