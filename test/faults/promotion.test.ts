/** Standby promotion on real processes: nodes go, a standby node takes their place, and goes back. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { locate } from "../support/admin.ts";
import { closeAll, domainName, nodeName, startServers } from "../support/clusters.ts";
import { eventually } from "../support/eventually.ts";
import type { MinioServer } from "../support/find-minio.ts";
import { BULKHEAD, type Gateway, startGateway } from "../support/gateway.ts";
import { Ledger } from "../support/ledger.ts";
import { runLoad, verifyAll } from "../support/load.ts";
import { assertNodesHoldExactly, blobsOn } from "../support/node-contents.ts";
import { succeed } from "../support/programs.ts";
import { strictClientOf } from "../support/s3-client.ts";
import { runSeed } from "../support/seeded.ts";

const STANDBY = "standby";
const TIMEOUT_MS = 120_000;
const PATIENCE = { timeoutMs: TIMEOUT_MS, intervalMs: 500 };
const MIX = { put: 6, get: 4, delete: 2, multipart: 1 } as const;

interface Promotions {
  readonly epoch: number;
  readonly nodes: readonly { readonly node: string; readonly state: string; readonly domain: string }[];
}

/** @param homes the domain of server i */
function configOver(servers: readonly MinioServer[], homes: readonly string[], promotion: object = {}): object {
  return {
    storage: {
      delete: { grace: "1s" },
      health: { "interval-seconds": 1, decommission: false },
      promotion: { "interval-seconds": 1, "hysteresis-seconds": 3, "cool-down-seconds": 1, ...promotion },
      "active-domains": [domainName(0), domainName(1)],
      "standby-domain": STANDBY,
      domains: [{ name: domainName(0), minNodes: homes.filter((home) => home === domainName(0)).length }],
      nodes: servers.map((server, index) => ({
        name: nodeName(index),
        endpoint: server.endpoint,
        accessKey: server.accessKey,
        secretKey: server.secretKey,
        faultDomain: homes[index],
      })),
    },
  };
}

async function bulkhead<T>(gateway: Gateway, ...args: string[]): Promise<T> {
  const env = {
    BULKHEAD_ADMIN_URL: gateway.adminUrl,
    BULKHEAD_ADMIN_API_KEY_FILE: join(gateway.dataDir, "keys/admin-api-key"),
  };
  return JSON.parse(await succeed("sh", [BULKHEAD, ...args, "--json"], { env })) as T;
}

async function assertState(gateway: Gateway, node: string, state: string, domain: string): Promise<void> {
  const { nodes } = await bulkhead<Promotions>(gateway, "domains", "promotions");
  const found = nodes.find((each) => each.node === node);
  assert.deepEqual([found?.state, found?.domain], [state, domain]);
}

