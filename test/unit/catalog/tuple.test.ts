import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CatalogError, KV_KEY_BYTES_MAX, type KvRange } from "../../../src/catalog/kv.ts";
import {
  after,
  pack,
  prefixRange,
  rangeFrom,
  stringPrefixRange,
  type Tuple,
  type TupleElement,
  unpack,
} from "../../../src/catalog/tuple.ts";

const LAST_CHARACTER = "\u{10ffff}";

/** Strings that begin alike, with the characters at which orders of text disagree. */
const strings = fc.oneof(
  fc
    .array(
      fc.constantFrom("\0", "\u0001", "a", "b", "/", "\u007f", "\u0080", "é", "\uffff", "\u{10000}", LAST_CHARACTER),
      {
        maxLength: 5,
      },
    )
    .map((characters) => characters.join("")),
  fc.string({ unit: "binary", maxLength: 60 }),
);
const byteStrings = fc.oneof(
  fc.array(fc.constantFrom(0x00, 0x01, 0x7f, 0xff), { maxLength: 4 }).map((bytes) => Uint8Array.from(bytes)),
  fc.uint8Array({ maxLength: 40 }),
);
const integers = fc.oneof(
  fc.maxSafeInteger(),
  fc.integer({ min: -300, max: 300 }),
  fc
    .integer({ min: 0, max: 52 })
    .chain((bits) => fc.constantFrom(2 ** bits, 2 ** bits - 1, -(2 ** bits), 1 - 2 ** bits)),
);
const elements: fc.Arbitrary<TupleElement> = fc.oneof(strings, byteStrings, integers);
const tuples = fc.array(elements, { maxLength: 4 });

function typeRank(element: TupleElement): number {
  if (typeof element === "string") return 2;
  return typeof element === "number" ? 3 : 1;
}

function compareElements(a: TupleElement, b: TupleElement): number {
  if (typeof a === "number" && typeof b === "number") return Math.sign(a - b);
  if (typeof a === "string" && typeof b === "string") return Buffer.compare(Buffer.from(a), Buffer.from(b));
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  return typeRank(a) - typeRank(b);
}

