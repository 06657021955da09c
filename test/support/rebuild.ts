/** `bulkhead catalog rebuild`, run as an operator runs it. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryFolder } from "./files.ts";
import { BULKHEAD } from "./gateway.ts";
import { type Output, runProgram } from "./programs.ts";

export interface RebuildRun {
  readonly config: object;
  readonly dataDir: string;
  /** Besides --config and --json. */
  readonly options?: readonly string[];
}

/** What the command prints, as far as the tests read it. */
export interface RebuildReport {
  readonly version: number;
  readonly last_written_at: string | null;
  readonly snapshot_base: number | null;
  readonly gap_until: number | null;
  readonly unseen: readonly { readonly node: string }[];
  readonly bad_pieces: readonly string[];
}

/** Runs it, whatever comes of it. */
export async function runRebuild({ config, dataDir, options = [] }: RebuildRun): Promise<Output> {
  await using folder = await temporaryFolder();
  const file = join(folder.path, "bulkhead.yaml");
  await writeFile(file, JSON.stringify(config));
  const settings = Object.keys(process.env).filter((name) => name.startsWith("BULKHEAD_"));
  const unset = settings.flatMap((name) => ["-u", name]);
  const command = ["sh", BULKHEAD, "catalog", "rebuild", "--config", file, "--json", ...options];
  return await runProgram("env", [...unset, `BULKHEAD_DATA_DIR=${dataDir}`, ...command]);
}

/** Runs it to success. */
export async function rebuildCatalog(run: RebuildRun): Promise<RebuildReport> {
  const { code, stdout, stderr } = await runRebuild(run);
  if (code !== 0) throw new Error(`the rebuild ended with ${code}:\n${stderr}`);
  return JSON.parse(stdout) as RebuildReport;
}
