import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { S3Error } from "../../../src/s3/errors.ts";
import { decodeUrl, encodeForListing, uriEncode, uriEncodePath } from "../../../src/s3/url-encoding.ts";

const anyText = fc.string({ unit: "binary" });

describe("percent-decoding", () => {
  const cases: [string, string][] = [
    ["", ""],
    ["plain-._~!$&'()*,;=:@", "plain-._~!$&'()*,;=:@"],
    ["a%2Fb//./../c", "a/b//./../c"],
    ["a+b%2Bc", "a b+c"],
    ["%C3%A9%f0%9f%98%80", "é😀"],
    ["\u00c3\u00a9", "é"], // bare bytes of UTF-8, one character each as Node.js hands them over
    ["%00%0D", "\u0000\r"],
    ["%EF%BB%BFx", "\ufeffx"],
    ["%25", "%"],
  ];
  for (const [raw, decoded] of cases) {
    test(`makes ${JSON.stringify(decoded)} of ${JSON.stringify(raw)}`, () => assert.equal(decodeUrl(raw), decoded));
  }

  for (const raw of ["%", "%2", "%zz", "%2g", "a%", "%%41", "%C3", "%ED%A0%80", "%C0%AF", "%ff", "\u00ff"]) {
    test(`refuses ${JSON.stringify(raw)}`, () => {
      assert.throws(
        () => decodeUrl(raw),
        (thrown) => thrown instanceof S3Error && thrown.code === "InvalidURI",
      );
    });
  }

  test("undoes every encoding", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        assert.equal(decodeUrl(uriEncode(text)), text);
        assert.equal(decodeUrl(uriEncodePath(text)), text);
        assert.equal(decodeUrl(encodeForListing(text)), text);
      }),
    );
  });
});

describe("percent-encoding", () => {
  test("for signatures leaves only letters, digits and -._~", () => {
    assert.equal(uriEncode("azAZ09-._~"), "azAZ09-._~");
    assert.equal(uriEncode(" /!'()*+é"), "%20%2F%21%27%28%29%2A%2B%C3%A9");
    assert.equal(uriEncodePath("/b/a b//c*"), "/b/a%20b//c%2A");
    fc.assert(fc.property(anyText, (text) => assert.match(uriEncode(text), /^(?:[A-Za-z0-9\-._~]|%[0-9A-F]{2})*$/)));
  });

  test("for listings follows HTML forms but keeps slashes", () => {
    assert.equal(encodeForListing("test_file(3).png"), "test_file%283%29.png");
    assert.equal(encodeForListing("a b/~c*+'\u0001"), "a+b/%7Ec*%2B%27%01");
  });
});
