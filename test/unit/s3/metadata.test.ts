import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { S3Error } from "../../../src/s3/errors.ts";
import { headersFromRaw } from "../../../src/s3/headers.ts";
import {
  overrideHeaders,
  readContentHeaders,
  readResponseOverrides,
  readUserMetadata,
  userMetadataHeaders,
} from "../../../src/s3/metadata.ts";
import { decodeEncodedWords, encodeWords } from "../../../src/s3/mime-words.ts";
import { parseQuery } from "../../../src/s3/request.ts";

function userMetadata(...raw: string[]) {
  return readUserMetadata(headersFromRaw(raw));
}

describe("user metadata", () => {
  test("keeps its order, joins repeats and leaves other headers out", () => {
    const metadata = userMetadata(
      "X-Amz-Meta-B",
      "1",
      "x-amz-acl",
      "private",
      "x-amz-meta-a",
      "2",
      "x-amz-meta-b",
      "3",
    );
    assert.deepEqual(metadata, [
      ["b", "1,3"],
      ["a", "2"],
    ]);
    assert.deepEqual(userMetadataHeaders(metadata), [
      ["x-amz-meta-b", "1,3"],
      ["x-amz-meta-a", "2"],
    ]);
  });

  test("keeps empty values and names of JavaScript's own", () => {
    assert.deepEqual(userMetadata("x-amz-meta-__proto__", "", "x-amz-meta-constructor", "c"), [
      ["__proto__", ""],
      ["constructor", "c"],
    ]);
  });

  test("is limited to 2 KiB of names and values, counted in UTF-8", () => {
    assert.equal(userMetadata("x-amz-meta-name", "v".repeat(2044)).length, 1);
    for (const value of ["v".repeat(2045), "\u00e9".repeat(1023)]) {
      assert.throws(
        () => userMetadata("x-amz-meta-name", value),
        (thrown) => thrown instanceof S3Error && thrown.code === "MetadataTooLarge" && thrown.fields["Size"] !== 0,
      );
    }
  });

  test("beyond ASCII is read as ISO 8859-1 and given back as the encoded word of AWS's example", () => {
    // The bytes of "ÄMÄZÕÑ S3" in UTF-8, one character each, as in the user guide.
    const sent = Buffer.from("ÄMÄZÕÑ S3").toString("latin1");
    const word = "=?UTF-8?B?w4PChE3Dg8KEWsODwpXDg8KRIFMz?=";
    assert.deepEqual(userMetadataHeaders(userMetadata("x-amz-meta-nonascii", sent)), [["x-amz-meta-nonascii", word]]);
    assert.deepEqual(userMetadataHeaders(userMetadata("x-amz-meta-nonascii", word)), [["x-amz-meta-nonascii", word]]);
    assert.deepEqual(userMetadataHeaders(userMetadata("x-amz-meta-ascii", "AMAZONS3")), [
      ["x-amz-meta-ascii", "AMAZONS3"],
    ]);
  });

  test("cannot smuggle a line into an answer", () => {
    const hidden = `=?UTF-8?B?${Buffer.from("a\r\nSet-Cookie: b").toString("base64")}?=`;
    for (const [, value] of userMetadataHeaders(userMetadata("x-amz-meta-a", hidden))) {
      assert.match(value, /^[\u0020-\u007e]*$/);
    }
  });
});

