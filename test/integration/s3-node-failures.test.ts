/** What the S3 node driver makes of MinIO servers that are killed, hang, rot, are emptied or full. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import { DeleteBucketCommand } from "@aws-sdk/client-s3";
import { openS3Node } from "../../src/nodes/s3/s3-node.ts";
import type { S3NodeOptions } from "../../src/nodes/s3/s3-options.ts";
import { BLOCK_BYTES, type Block, type CopyKey, NodeError, type StorageNode } from "../../src/nodes/storage-node.ts";
import { systemRandom } from "../../src/shared/random.ts";
import { assertFails, CONTRACT_CLUSTER_ID } from "../contract/storage-node-contract.ts";
import { blocksOf, copyKey, headerFor, patternBytes, streamOf } from "../support/blobs.ts";
import { type MinioServer, type Skip, startMinio } from "../support/find-minio.ts";
import { findProgram, succeed } from "../support/programs.ts";
import { clientOfNode } from "../support/s3-client.ts";
import { failedChecks, flipBitOnDrive, minioOptions, onlyServer, putCopy, readCopy } from "../support/s3-nodes.ts";

const MIB = 1_048_576;
/** Fails a test that hangs; far above what any of them takes. */
const HANG_MS = 120_000;
const random = systemRandom();

interface Subject {
  readonly server: MinioServer;
  readonly node: StorageNode;
  readonly bucket: string;
  readonly dataDir: string;
}

