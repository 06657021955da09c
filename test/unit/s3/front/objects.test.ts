import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, beforeEach, describe, test } from "node:test";
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3ServiceException,
} from "@aws-sdk/client-s3";
import { type Front, openFront } from "../../../support/s3-front.ts";

let front: Front;
before(async () => {
  front = await openFront();
});
after(() => front[Symbol.asyncDispose]());
beforeEach(async () => {
  front.service.clear();
  await front.client.send(new CreateBucketCommand({ Bucket: "bucket" }));
});

const at = { Bucket: "bucket", Key: "key" };

function md5Of(text: string): string {
  return createHash("md5").update(text).digest("hex");
}

async function failsWith(name: string, status: number, call: Promise<unknown>): Promise<S3ServiceException> {
  let error: unknown;
  await assert.rejects(call, (thrown) => {
    error = thrown;
    assert.ok(thrown instanceof S3ServiceException, String(thrown));
    assert.deepEqual([thrown.name, thrown.$metadata.httpStatusCode], [name, status]);
    return true;
  });
  assert.ok(error instanceof S3ServiceException);
  return error;
}

describe("PutObject and GetObject", () => {
  test("give back the bytes, their ETag, their date and what was stored with them", async () => {
    const put = await front.client.send(
      new PutObjectCommand({
        ...at,
        Body: "hello",
        ContentType: "text/plain",
        CacheControl: "max-age=1",
        ContentDisposition: "inline",
        ContentEncoding: "identity",
        ContentLanguage: "en",
        Expires: new Date("2030-01-01T00:00:00Z"),
        Metadata: { colour: "blue", size: "ünï" },
      }),
    );
    assert.equal(put.ETag, `"${md5Of("hello")}"`);
    const got = await front.client.send(new GetObjectCommand(at));
    assert.equal(await got.Body?.transformToString(), "hello");
    assert.deepEqual(
      {
        ETag: got.ETag,
        AcceptRanges: got.AcceptRanges,
        CacheControl: got.CacheControl,
        ContentDisposition: got.ContentDisposition,
        ContentEncoding: got.ContentEncoding,
        ContentLanguage: got.ContentLanguage,
        ContentLength: got.ContentLength,
        ContentType: got.ContentType,
        ExpiresString: got.ExpiresString,
        LastModified: got.LastModified?.getTime(),
        StorageClass: got.StorageClass,
        colour: got.Metadata?.["colour"],
      },
      {
        ETag: `"${md5Of("hello")}"`,
        AcceptRanges: "bytes",
        CacheControl: "max-age=1",
        ContentDisposition: "inline",
        ContentEncoding: "identity",
        ContentLanguage: "en",
        ContentLength: 5,
        ContentType: "text/plain",
        ExpiresString: "Tue, 01 Jan 2030 00:00:00 GMT",
        LastModified: Math.floor(front.service.nowMs / 1000) * 1000,
        StorageClass: undefined,
        colour: "blue",
      },
    );
  });

  test("an object without a content type has S3's own", async () => {
    await front.send({ method: "PUT", target: "/bucket/key", body: "x" });
    const head = await front.client.send(new HeadObjectCommand(at));
    assert.equal(head.ContentType, "binary/octet-stream");
  });

  test("an empty object has no bytes and an ETag", async () => {
    await front.client.send(new PutObjectCommand({ ...at, Body: "" }));
    const got = await front.client.send(new GetObjectCommand(at));
    assert.deepEqual([await got.Body?.transformToString(), got.ContentLength], ["", 0]);
    assert.equal(got.ETag, `"${md5Of("")}"`);
  });

  test("a body larger than every buffer comes back whole", async () => {
    const bytes = Buffer.alloc(3 * 2 ** 20, "0123456789abcdef!");
    await front.client.send(new PutObjectCommand({ ...at, Body: bytes }));
    const got = await front.client.send(new GetObjectCommand(at));
    assert.ok(Buffer.from((await got.Body?.transformToByteArray()) ?? []).equals(bytes));
  });

  test("HeadObject has the headers of GetObject and no body", async () => {
    await front.send({ method: "PUT", target: "/bucket/key", body: "hello", headers: { "x-amz-meta-a": "1" } });
    const got = await front.send({ target: "/bucket/key" });
    const head = await front.send({ method: "HEAD", target: "/bucket/key" });
    const { "x-amz-request-id": _, date: __, ...headHeaders } = head.headers;
    const { "x-amz-request-id": ___, date: ____, ...gotHeaders } = got.headers;
    assert.deepEqual([head.status, head.text, headHeaders], [200, "", gotHeaders]);
  });

  test("a key or a bucket that is not there is told apart", async () => {
    await failsWith("NoSuchKey", 404, front.client.send(new GetObjectCommand(at)));
    await failsWith("NoSuchBucket", 404, front.client.send(new GetObjectCommand({ ...at, Bucket: "nowhere" })));
    const { status, text, headers } = await front.send({ method: "HEAD", target: "/bucket/key" });
    assert.deepEqual([status, text], [404, ""]);
    assert.match(String(headers["x-amz-request-id"]), /^[0-9A-F]{16}$/);
  });

  test("the version id of an object without versions is null", async () => {
    await front.client.send(new PutObjectCommand({ ...at, Body: "x" }));
    await front.client.send(new GetObjectCommand({ ...at, VersionId: "null" }));
    await failsWith("NoSuchVersion", 404, front.client.send(new GetObjectCommand({ ...at, VersionId: "abc" })));
  });

  test("user metadata beyond 2 KiB is refused", async () => {
    const Metadata = { a: "x".repeat(2048) };
    await failsWith("MetadataTooLarge", 400, front.client.send(new PutObjectCommand({ ...at, Body: "x", Metadata })));
    assert.equal(front.service.bytesOf("bucket", "key"), undefined);
  });
});

