import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  paginateListParts,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { childText } from "../../../../src/shared/xml.ts";
import { type Front, openFront, xmlOf } from "../../../support/s3-front.ts";

let front: Front;
before(async () => {
  front = await openFront();
});
after(() => front[Symbol.asyncDispose]());

const at = { Bucket: "bucket", Key: "dir/a b" };
const TARGET = "/bucket/dir/a%20b";
const PART = Buffer.alloc(5 * 2 ** 20, "part ");
beforeEach(async () => {
  front.service.clear();
  await front.client.send(new CreateBucketCommand({ Bucket: "bucket" }));
});

async function begin(more: object = {}): Promise<string> {
  const { UploadId } = await front.client.send(new CreateMultipartUploadCommand({ ...at, ...more }));
  return UploadId ?? assert.fail("no upload id");
}

async function upload(UploadId: string, PartNumber: number, Body: string | Buffer, more: object = {}) {
  const part = await front.client.send(new UploadPartCommand({ ...at, UploadId, PartNumber, Body, ...more }));
  return { PartNumber, ETag: part.ETag, ChecksumCRC32: part.ChecksumCRC32, ChecksumSHA256: part.ChecksumSHA256 };
}

describe("a multipart upload", () => {
  test("becomes an object of its parts, with what was said at its beginning", async () => {
    const UploadId = await begin({ ContentType: "text/x", Metadata: { a: "1" } });
    const Parts = [await upload(UploadId, 1, PART), await upload(UploadId, 2, "end")];
    const done = await front.client.send(
      new CompleteMultipartUploadCommand({
        ...at,
        UploadId,
        MultipartUpload: { Parts },
        MpuObjectSize: PART.length + 3,
      }),
    );
    assert.match(done.ETag ?? "", /^"[0-9a-f]{32}-2"$/);
    assert.deepEqual([done.Bucket, done.Key], [at.Bucket, at.Key]);
    assert.equal(done.Location, `http://${front.host}/bucket/dir/a%20b`);
    assert.equal(front.service.last("completeUpload").expectedSize, PART.length + 3);
    const got = await front.client.send(new GetObjectCommand({ ...at, PartNumber: 2 }));
    assert.deepEqual([await got.Body?.transformToString(), got.PartsCount, got.Metadata], ["end", 2, { a: "1" }]);
    assert.equal(got.ContentRange, `bytes ${PART.length}-${PART.length + 2}/${PART.length + 3}`);
    assert.equal(got.ContentType, "text/x");
  });

  test("has a composite checksum, shown with the number of its parts", async () => {
    const UploadId = await begin({ ChecksumAlgorithm: "SHA256" });
    assert.deepEqual(front.service.last("createUpload").checksum, { algorithm: "SHA256", type: "COMPOSITE" });
    const Parts = [await upload(UploadId, 1, "only", { ChecksumAlgorithm: "SHA256" })];
    assert.ok(Parts[0]?.ChecksumSHA256);
    const done = await front.client.send(
      new CompleteMultipartUploadCommand({ ...at, UploadId, MultipartUpload: { Parts } }),
    );
    assert.match(done.ChecksumSHA256 ?? "", /^.{44}-1$/);
    const value = Parts[0]?.ChecksumSHA256;
    assert.deepEqual(front.service.last("completeUpload").parts[0]?.checksum, { algorithm: "SHA256", value });
    const head = await front.client.send(new HeadObjectCommand({ ...at, ChecksumMode: "ENABLED" }));
    assert.deepEqual([head.ChecksumSHA256, head.ChecksumType], [done.ChecksumSHA256, "COMPOSITE"]);
  });

  test("has a checksum of the whole when that is asked for, and verifies it", async () => {
    const UploadId = await begin({ ChecksumAlgorithm: "CRC32", ChecksumType: "FULL_OBJECT" });
    const Parts = [await upload(UploadId, 1, "only")];
    const stated = { ChecksumCRC32: "AAAAAA==", ChecksumType: "FULL_OBJECT" } as const;
    const done = await front.client.send(
      new CompleteMultipartUploadCommand({ ...at, UploadId, MultipartUpload: { Parts }, ...stated }),
    );
    assert.ok(done.ChecksumCRC32 && !done.ChecksumCRC32.includes("-"));
    const { expectedChecksum } = front.service.last("completeUpload");
    assert.deepEqual(expectedChecksum, { algorithm: "CRC32", type: "FULL_OBJECT", value: "AAAAAA==" });
  });

  test("hands on conditions, and tells errors of parts apart", async () => {
    const UploadId = await begin();
    const first = await upload(UploadId, 1, "small");
    const second = await upload(UploadId, 2, "small too");
    const complete = (Parts: object[], more: object = {}) =>
      front.client.send(new CompleteMultipartUploadCommand({ ...at, UploadId, MultipartUpload: { Parts }, ...more }));
    await assert.rejects(complete([first, second]), { name: "EntityTooSmall", MinSizeAllowed: "5242880" });
    await assert.rejects(complete([second, first]), { name: "InvalidPartOrder" });
    await assert.rejects(complete([{ ...first, ETag: '"other"' }]), { name: "InvalidPart", PartNumber: "1" });
    await assert.rejects(complete([first], { IfMatch: '"other"' }), { name: "NoSuchKey" });
    await complete([first], { IfNoneMatch: "*" });
    await assert.rejects(complete([first]), { name: "NoSuchUpload" });
  });

  test("is aborted with all its parts", async () => {
    const UploadId = await begin();
    await upload(UploadId, 1, "x");
    const { $metadata } = await front.client.send(new AbortMultipartUploadCommand({ ...at, UploadId }));
    assert.equal($metadata.httpStatusCode, 204);
    await assert.rejects(upload(UploadId, 2, "x"), { name: "NoSuchUpload" });
    await assert.rejects(front.client.send(new AbortMultipartUploadCommand({ ...at, UploadId })), {
      name: "NoSuchUpload",
    });
  });

  test("is at the location that its client sees", async () => {
    const locationOf = async (server: Front, path: string, headers: Record<string, string> = {}) => {
      const principal = { id: "root", displayName: "" };
      const attributes = { headers: [], metadata: [], storageClass: "STANDARD" };
      const upload = { bucket: "bucket", key: "k +", principal, attributes };
      if (!server.service.buckets.has("bucket")) await server.service.createBucket({ ...upload, location: "" });
      const { uploadId } = await server.service.createUpload(upload);
      const target = `${path}?uploadId=${uploadId}`;
      const part = await server.send({ method: "PUT", target: `${target}&partNumber=1`, body: "x", headers });
      const listed = `<Part><PartNumber>1</PartNumber><ETag>${part.headers.etag}</ETag></Part>`;
      const body = `<CompleteMultipartUpload>${listed}</CompleteMultipartUpload>`;
      return childText(xmlOf(await server.send({ method: "POST", target, body, headers })), "Location");
    };
    const path = "/bucket/k%20%2B";
    assert.equal(await locationOf(front, path), `http://${front.host}${path}`);
    await using virtual = await openFront({ settings: { domain: "s3.test" } });
    const host = "bucket.s3.test:80";
    assert.equal(await locationOf(virtual, "/k%20%2B", { host }), `http://${host}/k%20%2B`);
    await using proxied = await openFront({ settings: { publicUrl: "https://s3.example" } });
    assert.equal(await locationOf(proxied, path), `https://s3.example${path}`);
  });
});

