import { join, relative, resolve, sep } from "node:path";
import { foreignReport } from "../foreign-report.ts";
import type { ForeignReport } from "../storage-node.ts";
import type { FileSystem } from "./file-system.ts";
import { VOLUMES_FOLDER } from "./find-volumes.ts";
import { LMDB_FILES } from "./lmdb-index-store.ts";
import { CANARY_FILE } from "./probe.ts";
import { NEW_SUFFIX } from "./small-files.ts";
import { isUnfinishedVolume, VOLUME_NAME } from "./volume-set.ts";

/** Made by the file system at the top of a disk. */
const LOST_AND_FOUND = "lost+found";

export interface ForeignFilesRequest {
  readonly fileSystem: FileSystem;
  readonly path: string;
  readonly indexPath: string;
  readonly identityFile: string;
}

/**
 * Files and folders in a node's folder that Bulkhead did not write, by their names in it. They are only ever looked for:
 * nothing deletes them (I11). A folder of theirs is one name.
 * @throws what the file system throws
 */
export async function findForeignFiles(request: ForeignFilesRequest): Promise<ForeignReport> {
  const { fileSystem, path, indexPath, identityFile } = request;
  const indexName = relative(resolve(path), resolve(indexPath));
  const indexIsWithin = indexName !== "" && indexName !== ".." && !indexName.startsWith(`..${sep}`);
  const files = [identityFile, CANARY_FILE];
  const ours = new Set([VOLUMES_FOLDER, LOST_AND_FOUND, ...files, ...files.map((name) => name + NEW_SUFFIX)]);
  const [indexTop] = indexName.split(sep);
  if (indexIsWithin && indexTop !== undefined) ours.add(indexTop);
  // An index that lies in the node's own folder: its files are there beside the volumes.
  if (indexName === "") for (const file of LMDB_FILES) ours.add(file);

  const found = (await fileSystem.list(path)).filter((name) => !ours.has(name));
  for (const name of await fileSystem.list(join(path, VOLUMES_FOLDER))) {
    if (!VOLUME_NAME.test(name) && !isUnfinishedVolume(name)) found.push(join(VOLUMES_FOLDER, name));
  }
  return foreignReport(found.sort(), false);
}
