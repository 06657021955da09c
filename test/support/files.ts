import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

const PIECE_BYTES = 2 ** 20;

/** A folder for the length of a scope. */
export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "bulkhead-test-"));
  return {
    path,
    [Symbol.asyncDispose]: async () => rm(path, { recursive: true, force: true }),
  };
}

/** Bytes that look random and are always the same for a seed, so that a misplaced piece is noticed. */
export function patternBytes(length: number, seed: number): Buffer {
  const words = new Int32Array(Math.ceil(length / 4));
  let state = Math.imul(seed + 1, 0x9e3779b9) | 1;
  for (let index = 0; index < words.length; index++) {
    // xorshift32: gigabytes of it do not hold a test up.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return Buffer.from(words.buffer, 0, length);
}

/** Writes a file of `length` bytes, every MiB of it another pattern, and returns its SHA-256 in hex. */
export async function writePatternFile(path: string, length: number): Promise<string> {
  const hash = createHash("sha256");
  await using file = await open(path, "w");
  for (let offset = 0, piece = 1; offset < length; offset += PIECE_BYTES, piece++) {
    const bytes = patternBytes(Math.min(PIECE_BYTES, length - offset), piece);
    hash.update(bytes);
    await file.write(bytes);
  }
  return hash.digest("hex");
}

export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

/** A tree of small files whose names are what people's are: nested, with spaces, signs and other alphabets. */
export async function writeTree(root: string, count: number): Promise<void> {
  const folders = ["plain", "with space", "a+b & c=d", "日本語/Ünïcode", "deep/er/and/deeper"];
  for (const folder of folders) await mkdir(join(root, folder), { recursive: true });
  for (let index = 0; index < count; index++) {
    const folder = folders[index % folders.length] ?? "plain";
    const file = join(root, folder, `file ${String(index).padStart(5, "0")}.txt`);
    await writeFile(file, patternBytes(index % 2000, index));
  }
}
