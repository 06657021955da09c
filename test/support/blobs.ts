/** Blobs for tests: reproducible bytes, cut in blocks as the gateway hands them to a node. */

import { BLOCK_BYTES, type BlobHeader, type Block, type CopyKey } from "../../src/nodes/storage-node.ts";
import { crc32c } from "../../src/shared/crc32c.ts";
import type { Random } from "../../src/shared/random.ts";

/** `length` bytes that depend on the seed and repeat nowhere nearby. */
export function patternBytes(length: number, seed: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = (seed * 2 + 1) >>> 0;
  for (let i = 0; i < words.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    words[i] = state ^ (state >>> 15);
  }
  return new Uint8Array(words.buffer, 0, length);
}

/** One block of the given chunks with its true checksum. */
export function blockOf(...chunks: Uint8Array[]): Block {
  let length = 0;
  let crc = 0;
  for (const chunk of chunks) {
    length += chunk.length;
    crc = crc32c(chunk, crc);
  }
  return { chunks, length, crc32c: crc };
}

/** The bytes as blocks; each block as several chunks of uneven length, as bodies arrive from a socket. */
export function blocksOf(bytes: Uint8Array): Block[] {
  const blocks: Block[] = [];
  for (let start = 0; start < bytes.length; start += BLOCK_BYTES) {
    const block = bytes.subarray(start, start + BLOCK_BYTES);
    const chunks: Uint8Array[] = [];
    for (let at = 0, size = 1; at < block.length; at += size, size = size * 7 + 1) {
      chunks.push(block.subarray(at, at + size));
    }
    blocks.push(blockOf(...chunks));
  }
  return blocks;
}

/** Yields the items, each in a later turn of the event loop. */
export async function* streamOf<T>(items: Iterable<T>): AsyncGenerator<T, void, undefined> {
  for (const item of items) {
    await new Promise((resolve) => setImmediate(resolve));
    yield item;
  }
}

/** A fresh key of the session. */
export function copyKey(session: number, random: Random): CopyKey {
  return `${session.toString(16).padStart(8, "0")}/${Buffer.from(random.bytes(16)).toString("hex")}`;
}

/** The session of a key. */
export function sessionOf(key: CopyKey): number {
  return Number.parseInt(key.slice(0, 8), 16);
}

/** A header for a copy of the key's session; the blob id is drawn. */
export function headerFor(key: CopyKey, length: number, random: Random, clusterId: string): BlobHeader {
  return { clusterId, blobId: Buffer.from(random.bytes(16)).toString("hex"), session: sessionOf(key), length };
}

/** All chunks in one, kept apart until the end so that a driver that reuses its buffers is found out. */
export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}
