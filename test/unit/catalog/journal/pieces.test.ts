/** The bytes of the journal's pieces and their names: what is once on a node must stay readable. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type JournalName, journalKey, journalName } from "../../../../src/catalog/journal/journal-name.ts";
import {
  BadPieceError,
  decodeChunk,
  decodeSegment,
  decodeSnapshot,
  encodeChunk,
  encodeSegment,
  encodeSnapshot,
} from "../../../../src/catalog/journal/pieces.ts";
import { decodeWrites, encodeWrites } from "../../../../src/catalog/kv-change.ts";
import { seededRandom } from "../../../../src/shared/random.ts";

const CLUSTER = "0123456789abcdef0123456789abcdef";
const ORIGIN = { clusterId: CLUSTER, session: 7, madeAtMs: 1_800_000_000_000 };
const SEGMENT = {
  ...ORIGIN,
  from: 3,
  through: 5,
  changes: [
    { version: 3, writes: [{ key: Buffer.from("k"), value: Buffer.from("v") }] },
    { version: 5, writes: [{ key: Buffer.from("gone"), value: null }] },
  ],
};
const SEGMENT_NAME = { kind: "segment", from: 3, through: 5, session: 7 } as const;

test("a segment has these bytes", () => {
  assert.equal(
    encodeSegment(SEGMENT).toString("hex"),
    [
      "42554c4b4a524e31",
      CLUSTER,
      "01000000",
      "00000007",
      "000001a3185c5000",
      "0000000000000003",
      "0000000000000005",
      "0000000000000003",
      "0000000c",
      "00000001",
      "0001",
      "00000001",
      "6b",
      "76",
      "0000000000000005",
      "0000000e",
      "00000001",
      "0004",
      "ffffffff",
      "676f6e65",
      "c4a5df70",
    ].join(""),
  );
  assert.deepEqual(decodeSegment(encodeSegment(SEGMENT), SEGMENT_NAME, CLUSTER), SEGMENT);
});

test("a chunk and a snapshot have these bytes", () => {
  const entries = [{ key: Buffer.from("k"), value: Buffer.from("value"), version: 9 }];
  const chunk = encodeChunk(ORIGIN, entries);
  assert.equal(chunk.subarray(40, -4).toString("hex"), "000000000000000900010000" + "00056b76616c7565");
  const chunkName = { kind: "chunk", base: 3, number: 1, session: 7 } as const;
  assert.deepEqual(decodeChunk(chunk, chunkName, CLUSTER), entries);
  const snapshot = { ...ORIGIN, base: 3, through: 9, chunks: 2, entries: 10, bytes: 500 };
  const name = { kind: "snapshot", base: 3, chunks: 2, session: 7 } as const;
  const encoded = encodeSnapshot(snapshot);
  assert.equal(encoded.length, 84);
  assert.deepEqual(decodeSnapshot(encoded, name, CLUSTER), snapshot);
});

test("names have these keys, and a listing tells them", () => {
  const random = seededRandom(1);
  const keyOf = (name: JournalName): string => journalKey(name, random).slice(0, -4);
  assert.equal(keyOf(SEGMENT_NAME), "00000000/0100000000000300000200000007");
  assert.equal(keyOf({ kind: "chunk", base: 3, number: 1, session: 7 }), "00000000/0200000000000300000100000007");
  assert.equal(keyOf({ kind: "snapshot", base: 3, chunks: 2, session: 7 }), "00000000/0300000000000300000200000007");
  assert.equal(journalName("00000001/01000000000003000002000000070000"), undefined);
  assert.equal(journalName("00000000/09000000000003000002000000070000"), undefined);
});

const names = fc.oneof(
  fc
    .record({ from: fc.nat(2 ** 31), count: fc.nat(0xff_ffff), session: fc.nat(2 ** 31) })
    .map(({ from, count, session }): JournalName => ({ kind: "segment", from, through: from + count, session })),
  fc.record({ kind: fc.constant("chunk" as const), base: fc.nat(), number: fc.nat(0xff_ffff), session: fc.nat() }),
  fc.record({ kind: fc.constant("snapshot" as const), base: fc.nat(), chunks: fc.nat(0xff_ffff), session: fc.nat() }),
);

test("every name comes back from its key", () => {
  fc.assert(
    fc.property(names, (name) => assert.deepEqual(journalName(journalKey(name, seededRandom(1))), { ...name })),
  );
});

const writes = fc.array(
  fc
    .record({
      key: fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
      value: fc.option(fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))),
    })
    .map((write) => ({ ...write })),
);

test("every change comes back from its bytes, and none of its parts is taken for one", () => {
  fc.assert(
    fc.property(writes, fc.nat(), (change, cut) => {
      const bytes = encodeWrites(change);
      assert.deepEqual(decodeWrites(bytes), change);
      assert.throws(() => decodeWrites(bytes.subarray(0, cut % bytes.length)), RangeError);
      assert.throws(() => decodeWrites(Buffer.concat([bytes, Buffer.of(0)])), RangeError);
    }),
  );
});

test("a piece with any byte changed, or under another name, is refused", () => {
  const bytes = encodeSegment(SEGMENT);
  for (let at = 0; at < bytes.length; at++) {
    const damaged = Buffer.from(bytes);
    damaged[at] = (damaged[at] ?? 0) ^ 1;
    assert.throws(() => decodeSegment(damaged, SEGMENT_NAME, CLUSTER), BadPieceError, `byte ${at}`);
  }
  for (const name of [
    { ...SEGMENT_NAME, from: 2 },
    { ...SEGMENT_NAME, through: 6 },
    { ...SEGMENT_NAME, session: 8 },
  ]) {
    assert.throws(() => decodeSegment(bytes, name, CLUSTER), BadPieceError);
  }
  assert.throws(() => decodeSegment(bytes, SEGMENT_NAME, "f".repeat(32)), BadPieceError);
  assert.throws(() => decodeSegment(bytes.subarray(0, 50), SEGMENT_NAME, CLUSTER), BadPieceError);
});
