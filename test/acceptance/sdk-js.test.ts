import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import {
  AbortMultipartUploadCommand,
  type ChecksumAlgorithm,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectsCommand,
  GetObjectAclCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  paginateListObjectsV2,
  type S3Client,
  S3ServiceException,
  UploadPartCommand,
  UploadPartCopyCommand,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { type Cluster, overEveryLayout } from "../support/clusters.ts";
import { patternBytes } from "../support/files.ts";
import { inParallel } from "../support/in-parallel.ts";
import { clientOf } from "../support/s3-client.ts";
import { MIB } from "../support/sizes.ts";

async function bytesOf(client: S3Client, Bucket: string, Key: string): Promise<Buffer> {
  const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
  assert.ok(Body !== undefined);
  return Buffer.from(await Body.transformToByteArray());
}

/** The S3 error code that a call ends with; the call must fail. */
async function codeOf(call: Promise<unknown>): Promise<string> {
  const outcome = await call.then(
    () => "no error",
    (error: unknown) => error,
  );
  assert.ok(outcome instanceof S3ServiceException, `an S3 error, not ${String(outcome)}`);
  return outcome.name;
}

overEveryLayout("@aws-sdk/client-s3", undefined, (declare) => {
  /** A test with a bucket of its own. */
  const check = (name: string, bucket: string, run: (client: S3Client, bucket: string) => Promise<void>): void => {
    declare(name, async ({ gateway }: Cluster) => {
      using client = clientOf(gateway);
      await client.send(new CreateBucketCommand({ Bucket: bucket }));
      await run(client, bucket);
    });
  };

  check("a stream is put with a trailing checksum and comes back unchanged", "streams", async (client, Bucket) => {
    const body = patternBytes(3 * MIB + 17, 1);
    const pieces = Readable.from([body.subarray(0, 5), body.subarray(5, MIB), body.subarray(MIB)]);
    const put = await client.send(
      new PutObjectCommand({ Bucket, Key: "stream", Body: pieces, ContentLength: body.length }),
    );
    assert.ok(put.ChecksumCRC32 !== undefined);
    assert.equal(put.ETag, `"${createHash("md5").update(body).digest("hex")}"`);
    const got = await client.send(new GetObjectCommand({ Bucket, Key: "stream" }));
    assert.equal(got.ChecksumCRC32, put.ChecksumCRC32);
    assert.deepEqual(Buffer.from((await got.Body?.transformToByteArray()) ?? []), body);
  });

  const algorithms: readonly ChecksumAlgorithm[] = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"];
  check("each checksum algorithm is verified, kept and given back", "checksums", async (client, Bucket) => {
    for (const ChecksumAlgorithm of algorithms) {
      const Key = ChecksumAlgorithm;
      const put = await client.send(new PutObjectCommand({ Bucket, Key, Body: "checked", ChecksumAlgorithm }));
      const head = await client.send(new HeadObjectCommand({ Bucket, Key, ChecksumMode: "ENABLED" }));
      assert.ok(put[`Checksum${ChecksumAlgorithm as "CRC32"}`] !== undefined, ChecksumAlgorithm);
      assert.equal(head[`Checksum${ChecksumAlgorithm as "CRC32"}`], put[`Checksum${ChecksumAlgorithm as "CRC32"}`]);
    }
    const wrong = client.send(new PutObjectCommand({ Bucket, Key: "wrong", Body: "this", ChecksumCRC32C: "AAAAAA==" }));
    assert.equal(await codeOf(wrong), "BadDigest");
    assert.equal(await codeOf(client.send(new HeadObjectCommand({ Bucket, Key: "wrong" }))), "NotFound");
  });

  check("lib-storage uploads a stream of unknown length in parts", "uploads", async (client, Bucket) => {
    const body = patternBytes(17 * MIB + 3, 2);
    const pieces = Array.from({ length: 18 }, (_, index) => body.subarray(index * MIB, (index + 1) * MIB));
    const upload = new Upload({ client, params: { Bucket, Key: "upload", Body: Readable.from(pieces) } });
    const { ETag } = await upload.done();
    assert.match(ETag ?? "", /^"[0-9a-f]{32}-4"$/);
    assert.deepEqual(await bytesOf(client, Bucket, "upload"), body);
  });

  check("parts are listed, replaced, copied, completed in order or aborted", "parts", async (client, Bucket) => {
    const Key = "whole";
    const [first, second, last] = [patternBytes(5 * MIB, 3), patternBytes(5 * MIB, 4), patternBytes(10, 5)];
    await client.send(new PutObjectCommand({ Bucket, Key: "source", Body: Buffer.concat([second, second]) }));
    const { UploadId } = await client.send(
      new CreateMultipartUploadCommand({ Bucket, Key, Metadata: { colour: "blue" }, ContentType: "text/x" }),
    );
    const part = async (PartNumber: number, Body: Buffer): Promise<{ ETag?: string; PartNumber: number }> => {
      const { ETag } = await client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body }));
      return { PartNumber, ...(ETag === undefined ? {} : { ETag }) };
    };
    await part(9, Buffer.from("replaced below"));
    const [one, nine] = [await part(1, first), await part(9, last)];
    const copied = await client.send(
      new UploadPartCopyCommand({
        Bucket,
        Key,
        UploadId,
        PartNumber: 4,
        CopySource: `${Bucket}/source`,
        CopySourceRange: `bytes=${5 * MIB}-${10 * MIB - 1}`,
      }),
    );
    const four = { PartNumber: 4, ETag: copied.CopyPartResult?.ETag };
    const listed = await client.send(new ListPartsCommand({ Bucket, Key, UploadId }));
    assert.deepEqual(
      listed.Parts?.map((item) => [item.PartNumber, item.Size]),
      [
        [1, first.length],
        [4, second.length],
        [9, last.length],
      ],
    );
    const complete = (...Parts: { PartNumber: number; ETag?: string | undefined }[]): Promise<unknown> =>
      client.send(
        new CompleteMultipartUploadCommand({
          Bucket,
          Key,
          UploadId,
          MultipartUpload: { Parts: Parts.map(({ PartNumber, ETag }) => ({ PartNumber, ETag: ETag ?? "" })) },
        }),
      );
    assert.equal(await codeOf(complete(nine, one)), "InvalidPartOrder");
    assert.equal(await codeOf(complete(one, { PartNumber: 5, ETag: one.ETag })), "InvalidPart");
    assert.equal(await codeOf(complete(nine, { PartNumber: 10, ETag: nine.ETag })), "InvalidPart");
    assert.equal(await codeOf(client.send(new HeadObjectCommand({ Bucket, Key }))), "NotFound");
    await complete(one, four, nine);
    assert.deepEqual(await bytesOf(client, Bucket, Key), Buffer.concat([first, second, last]));
    const head = await client.send(new HeadObjectCommand({ Bucket, Key }));
    assert.deepEqual([head.Metadata, head.ContentType], [{ colour: "blue" }, "text/x"]);

    const abandoned = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: "abandoned" }));
    const before = await client.send(new ListMultipartUploadsCommand({ Bucket }));
    assert.deepEqual(
      before.Uploads?.map((upload) => upload.UploadId),
      [abandoned.UploadId],
    );
    await client.send(new AbortMultipartUploadCommand({ Bucket, Key: "abandoned", UploadId: abandoned.UploadId }));
    assert.equal((await client.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads, undefined);
  });

  check("pages of a listing hold every key once, with common prefixes", "pages", async (client, Bucket) => {
    const keys = Array.from({ length: 60 }, (_, index) => `${String(index % 6)}/${String(index).padStart(3, "0")}`);
    await inParallel(
      16,
      keys,
      async (Key) => void (await client.send(new PutObjectCommand({ Bucket, Key, Body: "x" }))),
    );
    const all: (string | undefined)[] = [];
    for await (const page of paginateListObjectsV2({ client, pageSize: 7 }, { Bucket })) {
      all.push(...(page.Contents ?? []).map((item) => item.Key));
    }
    assert.deepEqual(all, keys.toSorted());
    const folders: (string | undefined)[] = [];
    for await (const page of paginateListObjectsV2({ client, pageSize: 2 }, { Bucket, Delimiter: "/" })) {
      folders.push(...(page.CommonPrefixes ?? []).map((item) => item.Prefix));
    }
    assert.deepEqual(folders, ["0/", "1/", "2/", "3/", "4/", "5/"]);
  });

  check("of many conditional creations of one key exactly one wins", "races", async (client, Bucket) => {
    const attempts = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) =>
        client.send(new PutObjectCommand({ Bucket, Key: "one", Body: `writer ${index}`, IfNoneMatch: "*" })),
      ),
    );
    const winner = attempts.findIndex((attempt) => attempt.status === "fulfilled");
    assert.equal(attempts.filter((attempt) => attempt.status === "fulfilled").length, 1);
    assert.equal((await bytesOf(client, Bucket, "one")).toString(), `writer ${winner}`);
  });

  check("copies, deletions of many and removal of the bucket", "copies", async (client, Bucket) => {
    await client.send(new PutObjectCommand({ Bucket, Key: "from é/+", Body: "copied" }));
    const CopySource = `${Bucket}/${encodeURIComponent("from é/+")}`;
    await client.send(new CopyObjectCommand({ Bucket, Key: "to", CopySource }));
    assert.equal((await bytesOf(client, Bucket, "to")).toString(), "copied");
    assert.equal(await codeOf(client.send(new DeleteBucketCommand({ Bucket }))), "BucketNotEmpty");
    const Objects = ["from é/+", "to", "never there"].map((Key) => ({ Key }));
    const { Deleted } = await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    assert.equal(Deleted?.length, 3);
    await client.send(new DeleteBucketCommand({ Bucket }));
  });

  check("presigned URLs put and get, and override what the answer says of itself", "links", async (client, Bucket) => {
    const Key = "a b/ü+c";
    const put = await getSignedUrl(client, new PutObjectCommand({ Bucket, Key }), { expiresIn: 60 });
    assert.equal((await fetch(put, { method: "PUT", body: "by link" })).status, 200);
    const get = new GetObjectCommand({ Bucket, Key, ResponseContentType: "text/x-mine" });
    const answer = await fetch(await getSignedUrl(client, get, { expiresIn: 60 }));
    assert.deepEqual([await answer.text(), answer.headers.get("content-type")], ["by link", "text/x-mine"]);
  });

  check("calls that are not offered are refused by their names", "refusals", async (client, Bucket) => {
    await client.send(new PutObjectCommand({ Bucket, Key: "k", Body: "x" }));
    assert.equal(await codeOf(client.send(new GetObjectAclCommand({ Bucket, Key: "k" }))), "NotImplemented");
    const VersioningConfiguration = { Status: "Enabled" } as const;
    const versioning = client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
    assert.equal(await codeOf(versioning), "NotImplemented");
  });
});