describe("encoded words", () => {
  const cases: [string, string][] = [
    ["plain", "plain"],
    ["=?UTF-8?Q?caf=C3=A9_au_lait?=", "café au lait"],
    ["=?utf-8?b?w6k=?=", "é"],
    ["=?ISO-8859-1?Q?=E9?=", "é"],
    ["=?UTF-8*en?Q?x?=", "x"],
    ["a =?UTF-8?Q?b?= c", "a b c"],
    ["=?UTF-8?Q?a?=  =?UTF-8?Q?b?=", "ab"],
    ["=?UTF-8?Q?a?= b =?UTF-8?Q?c?=", "a b c"],
    ["=?KOI8-R?Q?a?=", "=?KOI8-R?Q?a?="],
    ["=?UTF-8?Q?=FF?=", "=?UTF-8?Q?=FF?="],
    ["=?UTF-8?X?a?=", "=?UTF-8?X?a?="],
    ["x=?UTF-8?Q?a?=", "x=?UTF-8?Q?a?="],
    ["=?", "=?"],
  ];
  for (const [value, text] of cases) {
    test(`${value} is ${text}`, () => assert.equal(decodeEncodedWords(value), text));
  }

  test("carry any text, in printable ASCII and words of at most 75 characters", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const encoded = encodeWords(text);
        assert.match(encoded, /^[\t\u0020-\u007e]*$/);
        if (encoded !== text) for (const word of encoded.split(" ")) assert.ok(word.length <= 75);
        assert.equal(decodeEncodedWords(encoded), text);
      }),
    );
  });
});

describe("content headers", () => {
  test("are kept as they were sent, others are not", () => {
    const raw = [
      ["Content-Type", "text/plain; charset=utf-8"],
      ["content-disposition", 'attachment; filename="a"'],
      ["Content-Language", "en"],
      ["Cache-Control", "no-cache"],
      ["Expires", "never"],
      ["Content-Encoding", "gzip"],
      ["Content-Length", "5"],
    ];
    assert.deepEqual(readContentHeaders(headersFromRaw(raw.flat())), [
      ["cache-control", "no-cache"],
      ["content-disposition", 'attachment; filename="a"'],
      ["content-encoding", "gzip"],
      ["content-language", "en"],
      ["content-type", "text/plain; charset=utf-8"],
      ["expires", "never"],
    ]);
  });

  for (const [sent, kept] of [
    ["aws-chunked", undefined],
    ["AWS-Chunked", undefined],
    ["aws-chunked,gzip", "gzip"],
    ["gzip, aws-chunked", "gzip"],
    ["gzip, br,aws-chunked", "gzip,br"],
    ["gzip, br", "gzip, br"],
    ["", undefined],
  ] as const) {
    test(`keep ${kept} of the encoding ${JSON.stringify(sent)}`, () => {
      const headers = readContentHeaders(headersFromRaw(["Content-Encoding", sent]));
      assert.deepEqual(headers, kept === undefined ? [] : [["content-encoding", kept]]);
    });
  }
});

describe("response overrides", () => {
  test("are taken from the query and go before what is stored", () => {
    const query = parseQuery("response-content-type=text/plain&response-expires=&response-other=x&versionId=1");
    const overrides = readResponseOverrides(query, true);
    assert.deepEqual(overrides, [
      ["content-type", "text/plain"],
      ["expires", ""],
    ]);
    const stored: [string, string][] = [
      ["content-type", "a/b"],
      ["cache-control", "no-store"],
    ];
    assert.deepEqual(overrideHeaders(stored, overrides), [
      ["content-type", "text/plain"],
      ["cache-control", "no-store"],
      ["expires", ""],
    ]);
    assert.deepEqual(readResponseOverrides(parseQuery("versionId=1"), false), []);
  });

  test("are refused to requests without an identity", () => {
    assert.throws(
      () => readResponseOverrides(parseQuery("response-content-type=a"), false),
      (thrown) => thrown instanceof S3Error && thrown.code === "InvalidRequest",
    );
  });

  for (const value of ["a%0d%0ab", "%E2%82%AC", "%00", "%C2%85"]) {
    test(`are refused where ${value} cannot stand in a header`, () => {
      assert.throws(
        () => readResponseOverrides(parseQuery(`response-content-disposition=${value}`), true),
        (thrown) =>
          thrown instanceof S3Error &&
          thrown.code === "InvalidArgument" &&
          thrown.fields["ArgumentName"] === "response-content-disposition",
      );
    });
  }
});
