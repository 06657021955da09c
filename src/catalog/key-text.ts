import type { KvKey } from "./kv.ts";

/** A key as text, to be kept in maps: one character a byte, so that texts compare as the keys do. */
export function keyText(key: KvKey): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}
