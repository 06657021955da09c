import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  GetBucketLocationCommand,
  GetBucketVersioningCommand,
  HeadBucketCommand,
  ListBucketsCommand,
  PutObjectCommand,
  paginateListBuckets,
} from "@aws-sdk/client-s3";
import { type Front, openFront } from "../../../support/s3-front.ts";

let front: Front;
before(async () => {
  front = await openFront();
});
after(() => front[Symbol.asyncDispose]());
beforeEach(() => front.service.clear());

const create = (Bucket: string) => front.client.send(new CreateBucketCommand({ Bucket }));

function configuration(inner: string): string {
  return `<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${inner}</CreateBucketConfiguration>`;
}

describe("CreateBucket", () => {
  test("makes one, and says where it is", async () => {
    const { status, headers } = await front.send({ method: "PUT", target: "/bucket" });
    assert.deepEqual([status, headers.location], [200, "/bucket"]);
    assert.equal(front.service.last("createBucket").principal.id, "root");
  });

  test("does not make one twice", async () => {
    await create("bucket");
    await assert.rejects(create("bucket"), { name: "BucketAlreadyOwnedByYou" });
    const { info } = front.service.buckets.get("bucket") ?? assert.fail();
    const others = {
      info: { ...info, owner: { id: "other", displayName: "" } },
      objects: new Map(),
      uploads: new Map(),
    };
    front.service.buckets.set("bucket", others);
    await assert.rejects(create("bucket"), { name: "BucketAlreadyExists" });
  });

  test("refuses names that are none", async () => {
    for (const name of ["ab", "Upper", "under_score"]) {
      const { status, text } = await front.send({ method: "PUT", target: `/${name}` });
      assert.equal(status, 400);
      assert.match(text, /<Code>InvalidBucketName</);
    }
  });

  test("takes the server's region, named or not, and no other", async () => {
    await using eu = await openFront({ settings: { region: "eu-west-1" } });
    const make = (target: string, body: string) => eu.send({ method: "PUT", target, body });
    assert.equal(
      (await make("/named", configuration("<LocationConstraint>eu-west-1</LocationConstraint>"))).status,
      200,
    );
    assert.equal((await make("/unnamed", "")).status, 200);
    assert.equal((await make("/empty", configuration(""))).status, 200);
    const other = await make("/other", configuration("<LocationConstraint>us-west-2</LocationConstraint>"));
    assert.equal(other.status, 400);
    assert.match(other.text, /<Code>IllegalLocationConstraintException<\/Code><Message>The us-west-2 location/);
    assert.deepEqual([...eu.service.buckets.keys()], ["named", "unnamed", "empty"]);
  });

  test("refuses what it cannot read, and what it cannot do by name", async () => {
    const make = (body: string) => front.send({ method: "PUT", target: "/bucket", body });
    for (const body of ["<", "<Other/>", "<!DOCTYPE a><CreateBucketConfiguration/>", "plain"]) {
      assert.match((await make(body)).text, /<Code>MalformedXML</);
    }
    assert.match((await make(configuration("<Tags><Tag/></Tags>"))).text, /<Code>NotImplemented<.*Tags/);
    assert.match((await make(configuration(" ".repeat(70_000)))).text, /<Code>MaxMessageLengthExceeded</);
    assert.equal(front.service.buckets.size, 0);
  });

  test("believes a body only when it is the one that was signed", async () => {
    const body = configuration("<LocationConstraint>us-east-1</LocationConstraint>");
    const payload = "0".repeat(64);
    const { text } = await front.send({ method: "PUT", target: "/bucket", body, payload });
    assert.match(text, /<Code>XAmzContentSHA256Mismatch</);
    const md5 = { "content-md5": Buffer.alloc(16).toString("base64") };
    assert.match((await front.send({ method: "PUT", target: "/bucket", body, headers: md5 })).text, /<Code>BadDigest</);
    const crc = { "x-amz-checksum-crc32": "AAAAAA==" };
    assert.match((await front.send({ method: "PUT", target: "/bucket", body, headers: crc })).text, /<Code>BadDigest</);
    assert.equal(front.service.buckets.size, 0);
  });
});

