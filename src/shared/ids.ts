import type { Clock } from "./clock.ts";
import type { Random } from "./random.ts";

/** Bytes of every id: 6 of time, 10 of randomness. */
export const ID_BYTES = 16;

/**
 * An id of 16 bytes as 32 hexadecimal digits. The first six bytes are the wall clock's milliseconds, so that
 * ids made near each other lie near each other in the catalog's B-tree; nothing relies on that order.
 */
export type Id = string;

export interface IdSource {
  next(): Id;
}

export function idSource(clock: Clock, random: Random): IdSource {
  return {
    next() {
      const id = Buffer.allocUnsafe(ID_BYTES);
      id.writeUIntBE(clock.nowMs(), 0, 6);
      id.set(random.bytes(ID_BYTES - 6), 6);
      return id.toString("hex");
    },
  };
}

/** The 16 bytes of an id. */
export function idBytes(id: Id): Buffer {
  return Buffer.from(id, "hex");
}

/** The id of 16 bytes. */
export function idFromBytes(bytes: Uint8Array): Id {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}

/** Whether `text` has the form of an id. */
export function isId(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}