describe("two domains of one MinIO server each, and one on standby", () => {
  test("a domain whose node is killed gets the standby node, with all copies, over a restart, until it is sent back", async (t) => {
    const servers = await startServers(3);
    if ("skip" in servers) {
      t.skip(servers.skip);
      return;
    }
    const [victim, , standby] = servers;
    assert.ok(victim !== undefined && standby !== undefined);
    await using stack = new AsyncDisposableStack();
    stack.defer(() => closeAll(servers));
    const gateway = stack.use(
      await startGateway({ config: configOver(servers, [domainName(0), domainName(1), STANDBY]) }),
    );
    const seed = runSeed();
    t.diagnostic(`BULKHEAD_TEST_SEED=${seed}`);
    using client = strictClientOf(gateway);
    const target = { client, bucket: "promoted", ledger: new Ledger() };
    const contents = { gateway, minio: servers, ...target, copies: 2 };
    const load = { ...target, seed, writers: 4, keysPerWriter: 12, mix: MIX, operations: 200 };
    try {
      await client.send(new CreateBucketCommand({ Bucket: target.bucket }));
      await runLoad(load);
      assert.equal((await blobsOn(standby, 2)).size, 0, "a standby node holds nothing");

      await victim.kill();
      await runLoad({ ...load, seed: seed + 1 });
      await eventually("the standby node is promoted", PATIENCE, () =>
        assertState(gateway, nodeName(2), "promoted", domainName(0)),
      );
      const alive = { ...contents, minio: servers.slice(1) };
      await eventually("every object has both copies on nodes that are there", PATIENCE, () => assertComplete(alive));
      await verifyAll(target);

      await gateway.restart();
      await assertState(gateway, nodeName(2), "promoted", domainName(0));
      await runLoad({ ...load, seed: seed + 2 });
      await eventually("all is complete after the restart", PATIENCE, () => assertComplete(alive));

      await victim.restart();
      await eventually("the node that is back holds what is on record and no more", PATIENCE, () =>
        assertNodesHoldExactly(contents),
      );
      await bulkhead<Promotions>(gateway, "domains", "demote", nodeName(2));
      await runLoad({ ...load, seed: seed + 3 });
      await eventually("the standby node is empty and stands by again", PATIENCE, async () => {
        await assertState(gateway, nodeName(2), "standby", STANDBY);
        assert.equal((await blobsOn(standby, 2)).size, 0);
        await assertNodesHoldExactly(contents);
      });
      await verifyAll(target);
    } catch (error) {
      throw new Error(`seed ${seed}; the gateway's last words:\n${gateway.output.slice(-4000)}`, { cause: error });
    }
  });
});

describe("a domain of two MinIO servers, one of one, and one on standby", () => {
  test("a node that is killed is stood in for, and the standby node goes back by itself when it has returned", async (t) => {
    const servers = await startServers(4);
    if ("skip" in servers) {
      t.skip(servers.skip);
      return;
    }
    const [victim, , standby] = servers;
    assert.ok(victim !== undefined && standby !== undefined);
    await using stack = new AsyncDisposableStack();
    stack.defer(() => closeAll(servers));
    const homes = [domainName(0), domainName(1), STANDBY, domainName(0)];
    const gateway = stack.use(await startGateway({ config: configOver(servers, homes, { "auto-demote": true }) }));
    const seed = runSeed();
    t.diagnostic(`BULKHEAD_TEST_SEED=${seed}`);
    using client = strictClientOf(gateway);
    const target = { client, bucket: "promoted", ledger: new Ledger() };
    const contents = { gateway, minio: servers, ...target, copies: 2 };
    const load = { ...target, seed, writers: 4, keysPerWriter: 12, mix: MIX, operations: 150 };
    try {
      await client.send(new CreateBucketCommand({ Bucket: target.bucket }));
      await runLoad(load);
      await victim.kill();
      await runLoad({ ...load, seed: seed + 1 });
      await eventually("the standby node is promoted", PATIENCE, () =>
        assertState(gateway, nodeName(2), "promoted", domainName(0)),
      );
      await runLoad({ ...load, seed: seed + 2 });
      await eventually("every object has both copies on nodes that are there", PATIENCE, () =>
        assertComplete(contents),
      );
      await verifyAll(target);
      await victim.restart();
      await eventually("the standby node is empty and stands by again", PATIENCE, async () => {
        await assertState(gateway, nodeName(2), "standby", STANDBY);
        assert.equal((await blobsOn(standby, 2)).size, 0);
        await assertNodesHoldExactly(contents);
      });
      await verifyAll(target);
    } catch (error) {
      throw new Error(`seed ${seed}; the gateway's last words:\n${gateway.output.slice(-4000)}`, { cause: error });
    }
  });
});

/** Every copy of every object is good, on a server that is there. */
async function assertComplete(contents: Parameters<typeof assertNodesHoldExactly>[0]): Promise<void> {
  for (const key of contents.ledger.presentKeys()) {
    for (const copies of await locate(contents.gateway, contents.bucket, key)) {
      const states = copies.map(({ domain, state }) => `${domain} ${state}`).sort();
      assert.deepEqual(states, [`${domainName(0)} ok`, `${domainName(1)} ok`], key);
      assert.ok(
        copies.every(({ node }) => node !== nodeName(0)),
        `${key} counts on a node that is away`,
      );
    }
  }
}