describe("a bucket", () => {
  test("has a region, a location and no versioning", async () => {
    await create("bucket");
    const head = await front.client.send(new HeadBucketCommand({ Bucket: "bucket" }));
    assert.deepEqual([head.BucketRegion, head.AccessPointAlias], ["us-east-1", false]);
    const location = await front.client.send(new GetBucketLocationCommand({ Bucket: "bucket" }));
    assert.equal(location.LocationConstraint, undefined);
    const versioning = await front.client.send(new GetBucketVersioningCommand({ Bucket: "bucket" }));
    assert.equal(versioning.Status, undefined);
  });

  test("of another region names it", async () => {
    await using eu = await openFront({ settings: { region: "eu-west-1" } });
    await eu.send({ method: "PUT", target: "/bucket" });
    const { LocationConstraint } = await eu.client.send(new GetBucketLocationCommand({ Bucket: "bucket" }));
    assert.equal(LocationConstraint, "eu-west-1");
    const { headers } = await eu.send({ method: "HEAD", target: "/bucket" });
    assert.equal(headers["x-amz-bucket-region"], "eu-west-1");
  });

  test("that is not there is answered 404 whatever is asked of it", async () => {
    for (const target of ["/nowhere?location", "/nowhere?versioning", "/nowhere", "/nowhere?list-type=2"]) {
      const { status, text } = await front.send({ target });
      assert.equal(status, 404);
      assert.match(text, /<Code>NoSuchBucket<\/Code>.*<BucketName>nowhere</);
    }
    const { status, text } = await front.send({ method: "HEAD", target: "/nowhere" });
    assert.deepEqual([status, text], [404, ""]);
  });

  test("is deleted when it is empty", async () => {
    await create("bucket");
    await front.client.send(new PutObjectCommand({ Bucket: "bucket", Key: "k", Body: "" }));
    const remove = () => front.client.send(new DeleteBucketCommand({ Bucket: "bucket" }));
    await assert.rejects(remove(), { name: "BucketNotEmpty" });
    front.service.buckets.get("bucket")?.objects.clear();
    const { $metadata } = await remove();
    assert.equal($metadata.httpStatusCode, 204);
    await assert.rejects(remove(), { name: "NoSuchBucket" });
  });

  test("is not touched for somebody who takes it for somebody else's", async () => {
    await create("bucket");
    const mine = new HeadBucketCommand({ Bucket: "bucket", ExpectedBucketOwner: "root" });
    await front.client.send(mine);
    const theirs = { ...{ Bucket: "bucket", Key: "k", Body: "x" }, ExpectedBucketOwner: "111122223333" };
    await assert.rejects(front.client.send(new PutObjectCommand(theirs)), { name: "AccessDenied" });
    assert.equal(front.service.bytesOf("bucket", "k"), undefined);
  });
});

describe("ListBuckets", () => {
  test("names every bucket, its date, its region and the owner", async () => {
    await create("b-two");
    await create("a-one");
    const { Buckets, Owner, ContinuationToken } = await front.client.send(new ListBucketsCommand({}));
    const CreationDate = new Date(front.service.nowMs);
    assert.deepEqual(Buckets, [
      { Name: "a-one", CreationDate, BucketRegion: "us-east-1" },
      { Name: "b-two", CreationDate, BucketRegion: "us-east-1" },
    ]);
    assert.deepEqual([Owner?.ID, Owner?.DisplayName, ContinuationToken], ["root", "The Root", undefined]);
  });

  test("comes in pages, by prefix and by region", async () => {
    const names = Array.from({ length: 7 }, (_, n) => `page-${n}`);
    for (const name of [...names, "other"]) await create(name);
    const pages: string[][] = [];
    for await (const page of paginateListBuckets({ client: front.client, pageSize: 3 }, { Prefix: "page-" })) {
      assert.equal(page.Prefix, "page-");
      pages.push((page.Buckets ?? []).map(({ Name = "" }) => Name));
    }
    assert.deepEqual(pages, [names.slice(0, 3), names.slice(3, 6), names.slice(6)]);
    const elsewhere = await front.client.send(new ListBucketsCommand({ BucketRegion: "us-west-2" }));
    assert.deepEqual(elsewhere.Buckets ?? [], []);
  });

  test("names all of more than a thousand", async () => {
    for (let n = 0; n < 1_050; n++) {
      const name = `bucket-${String(n).padStart(4, "0")}`;
      const info = { name, createdAtMs: 0, owner: { id: "root", displayName: "" }, location: "" };
      front.service.buckets.set(name, { info, objects: new Map(), uploads: new Map() });
    }
    const { Buckets = [], ContinuationToken } = await front.client.send(new ListBucketsCommand({}));
    assert.deepEqual([Buckets.length, Buckets.at(-1)?.Name, ContinuationToken], [1_050, "bucket-1049", undefined]);
  });

  test("refuses numbers and tokens that are none", async () => {
    for (const query of ["max-buckets=0", "max-buckets=x", "continuation-token=", "continuation-token=%21%21"]) {
      const { status, text } = await front.send({ target: `/?${query}` });
      assert.equal(status, 400);
      assert.match(text, /<Code>InvalidArgument</);
    }
  });
});
