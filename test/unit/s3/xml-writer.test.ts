import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { escapeXml, S3_XML_NAMESPACE, XmlWriter } from "../../../src/s3/xml-writer.ts";
import { childText, parseXml } from "../../../src/shared/xml.ts";

describe("the XML writer", () => {
  test("writes elements, nested and empty, and leaves out what is undefined", () => {
    const xml = new XmlWriter().open("ListBucketResult", { xmlns: S3_XML_NAMESPACE });
    xml.element("Prefix", "").element("Delimiter", undefined).element("MaxKeys", 1000).element("IsTruncated", false);
    xml.open("Contents").element("Key", "a&b").element("ETag", '"0"').close();
    assert.equal(
      xml.toString(),
      '<?xml version="1.0" encoding="UTF-8"?>\n' +
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Prefix/><MaxKeys>1000</MaxKeys>' +
        "<IsTruncated>false</IsTruncated><Contents><Key>a&amp;b</Key><ETag>&quot;0&quot;</ETag></Contents>" +
        "</ListBucketResult>",
    );
  });

  test("writes attributes", () => {
    const xml = new XmlWriter()
      .open("Grantee", { "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance", "xsi:type": '"<&' })
      .toString();
    const root = parseXml(xml, { bytesMax: 1000, depthMax: 1, elementsMax: 1 });
    assert.deepEqual([...root.attributes], [["type", '"<&']]);
  });

  test("writes what XML would change or forbids as references", () => {
    assert.equal(escapeXml("a\r\n\tb\u0001\u0000\uffff"), "a&#xD;&#xA;&#x9;b&#x1;&#x0;&#xFFFF;");
    assert.equal(escapeXml("\u0085\u2028é😀'"), "&#x85;\u2028é😀'");
  });

  test("writes any key so that a reader gets it back", () => {
    const anyText = fc.string({ unit: "binary" });
    fc.assert(
      fc.property(anyText, (key) => {
        const xml = new XmlWriter().open("Contents").element("Key", key).toString();
        assert.equal(childText(parseXml(xml, { bytesMax: 10_000, depthMax: 2, elementsMax: 2 }), "Key"), key);
      }),
      { numRuns: 1000 },
    );
  });
});
