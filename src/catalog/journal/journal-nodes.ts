/**
 * The nodes as the journal sees them, and the few ways in which it uses them.
 */

import { JOURNAL_SESSION } from "../../nodes/copy-key.ts";
import { BLOCK_BYTES, type Block, type CopyKey, NodeError, type StorageNode } from "../../nodes/storage-node.ts";
import { crc32c } from "../../shared/crc32c.ts";
import type { Id } from "../../shared/ids.ts";
import { type JournalName, journalName } from "./journal-name.ts";

export interface JournalNode {
  readonly uuid: Id;
  readonly name: string;
  readonly domain: string;
  readonly node: StorageNode;
  /** Whether its domain is one of those that hold a copy of everything. */
  readonly active: boolean;
  takesWrites(): boolean;
  servesReads(): boolean;
  /** Whether what was on it is gone for good. */
  lost(): boolean;
}

/** To be asked only once the journal was started. */
export interface JournalCluster {
  readonly clusterId: Id;
  nodes(): readonly JournalNode[];
  /** The domains that hold a copy of everything. */
  domains(): readonly string[];
  /** Domains in which a piece must be durable. */
  quorum(): number;
  /** Whether fewer will do while the others have no node that takes it. */
  degraded(): boolean;
}

/** A piece as a node lists it. */
export interface HeldPiece {
  readonly key: CopyKey;
  readonly name: JournalName;
  readonly bytes: number;
}

const LIST_PAGE = 1_000;
/** No piece is longer: what a node says of one is not believed beyond. */
export const PIECE_BYTES_MAX = 256 * 1024 * 1024;

/** All pieces of the journal on a node. @throws NodeError */
export async function listPieces(node: StorageNode, signal?: AbortSignal): Promise<HeldPiece[]> {
  const pieces: HeldPiece[] = [];
  let after: CopyKey | undefined;
  do {
    const request = { session: JOURNAL_SESSION, limit: LIST_PAGE };
    const page = await node.list(after === undefined ? request : { ...request, after }, signal);
    for (const { key, length } of page.blobs) {
      const name = journalName(key);
      if (name !== undefined) pieces.push({ key, name, bytes: length });
    }
    after = page.next;
  } while (after !== undefined);
  return pieces;
}

/** The bytes of a piece. @throws NodeError */
export async function readPiece(node: StorageNode, piece: HeldPiece, signal?: AbortSignal): Promise<Buffer> {
  if (piece.bytes > PIECE_BYTES_MAX) throw new NodeError("corrupt", "a piece of the journal is too long to be one");
  const chunks: Uint8Array[] = [];
  for await (const chunk of await node.get(piece.key, { start: 0, end: piece.bytes }, signal)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Resolves when the piece is durable on the node. @throws NodeError */
export async function writePiece(
  node: StorageNode,
  { key, clusterId, bytes }: { readonly key: CopyKey; readonly clusterId: Id; readonly bytes: Buffer },
): Promise<void> {
  const header = { clusterId, blobId: blobIdOf(key), session: JOURNAL_SESSION, length: bytes.length };
  await node.put({ key, header, blocks: blocksOf(bytes) });
}

/** Nodes want a blob id; a piece of the journal is no blob of the catalog's, so what is unique in its key serves. */
function blobIdOf(key: CopyKey): Id {
  return key.slice(key.indexOf("/") + 1);
}

function blocksOf(bytes: Buffer): Block[] {
  const blocks: Block[] = [];
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
    const block = bytes.subarray(at, at + BLOCK_BYTES);
    blocks.push({ chunks: [block], length: block.length, crc32c: crc32c(block) });
  }
  return blocks;
}
