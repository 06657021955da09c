/**
 * Checksums over a stream of bytes, all behind one interface, and the CRC of joined pieces.
 *
 * CRC64NVME is not in Node.js; it runs in WebAssembly, which has to be loaded first, so hashers come from a factory.
 */
import { createHash } from "node:crypto";
import { crc32 } from "@node-rs/crc32";
import { createCRC64, type IHasher } from "hash-wasm";
import { crcCombiner32, crcCombiner64 } from "./crc-combine.ts";
import { combineCrc32c, crc32c } from "./crc32c.ts";

export type CrcAlgorithm = "crc32" | "crc32c" | "crc64nvme";
export type ChecksumAlgorithm = CrcAlgorithm | "sha1" | "sha256" | "md5";

/** Length of each digest in bytes. */
export const DIGEST_BYTES: Readonly<Record<ChecksumAlgorithm, number>> = {
  crc32: 4,
  crc32c: 4,
  crc64nvme: 8,
  sha1: 20,
  sha256: 32,
  md5: 16,
};

/** One running checksum. Abandoning it costs nothing. */
export interface Hasher {
  update(bytes: Uint8Array): void;
  /** The digest; a CRC is big-endian. Called once, at the end. */
  digest(): Uint8Array;
}

export interface Checksums {
  start(algorithm: ChecksumAlgorithm): Hasher;
}

/** Loads what the checksums need. Once a process is enough. */
export async function loadChecksums(): Promise<Checksums> {
  const crc64 = await createCRC64(CRC64NVME_POLYNOMIAL.toString(16));
  return {
    start(algorithm) {
      switch (algorithm) {
        case "crc32":
          return crc32Hasher(crc32);
        case "crc32c":
          return crc32Hasher(crc32c);
        case "crc64nvme":
          return crc64Hasher(crc64);
        case "sha1":
        case "sha256":
        case "md5":
          return cryptoHasher(algorithm);
      }
    },
  };
}

/**
 * The CRC of A followed by B, from their CRCs (as digests) and the length of B in bytes: how the checksum of a whole
 * multipart object comes from those of its parts.
 */
export function combineCrcs(algorithm: CrcAlgorithm, a: Uint8Array, b: Uint8Array, lengthB: number): Uint8Array {
  const viewA = viewOf(a);
  const viewB = viewOf(b);
  switch (algorithm) {
    case "crc32":
      return bytes32(crc32Combiner.combine(viewA.getUint32(0), viewB.getUint32(0), lengthB));
    case "crc32c":
      return bytes32(combineCrc32c(viewA.getUint32(0), viewB.getUint32(0), lengthB));
    case "crc64nvme": {
      const out = new Uint8Array(8);
      viewOf(out).setBigUint64(0, crc64Combiner.combine(viewA.getBigUint64(0), viewB.getBigUint64(0), lengthB));
      return out;
    }
  }
}

/** Reflected. The 64-bit CRC of the NVM Express NVM Command Set Specification. */
const CRC64NVME_POLYNOMIAL = 0x9a6c9329ac4bc9b5n;
const CRC64NVME_POLYNOMIAL_HIGH = Number(CRC64NVME_POLYNOMIAL >> 32n);
const CRC64NVME_POLYNOMIAL_LOW = Number(CRC64NVME_POLYNOMIAL & 0xffffffffn);

const crc32Combiner = crcCombiner32(0xedb88320);
const crc64Combiner = crcCombiner64(CRC64NVME_POLYNOMIAL);

function cryptoHasher(algorithm: "sha1" | "sha256" | "md5"): Hasher {
  const hash = createHash(algorithm);
  return {
    update(bytes) {
      hash.update(bytes);
    },
    digest: () => hash.digest(),
  };
}

function crc32Hasher(update: (bytes: Uint8Array, seed: number) => number): Hasher {
  let crc = 0;
  return {
    update(bytes) {
      crc = update(bytes, crc);
    },
    digest: () => bytes32(crc),
  };
}

/**
 * Any number of running CRC64s over one WebAssembly instance, which starts afresh at every update. It cannot be given
 * a value to go on from, but a CRC in reflected form that goes on from value c is the CRC from the start of the same
 * bytes with c, lowest byte first, added to (XOR) the first eight.
 */
function crc64Hasher(engine: IHasher): Hasher {
  const crc = new Uint8Array(8); // big-endian
  return {
    update(bytes) {
      if (bytes.length < 8) {
        crcShort(crc, bytes);
        return;
      }
      const head = Uint8Array.prototype.slice.call(bytes, 0, 8);
      for (let i = 0; i < 8; i++) head[i] = (head[i] ?? 0) ^ (crc[7 - i] ?? 0);
      engine.init().update(head);
      if (bytes.length > 8) engine.update(bytes.subarray(8));
      crc.set(engine.digest("binary"));
    },
    digest: () => crc,
  };
}

/** The same bit by bit, for the few bytes that the way above cannot take. */
function crcShort(crc: Uint8Array, bytes: Uint8Array): void {
  const view = viewOf(crc);
  let high = ~view.getUint32(0);
  let low = ~view.getUint32(4);
  for (const byte of bytes) {
    low ^= byte;
    for (let bit = 0; bit < 8; bit++) {
      const carry = low & 1;
      low = (low >>> 1) | (high << 31);
      high >>>= 1;
      if (carry === 1) {
        high ^= CRC64NVME_POLYNOMIAL_HIGH;
        low ^= CRC64NVME_POLYNOMIAL_LOW;
      }
    }
  }
  view.setUint32(0, ~high);
  view.setUint32(4, ~low);
}

function bytes32(value: number): Uint8Array {
  const out = new Uint8Array(4);
  viewOf(out).setUint32(0, value);
  return out;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
