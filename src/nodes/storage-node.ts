/**
 * The contract of a storage node: a place that keeps immutable blobs under keys that are never used twice. One
 * suite (test/contract/storage-node-contract.ts) runs unchanged against every driver.
 *
 * What it does NOT promise: that a failed or aborted `put` left nothing behind. Its bytes may be there, whole or in
 * part; the caller never refers to that key again and the orphan collector removes it.
 */
import type { Id } from "../shared/ids.ts";

/** Stored bytes are checked in blocks of this size, counted from the start of the blob. The last may be shorter. */
export const BLOCK_BYTES = 262_144;

/** `{session as 8 hex digits}/{32 random hex digits}`, fresh for every physical copy. */
export type CopyKey = string;

/** One block of a blob. Its chunks lie end to end; whoever receives them must not change them. */
export interface Block {
  readonly chunks: readonly Uint8Array[];
  /** Sum of the chunks' lengths: BLOCK_BYTES, less only in the last block of a blob. */
  readonly length: number;
  /** CRC32C (Castagnoli) of the block's bytes, unsigned. */
  readonly crc32c: number;
}

/** All that a node learns of a blob besides its bytes: no bucket, no key, no metadata. */
export interface BlobHeader {
  readonly clusterId: Id;
  readonly blobId: Id;
  /** The writer session of the gateway process that made the copy. */
  readonly session: number;
  /** Length of the blob in bytes, at least 1. */
  readonly length: number;
}

export interface PutRequest {
  readonly key: CopyKey;
  readonly header: BlobHeader;
  /** In order, adding up to `header.length`. An array can be sent again by a retry, an iterable cannot. */
  readonly blocks: readonly Block[] | AsyncIterable<Block>;
  readonly signal?: AbortSignal;
}

/** How the node proved that it holds the bytes that were sent. */
export type PutProof = "fsync" | "checksum" | "etag" | "read-back";

export interface PutReceipt {
  readonly proof: PutProof;
}

/** A half-open range of bytes of a blob. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export interface BlobStat {
  readonly key: CopyKey;
  readonly length: number;
  /** Absent where the driver would need one more request to tell (S3 listings). */
  readonly blobId?: Id;
  /** Only in the answer to `head`, of nodes whose copies others can read as objects (S3). */
  readonly served?: ServedAs;
}

/** What a node itself says of a copy to whoever reads it there. */
export interface ServedAs {
  /** Without quotes. */
  readonly etag: string;
  /** Last-Modified, by the node's clock. */
  readonly modifiedAtMs: number;
  /** Content-Encoding, where it sends one. */
  readonly contentEncoding?: string;
}

export interface ListRequest {
  /** Only copies of this session. */
  readonly session?: number;
  /** Only keys after this one. */
  readonly after?: CopyKey;
  /** At most this many, 1 to 1,000. */
  readonly limit: number;
}

export interface BlobPage {
  /** In key order. */
  readonly blobs: readonly BlobStat[];
  /** Set when there is more: the `after` of the next page. */
  readonly next?: CopyKey;
}

export interface Capacity {
  readonly totalBytes: number;
  readonly usedBytes: number;
  readonly freeBytes: number;
}

/** What lies on a node, beside what is this cluster's, that Bulkhead did not write. */
export interface ForeignReport {
  /** Up to FOREIGN_NAMES_MAX of them. A tree of theirs is one name: on S3 it ends in a slash. */
  readonly names: readonly string[];
  /** Names, up to FOREIGN_COUNT_MAX. */
  readonly count: number;
  /** Whether there may be more than were counted. */
  readonly more: boolean;
}

/** A check that a node must pass before it is admitted, and again daily. */
export interface ProbeFinding {
  /** Kebab-case name: `reach`, `access`, `versioning-off`, `no-lifecycle`, `no-lock`, `read-after-write`, `ranges`, ... */
  readonly check: string;
  readonly passed: boolean;
  /** Why it failed, for an operator. Holds no secret. */
  readonly reason?: string;
  /** What kind of failure it was, where the driver can tell. */
  readonly kind?: NodeErrorKind;
}

