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
import { CatalogError, KV_KEY_BYTES_MAX, type KvRange } from "./kv.ts";

export type TupleElement = string | number | Uint8Array;
export type Tuple = readonly TupleElement[];
