import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import {
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  PutObjectCommand,
  UploadPartCopyCommand,
} from "@aws-sdk/client-s3";
import { type Front, openFront } from "../../../support/s3-front.ts";

let front: Front;
before(async () => {
  front = await openFront();
});
after(() => front[Symbol.asyncDispose]());

const Bucket = "bucket";
const SOURCE = "dir/a b+c%2F?versionId=1/ü";
const CopySource = `${Bucket}/${encodeURIComponent(SOURCE)}`;
beforeEach(async () => {
  front.service.clear();
  await front.client.send(new CreateBucketCommand({ Bucket }));
  await front.client.send(
    new PutObjectCommand({ Bucket, Key: SOURCE, Body: "copied", ContentType: "text/x", Metadata: { a: "1" } }),
  );
});

const copy = (more: object) => front.client.send(new CopyObjectCommand({ Bucket, Key: "new", CopySource, ...more }));

describe("CopyObject", () => {
  test("copies bytes and what was stored with them, from a key of any text", async () => {
    const { CopyObjectResult } = await copy({});
    assert.equal(CopyObjectResult?.LastModified?.getTime(), front.service.nowMs);
    assert.match(CopyObjectResult?.ETag ?? "", /^"[0-9a-f]{32}"$/);
    assert.ok(CopyObjectResult?.ChecksumCRC32);
    assert.equal(CopyObjectResult?.ChecksumType, "FULL_OBJECT");
    const got = await front.client.send(new GetObjectCommand({ Bucket, Key: "new" }));
    assert.deepEqual(
      [await got.Body?.transformToString(), got.ContentType, got.Metadata],
      ["copied", "text/x", { a: "1" }],
    );
    assert.equal(front.service.last("copyObject").attributes, undefined);
  });

  test("replaces what was stored when told to", async () => {
    await copy({ MetadataDirective: "REPLACE", Metadata: { b: "2" }, ContentType: "text/y" });
    const got = await front.client.send(new GetObjectCommand({ Bucket, Key: "new" }));
    assert.deepEqual([got.ContentType, got.Metadata], ["text/y", { b: "2" }]);
    const { text } = await send({ "x-amz-metadata-directive": "KEEP" });
    assert.match(text, /<Code>InvalidArgument<.*Unknown metadata directive/);
  });

  test("computes another checksum when asked to", async () => {
    const { CopyObjectResult } = await copy({ ChecksumAlgorithm: "SHA256" });
    assert.ok(CopyObjectResult?.ChecksumSHA256);
    assert.equal(front.service.last("copyObject").checksumAlgorithm, "SHA256");
  });

  test("hands on the conditions on its source and on what it replaces", async () => {
    await assert.rejects(copy({ CopySourceIfMatch: '"other"' }), { name: "PreconditionFailed" });
    await copy({ CopySourceIfNoneMatch: '"other"', CopySourceIfModifiedSince: new Date(0), IfNoneMatch: "*" });
    const { source, conditions } = front.service.last("copyObject");
    assert.deepEqual(source.conditions, { ifNoneMatch: ["other"], ifModifiedSinceMs: 0 });
    assert.deepEqual(conditions, { ifNoneMatch: "*" });
    await assert.rejects(copy({ IfNoneMatch: "*" }), { name: "PreconditionFailed" });
  });

  test("takes the source with or without its slash, and with its version", async () => {
    for (const source of ["bucket/k", "/bucket/k", "/bucket//k", "bucket/k?versionId=null", "bucket/a%3FversionId=1"]) {
      await send({ "x-amz-copy-source": source });
    }
    const sources = front.service.calls
      .filter(({ name }) => name === "copyObject")
      .map(({ request }) => {
        const { bucket, key, versionId } = (request as { source: { bucket: string; key: string; versionId?: string } })
          .source;
        return [bucket, key, versionId];
      });
    assert.deepEqual(sources, [
      ["bucket", "k", undefined],
      ["bucket", "k", undefined],
      ["bucket", "/k", undefined],
      ["bucket", "k", "null"],
      ["bucket", "a?versionId=1", undefined],
    ]);
  });

  test("refuses a source that is none", async () => {
    for (const source of ["", "bucket", "bucket/", "/bucket", "//k", "bucket/k?versionId="]) {
      const { status, text } = await send({ "x-amz-copy-source": source });
      assert.equal(status, 400, source);
      assert.match(text, /<Code>InvalidArgument</);
    }
    assert.match((await send({ "x-amz-copy-source": "bucket/%zz" })).text, /<Code>InvalidURI</);
    assert.match((await send({ "x-amz-copy-source": "bucket/none" })).text, /<Code>NoSuchKey</);
    assert.match((await send({ "x-amz-copy-source": "nowhere/k" })).text, /<Code>NoSuchBucket</);
  });

  test("does not copy what belongs to somebody else than expected", async () => {
    await assert.rejects(copy({ ExpectedSourceBucketOwner: "111122223333" }), { name: "AccessDenied" });
    await copy({ ExpectedSourceBucketOwner: "root" });
  });

  function send(headers: Record<string, string>) {
    return front.send({
      method: "PUT",
      target: "/bucket/new",
      headers: { "x-amz-copy-source": "bucket/k", ...headers },
    });
  }
});

describe("UploadPartCopy", () => {
  test("makes a part of a range of its source", async () => {
    const { UploadId } = await front.client.send(new CreateMultipartUploadCommand({ Bucket, Key: "new" }));
    const part = { Bucket, Key: "new", UploadId, PartNumber: 3, CopySource };
    const ranged = await front.client.send(new UploadPartCopyCommand({ ...part, CopySourceRange: "bytes=1-3" }));
    assert.match(ranged.CopyPartResult?.ETag ?? "", /^"[0-9a-f]{32}"$/);
    assert.deepEqual(front.service.last("uploadPartCopy").range, { start: 1, end: 4 });
    await front.client.send(new UploadPartCopyCommand(part));
    assert.equal(front.service.last("uploadPartCopy").range, undefined);
    for (const CopySourceRange of ["bytes=1-", "bytes=-1", "1-3", "bytes=3-1"]) {
      const call = front.client.send(new UploadPartCopyCommand({ ...part, CopySourceRange }));
      await assert.rejects(call, { name: "InvalidArgument" });
    }
    const beyond = front.client.send(new UploadPartCopyCommand({ ...part, CopySourceRange: "bytes=0-6" }));
    await assert.rejects(beyond, { name: "InvalidRange" });
  });
});
