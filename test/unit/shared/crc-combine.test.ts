import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { crcCombiner32, crcCombiner64 } from "../../../src/shared/crc-combine.ts";
import { combineCrc32c, crc32c } from "../../../src/shared/crc32c.ts";

/** Bit by bit from the definition, as the reference. */
function slowCrc(polynomial: bigint, width: bigint, bytes: Uint8Array): bigint {
  const ones = (1n << width) - 1n;
  let crc = ones;
  for (const byte of bytes) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1n) === 1n ? (crc >> 1n) ^ polynomial : crc >> 1n;
  }
  return crc ^ ones;
}

const CHECK = Buffer.from("123456789");
const short = fc.uint8Array({ maxLength: 100 });

describe("CRC32C", () => {
  test("gives the published check values", () => {
    assert.equal(crc32c(CHECK), 0xe3069283);
    assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
    assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
    assert.equal(crc32c(new Uint8Array(0)), 0);
  });

  test("continues from a seed", () => {
    fc.assert(fc.property(short, short, (a, b) => assert.equal(crc32c(b, crc32c(a)), crc32c(Buffer.concat([a, b])))));
  });

  test("combines to the CRC32C of the bytes end to end", () => {
    fc.assert(
      fc.property(short, short, (a, b) => {
        assert.equal(combineCrc32c(crc32c(a), crc32c(b), b.length), crc32c(Buffer.concat([a, b])));
      }),
    );
  });

  test("combines over blocks of 262,144 bytes and a shorter last one", () => {
    const bytes = Buffer.alloc(3 * 262_144 + 5, "Bulkhead");
    let combined = 0;
    for (let at = 0; at < bytes.length; at += 262_144) {
      const block = bytes.subarray(at, at + 262_144);
      combined = combineCrc32c(combined, crc32c(block), block.length);
    }
    assert.equal(combined, crc32c(bytes));
  });
});

describe("combined CRCs", () => {
  test("are those of the bytes end to end, for the polynomial of CRC32", () => {
    const combiner = crcCombiner32(0xedb88320);
    fc.assert(
      fc.property(short, short, (a, b) => {
        assert.equal(combiner.combine(crc32(a), crc32(b), b.length), crc32(Buffer.concat([a, b])));
      }),
    );
  });

  test("are those of the bytes end to end, for the polynomial of CRC64NVME", () => {
    const polynomial = 0x9a6c9329ac4bc9b5n;
    const crc = (bytes: Uint8Array): bigint => slowCrc(polynomial, 64n, bytes);
    assert.equal(crc(CHECK), 0xae8b14860a799888n);
    const combiner = crcCombiner64(polynomial);
    fc.assert(
      fc.property(short, short, (a, b) => {
        assert.equal(combiner.combine(crc(a), crc(b), b.length), crc(Buffer.concat([a, b])));
      }),
    );
  });

  test("do not depend on how the pieces are grouped, at lengths no test could hash", () => {
    const word = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
    const length = fc.integer({ min: 0, max: 2 ** 52 - 1 });
    const combiner = crcCombiner64(0x9a6c9329ac4bc9b5n);
    fc.assert(
      fc.property(fc.tuple(word, word, word), length, length, ([a, b, c], lengthB, lengthC) => {
        assert.equal(
          combiner.combine(combiner.combine(a, b, lengthB), c, lengthC),
          combiner.combine(a, combiner.combine(b, c, lengthC), lengthB + lengthC),
        );
      }),
    );
  });

  test("refuse a length that is no count of bytes", () => {
    for (const length of [-1, 0.5, Number.NaN, 2 ** 53]) assert.throws(() => combineCrc32c(1, 2, length), RangeError);
  });
});
