import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, beforeEach, describe, test } from "node:test";
import { CreateBucketCommand, DeleteObjectsCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { ObjectError } from "../../../../src/objects/api.ts";
import { childrenOf, childText } from "../../../../src/shared/xml.ts";
import { type Front, openFront, xmlOf } from "../../../support/s3-front.ts";

let front: Front;
before(async () => {
  front = await openFront();
});
after(() => front[Symbol.asyncDispose]());

const Bucket = "bucket";
beforeEach(async () => {
  front.service.clear();
  await front.client.send(new CreateBucketCommand({ Bucket }));
});

function send(body: string, headers: Record<string, string> = { "content-md5": md5(body) }) {
  return front.send({ method: "POST", target: "/bucket?delete", body, headers });
}

function md5(text: string): string {
  return createHash("md5").update(text).digest("base64");
}

function list(keys: readonly string[], inner = ""): string {
  return `<Delete>${keys.map((key) => `<Object><Key>${key}</Key>${inner}</Object>`).join("")}</Delete>`;
}

describe("DeleteObjects", () => {
  test("deletes each, and names them in their order", async () => {
    for (const Key of ["a", "b"]) await front.client.send(new PutObjectCommand({ Bucket, Key, Body: "x" }));
    const Objects = [{ Key: "b" }, { Key: "not there" }, { Key: "a", VersionId: "null" }];
    const { Deleted, Errors } = await front.client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    assert.deepEqual(Deleted, [{ Key: "b" }, { Key: "not there" }, { Key: "a", VersionId: "null" }]);
    assert.equal(Errors, undefined);
    assert.equal(front.service.buckets.get(Bucket)?.objects.size, 0);
  });

  test("tells of failures one by one, and when quiet of nothing else", async () => {
    for (const Key of ["a", "b"]) await front.client.send(new PutObjectCommand({ Bucket, Key, Body: "x" }));
    const Objects = [{ Key: "a", ETag: '"other"' }, { Key: "b" }];
    const { Deleted, Errors } = await front.client.send(
      new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }),
    );
    assert.equal(Deleted, undefined);
    assert.deepEqual(
      Errors?.map(({ Key, Code }) => [Key, Code]),
      [["a", "PreconditionFailed"]],
    );
  });

  test("takes keys of any text", async () => {
    const keys = ["&#x1;", "a&amp;b", " spaces ", "tab&#9;cr&#13;", "ünï😀"];
    const answer = xmlOf(await send(list(keys)));
    const decoded = ["\u0001", "a&b", " spaces ", "tab\tcr\r", "ünï😀"];
    assert.deepEqual(
      front.service.last("deleteObjects").targets,
      decoded.map((key) => ({ key })),
    );
    assert.deepEqual(
      childrenOf(answer, "Deleted").map((deleted) => childText(deleted, "Key")),
      decoded,
    );
  });

  test("takes a thousand keys and no more, and not none", async () => {
    const keys = Array.from({ length: 1000 }, (_, n) => `${"k".repeat(1000)}${n}`);
    assert.equal((await send(list(keys))).status, 200);
    assert.match((await send(list([...keys, "one more"]))).text, /<Code>MalformedXML</);
    assert.match((await send(list([]))).text, /<Code>MalformedXML</);
  });

  test("wants a digest of the list, and a right one", async () => {
    const body = list(["a"]);
    assert.match((await send(body, {})).text, /<Code>InvalidRequest<.*Content-MD5 OR x-amz-checksum/);
    assert.match((await send(body, { "content-md5": md5("other") })).text, /<Code>BadDigest</);
    assert.match((await send(body, { "x-amz-checksum-crc32": "AAAAAA==" })).text, /<Code>BadDigest</);
    assert.equal(front.service.calls.filter(({ name }) => name === "deleteObjects").length, 0);
  });

  test("refuses what it cannot read, and conditions that it cannot keep", async () => {
    for (const body of ["<Delete>", "<Other/>", list([""]), "<Delete><Object/></Delete>", "\u0000"]) {
      const { status, text } = await send(body);
      assert.equal(status, 400, body);
      assert.match(text, /<Code>MalformedXML</);
    }
    assert.match(
      (await front.send({ method: "POST", target: "/bucket?delete" })).text,
      /<Code>MissingRequestBodyError</,
    );
    assert.match((await send(list(["a"], "<Size>1</Size>"))).text, /<Code>NotImplemented<.*Size/);
  });

  test("fails as a whole where the bucket is not there or the service fails", async () => {
    front.service.fail("deleteObjects", new ObjectError("unavailable", "no catalog"));
    assert.equal((await send(list(["a"]))).status, 503);
    front.service.buckets.clear();
    assert.match((await send(list(["a"]))).text, /<Code>NoSuchBucket</);
  });
});
