/** Makes one more copy of a blob, on a node, from whichever of its copies can be read. */
import type { Catalog } from "../catalog/catalog.ts";
import type { Blob, Location } from "../catalog/records/blob.ts";
import type { Member } from "../cluster/members.ts";
import { newCopyKey } from "../nodes/copy-key.ts";
import type { Block } from "../nodes/storage-node.ts";
import type { Id } from "../shared/ids.ts";
import type { Random } from "../shared/random.ts";
import type { BlobReader } from "./read/blob-reader.ts";
import { assembleBlocks } from "./write/block-assembler.ts";

export interface CopyBlobDeps {
  readonly catalog: Pick<Catalog, "session" | "clusterId">;
  readonly reader: BlobReader;
  readonly discard: (blobId: Id, copies: readonly Location[]) => void;
  readonly random: Random;
}

export interface CopyBlobOptions {
  readonly signal: AbortSignal;
  /** What the blocks go through on their way; nothing when absent. */
  readonly through?: (blocks: AsyncIterable<Block>) => AsyncIterable<Block>;
  /** Looks at the copy that was made; what it throws undoes the copy. */
  readonly check?: (location: Location) => Promise<void>;
}

/**
 * @returns where the copy is; no record points to it yet
 * @throws NodeError, BlobUnavailableError, what `check` throws; nothing is left of the copy then
 */
export async function copyBlob(
  { catalog, reader, discard, random }: CopyBlobDeps,
  blob: Blob,
  target: Member,
  { signal, through = (blocks) => blocks, check }: CopyBlobOptions,
): Promise<Location> {
  const { session, clusterId } = catalog;
  const location = { nodeUuid: target.spec.uuid, key: newCopyKey(session, random) };
  try {
    await target.node.put({
      key: location.key,
      header: { clusterId, blobId: blob.blobId, session, length: blob.length },
      blocks: through(assembleBlocks(reader.read(blob, { start: 0, end: blob.length }, signal))),
      signal,
    });
    await check?.(location);
    return location;
  } catch (error) {
    discard(blob.blobId, [location]);
    throw error;
  }
}
