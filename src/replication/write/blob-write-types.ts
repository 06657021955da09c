/**
 * What the writing of a blob needs and what comes of it.
 */
import type { Blob, Location } from "../../catalog/records/blob.ts";
import type { Members } from "../../cluster/members.ts";
import type { Block, CopyKey, NodeError } from "../../nodes/storage-node.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Id, IdSource } from "../../shared/ids.ts";
import type { Random } from "../../shared/random.ts";
import type { BlobReader } from "../read/blob-reader.ts";

export interface WriteLimits {
  /** Bodies up to this are held in memory and handed to every node whole; longer ones are streamed. */
  readonly bufferBytes: number;
  /** A streamed target whose buffer is full for this long no longer holds the others up, where the quorum allows it. */
  readonly lagTimeoutMs: number;
  /** How long copies may still arrive after the acknowledgement. */
  readonly stragglerTimeoutMs: number;
}

export interface WriteDeps {
  readonly members: () => Members;
  readonly reader: BlobReader;
  readonly clusterId: Id;
  readonly session: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly ids: IdSource;
  readonly limits: WriteLimits;
  /** Takes over copies that nothing will ever refer to; they may or may not be on their node. */
  readonly discard: (blobId: Id, copies: readonly Location[]) => void;
}

export type Acknowledgement = "full" | "quorum" | "degraded";

/** Too few nodes took the blob. Nothing that was written will be referred to. */
export class NotEnoughCopiesError extends Error {
  readonly causes: readonly NodeError[];
  constructor(causes: readonly NodeError[]) {
    super("too few nodes accepted the data");
    this.name = "NotEnoughCopiesError";
    this.causes = causes;
  }
}

/** A copy that was still being written when the write was acknowledged. */
export interface Straggler {
  readonly slot: number;
  readonly nodeUuid: Id;
  readonly key: CopyKey;
  /** Resolves to whether the copy became durable. Never rejects. */
  readonly done: Promise<boolean>;
  /** Gives it up. */
  abort(): void;
}

export interface WrittenBlob {
  /** As far as it is durable now: slots without a copy are `missing`. */
  readonly blob: Blob;
  readonly acknowledged: Acknowledgement;
  readonly stragglers: readonly Straggler[];
  /** Its bytes, where they were short enough to be held: it can be written again. Let go of with the commit. */
  readonly held?: readonly Block[];
}