describe("a failing MinIO under an S3 node", () => {
  let server: MinioServer | Skip = { skip: "the server did not start" };
  before(async () => {
    server = onlyServer(await startMinio({ count: 1 }));
  });
  after(async () => {
    if (!("skip" in server)) await server.close();
  });

  const over = (
    name: string,
    run: (subject: Subject, t: TestContext) => Promise<void>,
    limits: NonNullable<S3NodeOptions["limits"]> = {},
  ): void => {
    test(name, { timeout: HANG_MS }, async (t) => {
      if ("skip" in server) return t.skip(server.skip);
      if (!server.controllable || server.dataDir === undefined) return t.skip("the server cannot be controlled");
      const options = minioOptions(server, { limits });
      const node = openS3Node(options);
      t.after(() => node.close());
      assert.deepEqual(failedChecks(await node.probe("admission")), []);
      await run({ server, node, bucket: options.bucket, dataDir: server.dataDir }, t);
    });
  };

  for (const length of [4096, BLOCK_BYTES, 5 * MIB]) {
    over(
      `never gives wrong bytes of ${length} for right ones after a byte of them was flipped on its drive`,
      async ({ node, bucket, dataDir }) => {
        const { key, bytes } = await putCopy(node, length);
        await flipBitOnDrive(join(dataDir, bucket), key, bytes.subarray(length / 2, length / 2 + 16));
        // MinIO finds it out by itself: with an error, or in mid-answer, which the driver has to tell from a death.
        await assertFailsAs(readCopy(node, key, 0, length), ["corrupt", "io"]);
        await assertFailsAs(readCopy(node, key, Math.floor(length / 2), Math.floor(length / 2) + 10), [
          "corrupt",
          "io",
        ]);
        assert.equal((await node.head(key))?.length, length);
      },
    );
  }

  over(
    "that is killed in mid-put is unreachable, and has what it acknowledged when it is back",
    async ({ node, server }) => {
      const { key, bytes } = await putCopy(node, MIB);
      await node.writeIdentity(patternBytes(100, 1));
      const lost = copyKey(1, random);
      const header = headerFor(lost, 8 * MIB, random, CONTRACT_CLUSTER_ID);
      const blocks = blocksOf(patternBytes(8 * MIB, 2));
      async function* killing(): AsyncGenerator<Block> {
        yield* streamOf(blocks.slice(0, 16));
        await server.kill();
        yield* streamOf(blocks.slice(16));
      }
      await assertFails(node.put({ key: lost, header, blocks: killing() }), "unreachable");
      await assertFails(node.head(key), "unreachable");
      await assertFails(node.list({ limit: 1 }), "unreachable");
      assert.deepEqual(failedChecks(await node.probe("reach")), ["reach"]);
      await server.restart();
      assert.ok((await readCopy(node, key, 0, MIB)).equals(bytes));
      assert.equal(await node.head(lost), undefined);
      assert.equal((await node.readIdentity())?.length, 100);
    },
  );

  over("that is killed in mid-get is unreachable", async ({ node, server }) => {
    const { key, bytes } = await putCopy(node, 32 * MIB);
    const reading = (async () => {
      let killed = false;
      for await (const chunk of await node.get(key, { start: 0, end: bytes.length })) {
        assert.ok(chunk.length > 0);
        if (!killed) await server.kill();
        killed = true;
      }
    })();
    await assertFails(reading, "unreachable");
    await server.restart();
    assert.ok((await readCopy(node, key, 0, bytes.length)).equals(bytes));
  });

  over(
    "that hangs times out, and serves again when it no longer does",
    async ({ node, server }) => {
      const { key } = await putCopy(node, 1000);
      await server.freeze();
      try {
        await assertFails(node.head(key), "timeout");
        await assertFails(putCopy(node, 1000), "timeout");
        await assertFails(putCopy(node, 32 * MIB), "timeout");
      } finally {
        await server.thaw();
      }
      assert.equal((await node.head(key))?.length, 1000);
    },
    { headersTimeoutMs: 300, bodyTimeoutMs: 300 },
  );

  over(
    "whose drive was emptied has no identity and no bucket, which is no answer about blobs",
    async ({ node, server }) => {
      const { key } = await putCopy(node, 1000);
      await node.writeIdentity(patternBytes(100, 1));
      await server.kill();
      await server.wipe();
      await server.restart();
      assert.equal(await node.readIdentity(), undefined);
      await assertFails(node.head(key), "refused");
      await assertFails(readCopy(node, key, 0, 1), "refused");
      await assertFails(node.delete(key), "refused");
      await assertFails(node.list({ limit: 1 }), "refused");
      assert.deepEqual(failedChecks(await node.probe("reach")), ["bucket-exists"]);
      assert.deepEqual(failedChecks(await node.probe("admission")), []);
      assert.equal(await node.readIdentity(), undefined);
      assert.equal(await node.head(key), undefined);
    },
  );

  over("whose bucket was removed refuses", async ({ node, server, bucket }) => {
    using client = clientOfNode(server);
    await client.send(new DeleteBucketCommand({ Bucket: bucket }));
    await assertFails(putCopy(node, 1000), "refused");
    await assertFails(node.writeIdentity(patternBytes(100, 1)), "refused");
  });

  over(
    "whose drive is full answers full, serves what it has and takes deletes",
    async ({ node, server, dataDir }, t) => {
      if (process.getuid?.() !== 0 || findProgram("mount") === undefined)
        return t.skip("needs root to mount a small drive");
      await server.kill();
      await succeed("mount", ["-t", "tmpfs", "-o", "size=64m", "tmpfs", dataDir]);
      try {
        await server.restart();
        assert.deepEqual(failedChecks(await node.probe("admission")), []);
        const stored: CopyKey[] = [];
        const fill = async (): Promise<void> => {
          for (;;) stored.push((await putCopy(node, 5 * MIB)).key);
        };
        await assertFails(fill(), "full");
        assert.ok(stored.length > 0);
        for (const key of stored) assert.equal((await node.head(key))?.length, 5 * MIB);
        // MinIO gives the room back minutes later.
        for (const key of stored) await node.delete(key);
        assert.deepEqual(await node.list({ limit: 1000 }), { blobs: [] });
      } finally {
        await server.kill();
        await succeed("umount", [dataDir]);
        await server.restart();
      }
    },
  );
});

async function assertFailsAs(call: Promise<unknown>, kinds: readonly NodeError["kind"][]): Promise<void> {
  const error = await call.then(
    () => assert.fail(`the call succeeded, expected ${kinds.join(" or ")}`),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof NodeError && kinds.includes(error.kind), String(error));
}
