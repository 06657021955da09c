import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { systemErrorCode } from "../../shared/errors.ts";
import { NodeError } from "../storage-node.ts";
import { toNodeError } from "./volume-errors.ts";
import { IDENTITY_FILE } from "./volume-node.ts";

/**
 * Makes sure that the folder of a node that was used before still is that node's, before anything is created in it.
 * @throws NodeError `not-found` when it carries no identity
 */
export async function requireVolumeIdentity(path: string): Promise<void> {
  try {
    await access(join(path, IDENTITY_FILE));
  } catch (error) {
    const code = systemErrorCode(error);
    if (code !== "ENOENT" && code !== "ENOTDIR") throw toNodeError(error, `the folder ${path} cannot be read`);
    throw new NodeError("not-found", `the folder ${path} carries no identity: its disk is empty, or not mounted`);
  }
}

/**
 * The identity document in the folder of a node, read without opening the node; undefined when there is none.
 * @throws NodeError
 */
export async function readVolumeIdentity(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(join(path, IDENTITY_FILE));
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw toNodeError(error, `the folder ${path} cannot be read`);
  }
}
