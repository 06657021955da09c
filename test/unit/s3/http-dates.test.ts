import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  formatAmzDate,
  formatHttpDate,
  formatIsoDate,
  parseAmzDate,
  parseHttpDate,
} from "../../../src/s3/http-dates.ts";

const NOW = Date.UTC(2026, 10, 22);
const RFC_EXAMPLE = Date.UTC(1994, 10, 6, 8, 49, 37);
const seconds = fc.integer({ min: 0, max: 253_402_300_799 }).map((value) => value * 1000);

describe("HTTP dates", () => {
  test("are taken in the three forms of RFC 9110", () => {
    assert.equal(parseHttpDate("Sun, 06 Nov 1994 08:49:37 GMT", NOW), RFC_EXAMPLE);
    assert.equal(parseHttpDate("Sunday, 06-Nov-94 08:49:37 GMT", NOW), RFC_EXAMPLE);
    assert.equal(parseHttpDate("Sun Nov  6 08:49:37 1994", NOW), RFC_EXAMPLE);
    assert.equal(parseHttpDate("Thu, 29 Feb 2024 23:59:59 GMT", NOW), Date.UTC(2024, 1, 29, 23, 59, 59));
  });

  test("with two digits of a year are at most 50 years ahead", () => {
    assert.equal(parseHttpDate("Sunday, 01-Mar-76 00:00:00 GMT", NOW), Date.UTC(2076, 2, 1));
    assert.equal(parseHttpDate("Sunday, 01-Mar-77 00:00:00 GMT", NOW), Date.UTC(1977, 2, 1));
  });

  const refused = [
    "",
    "0",
    "2026-11-22T00:00:00Z",
    "Sun, 6 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:37",
    "Sun, 06 Nov 1994 08:49:37 UTC",
    "Sun, 06 Nov 1994 08:49:37 +0000",
    "sun, 06 nov 1994 08:49:37 gmt",
    " Sun, 06 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 94 08:49:37 GMT",
    "Sun, 31 Apr 1994 08:49:37 GMT",
    "Sun, 29 Feb 2023 08:49:37 GMT",
    "Sun, 00 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 24:00:00 GMT",
    "Sun, 06 Nov 1994 08:60:00 GMT",
    "Xyz, 06 Nov 1994 08:49:37 GMT",
  ];
  for (const text of refused) {
    test(`are not ${JSON.stringify(text)}`, () => assert.equal(parseHttpDate(text, NOW), undefined));
  }

  test("come back as they were written", () => {
    assert.equal(formatHttpDate(RFC_EXAMPLE), "Sun, 06 Nov 1994 08:49:37 GMT");
    fc.assert(fc.property(seconds, (ms) => assert.equal(parseHttpDate(formatHttpDate(ms), NOW), ms)));
  });
});

describe("dates of signatures", () => {
  test("come back as they were written", () => {
    assert.equal(formatAmzDate(RFC_EXAMPLE + 999), "19941106T084937Z");
    assert.equal(parseAmzDate("19941106T084937Z"), RFC_EXAMPLE);
    fc.assert(fc.property(seconds, (ms) => assert.equal(parseAmzDate(formatAmzDate(ms)), ms)));
  });

  for (const text of [
    "",
    "19941106",
    "19941106T084937",
    "1994-11-06T08:49:37Z",
    "19941306T084937Z",
    "19940230T000000Z",
  ]) {
    test(`are not ${JSON.stringify(text)}`, () => assert.equal(parseAmzDate(text), undefined));
  }
});

test("dates in XML have milliseconds", () => {
  assert.equal(formatIsoDate(RFC_EXAMPLE + 5), "1994-11-06T08:49:37.005Z");
});
