/** A gateway whose coordinator is a Redis server that is killed, frozen or emptied: clients notice nothing of it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CreateBucketCommand, DeleteObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { metric, replicationReport } from "../support/admin.ts";
import { closeAll, startServers, storageOver } from "../support/clusters.ts";
import { eventually } from "../support/eventually.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { bytesOf, Ledger } from "../support/ledger.ts";
import { runLoad, verifyAll } from "../support/load.ts";
import { assertNodesHoldExactly } from "../support/node-contents.ts";
import { missingRedis, type RedisServer, startRedis } from "../support/redis-server.ts";
import { strictClientOf } from "../support/s3-client.ts";
import { runSeed } from "../support/seeded.ts";

const PATIENCE = { timeoutMs: 60_000, intervalMs: 200 };
const REPAIR = { timeoutMs: 180_000, intervalMs: 1_000 };
const MIX = { put: 10, get: 10, delete: 3, multipart: 1 } as const;

interface Coordinator {
  readonly kind: string;
  readonly available: boolean;
  readonly leader: boolean;
}

async function coordinatorOf(gateway: Gateway): Promise<Coordinator> {
  const status = await gateway.admin("/api/v1/storage/cluster/status");
  return (status as { coordinator: Coordinator }).coordinator;
}

async function untilCoordinator(gateway: Gateway, expected: Omit<Coordinator, "kind">): Promise<void> {
  await eventually(`the coordinator is ${JSON.stringify(expected)}`, PATIENCE, async () => {
    assert.deepEqual(await coordinatorOf(gateway), { kind: "redis", ...expected });
  });
}

async function readyz(gateway: Gateway): Promise<{ status: number; reasons: readonly string[] }> {
  const answer = await fetch(`${gateway.adminUrl}/readyz`);
  const { reasons } = (await answer.json()) as { reasons: readonly string[] };
  return { status: answer.status, reasons };
}

function configOver(redis: RedisServer, storage: object): object {
  return { coordinator: { url: `redis://127.0.0.1:${redis.port}` }, storage };
}

interface Target {
  readonly client: ReturnType<typeof strictClientOf>;
  readonly bucket: string;
  readonly ledger: Ledger;
}

async function put({ client, bucket, ledger }: Target, key: string, seed: number): Promise<void> {
  const content = { seed, length: 20_000 };
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: bytesOf(content) }));
  ledger.acknowledged(key, content);
}

async function remove({ client, bucket, ledger }: Target, key: string): Promise<void> {
  await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }));
  ledger.acknowledged(key, "absent");
}

async function dyingBlobs(gateway: Gateway): Promise<number> {
  const report: unknown = await replicationReport(gateway);
  return (report as { dying_blobs: number }).dying_blobs;
}

describe("Redis lost", { skip: missingRedis() ?? false }, () => {
  test("reads and writes go on; background work pauses, and resumes when it is back, empty or not", async () => {
    await using redis = await startRedis();
    await using gateway = await startGateway({ config: configOver(redis, storageOver([])) });
    await untilCoordinator(gateway, { available: true, leader: true });
    assert.deepEqual(await readyz(gateway), { status: 200, reasons: [] });
    using client = strictClientOf(gateway);
    const target = { client, bucket: "kept", ledger: new Ledger() };
    await client.send(new CreateBucketCommand({ Bucket: target.bucket }));
    let seed = 0;
    const losses: [what: string, lose: () => unknown, regain: () => Promise<void>][] = [
      ["killed", () => redis.kill(), () => redis.start()],
      ["frozen", () => redis.freeze(), async () => redis.thaw()],
    ];
    for (const [what, lose, regain] of losses) {
      await lose();
      await untilCoordinator(gateway, { available: false, leader: false });
      const { status, reasons } = await readyz(gateway);
      assert.equal(status, 200);
      assert.deepEqual(reasons, ["the coordinator does not answer: background work pauses"]);
      for (let number = 0; number < 20; number++) await put(target, `${what}/${number}`, ++seed);
      for (let number = 0; number < 10; number++) await remove(target, `${what}/${number}`);
      assert.equal(await verifyAll(target), 10);
      assert.ok((await dyingBlobs(gateway)) >= 10, "nothing is reclaimed while nobody leads");

      await regain();
      await untilCoordinator(gateway, { available: true, leader: true });
      await eventually("what was deleted is reclaimed", PATIENCE, async () => {
        assert.equal(await dyingBlobs(gateway), 0);
      });
      assert.deepEqual(await readyz(gateway), { status: 200, reasons: [] });
      assert.equal(await verifyAll(target), 10);
      for (let number = 10; number < 20; number++) await remove(target, `${what}/${number}`);
    }
  });

  test("emptied, and the lease taken by somebody else: nothing is lost, and the lead comes back", async () => {
    await using redis = await startRedis();
    await using gateway = await startGateway({ config: configOver(redis, storageOver([])) });
    await untilCoordinator(gateway, { available: true, leader: true });
    using client = strictClientOf(gateway);
    const target = { client, bucket: "kept", ledger: new Ledger() };
    await client.send(new CreateBucketCommand({ Bucket: target.bucket }));
    for (let number = 0; number < 30; number++) await put(target, `key-${number}`, number);
    const lease = (await redis.cli("--scan")).split("\n").find((key) => key.endsWith(":lease:leader"));
    assert.ok(lease !== undefined);

    await redis.cli("FLUSHALL");
    await redis.cli("SET", lease, "another gateway", "PX", "600000");
    await untilCoordinator(gateway, { available: true, leader: false });
    for (let number = 0; number < 10; number++) await remove(target, `key-${number}`);
    assert.equal(await verifyAll(target), 20);

    await redis.cli("FLUSHALL");
    await untilCoordinator(gateway, { available: true, leader: true });
    await eventually("what was deleted is reclaimed", PATIENCE, async () => {
      assert.equal(await dyingBlobs(gateway), 0);
    });
    assert.equal(await verifyAll(target), 20);
  });

  test("a gateway starts without it, serves clients, and leads once it is there", async () => {
    await using redis = await startRedis();
    await redis.kill();
    await using gateway = await startGateway({ config: configOver(redis, storageOver([])) });
    await untilCoordinator(gateway, { available: false, leader: false });
    using client = strictClientOf(gateway);
    const target = { client, bucket: "kept", ledger: new Ledger() };
    await client.send(new CreateBucketCommand({ Bucket: target.bucket }));
    await put(target, "key", 1);
    await redis.start();
    await untilCoordinator(gateway, { available: true, leader: true });
    assert.equal(await verifyAll(target), 1);
    await redis.kill();
    assert.equal(await gateway.stop(), 0, "it stops as well without it");
  });

  test("a domain is lost and comes back while Redis is away: copies wait, and are repaired when both are there", async (t) => {
    const minio = await startServers(2);
    if ("skip" in minio) return t.skip(minio.skip);
    const [victim] = minio;
    assert.ok(victim !== undefined);
    try {
      await using redis = await startRedis();
      await using gateway = await startGateway({ config: configOver(redis, storageOver(minio)) });
      await untilCoordinator(gateway, { available: true, leader: true });
      using client = strictClientOf(gateway);
      const seed = runSeed();
      t.diagnostic(`BULKHEAD_TEST_SEED=${seed}`);
      const target = { client, bucket: "kept", ledger: new Ledger() };
      await client.send(new CreateBucketCommand({ Bucket: target.bucket }));
      const faults: Promise<unknown>[] = [];
      // Everything in the middle of the load: Redis goes, then a domain, then Redis is back for a moment, and empty.
      const schedule = new Map<number, () => unknown>([
        [100, () => redis.kill()],
        [200, () => victim.kill()],
        [400, () => redis.start()],
        [600, () => redis.freeze()],
      ]);
      await runLoad({
        ...target,
        seed,
        writers: 8,
        keysPerWriter: 25,
        mix: MIX,
        operations: 1_200,
        onProgress: (acknowledged) => {
          const fault = schedule.get(acknowledged);
          if (fault !== undefined) faults.push(Promise.resolve(fault()));
        },
      });
      assert.equal(faults.length, schedule.size, "the load was long enough for all faults");
      await Promise.all(faults);
      await verifyAll(target);
      await victim.restart();
      await untilCoordinator(gateway, { available: false, leader: false });
      const restored = async (): Promise<number> => metric(gateway, "bulkhead_copies_restored_total", {});
      const before = await restored();
      await eventually("the node is back", PATIENCE, async () => {
        assert.deepEqual((await readyz(gateway)).reasons, ["the coordinator does not answer: background work pauses"]);
      });
      const { missing } = await replicationReport(gateway);
      assert.ok(missing > 0, "copies are missing that were written without the domain");
      assert.equal(await restored(), before, "and nobody makes them while nobody leads");

      redis.thaw();
      await eventually("every copy and every delete has arrived", REPAIR, () =>
        assertNodesHoldExactly({ gateway, minio, ...target, copies: minio.length }),
      );
      await verifyAll(target);
    } finally {
      await closeAll(minio);
    }
  });

  test("a gateway is killed in mid-repair: the next one goes on within seconds, whatever its lock's time", async (t) => {
    const minio = await startServers(2);
    if ("skip" in minio) return t.skip(minio.skip);
    const [victim] = minio;
    assert.ok(victim !== undefined);
    try {
      await using redis = await startRedis();
      // Slow enough to be killed at it. The lock of a repair is left for ten minutes.
      const storage = {
        repair: { "rate-limit-per-second": 2 },
        consistency: { repair: { "lock-timeout-seconds": 600 } },
      };
      await using gateway = await startGateway({ config: configOver(redis, storageOver(minio, { storage })) });
      await untilCoordinator(gateway, { available: true, leader: true });
      using client = strictClientOf(gateway);
      const target = { client, bucket: "kept", ledger: new Ledger() };
      await client.send(new CreateBucketCommand({ Bucket: target.bucket }));
      await victim.kill();
      for (let number = 0; number < 60; number++) await put(target, `key-${number}`, number);
      await victim.restart();
      const restored = async (): Promise<number> => metric(gateway, "bulkhead_copies_restored_total", {});
      await eventually("repair is at it", PATIENCE, async () => assert.ok((await restored()) >= 3));
      await gateway.kill9();
      const left = (await redis.cli("--scan")).split("\n").filter((key) => key.includes(":lease:repair/"));
      assert.equal(left.length, 1);
      assert.ok(Number(await redis.cli("PTTL", left[0] ?? "")) > 120_000, "its lock is left for minutes");

      await gateway.start();
      await eventually("repair goes on", PATIENCE, async () => assert.ok((await restored()) >= 3));
      await eventually("every copy is there", REPAIR, () =>
        assertNodesHoldExactly({ gateway, minio, ...target, copies: minio.length }),
      );
      await verifyAll(target);
    } finally {
      await closeAll(minio);
    }
  });
});
