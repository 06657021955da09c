/**
 * Catalog keys as tuples, packed so that the order of the bytes is the order of the tuples (element by element;
 * a tuple sorts before the tuples that it begins). After FoundationDB's tuple layer, with one change: strings.
 *
 * - bytes: 0x01, the bytes with 0x00 written as 0x00 0xFF, 0x00
 * - string: 0x02, its UTF-8 bytes each plus one, 0x00. UTF-8 has no byte above 0xF4, so nothing needs an escape
 *   and an S3 key of 1,024 bytes packs to 1,026 whatever it holds; FoundationDB's escape would double NULs.
 * - integer: 0x14 plus or minus its length in bytes (0 to 7), then its magnitude, big-endian (ones' complement
 *   for negative ones). Safe integers only.
 */
import { CatalogError, KV_KEY_BYTES_MAX, type KvKey, type KvRange } from "./kv.ts";

export type TupleElement = string | number | Uint8Array;
export type Tuple = readonly TupleElement[];

const BYTES_TAG = 0x01;
const STRING_TAG = 0x02;
/** Tag of zero; an integer's tag lies as many above or below as its magnitude has bytes. */
const ZERO_TAG = 0x14;
const INTEGER_BYTES_MAX = 7;
const END = 0x00;
/** Follows a zero that belongs to a byte string, which the zero that ends it is never followed by. */
const ESCAPE = 0xff;
/** Above every tag, every end and every byte of a packed string: closes a range of all that begins alike. */
const ABOVE_ALL = 0xff;
/** Up to this many characters a loop over a string is cheaper than a call into the runtime. */
const SHORT_STRING_LENGTH = 24;

/**
 * Packs a tuple into a key.
 * @throws CatalogError `too-large` when the key is longer than KV_KEY_BYTES_MAX.
 * @throws RangeError for a number that is no safe integer, or a string with a lone surrogate (UTF-8 has none).
 */
export function pack(tuple: Tuple): Buffer {
  const length = packedLength(tuple);
  checkKeyLength(length);
  const key = Buffer.allocUnsafe(length);
  writeTuple(key, tuple);
  return key;
}

/**
 * The elements of a packed tuple; byte strings are copies.
 * @throws RangeError when `key` is no packed tuple.
 */
export function unpack(key: KvKey): TupleElement[] {
  const bytes = asBuffer(key);
  const elements: TupleElement[] = [];
  let at = 0;
  while (at < bytes.length) {
    const tag = bytes[at] ?? 0;
    at += 1;
    if (tag === STRING_TAG) {
      const end = endOfString(bytes, at);
      elements.push(readString(bytes, at, end));
      at = end + 1;
    } else if (tag === BYTES_TAG) {
      const end = endOfBytes(bytes, at);
      elements.push(readBytes(bytes, at, end));
      at = end + 1;
    } else {
      const size = Math.abs(tag - ZERO_TAG);
      if (size > INTEGER_BYTES_MAX || at + size > bytes.length) throw notATuple();
      elements.push(readInteger(bytes, at, tag));
      at += size;
    }
  }
  return elements;
}

/** The range of the tuple itself and of every tuple that continues it. Throws as `pack` does. */
export function prefixRange(tuple: Tuple): KvRange {
  const length = packedLength(tuple);
  checkKeyLength(length);
  const end = Buffer.allocUnsafe(length + 1);
  writeTuple(end, tuple);
  return closeRange(end);
}

/**
 * The range of every tuple that continues `tuple` by a string that begins with `prefix`. Its `end`, used as a start,
 * seeks past all of them: that is how a listing skips a common prefix. Throws as `pack` does.
 */
export function stringPrefixRange(tuple: Tuple, prefix: string): KvRange {
  const head = packedLength(tuple);
  // Without the zero that would end the string here.
  const length = head + stringLength(prefix) - 1;
  checkKeyLength(length);
  const end = Buffer.allocUnsafe(length + 1);
  writeTuple(end, tuple);
  writeString(end, head, prefix);
  return closeRange(end);
}

/** The smallest key greater than `key`. */
export function after(key: KvKey): Buffer {
  const next = Buffer.allocUnsafe(key.length + 1);
  next.set(key);
  next[key.length] = 0;
  return next;
}

/** What is left of a range from `start` on: `start` may lie before the range, in it, or behind it (nothing left). */
export function rangeFrom(range: KvRange, start: KvKey): KvRange {
  return Buffer.compare(range.start, start) >= 0 ? range : { start, end: range.end };
}

/** The range from all but the last byte of `end` up to `end`, whose last byte is free to be set. */
function closeRange(end: Buffer): KvRange {
  end[end.length - 1] = ABOVE_ALL;
  return { start: end.subarray(0, end.length - 1), end };
}

