/**
 * CRC32C (Castagnoli), unsigned 32 bits: the checksum of stored blocks and one of the S3 checksums.
 * RFC 3720, appendix B.4.
 */
import { crc32c as nativeCrc32c } from "@node-rs/crc32";
import { crcCombiner32 } from "./crc-combine.ts";

const combiner = crcCombiner32(0x82f63b78);

/**
 * The CRC32C of `bytes`, or, with a seed, of all bytes before (whose CRC32C is the seed) followed by `bytes`.
 */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  return nativeCrc32c(bytes, seed);
}

/**
 * The CRC32C of A followed by B, from their CRCs and the length of B in bytes. About 0.1 us for a length seen lately
 * (one of 262,144-byte blocks), some microseconds for another.
 */
export function combineCrc32c(a: number, b: number, lengthB: number): number {
  return combiner.combine(a, b, lengthB);
}