describe("what cannot be is refused", () => {
  test("types of checksums that an algorithm has not", async () => {
    const create = (more: object) => front.client.send(new CreateMultipartUploadCommand({ ...at, ...more }));
    const invalid = { name: "InvalidRequest" };
    await assert.rejects(create({ ChecksumAlgorithm: "SHA1", ChecksumType: "FULL_OBJECT" }), invalid);
    await assert.rejects(create({ ChecksumAlgorithm: "CRC64NVME", ChecksumType: "COMPOSITE" }), invalid);
    await assert.rejects(create({ ChecksumType: "COMPOSITE" }), invalid);
    await assert.rejects(create({ ChecksumAlgorithm: "CRC32", ChecksumType: "HALF" }), invalid);
    await assert.rejects(create({ ChecksumAlgorithm: "XXHASH128" }), { name: "NotImplemented" });
    await create({ ChecksumAlgorithm: "CRC64NVME" });
    assert.equal(front.service.last("createUpload").checksum?.type, "FULL_OBJECT");
  });

  test("part numbers that are none", async () => {
    const uploadId = await begin();
    for (const number of ["0", "10001", "-1", "x", "1.5", "99999999999"]) {
      const target = `${TARGET}?uploadId=${uploadId}&partNumber=${number}`;
      const { status, text } = await front.send({ method: "PUT", target, body: "x" });
      assert.equal(status, 400, number);
      assert.match(text, /<Code>InvalidArgument</);
    }
  });

  test("lists of parts that cannot be read", async () => {
    const uploadId = await begin();
    const complete = (body: string) => front.send({ method: "POST", target: `${TARGET}?uploadId=${uploadId}`, body });
    const list = (inner: string) => `<CompleteMultipartUpload>${inner}</CompleteMultipartUpload>`;
    const bodies: [code: string, body: string][] = [
      ["MalformedXML", ""],
      ["MalformedXML", "<Complete/>"],
      ["MalformedXML", list("")],
      ["MalformedXML", list("<Part><ETag>e</ETag></Part>")],
      ["MalformedXML", list("<Part><PartNumber>1</PartNumber></Part>")],
      ["MalformedXML", list("<Part><PartNumber>x</PartNumber><ETag>e</ETag></Part>")],
      ["InvalidArgument", list("<Part><PartNumber>0</PartNumber><ETag>e</ETag></Part>")],
      ["InvalidArgument", list("<Part><PartNumber>10001</PartNumber><ETag>e</ETag></Part>")],
    ];
    for (const [code, body] of bodies)
      assert.match((await complete(body)).text, new RegExp(`<Code>${code}</Code>`), body);
    const one = "<Part><PartNumber>1</PartNumber><ETag>e</ETag></Part>";
    const headers = { "x-amz-mp-object-size": "x" };
    const target = `${TARGET}?uploadId=${uploadId}`;
    assert.match(
      (await front.send({ method: "POST", target, body: list(one), headers })).text,
      /<Code>InvalidArgument</,
    );
    const two = "<ChecksumCRC32>AAAAAA==</ChecksumCRC32><ChecksumSHA1>AAAA</ChecksumSHA1>";
    assert.match((await complete(list(one.replace("</Part>", `${two}</Part>`)))).text, /<Code>InvalidRequest</);
  });
});

