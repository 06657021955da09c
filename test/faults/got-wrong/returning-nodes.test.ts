/**
 * What the earlier system got wrong of nodes that go and return (G1, G2, G3, G11 of the design), on real MinIO servers that
 * are killed and started again, and looked at directly.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CreateBucketCommand, DeleteObjectCommand, GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { locate, nodeReport, replicationReport } from "../../support/admin.ts";
import { type Cluster, nodeName, startCluster } from "../../support/clusters.ts";
import { eventually } from "../../support/eventually.ts";
import { patternBytes } from "../../support/files.ts";
import type { MinioServer } from "../../support/find-minio.ts";
import { type Content, Ledger } from "../../support/ledger.ts";
import { read, verifyAll } from "../../support/load.ts";
import { assertNodesHoldExactly, blobsOn } from "../../support/node-contents.ts";
import { clientOfNode, strictClientOf } from "../../support/s3-client.ts";

const BUCKET = "returning";
const PATIENCE = { timeoutMs: 120_000, intervalMs: 500 };
const OBJECTS = 12;

interface World extends Cluster {
  readonly client: ReturnType<typeof strictClientOf>;
  readonly ledger: Ledger;
  readonly kept: MinioServer;
  readonly gone: MinioServer;
  put(key: string, content: Content): Promise<void>;
  remove(key: string): Promise<void>;
  /** Every object has its copies, and no node holds anything besides. */
  assertExact(): Promise<void>;
}

/** A test over two MinIO servers, one a domain, of which the second goes and returns. */
function onTwoServers(name: string, run: (world: World) => Promise<void>): void {
  test(name, async (t) => {
    const cluster = await startCluster("two MinIO servers");
    if ("skip" in cluster) {
      t.skip(cluster.skip);
      return;
    }
    await using scope = cluster;
    const { gateway, minio } = scope;
    const [kept, gone] = minio;
    assert.ok(kept !== undefined && gone !== undefined);
    using client = strictClientOf(gateway);
    await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
    const ledger = new Ledger();
    try {
      await run({
        ...scope,
        [Symbol.asyncDispose]: () => Promise.resolve(),
        client,
        ledger,
        kept,
        gone,
        async put(key, content) {
          const Body = patternBytes(content.length, content.seed);
          await client.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body }));
          ledger.acknowledged(key, content);
        },
        async remove(key) {
          await client.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: key }));
          ledger.acknowledged(key, "absent");
        },
        assertExact: () => assertNodesHoldExactly({ gateway, minio, bucket: BUCKET, ledger, copies: 2 }),
      });
    } catch (error) {
      throw new Error(`the gateway's last words:\n${gateway.output.slice(-4000)}`, { cause: error });
    }
  });
}