export type ProbeDepth =
  /** Answers quickly and leaves nothing behind: is the node there and may we use it? */
  | "reach"
  /** Changes nothing: can what it keeps be found? A page of its listing, or the superblocks of its volumes. */
  | "list"
  /** Writes, reads and deletes a canary. */
  | "canary"
  /** Everything that admission demands. */
  | "admission";

/**
 * A node as the gateway uses it. Every call may throw NodeError, and only that. A signal that aborts ends the call
 * with kind `aborted`.
 */
export interface StorageNode {
  /** The configured name, for logs and metrics. */
  readonly name: string;
  /** Resolves when the whole blob is durable on the node and proven to be what was sent. */
  put(request: PutRequest): Promise<PutReceipt>;
  /**
   * The bytes of a range, exactly; ends with an error if they are fewer. Not verified: the caller holds the checksums.
   * Resolves when the node has begun to answer. Leaving the iteration early releases what it holds.
   */
  get(key: CopyKey, range: ByteRange, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  /** `undefined` only when the node is certain that it holds no such blob. */
  head(key: CopyKey, signal?: AbortSignal): Promise<BlobStat | undefined>;
  /** Deleting what is not there succeeds. Resolves when the deletion is durable. */
  delete(key: CopyKey, signal?: AbortSignal): Promise<void>;
  list(request: ListRequest, signal?: AbortSignal): Promise<BlobPage>;
  /** `undefined` where the node cannot tell. */
  capacity(signal?: AbortSignal): Promise<Capacity | undefined>;
  /** Looks for what is not ours, and changes nothing. Costs a few listings, however much there is. */
  foreign(signal?: AbortSignal): Promise<ForeignReport>;
  probe(depth: ProbeDepth, signal?: AbortSignal): Promise<readonly ProbeFinding[]>;
  /** The identity document that Bulkhead left on the node, `undefined` when there is none. At most 4 KiB. */
  readIdentity(signal?: AbortSignal): Promise<Uint8Array | undefined>;
  /**
   * Leaves a document on a node that has none, or in the place of `over`; that it is there already is as good. A request
   * that was held up on its way then cannot undo what was written since.
   * @throws NodeError `refused` where the node holds any other
   */
  writeIdentity(document: Uint8Array, signal?: AbortSignal, over?: Uint8Array): Promise<void>;
  /** Ends work under way and releases files and connections. */
  close(): Promise<void>;
}

/**
 * - `not-found`: the node is certain that it has no such blob.
 * - `unreachable`: no connection, or it broke.
 * - `timeout`: it did not answer, or took no bytes, in time.
 * - `busy`: it asks to be left alone for a while (503, queue full, breaker open).
 * - `access-denied`: it refuses our credentials.
 * - `full`: it has no room. `read-only`: it takes no writes. `io`: its disk answers errors.
 * - `corrupt`: what it holds, or took, is not what was sent.
 * - `refused`: it is not the node we know (identity), or failed admission.
 * - `aborted`: the caller gave up.
 * - `invalid`: the call breaks the contract; a bug here.
 */
export type NodeErrorKind =
  | "not-found"
  | "unreachable"
  | "timeout"
  | "busy"
  | "access-denied"
  | "full"
  | "read-only"
  | "io"
  | "corrupt"
  | "refused"
  | "aborted"
  | "invalid";

const TEMPORARY: ReadonlySet<NodeErrorKind> = new Set(["unreachable", "timeout", "busy"]);

export class NodeError extends Error {
  readonly kind: NodeErrorKind;
  constructor(kind: NodeErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "NodeError";
    this.kind = kind;
  }
  /** Whether the same call may succeed a moment later without anybody doing anything. */
  get temporary(): boolean {
    return TEMPORARY.has(this.kind);
  }
}
