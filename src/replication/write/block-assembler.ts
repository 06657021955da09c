import { BLOCK_BYTES, type Block } from "../../nodes/storage-node.ts";
import { crc32c } from "../../shared/crc32c.ts";

/**
 * Cuts a stream into blocks and computes the CRC32C of each, the only pass over the bytes that checksums of stored
 * data ever need. Chunks are passed on as they came, cut where a block ends.
 */
export async function* assembleBlocks(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Block, void, undefined> {
  let chunks: Uint8Array[] = [];
  let length = 0;
  let crc = 0;
  for await (let chunk of bytes) {
    while (chunk.length > 0) {
      const piece = chunk.length > BLOCK_BYTES - length ? chunk.subarray(0, BLOCK_BYTES - length) : chunk;
      chunks.push(piece);
      length += piece.length;
      crc = crc32c(piece, crc);
      chunk = chunk.subarray(piece.length);
      if (length === BLOCK_BYTES) {
        yield { chunks, length, crc32c: crc };
        chunks = [];
        length = 0;
        crc = 0;
      }
    }
  }
  if (length > 0) yield { chunks, length, crc32c: crc };
}

/** The CRC32C of each block as the catalog keeps them: four bytes each, big-endian. */
export function packCrcs(crcs: readonly number[]): Buffer {
  const packed = Buffer.allocUnsafe(4 * crcs.length);
  crcs.forEach((crc, index) => {
    packed.writeUInt32BE(crc, 4 * index);
  });
  return packed;
}
