/** The S3 node driver over real MinIO servers. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, type TestContext, test } from "node:test";
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutBucketLifecycleConfigurationCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { openS3Node } from "../../src/nodes/s3/s3-node.ts";
import type { S3NodeOptions } from "../../src/nodes/s3/s3-options.ts";
import { BLOCK_BYTES, type Block, type StorageNode } from "../../src/nodes/storage-node.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { systemRandom } from "../../src/shared/random.ts";
import {
  assertFails,
  CONTRACT_CLUSTER_ID,
  type NodeUnderTest,
  storageNodeContract,
} from "../contract/storage-node-contract.ts";
import { blocksOf, copyKey, headerFor, patternBytes, streamOf } from "../support/blobs.ts";
import { type MinioServer, type Skip, startMinio } from "../support/find-minio.ts";
import { clientOfNode } from "../support/s3-client.ts";
import { failedChecks, flipBitOnDrive, minioOptions, onlyServer, putCopy, readCopy } from "../support/s3-nodes.ts";

const MIB = 1_048_576;
/** Fails a test that hangs; far above what any of them takes. */
const HANG_MS = 120_000;
const random = systemRandom();

const plain = await startMinio({ count: 1 });
const encrypted = await startMinio({ count: 1, tls: true });

after(async () => {
  for (const found of [plain, encrypted])
    if (!("skip" in found)) for (const server of found.servers) await server.close();
});

function contractOver(
  name: string,
  server: MinioServer | Skip,
  limits: NonNullable<S3NodeOptions["limits"]> = {},
): void {
  if ("skip" in server) {
    test(`storage node contract: s3 over ${name}`, { skip: server.skip }, () => {});
    return;
  }
  const { dataDir } = server;
  const makeNode = async (): Promise<NodeUnderTest> => {
    const options = minioOptions(server, { limits });
    const node = openS3Node(options);
    assert.deepEqual(failedChecks(await node.probe("admission")), []);
    return {
      node,
      reopen: async () => openS3Node(options),
      // The server and its buckets go together.
      dispose: async () => {},
      async corrupt(key, _offset, bytes) {
        if (dataDir !== undefined) await flipBitOnDrive(join(dataDir, options.bucket), key, bytes);
      },
      async addForeign(name) {
        const { ca } = server;
        const tls = ca === undefined ? {} : { requestHandler: { httpsAgent: { ca } } };
        using client = clientOfNode(server, tls);
        await client.send(new PutObjectCommand({ Bucket: options.bucket, Key: name, Body: "somebody else's" }));
      },
    };
  };
  storageNodeContract(`s3 over ${name}`, makeNode, { corruptible: dataDir !== undefined });
}

contractOver("MinIO", onlyServer(plain));
contractOver("MinIO with TLS", onlyServer(encrypted));
contractOver("MinIO, in parts", onlyServer(plain), { multipartThresholdBytes: 5 * MIB, partBytes: 5 * MIB });

interface Subject {
  readonly server: MinioServer;
  readonly node: StorageNode;
  readonly bucket: string;
}

/** A test over one node of the server that nobody else stops. */
function overMinio(
  name: string,
  found: typeof plain,
  run: (subject: Subject, t: TestContext) => Promise<void>,
  options: Partial<S3NodeOptions> = {},
): void {
  test(name, { timeout: HANG_MS }, async (t) => {
    const server = onlyServer(found);
    if ("skip" in server) return t.skip(server.skip);
    const all = minioOptions(server, options);
    const node = openS3Node(all);
    t.after(() => node.close());
    await run({ server, node, bucket: all.bucket }, t);
  });
}