function compareTuples(a: Tuple, b: Tuple): number {
  for (const [index, element] of a.entries()) {
    const other = b[index];
    if (other === undefined) return 1;
    const order = compareElements(element, other);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

const contains = (range: KvRange, key: Uint8Array): boolean =>
  Buffer.compare(range.start, key) <= 0 && Buffer.compare(key, range.end) < 0;

test("the order of packed tuples is the order of the tuples", () => {
  fc.assert(
    fc.property(tuples, tuples, (a, b) => {
      assert.equal(Math.sign(Buffer.compare(pack(a), pack(b))), Math.sign(compareTuples(a, b)));
    }),
    { numRuns: 2_000 },
  );
});

test("tuples that differ in one element only keep their order, whatever follows it", () => {
  fc.assert(
    fc.property(tuples, elements, elements, tuples, tuples, (head, a, b, tailA, tailB) => {
      fc.pre(compareElements(a, b) !== 0);
      const order = Buffer.compare(pack([...head, a, ...tailA]), pack([...head, b, ...tailB]));
      assert.equal(Math.sign(order), Math.sign(compareElements(a, b)));
    }),
    { numRuns: 2_000 },
  );
});

test("unpacking gives back what was packed, from any part of a larger buffer", () => {
  fc.assert(
    fc.property(tuples, (tuple) => {
      const expected = tuple.map((element) => (Object.is(element, -0) ? 0 : element));
      const packed = pack(tuple);
      assert.deepEqual(unpack(packed), expected);
      const surrounded = Uint8Array.from([2, ...packed, 2]);
      assert.deepEqual(unpack(surrounded.subarray(1, surrounded.length - 1)), expected);
    }),
    { numRuns: 2_000 },
  );
});

test("unpacked byte strings are copies", () => {
  const packed = pack([Uint8Array.of(1, 2, 3)]);
  const [bytes] = unpack(packed);
  packed.fill(0);
  assert.deepEqual(bytes, Uint8Array.of(1, 2, 3));
});

test("the encoding is the one that the file's head describes", () => {
  const cases: [Tuple, string][] = [
    [[], ""],
    [[""], "0200"],
    [["a\0é"], "02 62 01 c4 aa 00"],
    [[Uint8Array.of()], "0100"],
    [[Uint8Array.of(0, 1, 255)], "01 00ff 01 ff 00"],
    [[0], "14"],
    [[-0], "14"],
    [[1], "15 01"],
    [[255], "15 ff"],
    [[256], "16 0100"],
    [[-1], "13 fe"],
    [[-255], "13 00"],
    [[-256], "12 feff"],
    [[Number.MAX_SAFE_INTEGER], "1b 1fffffffffffff"],
    [[Number.MIN_SAFE_INTEGER], "0d e0000000000000"],
    [["x", 2, Uint8Array.of(3)], "02 79 00 15 02 01 03 00"],
  ];
  for (const [tuple, hex] of cases) assert.equal(pack(tuple).toString("hex"), hex.replaceAll(" ", ""));
});

test("the range of a prefix holds the tuples that begin with it and no other", () => {
  fc.assert(
    fc.property(tuples, tuples, (prefix, other) => {
      const range = prefixRange(prefix);
      assert.equal(contains(range, pack([...prefix, ...other])), true);
      const begins = compareTuples(prefix, other.slice(0, prefix.length)) === 0;
      assert.equal(contains(range, pack(other)), begins);
    }),
    { numRuns: 2_000 },
  );
});

test("the range of a string prefix holds the strings that begin with it and no other", () => {
  fc.assert(
    fc.property(tuples, strings, strings, tuples, (tuple, prefix, other, tail) => {
      const range = stringPrefixRange(tuple, prefix);
      for (const text of [other, prefix, prefix + other, prefix + LAST_CHARACTER + other, `${prefix}\0${other}`]) {
        assert.equal(contains(range, pack([...tuple, text, ...tail])), text.startsWith(prefix), JSON.stringify(text));
      }
      for (const sibling of [0, Uint8Array.of(0xff), ""]) {
        const inside = typeof sibling === "string" && prefix === "";
        assert.equal(contains(range, pack([...tuple, sibling])), inside);
      }
      assert.equal(contains(range, pack(tuple)), false);
    }),
    { numRuns: 1_000 },
  );
});

test("the end of a string prefix's range, used as a start, is right behind the last string that begins with it", () => {
  fc.assert(
    fc.property(tuples, strings, strings, (tuple, prefix, other) => {
      const { end } = stringPrefixRange(tuple, prefix);
      const behind = Buffer.compare(pack([...tuple, other]), end) >= 0;
      const expected = !other.startsWith(prefix) && Buffer.compare(Buffer.from(other), Buffer.from(prefix)) > 0;
      assert.equal(behind, expected);
      assert.ok(Buffer.compare(pack([...tuple, prefix + LAST_CHARACTER.repeat(3)]), end) < 0);
    }),
    { numRuns: 1_000 },
  );
});

test("no key lies between a key and the one after it", () => {
  fc.assert(
    fc.property(tuples, tuples, (tuple, other) => {
      const key = pack(tuple);
      const next = after(key);
      assert.ok(Buffer.compare(key, next) < 0);
      assert.equal(next.length, key.length + 1);
      assert.equal(Buffer.compare(pack(other), next) >= 0, Buffer.compare(pack(other), key) > 0);
    }),
    { numRuns: 1_000 },
  );
});

test("what is left of a range from a start on never reaches out of the range", () => {
  fc.assert(
    fc.property(tuples, tuples, tuples, (prefix, from, other) => {
      const range = prefixRange(prefix);
      const start = pack(from);
      const key = pack(other);
      const expected = contains(range, key) && Buffer.compare(start, key) <= 0;
      assert.equal(contains(rangeFrom(range, start), key), expected);
    }),
    { numRuns: 1_000 },
  );
});

test("the longest S3 key fits whatever its characters are, with an id of zeros on each side", () => {
  const id = new Uint8Array(16);
  for (const character of ["\0", "a", "é", "\uffff", LAST_CHARACTER]) {
    const key = character.repeat(Math.floor(1_024 / Buffer.byteLength(character)));
    const tuple = ["upload", id, key, id];
    const packed = pack(tuple);
    assert.ok(packed.length <= KV_KEY_BYTES_MAX, `${packed.length}`);
    assert.deepEqual(unpack(packed), tuple);
  }
});

test("a tuple of exactly the longest key packs, one byte more is refused", () => {
  for (const fill of ["a", "é"]) {
    const text = fill.repeat((KV_KEY_BYTES_MAX - 2) / Buffer.byteLength(fill));
    assert.equal(pack([text]).length, KV_KEY_BYTES_MAX);
    assert.equal(prefixRange([text]).end.length, KV_KEY_BYTES_MAX + 1);
    for (const call of [() => pack([text, 0]), () => prefixRange([text, 0]), () => stringPrefixRange([text], "")]) {
      assert.throws(call, (thrown) => thrown instanceof CatalogError && thrown.kind === "too-large");
    }
  }
  assert.equal(stringPrefixRange([], "a".repeat(KV_KEY_BYTES_MAX - 1)).start.length, KV_KEY_BYTES_MAX);
  assert.throws(() => stringPrefixRange([], "a".repeat(KV_KEY_BYTES_MAX)), CatalogError);
  assert.throws(() => pack([new Uint8Array(KV_KEY_BYTES_MAX / 2)]), CatalogError);
});

test("numbers that are no safe integers and strings with lone surrogates are refused", () => {
  for (const number of [0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, -(2 ** 53)]) {
    assert.throws(() => pack([number]), RangeError);
  }
  for (const text of ["\ud800", "a\udc00b", `${"x".repeat(100)}\udbff`]) {
    assert.throws(() => pack([text]), RangeError);
    assert.throws(() => stringPrefixRange([], text), RangeError);
  }
});

test("bytes that are no packed tuple are refused", () => {
  for (const hex of ["00", "ff", "03", "0c", "1c", "0262", "01", "0100ff", "1501ff", "16 01"]) {
    assert.throws(() => unpack(Buffer.from(hex.replaceAll(" ", ""), "hex")), RangeError, hex);
  }
});
