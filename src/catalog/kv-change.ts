/**
 * The bytes of a change, in a store's record of its changes and in the journal. Integers are big-endian and unsigned.
 *
 *     number of writes (4), then for each: bytes of the key (2), bytes of the value (4; FFFFFFFF: deleted), key, value
 */
import type { KvChange, KvRestored, KvWrite } from "./kv.ts";

const COUNT_BYTES = 4;
const LENGTHS_BYTES = 2 + 4;
const DELETED = 0xffff_ffff;

/** Bytes that `encodeWrites` makes of them. */
export function writesBytes(writes: readonly KvWrite[]): number {
  let bytes = COUNT_BYTES;
  for (const { key, value } of writes) bytes += LENGTHS_BYTES + key.length + (value?.length ?? 0);
  return bytes;
}

export function encodeWrites(writes: readonly KvWrite[]): Buffer {
  const out = Buffer.allocUnsafe(writesBytes(writes));
  let at = out.writeUInt32BE(writes.length, 0);
  for (const { key, value } of writes) {
    at = out.writeUInt16BE(key.length, at);
    at = out.writeUInt32BE(value === null ? DELETED : value.length, at);
    out.set(key, at);
    at += key.length;
    if (value === null) continue;
    out.set(value, at);
    at += value.length;
  }
  return out;
}

/** Keys and values share the memory of `bytes`. @throws RangeError when they are no whole change */
export function decodeWrites(bytes: Uint8Array): KvWrite[] {
  const from = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const writes: KvWrite[] = [];
  const count = from.readUInt32BE(0);
  let at = COUNT_BYTES;
  const take = (length: number): Buffer => {
    if (at + length > from.length) throw new RangeError("a change is cut off");
    at += length;
    return from.subarray(at - length, at);
  };
  for (let i = 0; i < count; i++) {
    const lengths = take(LENGTHS_BYTES);
    const [keyBytes, valueBytes] = [lengths.readUInt16BE(0), lengths.readUInt32BE(2)];
    const key = take(keyBytes);
    writes.push({ key, value: valueBytes === DELETED ? null : take(valueBytes) });
  }
  if (at !== from.length) throw new RangeError("there is something behind the end of a change");
  return writes;
}

/** What changes left behind, in their order, as another store takes it. */
export function restoredBy(changes: readonly KvChange[]): KvRestored[] {
  return changes.flatMap(({ version, writes }) => writes.map(({ key, value }) => ({ key, value, version })));
}
