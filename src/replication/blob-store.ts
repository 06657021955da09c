/**
 * Blobs as the layer above uses them: write one, enter it in a commit, read it, give it up.
 */
import type { BlobHome } from "../catalog/blobs.ts";
import { enterCopies } from "../catalog/blobs.ts";
import { nodeKey } from "../catalog/keys.ts";
import type { KvAtomic } from "../catalog/kv.ts";
import type { Blob } from "../catalog/records/blob.ts";
import type { Members } from "../cluster/members.ts";
import type { ByteRange } from "../nodes/storage-node.ts";
import type { Clock } from "../shared/clock.ts";
import type { BlobReader } from "./read/blob-reader.ts";
import type { SlotLedger } from "./slot-ledger.ts";
import {
  type Acknowledgement,
  NotEnoughCopiesError,
  type WriteDeps,
  type WrittenBlob,
} from "./write/blob-write-types.ts";
import { writeBlob } from "./write/blob-writer.ts";
import { renewBlob } from "./write/renew-blob.ts";
import { followStragglers } from "./write/stragglers.ts";

/** No entry has it: a copy on a node that is gone is in no commit. */
const NO_VERSION = 0;

export interface BlobStore {
  /**
   * Writes `length` bytes, at least 1. Whoever gets the result owes it either `committed` or `discard`.
   * @throws NotEnoughCopiesError, or what `bytes` throws; nothing is left to do then
   */
  write(bytes: AsyncIterable<Uint8Array>, length: number, signal?: AbortSignal): Promise<WrittenBlob>;
  /**
   * To be asked before a blob is entered: the blob as it can be entered under the topology of now, which is another one
   * where its nodes are gone. What is given up of it is discarded.
   * @throws NotEnoughCopiesError; the blob is as it was then
   */
  renew(written: WrittenBlob, signal?: AbortSignal): Promise<WrittenBlob>;
  /**
   * Enters the copies of a written blob in the commit that makes it live, which fails when one of its nodes has
   * stopped accepting writes since. The blob's record itself is the caller's to write.
   */
  enter(atomic: KvAtomic, written: WrittenBlob, home: BlobHome): void;
  /** The record of a node was another one in the commit than was known here: it is read again. @throws CatalogError */
  refreshNodes(): Promise<void>;
  /** The commit succeeded: copies that are still under way are added to the record when they arrive. */
  committed(written: WrittenBlob, home: BlobHome): void;
  /** The blob will not be referred to. */
  discard(written: WrittenBlob): void;
  /** Bytes of a blob, verified. @throws BlobUnavailableError while iterating */
  read(blob: Blob, range: ByteRange, signal?: AbortSignal): AsyncIterable<Uint8Array>;
}

export function createBlobStore(deps: {
  readonly write: WriteDeps;
  readonly members: () => Members;
  readonly reader: BlobReader;
  readonly ledger: SlotLedger;
  readonly clock: Clock;
  /** Told when a copy that was expected did not arrive. */
  readonly wakeRepair: () => void;
  readonly refreshNodes: () => Promise<void>;
  /** Told how each write ended: its class, or `no` when too few nodes took it. */
  readonly onDecided: (outcome: Acknowledgement | "no") => void;
}): BlobStore {
  const { members, reader, clock } = deps;
  const { stragglerTimeoutMs } = deps.write.limits;
  return {
    async write(bytes, length, signal) {
      try {
        const written = await writeBlob(deps.write, { bytes, length, ...(signal && { signal }) });
        deps.onDecided(written.acknowledged);
        return written;
      } catch (error) {
        if (error instanceof NotEnoughCopiesError) deps.onDecided("no");
        throw error;
      }
    },
    renew: (written, signal) => renewBlob(deps.write, written, signal),
    enter(atomic, written, home) {
      for (const { location } of written.blob.slots) {
        const generation = location && members().get(location.nodeUuid)?.spec.writeGeneration;
        if (location !== undefined) atomic.check(nodeKey(location.nodeUuid), generation ?? NO_VERSION);
      }
      const nowMs = clock.nowMs();
      const notBeforeMs = written.stragglers.length > 0 ? nowMs + stragglerTimeoutMs : nowMs;
      enterCopies(atomic, written.blob, home, { nowMs, notBeforeMs });
    },
    refreshNodes: () => deps.refreshNodes(),
    committed(written, home) {
      followStragglers({ ...deps, timeoutMs: stragglerTimeoutMs, discard: deps.write.discard }, written, home);
      if (written.stragglers.length === 0 && written.acknowledged !== "full") deps.wakeRepair();
    },
    discard(written) {
      for (const { nodeUuid, key, done, abort } of written.stragglers) {
        abort();
        void done.then((arrived) => {
          if (arrived) deps.write.discard(written.blob.blobId, [{ nodeUuid, key }]);
        });
      }
      deps.write.discard(
        written.blob.blobId,
        written.blob.slots.flatMap(({ location }) => (location === undefined ? [] : [location])),
      );
    },
    read: (blob, range, signal) => reader.read(blob, range, signal),
  };
}
