/** How far a consumer of the catalog's changes has come. */
import { decodeRecord, encodeRecord } from "./codec.ts";

export interface Cursor {
  /** The last commit that it is done with. */
  readonly version: number;
}

const CURSOR_FORMAT = 1;

export function encodeCursor(cursor: Cursor): Buffer {
  return encodeRecord(CURSOR_FORMAT, [cursor.version]);
}

export function decodeCursor(value: Uint8Array): Cursor {
  const reader = decodeRecord("cursor", value, CURSOR_FORMAT);
  return { version: reader.int() };
}
