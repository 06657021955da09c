import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { GetObjectTaggingCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { OPERATIONS } from "../../../../src/s3/handlers/table.ts";
import { S3_OPERATIONS } from "../../../../src/s3/operations.ts";
import { type Front, openFront, ROOT } from "../../../support/s3-front.ts";

let front: Front;
before(async () => {
  front = await openFront();
});
after(() => front[Symbol.asyncDispose]());
beforeEach(async () => {
  front.service.clear();
  await front.service.createBucket({ principal: ROOT, bucket: "bucket", location: "" });
});

const at = { Bucket: "bucket", Key: "key" };

describe("operations", () => {
  test("are all in the table, and each is either carried out or not", () => {
    assert.deepEqual(Object.keys(OPERATIONS).sort(), [...S3_OPERATIONS]);
    const implemented = Object.values(OPERATIONS).filter((entry) => entry !== "not-implemented");
    assert.equal(implemented.length, 23);
  });

  const requests: [operation: string, method: string, target: string][] = [
    ["GetBucketAcl", "GET", "/bucket?acl"],
    ["PutBucketVersioning", "PUT", "/bucket?versioning"],
    ["GetBucketPolicy", "GET", "/bucket?policy"],
    ["DeleteBucketPolicy", "DELETE", "/bucket?policy"],
    ["GetBucketLifecycleConfiguration", "GET", "/bucket?lifecycle"],
    ["PutBucketCors", "PUT", "/bucket?cors"],
    ["GetObjectAttributes", "GET", "/bucket/key?attributes"],
    ["PutObjectTagging", "PUT", "/bucket/key?tagging"],
    ["PutObjectAcl", "PUT", "/bucket/key?acl"],
    ["RestoreObject", "POST", "/bucket/key?restore"],
    ["SelectObjectContent", "POST", "/bucket/key?select&select-type=2"],
    ["PostObject", "POST", "/bucket"],
  ];
  for (const [operation, method, target] of requests) {
    test(`${operation} is refused by its name`, async () => {
      const { status, text } = await front.send({ method, target });
      assert.equal(status, 501);
      assert.match(text, new RegExp(`<Code>NotImplemented</Code><Message>${operation} is not implemented`));
      assert.deepEqual(front.service.calls.slice(1), []);
      assert.equal(front.finished.at(-1)?.operation, operation);
    });
  }

  test("that are none are refused, and none is taken for another", async () => {
    const { status, headers, text } = await front.send({ method: "POST", target: "/bucket/key" });
    assert.equal(status, 405);
    assert.match(text, /<Code>MethodNotAllowed</);
    assert.match(String(headers.allow), /GET/);
    assert.equal((await front.send({ method: "PATCH", target: "/bucket" })).status, 405);
    assert.equal((await front.send({ method: "DELETE", target: "/bucket?versions" })).status, 405);
    assert.ok(front.service.buckets.has("bucket"));
  });

  test("of browsers and forms are refused by name without a signature too", async () => {
    for (const method of ["OPTIONS", "POST"]) {
      const { status, text } = await front.send({ method, target: "/bucket", anonymous: true });
      assert.equal(status, 501);
      assert.match(text, /<Code>NotImplemented</);
    }
  });
});

describe("headers that ask for more", () => {
  const refused: [header: string, value: string][] = [
    ["x-amz-acl", "public-read"],
    ["x-amz-grant-read", 'id="1"'],
    ["x-amz-server-side-encryption", "AES256"],
    ["x-amz-server-side-encryption-customer-algorithm", "AES256"],
    ["x-amz-tagging", "a=b"],
    ["x-amz-object-lock-mode", "GOVERNANCE"],
    ["x-amz-object-lock-legal-hold", "ON"],
    ["x-amz-website-redirect-location", "/other"],
    ["x-amz-write-offset-bytes", "0"],
    ["x-amz-bucket-object-lock-enabled", "true"],
    ["x-amz-if-match-size", "1"],
    ["x-amz-if-match-last-modified-time", "Fri, 01 Jan 2027 00:00:00 GMT"],
    ["x-amz-object-ownership", "ObjectWriter"],
    ["x-amz-tagging-directive", "REPLACE"],
  ];
  for (const [header, value] of refused) {
    test(`${header}: ${value} is refused by its name, and nothing is stored`, async () => {
      const { status, text } = await front.send({
        method: "PUT",
        target: "/bucket/key",
        body: "x",
        headers: { [header]: value },
      });
      assert.equal(status, 501);
      assert.match(text, new RegExp(`<Code>NotImplemented</Code><Message>.*${header}</Message><Header>${header}<`));
      assert.equal(front.service.bytesOf("bucket", "key"), undefined);
    });
  }

  test("are taken where they ask for what is so anyway", async () => {
    const headers = {
      "x-amz-acl": "private",
      "x-amz-storage-class": "STANDARD",
      "x-amz-request-payer": "requester",
      "x-amz-object-ownership": "BucketOwnerEnforced",
      "x-amz-unheard-of": "yes",
    };
    assert.equal((await front.send({ method: "PUT", target: "/bucket/key", body: "x", headers })).status, 200);
    const canned = { "x-amz-acl": "bucket-owner-full-control" };
    assert.equal((await front.send({ method: "PUT", target: "/bucket/key", body: "x", headers: canned })).status, 200);
  });

  test("are refused where they ask for what there is not in S3 either", async () => {
    const send = (headers: Record<string, string>) =>
      front.send({ method: "PUT", target: "/bucket/key", body: "x", headers });
    assert.match((await send({ "x-amz-acl": "mine" })).text, /<Code>InvalidArgument<.*<ArgumentName>x-amz-acl</);
    const { status, text } = await send({ "x-amz-storage-class": "GLACIER" });
    assert.equal(status, 400);
    assert.match(text, /<Code>InvalidStorageClass<.*<StorageClassRequested>GLACIER</);
  });

  test("are refused when a presigned URL brings them too", async () => {
    await assert.rejects(front.client.send(new PutObjectCommand({ ...at, Body: "x", ACL: "public-read" })), {
      name: "NotImplemented",
    });
  });
});

test("an object has no tags, which aws-cli asks for when it copies", async () => {
  await front.client.send(new PutObjectCommand({ ...at, Body: "x" }));
  const { TagSet } = await front.client.send(new GetObjectTaggingCommand(at));
  assert.deepEqual(TagSet, []);
  await assert.rejects(front.client.send(new GetObjectTaggingCommand({ ...at, Key: "none" })), { name: "NoSuchKey" });
});