describe("DeleteObject", () => {
  test("succeeds whether there is such an object or not", async () => {
    await front.client.send(new PutObjectCommand({ ...at, Body: "x" }));
    for (let i = 0; i < 2; i++) {
      const { status, headers } = await front.send({ method: "DELETE", target: "/bucket/key" });
      assert.deepEqual([status, headers["content-length"]], [204, undefined]);
    }
    assert.equal(front.service.bytesOf("bucket", "key"), undefined);
  });

  test("hands on the version and the condition", async () => {
    const { ETag } = await front.client.send(new PutObjectCommand({ ...at, Body: "x" }));
    await failsWith(
      "PreconditionFailed",
      412,
      front.client.send(new DeleteObjectCommand({ ...at, IfMatch: '"other"' })),
    );
    await front.client.send(new DeleteObjectCommand({ ...at, IfMatch: ETag, VersionId: "null" }));
    assert.deepEqual(front.service.last("deleteObject"), {
      bucket: "bucket",
      key: "key",
      versionId: "null",
      ifMatch: md5Of("x"),
    });
  });
});

describe("ranges", () => {
  beforeEach(() => front.client.send(new PutObjectCommand({ ...at, Body: "0123456789" })));

  const cases: [range: string, status: number, body: string, contentRange: string | undefined][] = [
    ["bytes=0-0", 206, "0", "bytes 0-0/10"],
    ["bytes=2-5", 206, "2345", "bytes 2-5/10"],
    ["bytes=7-", 206, "789", "bytes 7-9/10"],
    ["bytes=7-99", 206, "789", "bytes 7-9/10"],
    ["bytes=-3", 206, "789", "bytes 7-9/10"],
    ["bytes=-99", 206, "0123456789", "bytes 0-9/10"],
    ["bytes=0-1,4-5", 200, "0123456789", undefined],
    ["lines=0-1", 200, "0123456789", undefined],
    ["bytes=5-2", 200, "0123456789", undefined],
  ];
  for (const [range, status, body, contentRange] of cases) {
    test(`${range} is answered ${status}`, async () => {
      const got = await front.send({ target: "/bucket/key", headers: { range } });
      assert.deepEqual([got.status, got.text, got.headers["content-range"]], [status, body, contentRange]);
      const head = await front.send({ method: "HEAD", target: "/bucket/key", headers: { range } });
      assert.deepEqual([head.status, head.headers["content-length"]], [status, String(body.length)]);
    });
  }

  test("one that no byte lies in is refused with the size", async () => {
    for (const range of ["bytes=10-", "bytes=-0"]) {
      const { status, headers, text } = await front.send({ target: "/bucket/key", headers: { range } });
      assert.deepEqual([status, headers["content-range"]], [416, "bytes */10"]);
      assert.match(text, /<Code>InvalidRange<\/Code>.*<ActualObjectSize>10</);
    }
  });

  test("one that depends on If-Range is passed over: the whole is always right", async () => {
    const headers = { range: "bytes=1-2", "if-range": '"whatever"' };
    assert.equal((await front.send({ target: "/bucket/key", headers })).status, 200);
  });

  test("part 1 of an object that has no parts is all of it, another is none", async () => {
    const got = await front.send({ target: "/bucket/key?partNumber=1" });
    assert.deepEqual([got.status, got.text, got.headers["content-range"]], [206, "0123456789", "bytes 0-9/10"]);
    assert.equal(got.headers["x-amz-mp-parts-count"], undefined);
    const none = await front.send({ target: "/bucket/key?partNumber=2" });
    assert.match(none.text, /<Code>InvalidPartNumber<\/Code>.*<ActualPartCount>1</);
    assert.equal(none.status, 416);
    await front.client.send(new PutObjectCommand({ ...at, Body: "" }));
    assert.equal((await front.send({ target: "/bucket/key?partNumber=1" })).status, 200);
  });

  test("a part number must be one, and stand alone", async () => {
    for (const number of ["0", "10001", "x", ""]) {
      const { status, text } = await front.send({ target: `/bucket/key?partNumber=${number}` });
      assert.equal(status, 400);
      assert.match(text, /<Code>InvalidArgument<\/Code>.*<ArgumentName>partNumber</);
    }
    const both = await front.send({ target: "/bucket/key?partNumber=1", headers: { range: "bytes=0-1" } });
    assert.match(both.text, /<Code>InvalidRequest</);
  });
});

