import type { Blob } from "../catalog/records/blob.ts";
import { type CopyKey, NodeError, type StorageNode } from "../nodes/storage-node.ts";
import { expectedCrc } from "./read/blob-blocks.ts";
import { assembleBlocks } from "./write/block-assembler.ts";

/**
 * - `good`: every block is there and right.
 * - `corrupt`: its bytes are not those that were written, or not as many.
 * - `lost`: the node is certain to hold no such blob.
 */
export type CopyVerdict = "good" | "corrupt" | "lost";

/**
 * Reads a copy whole and checks every block. Waits as long as the node's own time limits let it.
 *
 * @throws NodeError when the node could not be asked or did not answer to the end: nothing is known of the copy then.
 */
export async function verifyCopy(
  node: Pick<StorageNode, "get">,
  blob: Blob,
  { key, signal }: { readonly key: CopyKey; readonly signal?: AbortSignal },
): Promise<CopyVerdict> {
  let length = 0;
  let blocks = 0;
  try {
    for await (const block of assembleBlocks(await node.get(key, { start: 0, end: blob.length }, signal))) {
      if (block.crc32c !== expectedCrc(blob, blocks)) return "corrupt";
      length += block.length;
      blocks += 1;
    }
  } catch (error) {
    if (error instanceof NodeError && error.kind === "not-found") return "lost";
    if (error instanceof NodeError && error.kind === "corrupt") return "corrupt";
    throw error;
  }
  return length === blob.length ? "good" : "corrupt";
}