describe("ListParts", () => {
  test("shows parts in pages, with their checksums", async () => {
    const UploadId = await begin({ ChecksumAlgorithm: "CRC32" });
    for (const number of [2, 5, 9]) await upload(UploadId, number, `part ${number}`);
    const all = await front.client.send(new ListPartsCommand({ ...at, UploadId }));
    assert.deepEqual([all.Initiator?.ID, all.Owner?.ID, all.StorageClass], ["root", "root", "STANDARD"]);
    assert.deepEqual([all.ChecksumAlgorithm, all.ChecksumType, all.IsTruncated], ["CRC32", "COMPOSITE", false]);
    assert.deepEqual(
      all.Parts?.map(({ PartNumber, Size }) => [PartNumber, Size]),
      [
        [2, 6],
        [5, 6],
        [9, 6],
      ],
    );
    assert.ok(all.Parts?.every(({ ETag, ChecksumCRC32, LastModified }) => ETag && ChecksumCRC32 && LastModified));
    const seen: (number | undefined)[] = [];
    for await (const page of paginateListParts({ client: front.client, pageSize: 2 }, { ...at, UploadId })) {
      seen.push(...(page.Parts ?? []).map(({ PartNumber }) => PartNumber));
    }
    assert.deepEqual(seen, [2, 5, 9]);
    await assert.rejects(front.client.send(new ListPartsCommand({ ...at, UploadId: "none" })), {
      name: "NoSuchUpload",
    });
  });
});

describe("ListMultipartUploads", () => {
  test("shows uploads in pages, rolled up", async () => {
    const principal = { id: "root", displayName: "" };
    const attributes = { headers: [], metadata: [], storageClass: "STANDARD" };
    const ids: string[] = [];
    for (const key of ["a", "a", "dir/1", "dir/2", "z y"]) {
      ids.push((await front.service.createUpload({ bucket: "bucket", key, principal, attributes })).uploadId);
    }
    const all = await front.client.send(new ListMultipartUploadsCommand({ Bucket: "bucket", Delimiter: "/" }));
    assert.deepEqual(
      all.Uploads?.map(({ Key, UploadId }) => [Key, UploadId]),
      [
        ["a", ids[0]],
        ["a", ids[1]],
        ["z y", ids[4]],
      ],
    );
    assert.deepEqual([all.CommonPrefixes, all.IsTruncated, all.MaxUploads], [[{ Prefix: "dir/" }], false, 1000]);
    const first = await front.client.send(new ListMultipartUploadsCommand({ Bucket: "bucket", MaxUploads: 1 }));
    assert.deepEqual([first.NextKeyMarker, first.NextUploadIdMarker, first.IsTruncated], ["a", ids[0], true]);
    const second = await front.client.send(
      new ListMultipartUploadsCommand({
        Bucket: "bucket",
        KeyMarker: first.NextKeyMarker,
        UploadIdMarker: first.NextUploadIdMarker,
        EncodingType: "url",
      }),
    );
    assert.deepEqual(
      second.Uploads?.map(({ Key }) => Key),
      ["a", "dir/1", "dir/2", "z+y"],
    );
    await front.send({ target: "/bucket?uploads&upload-id-marker=x" });
    assert.equal(front.service.last("listUploads").uploadIdMarker, "");
  });
});
