/** The blocks of a blob: where they lie, and what their checksums must be. */
import type { Blob } from "../../catalog/records/blob.ts";
import { BLOCK_BYTES, type ByteRange } from "../../nodes/storage-node.ts";

/** The bytes of the blob that its block `index` holds. */
export function blockRange(blob: Blob, index: number): ByteRange {
  const start = index * BLOCK_BYTES;
  return { start, end: Math.min(start + BLOCK_BYTES, blob.length) };
}

/** The CRC32C that block `index` must have; `undefined` when the record has none for it. */
export function expectedCrc(blob: Blob, index: number): number | undefined {
  const { buffer, byteOffset, byteLength } = blob.blockCrcs;
  if ((index + 1) * 4 > byteLength) return undefined;
  return new DataView(buffer, byteOffset, byteLength).getUint32(index * 4);
}