describe("conditions", () => {
  const etag = md5Of("x");
  const older = "Fri, 01 Jan 2021 00:00:00 GMT";
  const younger = "Sat, 01 Jan 2028 00:00:00 GMT";
  beforeEach(() => front.client.send(new PutObjectCommand({ ...at, Body: "x" })));

  const cases: [headers: Record<string, string>, status: number][] = [
    [{ "if-match": `"${etag}"` }, 200],
    [{ "if-match": etag }, 200],
    [{ "if-match": `"other", "${etag}"` }, 200],
    [{ "if-match": "*" }, 200],
    [{ "if-match": '"other"' }, 412],
    [{ "if-match": `W/"${etag}"` }, 412],
    [{ "if-none-match": `"${etag}"` }, 304],
    [{ "if-none-match": `W/"${etag}"` }, 304],
    [{ "if-none-match": "*" }, 304],
    [{ "if-none-match": '"other"' }, 200],
    [{ "if-modified-since": younger }, 304],
    [{ "if-modified-since": older }, 200],
    [{ "if-modified-since": "yesterday" }, 200],
    [{ "if-unmodified-since": older }, 412],
    [{ "if-unmodified-since": younger }, 200],
    [{ "if-match": `"${etag}"`, "if-unmodified-since": older }, 200],
    [{ "if-none-match": '"other"', "if-modified-since": younger }, 200],
  ];
  for (const [headers, status] of cases) {
    test(`${JSON.stringify(headers)} is answered ${status}`, async () => {
      for (const method of ["GET", "HEAD"]) {
        const answer = await front.send({ method, target: "/bucket/key", headers });
        assert.equal(answer.status, status);
        if (status === 304) {
          assert.equal(answer.text, "");
          assert.equal(answer.headers.etag, `"${etag}"`);
          assert.equal(answer.headers["last-modified"], "Sat, 02 Jan 2027 03:04:05 GMT");
        }
      }
    });
  }

  test("a failed one of a GET says which", async () => {
    const { text } = await front.send({ target: "/bucket/key", headers: { "if-match": '"other"' } });
    assert.match(text, /<Code>PreconditionFailed<\/Code>.*<Condition>If-Match</);
  });

  test("of a write are decided by what is there", async () => {
    const put = (conditions: object) => front.client.send(new PutObjectCommand({ ...at, Body: "y", ...conditions }));
    await failsWith("PreconditionFailed", 412, put({ IfNoneMatch: "*" }));
    await failsWith("PreconditionFailed", 412, put({ IfMatch: '"other"' }));
    await put({ IfMatch: `"${etag}"` });
    await failsWith("NoSuchKey", 404, put({ Key: "new", IfMatch: `"${etag}"` }));
    await put({ Key: "new", IfNoneMatch: "*" });
    await failsWith("NotImplemented", 501, put({ IfNoneMatch: `"${etag}"` }));
  });
});

describe("overrides of response headers", () => {
  beforeEach(() => front.client.send(new PutObjectCommand({ ...at, Body: "x", ContentType: "text/plain" })));

  test("replace what was stored", async () => {
    const got = await front.client.send(
      new GetObjectCommand({
        ...at,
        ResponseContentType: "text/html",
        ResponseContentDisposition: 'attachment; filename="a b"',
        ResponseCacheControl: "no-store",
        ResponseContentEncoding: "x",
        ResponseContentLanguage: "de",
        ResponseExpires: new Date("2031-01-01T00:00:00Z"),
      }),
    );
    assert.deepEqual(
      [got.ContentType, got.ContentDisposition, got.CacheControl, got.ContentEncoding, got.ContentLanguage],
      ["text/html", 'attachment; filename="a b"', "no-store", "x", "de"],
    );
    assert.equal(got.ExpiresString, "Wed, 01 Jan 2031 00:00:00 GMT");
  });

  test("that cannot stand in a header are refused", async () => {
    for (const value of ["%E2%82%AC", "a%0D%0Ab"]) {
      const { status, text } = await front.send({ target: `/bucket/key?response-content-type=${value}` });
      assert.equal(status, 400);
      assert.match(text, /<Code>InvalidArgument</);
    }
  });
});
