import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import {
  CreateBucketCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutObjectCommand,
  paginateListObjectsV2,
} from "@aws-sdk/client-s3";
import fc from "fast-check";
import { childrenOf, childText } from "../../../../src/shared/xml.ts";
import { type Front, openFront, xmlOf } from "../../../support/s3-front.ts";

let front: Front;
before(async () => {
  front = await openFront();
});
after(() => front[Symbol.asyncDispose]());

const Bucket = "bucket";
async function withKeys(keys: readonly string[]): Promise<void> {
  front.service.clear();
  await front.client.send(new CreateBucketCommand({ Bucket }));
  for (const Key of keys) await front.client.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
}

const FOLDERS = ["a", "b/1", "b/2", "b/c/3", "d", "e/4"];

describe("ListObjectsV2", () => {
  beforeEach(() => withKeys(FOLDERS));

  test("tells of every object", async () => {
    const { Contents, KeyCount, IsTruncated, MaxKeys, Name } = await front.client.send(
      new ListObjectsV2Command({ Bucket, Prefix: "a", FetchOwner: true }),
    );
    assert.deepEqual([Name, KeyCount, IsTruncated, MaxKeys], [Bucket, 1, false, 1000]);
    assert.deepEqual(Contents, [
      {
        Key: "a",
        LastModified: new Date(front.service.nowMs),
        ETag: '"0cc175b9c0f1b6a831c399e269772661"',
        ChecksumAlgorithm: ["CRC32"],
        ChecksumType: "FULL_OBJECT",
        Size: 1,
        StorageClass: "STANDARD",
        Owner: { ID: "root", DisplayName: "The Root" },
      },
    ]);
  });

  test("leaves the owner out unless asked", async () => {
    const { Contents } = await front.client.send(new ListObjectsV2Command({ Bucket, MaxKeys: 1 }));
    assert.equal(Contents?.[0]?.Owner, undefined);
  });

  test("rolls keys up to their delimiter", async () => {
    const top = await front.client.send(new ListObjectsV2Command({ Bucket, Delimiter: "/" }));
    assert.deepEqual(
      top.Contents?.map(({ Key }) => Key),
      ["a", "d"],
    );
    assert.deepEqual(top.CommonPrefixes, [{ Prefix: "b/" }, { Prefix: "e/" }]);
    assert.deepEqual([top.KeyCount, top.Delimiter], [4, "/"]);
    const below = await front.client.send(new ListObjectsV2Command({ Bucket, Delimiter: "/", Prefix: "b/" }));
    assert.deepEqual(
      below.Contents?.map(({ Key }) => Key),
      ["b/1", "b/2"],
    );
    assert.deepEqual(below.CommonPrefixes, [{ Prefix: "b/c/" }]);
  });

  test("pages go on where the one before ended, by a token that tells nothing", async () => {
    const seen: string[] = [];
    const config = { client: front.client, pageSize: 1 };
    for await (const page of paginateListObjectsV2(config, { Bucket, Delimiter: "/" })) {
      for (const { Key = "" } of page.Contents ?? []) seen.push(Key);
      for (const { Prefix = "" } of page.CommonPrefixes ?? []) seen.push(Prefix);
      assert.ok(!/^[abde]\/?$/.test(page.NextContinuationToken ?? ""));
    }
    assert.deepEqual(seen, ["a", "b/", "d", "e/"]);
  });

  test("starts after a key; a token goes before that", async () => {
    const first = await front.client.send(new ListObjectsV2Command({ Bucket, StartAfter: "b/2", MaxKeys: 1 }));
    assert.deepEqual([first.Contents?.[0]?.Key, first.StartAfter], ["b/c/3", "b/2"]);
    const second = await front.client.send(
      new ListObjectsV2Command({ Bucket, StartAfter: "a", ContinuationToken: first.NextContinuationToken }),
    );
    assert.deepEqual(
      second.Contents?.map(({ Key }) => Key),
      ["d", "e/4"],
    );
    assert.equal(second.ContinuationToken, first.NextContinuationToken);
  });

  test("of no keys is neither truncated nor wrong", async () => {
    const none = await front.client.send(new ListObjectsV2Command({ Bucket, MaxKeys: 0 }));
    assert.equal(none.KeyCount, 0);
    const many = await front.client.send(new ListObjectsV2Command({ Bucket, MaxKeys: 100_000 }));
    assert.deepEqual([many.MaxKeys, many.KeyCount], [1000, 6]);
  });

  test("refuses parameters that mean nothing", async () => {
    const queries = [
      "max-keys=x",
      "max-keys=-1",
      "max-keys=2147483648",
      "max-keys=1.5",
      "encoding-type=base64",
      "continuation-token=",
      "continuation-token=nonsense",
    ];
    for (const query of queries) {
      const { status, text } = await front.send({ target: `/bucket?list-type=2&${query}` });
      assert.equal(status, 400, query);
      assert.match(text, /<Code>InvalidArgument</);
      assert.equal((await front.send({ target: "/bucket?list-type=3" })).status, 400);
    }
  });
});

describe("ListObjects", () => {
  beforeEach(() => withKeys(FOLDERS));

  test("goes on by marker, and names the next one only with a delimiter", async () => {
    const plain = await front.client.send(new ListObjectsCommand({ Bucket, MaxKeys: 2 }));
    assert.deepEqual(
      plain.Contents?.map(({ Key }) => Key),
      ["a", "b/1"],
    );
    assert.deepEqual([plain.IsTruncated, plain.NextMarker, plain.Marker], [true, undefined, ""]);
    assert.equal(plain.Contents?.[0]?.Owner?.ID, "root");
    const rolled = await front.client.send(new ListObjectsCommand({ Bucket, Delimiter: "/", MaxKeys: 2 }));
    assert.deepEqual([rolled.IsTruncated, rolled.NextMarker], [true, "b/"]);
    const rest = await front.client.send(new ListObjectsCommand({ Bucket, Delimiter: "/", Marker: rolled.NextMarker }));
    assert.deepEqual([rest.Contents?.map(({ Key }) => Key), rest.CommonPrefixes], [["d"], [{ Prefix: "e/" }]]);
    assert.equal(rest.IsTruncated, false);
  });
});

