import { open, readdir } from "node:fs/promises";
import { join } from "node:path";

const SEARCH_PIECE_BYTES = 4 * 2 ** 20;

/** Flips one bit of `needle`'s first byte wherever it lies in the files below a folder; returns in how many places. */
export async function flipOnDisk(folder: string, needle: Buffer): Promise<number> {
  let flipped = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    await using file = await open(join(entry.parentPath, entry.name), "r+");
    const { size } = await file.stat();
    for (let start = 0; start < size; start += SEARCH_PIECE_BYTES) {
      const piece = Buffer.alloc(Math.min(SEARCH_PIECE_BYTES + needle.length, size - start));
      await file.read(piece, 0, piece.length, start);
      const at = piece.indexOf(needle);
      if (at < 0) continue;
      await file.write(Buffer.of((needle[0] ?? 0) ^ 1), 0, 1, start + at);
      await file.sync();
      flipped++;
    }
  }
  return flipped;
}
