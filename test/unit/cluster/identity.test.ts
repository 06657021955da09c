import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Identity, judgeIdentity, writeIdentityDocument } from "../../../src/cluster/identity.ts";

const KEY = Buffer.alloc(32, 1);
const IDENTITY: Identity = { clusterId: "c".repeat(32), nodeUuid: "1".repeat(32) };
const DOCUMENT = writeIdentityDocument(IDENTITY, KEY);

function judge(document: Uint8Array | string, expected = IDENTITY, key: Uint8Array = KEY): string {
  const verdict = judgeIdentity(Buffer.from(document), expected, key);
  return verdict.kind === "same" ? "same" : verdict.reason;
}

/** The document with some of its fields changed, its signature as it was. */
function changed(fields: Record<string, unknown>): string {
  const document: unknown = JSON.parse(DOCUMENT.toString());
  return JSON.stringify(Object.assign({}, document, fields));
}

test("the document is what it was in format 1, to the last byte", () => {
  assert.equal(
    DOCUMENT.toString(),
    `{"format":1,"clusterId":"${"c".repeat(32)}","nodeUuid":"${"1".repeat(32)}","signature":"0e9fc9727babd4353c57a24fd425293d891fdced38a015a0960c03b9f6569da8"}\n`,
  );
});

test("a node's own document is told from those of other nodes and clusters", () => {
  assert.equal(judge(DOCUMENT), "same");
  const other = { ...IDENTITY, nodeUuid: "2".repeat(32) };
  assert.equal(judge(writeIdentityDocument(other, KEY)), `it is another node of this cluster (${other.nodeUuid})`);
  const foreign = { ...IDENTITY, clusterId: "d".repeat(32) };
  assert.equal(judge(writeIdentityDocument(foreign, KEY)), `it belongs to another cluster (${foreign.clusterId})`);
});

test("a document that is not signed with the cluster's key is no identity, whatever it says", () => {
  const unsigned = "its identity is not signed with this cluster's key";
  assert.equal(judge(writeIdentityDocument(IDENTITY, Buffer.alloc(32, 2))), unsigned);
  assert.equal(judge(changed({ nodeUuid: "2".repeat(32) })), unsigned);
  for (const signature of ["", "00", "zz", "f".repeat(64), "f".repeat(128)]) {
    assert.equal(judge(changed({ signature })), unsigned);
  }
});

test("what is no document of this format cannot be read", () => {
  const unreadable = "its identity document cannot be read";
  const damaged = [
    "",
    "{}",
    "null",
    "[]",
    DOCUMENT.subarray(0, 50),
    changed({ format: 2 }),
    changed({ clusterId: 5 }),
    changed({ signature: null }),
    Buffer.from([0xff, 0xfe, 0]),
  ];
  for (const document of damaged) assert.equal(judge(document), unreadable);
});

test("no change of a single bit passes", () => {
  fc.assert(
    fc.property(fc.nat(DOCUMENT.length - 2), fc.nat(7), (at, bit) => {
      const flipped = Buffer.from(DOCUMENT);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
      // Hexadecimal digits say the same in either case.
      if (flipped.toString().toLowerCase() === DOCUMENT.toString().toLowerCase()) return;
      assert.notEqual(judge(flipped), "same");
    }),
  );
});