describe("ListObjectVersions", () => {
  beforeEach(() => withKeys(FOLDERS));

  test("shows each object as its one version", async () => {
    const { Versions, DeleteMarkers } = await front.client.send(
      new ListObjectVersionsCommand({ Bucket, Prefix: "b/" }),
    );
    assert.deepEqual(
      Versions?.map(({ Key, VersionId, IsLatest, Size }) => [Key, VersionId, IsLatest, Size]),
      [
        ["b/1", "null", true, 3],
        ["b/2", "null", true, 3],
        ["b/c/3", "null", true, 5],
      ],
    );
    assert.equal(DeleteMarkers, undefined);
  });

  test("goes on by key and version", async () => {
    const first = await front.client.send(new ListObjectVersionsCommand({ Bucket, MaxKeys: 1 }));
    assert.deepEqual([first.NextKeyMarker, first.NextVersionIdMarker, first.IsTruncated], ["a", "null", true]);
    const second = await front.client.send(
      new ListObjectVersionsCommand({ Bucket, MaxKeys: 1, Delimiter: "/", KeyMarker: "a", VersionIdMarker: "null" }),
    );
    assert.deepEqual([second.CommonPrefixes, second.NextKeyMarker], [[{ Prefix: "b/" }], "b/"]);
    assert.equal(second.NextVersionIdMarker, undefined);
    const { text } = await front.send({ target: "/bucket?versions&version-id-marker=null" });
    assert.match(text, /<Code>InvalidArgument<.*without a key marker/);
  });
});

describe("keys in listings", () => {
  const ODD = [
    "a b",
    "a+b",
    "a%b",
    "a&b<c>\"d'",
    "ünï/日本/😀",
    "//",
    "./..",
    "tab\tcr\rlf\n",
    "\u0001\u001f",
    "\u007f",
  ];

  test("of any text come back as they are, plain or encoded", async () => {
    await withKeys(ODD);
    const sorted = ODD.map((key) => Buffer.from(key))
      .sort(Buffer.compare)
      .map(String);
    for (const target of ["/bucket?list-type=2", "/bucket", "/bucket?versions"]) {
      const element = target.includes("versions") ? "Version" : "Contents";
      const plain = xmlOf(await front.send({ target }));
      assert.deepEqual(
        childrenOf(plain, element).map((object) => childText(object, "Key")),
        sorted,
      );
      const encoded = xmlOf(
        await front.send({ target: `${target}${target.includes("?") ? "&" : "?"}encoding-type=url` }),
      );
      assert.equal(childText(encoded, "EncodingType"), "url");
      const keys = childrenOf(encoded, element).map((object) => childText(object, "Key") ?? "");
      assert.ok(keys.every((key) => /^[\x21-\x7e]*$/.test(key)));
      assert.deepEqual(
        keys.map((key) => decodeURIComponent(key.replaceAll("+", " "))),
        sorted,
      );
    }
  });

  test("prefixes, delimiters and markers are encoded too", async () => {
    await withKeys(["p q/1", "p q/2"]);
    const v2 = xmlOf(
      await front.send({
        target: "/bucket?list-type=2&encoding-type=url&prefix=p%20q&delimiter=%20&start-after=a%20b",
      }),
    );
    assert.deepEqual(
      ["Prefix", "Delimiter", "StartAfter"].map((name) => childText(v2, name)),
      ["p+q", "+", "a+b"],
    );
    const v1 = xmlOf(await front.send({ target: "/bucket?encoding-type=url&delimiter=%20&marker=a%20b&max-keys=1" }));
    assert.deepEqual(
      ["Delimiter", "Marker"].map((name) => childText(v1, name)),
      ["+", "a+b"],
    );
    assert.deepEqual(
      childrenOf(v1, "CommonPrefixes").map((common) => childText(common, "Prefix")),
      ["p+"],
    );
  });

  test("any set of them is listed whole and in order, page by page", async () => {
    const key = fc.string({ unit: "binary", minLength: 1, maxLength: 20 }).filter((text) => text.isWellFormed());
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(key, { maxLength: 12 }),
        fc.integer({ min: 1, max: 5 }),
        async (keys, pageSize) => {
          front.service.clear();
          const principal = { id: "root", displayName: "" };
          await front.service.createBucket({ principal, bucket: Bucket, location: "" });
          for (const each of keys) front.service.place(Bucket, each, Buffer.alloc(0));
          const seen: string[] = [];
          for (let token = ""; ; ) {
            const page = xmlOf(await front.send({ target: `/bucket?list-type=2&max-keys=${pageSize}${token}` }));
            for (const object of childrenOf(page, "Contents")) seen.push(childText(object, "Key") ?? "");
            const next = childText(page, "NextContinuationToken");
            assert.equal(childText(page, "IsTruncated"), String(next !== undefined));
            if (next === undefined) break;
            token = `&continuation-token=${encodeURIComponent(next)}`;
          }
          assert.deepEqual(
            seen,
            keys
              .map((each) => Buffer.from(each))
              .sort(Buffer.compare)
              .map(String),
          );
        },
      ),
      { numRuns: 40 },
    );
  });
});
