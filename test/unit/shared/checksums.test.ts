import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  type ChecksumAlgorithm,
  type CrcAlgorithm,
  combineCrcs,
  DIGEST_BYTES,
  loadChecksums,
} from "../../../src/shared/checksums.ts";

const checksums = await loadChecksums();

function digestOf(algorithm: ChecksumAlgorithm, ...pieces: Uint8Array[]): string {
  const hasher = checksums.start(algorithm);
  for (const piece of pieces) hasher.update(piece);
  return Buffer.from(hasher.digest()).toString("hex");
}

const KNOWN: Record<ChecksumAlgorithm, { empty: string; check: string }> = {
  crc32: { empty: "00000000", check: "cbf43926" },
  crc32c: { empty: "00000000", check: "e3069283" },
  crc64nvme: { empty: "0000000000000000", check: "ae8b14860a799888" },
  sha1: { empty: "da39a3ee5e6b4b0d3255bfef95601890afd80709", check: "f7c3bc1d808e04732adf679965ccc34ca7ae3441" },
  sha256: {
    empty: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    check: "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
  },
  md5: { empty: "d41d8cd98f00b204e9800998ecf8427e", check: "25f9e794323b453885f5181f1b624d0b" },
};
const ALGORITHMS = Object.keys(KNOWN) as ChecksumAlgorithm[];
const CRCS: CrcAlgorithm[] = ["crc32", "crc32c", "crc64nvme"];

describe("checksums", () => {
  for (const algorithm of ALGORITHMS) {
    test(`${algorithm} gives the published values`, () => {
      assert.equal(digestOf(algorithm), KNOWN[algorithm].empty);
      assert.equal(digestOf(algorithm, Buffer.from("123456789")), KNOWN[algorithm].check);
      assert.equal(KNOWN[algorithm].check.length, DIGEST_BYTES[algorithm] * 2);
    });

    test(`${algorithm} does not depend on how the bytes are cut`, () => {
      fc.assert(
        fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 }), (pieces) => {
          assert.equal(digestOf(algorithm, ...pieces), digestOf(algorithm, Buffer.concat(pieces)));
        }),
      );
    });
  }

  test("CRC64NVME gives the values of the NVM Express specification", () => {
    const counting = Uint8Array.from({ length: 4096 }, (_, at) => at & 0xff);
    assert.equal(digestOf("crc64nvme", new Uint8Array(4096)), "6482d367eb22b64e");
    assert.equal(digestOf("crc64nvme", new Uint8Array(4096).fill(0xff)), "c0ddba7302eca3ac");
    assert.equal(digestOf("crc64nvme", counting), "3e729f5f6750449c");
    assert.equal(digestOf("crc64nvme", counting.toReversed()), "9a2df64b8e9e517e");
  });

  test("several run at once without disturbing each other", () => {
    const first = checksums.start("crc64nvme");
    const second = checksums.start("crc64nvme");
    first.update(Buffer.from("12345678"));
    second.update(Buffer.from("something else"));
    first.update(Buffer.from("9"));
    assert.equal(Buffer.from(first.digest()).toString("hex"), KNOWN.crc64nvme.check);
  });

  test("leave the bytes that they are given as they were", () => {
    const bytes = Buffer.from("123456789");
    digestOf("crc64nvme", Buffer.from("before it"), bytes);
    assert.equal(bytes.toString(), "123456789");
  });

  for (const algorithm of CRCS) {
    test(`${algorithm} of parts combines to that of the whole`, () => {
      fc.assert(
        fc.property(fc.array(fc.uint8Array({ maxLength: 100 }), { minLength: 1, maxLength: 6 }), (parts) => {
          let combined: Uint8Array = new Uint8Array(DIGEST_BYTES[algorithm]);
          for (const part of parts) {
            const crc = Buffer.from(digestOf(algorithm, part), "hex");
            combined = combineCrcs(algorithm, combined, crc, part.length);
          }
          assert.equal(Buffer.from(combined).toString("hex"), digestOf(algorithm, Buffer.concat(parts)));
        }),
      );
    });
  }
});
