import { join } from "node:path";
import { systemErrorCode, toError } from "../../shared/errors.ts";
import type { ProbeDepth, ProbeFinding } from "../storage-node.ts";
import type { FileSystem } from "./file-system.ts";
import { readSmallFile, writeSmallFile } from "./small-files.ts";

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
  findings.push(
    await check("read-after-write", async () => {
      await writeSmallFile(fileSystem, path, CANARY_FILE, CANARY);
      const read = await readSmallFile(fileSystem, join(path, CANARY_FILE), 2 * CANARY.length);
      await fileSystem.remove(join(path, CANARY_FILE));
      if (read === undefined || !CANARY.equals(read))
        throw new Error("the disk returned other bytes than were written");
    }),
  );
  if (depth === "admission") {
    findings.push(
      await check("volumes-readable", async () => {
        if (unreadable.length > 0) throw new Error(`these volumes cannot be read: ${unreadable.join(", ")}`);
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
    return { check: name, passed: false, reason: code ?? toError(error).message };
  }
}
