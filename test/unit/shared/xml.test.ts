import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { childOf, childrenOf, childText, parseXml, XmlError, type XmlLimits } from "../../../src/shared/xml.ts";

const LIMITS: XmlLimits = { bytesMax: 10_000, depthMax: 4, elementsMax: 10 };

function refused(document: string | Uint8Array, reason: XmlError["reason"], limits = LIMITS): void {
  assert.throws(
    () => parseXml(document, limits),
    (thrown) => thrown instanceof XmlError && thrown.reason === reason,
  );
}

describe("the XML reader", () => {
  test("reads elements, attributes, text and CDATA, and strips namespaces", () => {
    const root = parseXml(
      `<?xml version="1.0" encoding="UTF-8"?>
       <s3:Delete xmlns:s3="http://s3.amazonaws.com/doc/2006-03-01/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
         <s3:Object xsi:type="T"><Key>a&amp;b<![CDATA[<c>]]>&#13;</Key></s3:Object><Object><Key/></Object>
       </s3:Delete>`,
      LIMITS,
    );
    assert.equal(root.name, "Delete");
    assert.deepEqual([...root.attributes], []);
    assert.deepEqual(
      childrenOf(root, "Object").map((object) => childText(object, "Key")),
      ["a&b<c>\r", ""],
    );
    assert.deepEqual([...(childOf(root, "Object")?.attributes ?? [])], [["type", "T"]]);
    assert.equal(childText(root, "Nothing"), undefined);
  });

  test("keeps text exactly, numbers and white space too", () => {
    assert.equal(parseXml("<a> 00123 \n</a>", LIMITS).text, " 00123 \n");
    assert.equal(parseXml("<a>\u0085\u2028é😀</a>", LIMITS).text, "\u0085\u2028é😀");
  });

  test("joins the text on both sides of a child and leaves the child's out", () => {
    assert.equal(parseXml("<a>x<b>y</b>z</a>", LIMITS).text, "xz");
  });

  test("takes references to characters that S3 keys hold and XML 1.0 forbids", () => {
    assert.equal(parseXml("<a>&#x1;&#31;&#0;&#xFFFF;&#x41;</a>", LIMITS).text, "\u0001\u001f\u0000\uffffA");
    assert.equal(parseXml("<?xml version='1.1'?><a>&#x1;\u2028</a>", LIMITS).text, "\u0001\u2028");
    assert.equal(parseXml("<a>&amp;#x1;</a>", LIMITS).text, "&#x1;");
    assert.equal(parseXml("<a><![CDATA[&#x1;]]></a>", LIMITS).text, "&#x1;");
    refused("<a>\u0001</a>", "malformed");
    refused("<a>&#xD800;</a>", "malformed");
    refused("<a>&#x110000;</a>", "malformed");
  });

  test("takes bytes in UTF-8, with or without a byte order mark", () => {
    assert.equal(parseXml(Buffer.from("\ufeff<a>é</a>"), LIMITS).text, "é");
    refused(Buffer.from([0x3c, 0x61, 0x3e, 0xff, 0x3c, 0x2f, 0x61, 0x3e]), "malformed");
    refused('<?xml version="1.0" encoding="ISO-8859-1"?><a/>', "not-allowed");
  });

  const malformed: [string, string][] = [
    ["an empty document", ""],
    ["white space only", " \n"],
    ["plain text", "hello"],
    ["two roots", "<a/><b/>"],
    ["text after the root", "<a/>x"],
    ["an element left open", "<a><b></b>"],
    ["tags crossed", "<a><b></a></b>"],
    ["an attribute twice", '<a x="1" x="2"/>'],
    ["an attribute twice by prefixes", '<a xmlns:p="u" xmlns:q="u" p:x="1" q:x="2"/>'],
    ["an attribute twice once prefixes are stripped", '<a xmlns:p="u" p:x="1" x="2"/>'],
    ["an attribute without quotes", "<a x=1/>"],
    ["an unbound prefix", "<p:a/>"],
    ["a bare ampersand", "<a>&</a>"],
    ["an unknown entity", "<a>&nbsp;</a>"],
    ["an entity named as a property of every object", "<a>&constructor;</a>"],
    ["a declaration in the middle", '<a/><?xml version="1.0"?>'],
    ["]]> in text", "<a>]]></a>"],
    ["a comment left open", "<a/><!--"],
  ];
  for (const [what, document] of malformed) test(`refuses ${what}`, () => refused(document, "malformed"));

  test("refuses a document type", () => {
    refused("<!DOCTYPE a><a/>", "not-allowed");
    refused('<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "not-allowed");
  });

  test("refuses more than its limits, and takes exactly as much", () => {
    const two: XmlLimits = { bytesMax: 14, depthMax: 2, elementsMax: 2 };
    assert.equal(parseXml("<aa><b/></aa>", two).name, "aa");
    refused("<aaaa><b/></aaaa>", "too-large", two);
    refused("<é>éé</é>", "too-large", { ...two, bytesMax: 12 });
    refused("<a><b/><c/></a>", "too-many-elements", { ...two, bytesMax: 100 });
    refused("<a><b><c/></b></a>", "too-deep", { bytesMax: 100, depthMax: 2, elementsMax: 9 });
  });

  test("keeps names of JavaScript's own as plain names", () => {
    const root = parseXml('<__proto__ constructor="1"><toString>x</toString></__proto__>', LIMITS);
    assert.equal(root.name, "__proto__");
    assert.equal(root.attributes.get("constructor"), "1");
    assert.equal(childText(root, "toString"), "x");
  });
});
