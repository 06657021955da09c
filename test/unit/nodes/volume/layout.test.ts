import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  ALIGN_BYTES,
  blockCount,
  decodeHeader,
  decodeSuperblock,
  decodeTombstones,
  decodeTrailer,
  encodeHeader,
  encodeSuperblock,
  encodeTombstones,
  encodeTrailer,
  HEADER_BYTES,
  MARKER_BYTES,
  newMarker,
  type RecordHeader,
  recordBytes,
  SUPERBLOCK_BYTES,
  type Superblock,
  trailerBytes,
  UnknownFormatError,
} from "../../../../src/nodes/volume/layout.ts";
import { crc32c } from "../../../../src/shared/crc32c.ts";
import { seededRandom } from "../../../../src/shared/random.ts";

const hex = (length: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => Buffer.from(bytes).toString("hex"));
const key = fc.tuple(hex(4), hex(16)).map(([session, random]) => `${session}/${random}`);
const marker = newMarker(seededRandom(1));

const header: fc.Arbitrary<RecordHeader> = fc.record(
  {
    kind: fc.integer({ min: 1, max: 255 }),
    offset: fc.integer({ min: 0, max: 2 ** 40 }),
    length: fc.integer({ min: 0, max: 2 ** 36 }),
    key,
    blobId: hex(16),
  },
  { noNullPrototype: true },
);

const superblock: fc.Arbitrary<Superblock> = fc.record(
  {
    clusterId: hex(16),
    storeId: hex(16),
    volumeNumber: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
    marker: fc.uint8Array({ minLength: MARKER_BYTES, maxLength: MARKER_BYTES }).map((bytes) => Buffer.from(bytes)),
    createdAtMs: fc.integer({ min: 0, max: 2 ** 47 }),
  },
  { noNullPrototype: true },
);

test("a superblock reads as it was written, and not at all with any bit changed", () => {
  fc.assert(
    fc.property(superblock, fc.nat({ max: SUPERBLOCK_BYTES * 8 - 1 }), (written, bit) => {
      const bytes = encodeSuperblock(written);
      assert.equal(bytes.length, SUPERBLOCK_BYTES);
      assert.deepEqual(decodeSuperblock(bytes), written);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.equal(decodeSuperblock(bytes), undefined);
    }),
  );
});

test("a superblock of a later format is refused, not guessed at", () => {
  const bytes = encodeSuperblock(fc.sample(superblock, { numRuns: 1, seed: 1 })[0] as Superblock);
  bytes.writeUInt16BE(2, 8);
  bytes.writeUInt32BE(crc32c(bytes.subarray(0, SUPERBLOCK_BYTES - 4)), SUPERBLOCK_BYTES - 4);
  assert.throws(() => decodeSuperblock(bytes), UnknownFormatError);
});

test("a header reads as it was written, and not with a bit changed, elsewhere, or in another volume", () => {
  fc.assert(
    fc.property(header, fc.nat({ max: HEADER_BYTES * 8 - 1 }), (written, bit) => {
      const bytes = encodeHeader(marker, written);
      assert.equal(bytes.length, HEADER_BYTES);
      assert.deepEqual(decodeHeader(marker, bytes, written.offset), written);
      assert.equal(decodeHeader(marker, bytes, written.offset + ALIGN_BYTES), undefined);
      assert.equal(decodeHeader(newMarker(seededRandom(2)), bytes, written.offset), undefined);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.equal(decodeHeader(marker, bytes, written.offset), undefined);
    }),
  );
});

test("a trailer reads as it was written, and not with a bit changed or behind another header", () => {
  const crcs = fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { minLength: 0, maxLength: 40 });
  fc.assert(
    fc.property(header, header, crcs, fc.nat(), (written, other, blockCrcs, at) => {
      const length = blockCrcs.length * 262_144;
      const own = encodeHeader(marker, { ...written, length });
      const trailer = encodeTrailer(own, length, blockCrcs);
      assert.equal(HEADER_BYTES + length + trailer.length, recordBytes(length));
      assert.deepEqual(decodeTrailer(own, length, trailer), blockCrcs);
      const another = encodeHeader(marker, { ...other, length, offset: written.offset + 512 });
      assert.equal(decodeTrailer(another, length, trailer), undefined);
      const bit = at % (trailerBytes(length) * 8);
      trailer[bit >> 3] = (trailer[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.equal(decodeTrailer(own, length, trailer), undefined);
    }),
  );
});

test("records are multiples of 512 bytes that hold header, body and trailer, and no more than needed", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 40 }), (length) => {
      const needed = HEADER_BYTES + length + 4 * blockCount(length) + 4;
      assert.equal(recordBytes(length) % ALIGN_BYTES, 0);
      assert.ok(recordBytes(length) >= needed && recordBytes(length) < needed + ALIGN_BYTES);
    }),
  );
});

test("the keys of a tombstone record read as they were written", () => {
  fc.assert(fc.property(fc.array(key), (keys) => assert.deepEqual(decodeTombstones(encodeTombstones(keys)), keys)));
});
