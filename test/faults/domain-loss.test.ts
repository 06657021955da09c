import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { type Cluster, type Layout, startCluster, type Unavailable } from "../support/clusters.ts";
import { eventually } from "../support/eventually.ts";
import { Ledger } from "../support/ledger.ts";
import { runLoad, verifyAll } from "../support/load.ts";
import { assertNodesHoldExactly } from "../support/node-contents.ts";
import { strictClientOf } from "../support/s3-client.ts";
import { runSeed } from "../support/seeded.ts";

const OPERATIONS = 2400;
const KILL_AFTER = 600;
const REPAIR_TIMEOUT_MS = 180_000;
const MIX = { put: 10, get: 10, delete: 3, multipart: 1 } as const;

/** A test over a cluster of its own, skipped where its servers are not there. */
function overCluster(layout: Layout, name: string, run: (cluster: Cluster, seed: number) => Promise<void>): void {
  describe(`${layout}, one a domain`, () => {
    let cluster: Cluster | Unavailable = { skip: "the servers did not start" };
    before(async () => {
      cluster = await startCluster(layout);
    });
    after(async () => {
      if (!("skip" in cluster)) await cluster[Symbol.asyncDispose]();
    });
    test(name, async (t) => {
      if ("skip" in cluster) {
        t.skip(cluster.skip);
        return;
      }
      const seed = runSeed();
      t.diagnostic(`BULKHEAD_TEST_SEED=${seed}`);
      try {
        await run(cluster, seed);
      } catch (error) {
        throw new Error(`seed ${seed}; the gateway's last words:\n${cluster.gateway.output.slice(-4000)}`, {
          cause: error,
        });
      }
    });
  });
}

for (const layout of ["two MinIO servers", "three MinIO servers"] as const) {
  overCluster(
    layout,
    "a domain killed in the middle of a load fails no request, and gets every copy and delete when it is back",
    async ({ gateway, minio }, seed) => {
      const [victim] = minio;
      assert.ok(victim !== undefined);
      using client = strictClientOf(gateway);
      const target = { client, bucket: "loaded", ledger: new Ledger() };
      await client.send(new CreateBucketCommand({ Bucket: target.bucket }));
      let killed: Promise<void> | undefined;
      await runLoad({
        ...target,
        seed,
        writers: 12,
        keysPerWriter: 25,
        mix: MIX,
        operations: OPERATIONS,
        onProgress: (acknowledged) => {
          if (acknowledged === KILL_AFTER) killed = victim.kill();
        },
      });
      assert.ok(killed !== undefined, "the load was long enough for the kill");
      await killed;
      await verifyAll(target);

      await victim.restart();
      await eventually(
        "every copy and every delete has arrived",
        { timeoutMs: REPAIR_TIMEOUT_MS, intervalMs: 1000 },
        () => assertNodesHoldExactly({ gateway, minio, ...target, copies: minio.length }),
      );
      await verifyAll(target);
    },
  );
}

overCluster(
  "three MinIO servers",
  "with two of three domains killed in the middle of a load, reading and writing go on, and all is repaired",
  async ({ gateway, minio }, seed) => {
    const victims = minio.slice(1);
    using client = strictClientOf(gateway);
    const target = { client, bucket: "loaded", ledger: new Ledger() };
    await client.send(new CreateBucketCommand({ Bucket: target.bucket }));
    const kills: Promise<void>[] = [];
    await runLoad({
      ...target,
      seed,
      writers: 8,
      keysPerWriter: 25,
      mix: MIX,
      operations: 1200,
      onProgress: (acknowledged) => {
        const victim = acknowledged % 300 === 0 ? victims[kills.length] : undefined;
        if (victim !== undefined) kills.push(victim.kill());
      },
    });
    assert.equal(kills.length, 2, "the load was long enough for both kills");
    await Promise.all(kills);
    await verifyAll(target);

    for (const victim of victims) await victim.restart();
    await eventually(
      "every copy and every delete has arrived",
      { timeoutMs: REPAIR_TIMEOUT_MS, intervalMs: 1000 },
      () => assertNodesHoldExactly({ gateway, minio, ...target, copies: minio.length }),
    );
    await verifyAll(target);
  },
);
