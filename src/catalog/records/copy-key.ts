import type { CopyKey } from "../../nodes/storage-node.ts";
import type { Random } from "../../shared/random.ts";

const SESSION_BYTES = 4;
const RANDOM_BYTES = 16;
export const SESSION_MAX = 0xffff_ffff;

/** The writer session that a copy's key carries. */
export function sessionOfCopyKey(key: CopyKey): number {
  return Number.parseInt(key.slice(0, 2 * SESSION_BYTES), 16);
}

/** A fresh key for one physical copy, never used before or after. */
export function newCopyKey(session: number, random: Random): CopyKey {
  const bytes = Buffer.allocUnsafe(SESSION_BYTES + RANDOM_BYTES);
  bytes.writeUInt32BE(session);
  bytes.set(random.bytes(RANDOM_BYTES), SESSION_BYTES);
  return copyKeyFromBytes(bytes);
}

/** The 20 bytes of a copy key: session as unsigned 32-bit big-endian, then the 16 random ones. */
export function copyKeyBytes(key: CopyKey): Buffer {
  const session = 2 * SESSION_BYTES;
  return Buffer.from(key.slice(0, session) + key.slice(session + 1), "hex");
}

export function copyKeyFromBytes(bytes: Uint8Array): CopyKey {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
  const session = 2 * SESSION_BYTES;
  return `${hex.slice(0, session)}/${hex.slice(session)}`;
}