describe("an S3 node over MinIO", () => {
  overMinio(
    "proves every write by checksum, in memory, streamed and in parts",
    plain,
    async ({ node }) => {
      await node.probe("admission");
      for (const length of [1, BLOCK_BYTES, 5 * MIB, 12 * MIB + 3]) {
        const key = copyKey(1, random);
        const bytes = patternBytes(length, length);
        const header = headerFor(key, length, random, CONTRACT_CLUSTER_ID);
        for (const blocks of [blocksOf(bytes), streamOf(blocksOf(bytes))]) {
          assert.deepEqual(await node.put({ key, header, blocks }), { proof: "checksum" });
          assert.ok((await readCopy(node, key, 0, length)).equals(bytes));
        }
      }
    },
    { limits: { multipartThresholdBytes: 6 * MIB, partBytes: 5 * MIB } },
  );

  overMinio(
    "leaves no upload behind of a blob in parts that fails",
    plain,
    async ({ server, node, bucket }) => {
      await node.probe("admission");
      const length = 12 * MIB;
      const blocks = blocksOf(patternBytes(length, 1));
      const key = copyKey(1, random);
      const header = headerFor(key, length, random, CONTRACT_CLUSTER_ID);
      async function* broken(): AsyncGenerator<Block> {
        yield* streamOf(blocks.slice(0, 40));
        throw new Error("the client went away");
      }
      await assertFails(node.put({ key, header, blocks: broken() }), "aborted");
      assert.equal(await node.head(key), undefined);
      using client = clientOfNode(server);
      // The upload is ended in the background; MinIO lists it until then.
      for (let attempt = 0, left = 1; left > 0; attempt++) {
        assert.ok(attempt < 1000, "the upload is still there");
        left =
          (await client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: ".bulkhead/" }))).Uploads
            ?.length ?? 0;
      }
    },
    { limits: { multipartThresholdBytes: 6 * MIB, partBytes: 5 * MIB } },
  );

  overMinio(
    "leaves what is foreign in its bucket alone and out of its listings",
    plain,
    async ({ server, node, bucket }) => {
      await node.probe("admission");
      using client = clientOfNode(server);
      const foreign = ["photo.jpg", ".bulkhead/other", `.bulkhead/${CONTRACT_CLUSTER_ID}/blobs/odd name+%?&`];
      for (const Key of foreign) await client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: "foreign" }));
      const { key } = await putCopy(node, 100);
      await node.probe("admission");
      assert.deepEqual(await node.list({ limit: 1000 }), { blobs: [{ key, length: 100 }] });
      await node.delete(key);
      const listed = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
      assert.deepEqual(
        listed.Contents?.map(({ Key }) => Key),
        foreign.toSorted(),
      );
    },
  );

  overMinio(
    "keeps metadata on a blob that names cluster, blob, session and length only",
    plain,
    async ({ server, node, bucket }) => {
      await node.probe("admission");
      const { key } = await putCopy(node, 100);
      using client = clientOfNode(server);
      const [session, name] = key.split("/");
      const Key = `.bulkhead/${CONTRACT_CLUSTER_ID}/blobs/${session}/${name?.slice(0, 2)}/${name}`;
      const { Metadata } = await client.send(new GetObjectCommand({ Bucket: bucket, Key }));
      const blobId = (await node.head(key))?.blobId;
      assert.deepEqual(Metadata, {
        "bulkhead-blob": blobId,
        "bulkhead-cluster": CONTRACT_CLUSTER_ID,
        "bulkhead-length": "100",
        "bulkhead-session": "1",
      });
    },
  );
});