describe("a MinIO server that was killed and returns with what it had", () => {
  onTwoServers("G1: does not bring back what was deleted while it was away, and gets the deletions", async (world) => {
    const { client, ledger, gone, gateway, minio } = world;
    for (let at = 0; at < OBJECTS; at++) await world.put(`k${at}`, { seed: at, length: 300_000 });
    await world.assertExact();
    await gone.kill();
    for (let at = 0; at < OBJECTS; at += 2) await world.remove(`k${at}`);
    await gone.restart();
    assert.equal((await blobsOn(gone, 1)).size, OBJECTS, "it returns with everything that it had");
    await eventually("the server that is back holds nothing that was deleted", PATIENCE, () => world.assertExact());
    assert.equal((await blobsOn(gone, 1)).size, OBJECTS / 2);
    // The one that never was away is gone now: what is read comes from the one that returned.
    await minio[0]?.kill();
    await eventually("the other server is known to be away", PATIENCE, async () => {
      assert.equal((await nodeReport(gateway, nodeName(0))).state, "unreachable");
    });
    await verifyAll({ client, bucket: BUCKET, ledger });
  });

  onTwoServers("G2: serves nothing that was overwritten while it was away, and does not keep it", async (world) => {
    const { client, ledger, gone, kept, gateway } = world;
    for (let at = 0; at < OBJECTS; at++) await world.put(`k${at}`, { seed: at, length: 300_000 });
    const before = await blobsOn(gone, 1);
    await gone.kill();
    for (let at = 0; at < OBJECTS; at++) await world.put(`k${at}`, { seed: 1_000 + at, length: 200_000 + at });
    await gone.restart();
    await eventually("it is online", PATIENCE, async () => {
      assert.equal((await nodeReport(gateway, nodeName(1))).state, "online");
    });
    for (let round = 0; round < 5; round++) await verifyAll({ client, bucket: BUCKET, ledger });
    await eventually("it has the new copies and none of the old ones", PATIENCE, () => world.assertExact());
    const after = await blobsOn(gone, 1);
    assert.deepEqual(
      [...after].filter((key) => before.has(key)),
      [],
      "no copy was overwritten in place",
    );
    await kept.kill();
    await eventually("the other server is known to be away", PATIENCE, async () => {
      assert.equal((await nodeReport(gateway, nodeName(0))).state, "unreachable");
    });
    await verifyAll({ client, bucket: BUCKET, ledger });
  });

  onTwoServers("G3: is not taken for one that lost its copies: none of them is made anew", async (world) => {
    const { gone } = world;
    for (let at = 0; at < OBJECTS; at++) await world.put(`k${at}`, { seed: at, length: 300_000 });
    const before = await blobsOn(gone, 1);
    await gone.kill();
    await world.put("while-away", { seed: 77, length: 100_000 });
    await verifyAll({ client: world.client, bucket: BUCKET, ledger: world.ledger });
    await gone.restart();
    await eventually("it has what it missed", PATIENCE, () => world.assertExact());
    const after = await blobsOn(gone, 1);
    for (const key of before) assert.ok(after.has(key), `${key} was made anew although it was there`);
  });
});

describe("copies that were handed off while a domain was away", () => {
  test("G11: are read, also from the node that took them, and move home", async (t) => {
    const cluster = await startCluster("three MinIO servers", { storage: { replication: { factor: 2 } } });
    if ("skip" in cluster) {
      t.skip(cluster.skip);
      return;
    }
    await using scope = cluster;
    const { gateway, minio } = scope;
    using client = strictClientOf(gateway);
    await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
    const contents = new Map<string, Buffer>();
    // Before the gateway knows: the copies planned for this domain fall back to other nodes.
    await minio[0]?.kill();
    await minio[1]?.kill();
    for (let at = 0; at < OBJECTS; at++) {
      const body = patternBytes(250_000 + at, at);
      await client.send(new PutObjectCommand({ Bucket: BUCKET, Key: `k${at}`, Body: body }));
      contents.set(`k${at}`, Buffer.from(body));
    }
    const { handoff, missing } = await replicationReport(gateway);
    assert.ok(handoff + missing > 0, "some copies are not where they belong");
    for (const [key, body] of contents) {
      const got = await read(client, BUCKET, key);
      assert.ok(got !== "absent" && body.equals(got), key);
      for (const { node, location } of (await locate(gateway, BUCKET, key)).flat()) {
        const server = minio.find((_, index) => nodeName(index) === node);
        if (location === null || server === undefined) continue;
        using direct = clientOfNode(server);
        const { Body } = await direct.send(new GetObjectCommand({ Bucket: location.container, Key: location.key }));
        assert.ok(body.equals(Buffer.from((await Body?.transformToByteArray()) ?? [])), `${key} on ${node}`);
      }
    }
    await minio[0]?.restart();
    await minio[1]?.restart();
    await eventually("every copy is in its own domain", PATIENCE, async () => {
      for (const key of contents.keys()) {
        const copies = (await locate(gateway, BUCKET, key)).flat();
        assert.deepEqual(
          copies.map(({ state }) => state),
          ["ok", "ok"],
          key,
        );
        for (const { node, domain } of copies) assert.equal(node?.replace("node", "domain"), domain, key);
      }
    });
    for (const [key, body] of contents) {
      const got = await read(client, BUCKET, key);
      assert.ok(got !== "absent" && body.equals(got), key);
    }
  });
});
