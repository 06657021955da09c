/** Looks into, and damages, the files of a volume node behind its back. */
import assert from "node:assert/strict";
import { open, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { copyKeyBytes } from "../../src/nodes/copy-key.ts";
import type { CopyKey } from "../../src/nodes/storage-node.ts";
import { HEADER_BYTES } from "../../src/nodes/volume/layout.ts";

/** Where the key lies in a record header. */
const KEY_AT = 44;

export async function volumeFiles(nodePath: string): Promise<string[]> {
  const names = await readdir(join(nodePath, "volumes"));
  return names.sort().map((name) => join(nodePath, "volumes", name));
}

export interface BlobPlace {
  readonly file: string;
  /** Of the first byte of the blob. */
  readonly offset: number;
}

/** Finds a blob by the key in its record's header. */
export async function findBlob(nodePath: string, key: CopyKey): Promise<BlobPlace> {
  for (const file of await volumeFiles(nodePath)) {
    const at = (await readFile(file)).indexOf(copyKeyBytes(key));
    if (at !== -1) return { file, offset: at - KEY_AT + HEADER_BYTES };
  }
  assert.fail("no volume holds the key");
}

export async function flipByte(file: string, offset: number): Promise<void> {
  await using handle = await open(file, "r+");
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, offset);
  byte[0] = (byte[0] ?? 0) ^ 0x40;
  await handle.write(byte, 0, 1, offset);
}