describe("admission of an S3 node over MinIO", () => {
  overMinio("makes the bucket and passes", plain, async ({ node }) => {
    const findings = await node.probe("admission");
    assert.deepEqual(failedChecks(findings), []);
    assert.deepEqual(
      findings.map(({ check }) => check),
      [
        ...["reach", "access", "bucket-exists", "clock-skew", "versioning-off", "no-lifecycle", "no-lock"],
        ...["read-after-write", "metadata", "ranges", "multipart", "checksum"],
      ],
    );
  });

  overMinio("fails at versioning-off where versioning is on", plain, async ({ server, node, bucket }) => {
    using client = clientOfNode(server);
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
    const VersioningConfiguration = { Status: "Enabled" } as const;
    await client.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration }));
    assert.deepEqual(failedChecks(await node.probe("admission")), ["versioning-off"]);
  });

  overMinio(
    "fails at no-lock and versioning-off where objects can be locked",
    plain,
    async ({ server, node, bucket }) => {
      using client = clientOfNode(server);
      await client.send(new CreateBucketCommand({ Bucket: bucket, ObjectLockEnabledForBucket: true }));
      assert.deepEqual(failedChecks(await node.probe("admission")), ["versioning-off", "no-lock"]);
    },
  );

  overMinio("fails at no-lifecycle where objects expire", plain, async ({ server, node, bucket }) => {
    using client = clientOfNode(server);
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
    const Rules = [{ ID: "a", Status: "Enabled", Filter: { Prefix: "" }, Expiration: { Days: 1 } } as const];
    await client.send(
      new PutBucketLifecycleConfigurationCommand({ Bucket: bucket, LifecycleConfiguration: { Rules } }),
    );
    assert.deepEqual(failedChecks(await node.probe("admission")), ["no-lifecycle"]);
  });

  overMinio(
    "fails at access with a wrong secret key, and no call takes that for an absence",
    plain,
    async ({ node }) => {
      assert.deepEqual(failedChecks(await node.probe("admission")), ["access"]);
      const key = copyKey(1, random);
      await assertFails(putCopy(node, 100), "access-denied");
      await assertFails(readCopy(node, key, 0, 1), "access-denied");
      await assertFails(node.head(key), "access-denied");
      await assertFails(node.delete(key), "access-denied");
      await assertFails(node.list({ limit: 1 }), "access-denied");
      await assertFails(node.readIdentity(), "access-denied");
    },
    { secretKey: "not-the-secret" },
  );

  overMinio(
    "fails at access with an access key that nobody has",
    plain,
    async ({ node }) => {
      assert.deepEqual(failedChecks(await node.probe("reach")), ["access"]);
    },
    { accessKey: "nobody" },
  );

  overMinio(
    "answers access-denied to a large stream with a wrong key",
    plain,
    async ({ node }) => {
      const key = copyKey(1, random);
      const blocks = blocksOf(patternBytes(8 * MIB, 1));
      const header = headerFor(key, 8 * MIB, random, CONTRACT_CLUSTER_ID);
      await assertFails(node.put({ key, header, blocks: streamOf(blocks) }), "access-denied");
    },
    { secretKey: "not-the-secret" },
  );

  for (const minutes of [6, -6, 20, -20]) {
    const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + minutes * 60_000 };
    overMinio(
      `fails at clock-skew with a clock that is ${minutes} min off`,
      plain,
      async ({ node }) => {
        assert.deepEqual(failedChecks(await node.probe("admission")), ["clock-skew"]);
      },
      { clock },
    );
  }

  overMinio(
    "fails at reach where the certificate is not of the authority given",
    encrypted,
    async ({ server, bucket }, t) => {
      const { ca: _, ...untrusting } = minioOptions(server, { bucket });
      const node = openS3Node(untrusting);
      t.after(() => node.close());
      const [finding, ...rest] = await node.probe("admission");
      assert.deepEqual([finding?.check, finding?.passed, rest], ["reach", false, []]);
      assert.match(finding?.reason ?? "", /CERT|SELF_SIGNED|VERIFY/);
      await assertFails(node.head(copyKey(1, random)), "refused");
    },
  );

  overMinio(
    "fails at reach where the one side speaks TLS and the other does not",
    plain,
    async ({ server, bucket }, t) => {
      const other = onlyServer(encrypted);
      const endpoints = [server.endpoint.replace("http:", "https:")];
      if (!("skip" in other)) endpoints.push(other.endpoint.replace("https:", "http:"));
      for (const endpoint of endpoints) {
        const node = openS3Node(minioOptions(server, { bucket, endpoint }));
        t.after(() => node.close());
        assert.deepEqual(failedChecks(await node.probe("reach")), ["reach"]);
      }
    },
  );
});
