import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { RangeRequest } from "../../../src/objects/api.ts";
import { S3Error } from "../../../src/s3/errors.ts";
import { parseCopyRange, parseRange } from "../../../src/s3/ranges.ts";

const LARGEST = Number.MAX_SAFE_INTEGER - 1;

describe("a Range header", () => {
  const cases: [string | undefined, RangeRequest | undefined][] = [
    ["bytes=0-0", { first: 0, last: 0 }],
    ["bytes=2-5", { first: 2, last: 5 }],
    ["bytes=2-", { first: 2 }],
    ["bytes=-3", { suffix: 3 }],
    ["bytes=-0", { suffix: 0 }],
    ["Bytes=1-2", { first: 1, last: 2 }],
    ["bytes= 1-2 ", { first: 1, last: 2 }],
    ["bytes=007-08", { first: 7, last: 8 }],
    ["bytes=5-99999999999999999999999", { first: 5, last: LARGEST }],
    ["bytes=99999999999999999999999-", { first: LARGEST }],
    ["bytes=-99999999999999999999999", { suffix: LARGEST }],
    // No range of bytes at all, or several: the whole object.
    [undefined, undefined],
    ["", undefined],
    ["bytes", undefined],
    ["bytes=", undefined],
    ["bytes=-", undefined],
    ["bytes=5-2", undefined],
    ["bytes=a-b", undefined],
    ["bytes=1-2x", undefined],
    ["bytes=--2", undefined],
    ["bytes=1.5-2", undefined],
    ["bytes=0x1-0x2", undefined],
    ["items=0-1", undefined],
    ["bytes=0-1,4-5", undefined],
    ["bytes=-1,0-1", undefined],
  ];
  for (const [header, range] of cases) {
    test(`${JSON.stringify(header)} asks for ${range ? JSON.stringify(range) : "the whole object"}`, () => {
      assert.deepEqual(parseRange(header), range);
    });
  }
});

describe("a copy source range", () => {
  test("is a first and a last byte", () => {
    assert.equal(parseCopyRange(undefined), undefined);
    assert.deepEqual(parseCopyRange("bytes=0-9"), { start: 0, end: 10 });
    assert.deepEqual(parseCopyRange("bytes=3-3"), { start: 3, end: 4 });
  });

  for (const header of ["", "bytes=0-", "bytes=-5", "bytes=5-2", "0-5", "bytes=0-1,3-4", "bytes = 0-1"]) {
    test(`is refused as ${JSON.stringify(header)}`, () => {
      assert.throws(
        () => parseCopyRange(header),
        (thrown) =>
          thrown instanceof S3Error &&
          thrown.code === "InvalidArgument" &&
          thrown.fields["ArgumentName"] === "x-amz-copy-source-range",
      );
    });
  }
});