function checkKeyLength(length: number): void {
  if (length > KV_KEY_BYTES_MAX) throw new CatalogError("too-large", "a catalog key is longer than its limit");
}

function packedLength(tuple: Tuple): number {
  let length = 0;
  for (const element of tuple) {
    if (typeof element === "string") length += stringLength(element);
    else if (typeof element === "number") length += 1 + integerBytes(element);
    else length += bytesLength(element);
  }
  return length;
}

/** Writes every element, from the start of `key`. */
function writeTuple(key: Buffer, tuple: Tuple): void {
  let at = 0;
  for (const element of tuple) {
    if (typeof element === "string") at = writeString(key, at, element);
    else if (typeof element === "number") at = writeInteger(key, at, element);
    else at = writeBytes(key, at, element);
  }
}

function stringLength(text: string): number {
  if (isShortAscii(text)) return text.length + 2;
  if (!text.isWellFormed()) throw new RangeError("a string with a lone surrogate cannot be part of a catalog key");
  return Buffer.byteLength(text, "utf8") + 2;
}

function isShortAscii(text: string): boolean {
  if (text.length > SHORT_STRING_LENGTH) return false;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

/** Writes a string with its end, if there is room left for the end (a prefix has none). */
function writeString(key: Buffer, start: number, text: string): number {
  key[start] = STRING_TAG;
  let at = start + 1;
  if (isShortAscii(text)) {
    for (let i = 0; i < text.length; i++) key[at++] = text.charCodeAt(i) + 1;
  } else {
    const end = at + key.write(text, at, "utf8");
    for (; at < end; at++) key[at] = (key[at] ?? 0) + 1;
  }
  key[at] = END;
  return at + 1;
}

function endOfString(bytes: Buffer, start: number): number {
  const end = bytes.indexOf(END, start);
  if (end === -1) throw notATuple();
  return end;
}

function readString(bytes: Buffer, start: number, end: number): string {
  const utf8 = Buffer.allocUnsafe(end - start);
  for (let i = start; i < end; i++) utf8[i - start] = (bytes[i] ?? 0) - 1;
  return utf8.toString("utf8");
}

function bytesLength(bytes: Uint8Array): number {
  let length = bytes.length + 2;
  for (let i = 0; i < bytes.length; i++) if (bytes[i] === 0) length += 1;
  return length;
}

function writeBytes(key: Buffer, start: number, bytes: Uint8Array): number {
  key[start] = BYTES_TAG;
  let at = start + 1;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] ?? 0;
    key[at++] = byte;
    if (byte === 0) key[at++] = ESCAPE;
  }
  key[at] = END;
  return at + 1;
}

function endOfBytes(bytes: Buffer, start: number): number {
  for (let at = start; at < bytes.length; at++) {
    if (bytes[at] !== 0) continue;
    if (bytes[at + 1] !== ESCAPE) return at;
    at += 1;
  }
  throw notATuple();
}

function readBytes(bytes: Buffer, start: number, end: number): Uint8Array {
  const out = new Uint8Array(end - start);
  let length = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0;
    out[length++] = byte;
    if (byte === 0) at += 1;
  }
  return length === out.length ? out : out.slice(0, length);
}

function integerBytes(value: number): number {
  if (!Number.isSafeInteger(value)) throw new RangeError("only safe integers can be part of a catalog key");
  let size = 0;
  for (let rest = Math.abs(value); rest >= 1; rest /= 256) size += 1;
  return size;
}

function writeInteger(key: Buffer, start: number, value: number): number {
  const size = integerBytes(value);
  const negative = value < 0;
  key[start] = negative ? ZERO_TAG - size : ZERO_TAG + size;
  let rest = Math.abs(value);
  for (let at = start + size; at > start; at--) {
    const byte = rest % 256;
    key[at] = negative ? 0xff - byte : byte;
    rest = Math.floor(rest / 256);
  }
  return start + 1 + size;
}

function readInteger(bytes: Buffer, start: number, tag: number): number {
  const negative = tag < ZERO_TAG;
  const size = Math.abs(tag - ZERO_TAG);
  let value = 0;
  for (let at = start; at < start + size; at++) {
    const byte = bytes[at] ?? 0;
    value = value * 256 + (negative ? 0xff - byte : byte);
  }
  return negative ? -value : value;
}

function asBuffer(key: KvKey): Buffer {
  return Buffer.isBuffer(key) ? key : Buffer.from(key.buffer, key.byteOffset, key.byteLength);
}

function notATuple(): RangeError {
  return new RangeError("not a packed tuple");
}
