/**
 * Nodes that fail as real ones do, seen through the admin API: their states and events, and what becomes of the copies.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { locate, nodeReport, replicationReport } from "../support/admin.ts";
import { closeAll, startServers } from "../support/clusters.ts";
import { eventually } from "../support/eventually.ts";
import type { MinioServer } from "../support/find-minio.ts";
import { BULKHEAD, type Gateway, startGateway } from "../support/gateway.ts";
import { runProgram } from "../support/programs.ts";
import { strictClientOf } from "../support/s3-client.ts";

const PATIENCE = { timeoutMs: 120_000, intervalMs: 200 };
const OBJECTS = 24;
const BODY = Buffer.alloc(30_000, 7);

interface EventReport {
  readonly sequence: number;
  readonly kind: string;
  readonly node: string | null;
}

/** Nodes a and b in one domain, c in another. */
function configOver(servers: readonly MinioServer[], secretOfB?: string): object {
  const names = ["node-a", "node-b", "node-c"];
  return {
    storage: {
      "active-domains": ["domain-1", "domain-2"],
      health: { "interval-seconds": 1 },
      delete: { grace: "1s" },
      // What moves by itself to a node that rejoined is no matter here.
      rebalance: { automatic: false },
      nodes: servers.map((server, at) => ({
        name: names[at],
        endpoint: server.endpoint,
        accessKey: server.accessKey,
        secretKey: at === 1 && secretOfB !== undefined ? secretOfB : server.secretKey,
        faultDomain: at < 2 ? "domain-1" : "domain-2",
      })),
    },
  };
}

async function eventsOf(gateway: Gateway, node: string): Promise<string[]> {
  const { events } = (await gateway.admin("/api/v1/storage/cluster/events?after=0&limit=1000")) as {
    events: readonly EventReport[];
  };
  assert.deepEqual(
    events.map(({ sequence }) => sequence),
    events.map((_, at) => at + 1),
  );
  return events.flatMap((event) => (event.node === node ? [event.kind] : []));
}

/** Waits until the last events of a node are these: an event is on record a moment after what it tells of. */
async function untilEvents(gateway: Gateway, node: string, ...kinds: readonly string[]): Promise<void> {
  await eventually(`the last events of ${node} are ${kinds.join(" ")}`, PATIENCE, async () => {
    assert.deepEqual((await eventsOf(gateway, node)).slice(-kinds.length), kinds);
  });
}

async function untilState(gateway: Gateway, name: string, state: string): Promise<void> {
  await eventually(`${name} is ${state}`, PATIENCE, async () => {
    assert.equal((await nodeReport(gateway, name)).state, state);
  });
}

async function readAll(gateway: Gateway): Promise<void> {
  using client = strictClientOf(gateway);
  for (let at = 0; at < OBJECTS; at++) {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: "kept", Key: `key ${at}` }));
    assert.ok(BODY.equals(Buffer.from((await Body?.transformToByteArray()) ?? [])));
  }
}

/** Names of the nodes that hold copies, sorted; the copies are all there and in order. */
async function holders(gateway: Gateway): Promise<string[]> {
  const report = await replicationReport(gateway);
  assert.deepEqual([report.missing, report.handoff, report.corrupt], [0, 0, 0]);
  const nodes = new Set<string>();
  for (let at = 0; at < OBJECTS; at++) {
    const [copies = []] = await locate(gateway, "kept", `key ${at}`);
    assert.deepEqual(
      copies.map(({ state }) => state),
      ["ok", "ok"],
    );
    for (const { node } of copies) nodes.add(node ?? "none");
  }
  return [...nodes].sort();
}

test("a node that is killed, one that is frozen and one that refuses our keys are told apart, by state and by event", async (t) => {
  const servers = await startServers(3);
  if ("skip" in servers) return t.skip(servers.skip);
  const [a, , c] = servers;
  assert.ok(a !== undefined && c !== undefined);
  const gateway = await startGateway({ config: configOver(servers) });
  try {
    using client = strictClientOf(gateway);
    await client.send(new CreateBucketCommand({ Bucket: "kept" }));
    for (let at = 0; at < OBJECTS; at++) {
      await client.send(new PutObjectCommand({ Bucket: "kept", Key: `key ${at}`, Body: BODY }));
    }
    assert.deepEqual(await holders(gateway), ["node-a", "node-b", "node-c"]);

    await a.kill();
    await untilState(gateway, "node-a", "unreachable");
    await readAll(gateway);
    await eventually("the copies of node-a are made anew on node-b", PATIENCE, async () => {
      assert.deepEqual(await holders(gateway), ["node-b", "node-c"]);
    });
    await untilState(gateway, "node-a", "decommissioned");
    const all = ["NODE_ADDED", "NODE_ONLINE", "NODE_DEGRADED", "NODE_OFFLINE", "NODE_DECOMMISSIONED"];
    await untilEvents(gateway, "node-a", ...all);

    await a.restart();
    const env = {
      BULKHEAD_ADMIN_URL: gateway.adminUrl,
      BULKHEAD_ADMIN_API_KEY_FILE: `${gateway.dataDir}/keys/admin-api-key`,
    };
    const refused = await runProgram("sh", [BULKHEAD, "nodes", "rejoin", "node-b"], { env });
    assert.deepEqual([refused.code, /not decommissioned/.test(refused.stderr)], [1, true], refused.stderr);
    assert.equal((await nodeReport(gateway, "node-a")).state, "decommissioned");
    const rejoined = await runProgram("sh", [BULKHEAD, "nodes", "rejoin", "node-a"], { env });
    assert.equal(rejoined.code, 0, rejoined.stderr);
    await untilState(gateway, "node-a", "online");

    await c.freeze();
    await untilState(gateway, "node-c", "degraded");
    await untilState(gateway, "node-c", "unreachable");
    await readAll(gateway);
    await c.thaw();
    await untilState(gateway, "node-c", "online");
    await untilEvents(gateway, "node-c", "NODE_DEGRADED", "NODE_OFFLINE", "NODE_ONLINE");
    await eventually("all copies are there again", PATIENCE, () => holders(gateway));
    const listed = await runProgram("sh", [BULKHEAD, "events", "--limit", "5"], { env });
    assert.match(listed.stdout, /NODE_ONLINE +node-c +domain-2/);

    const { dataDir } = gateway;
    assert.equal(await gateway.stop(), 0);
    const wrong = await startGateway({ config: configOver(servers, "not-the-right-secret"), dataDir });
    try {
      await untilState(wrong, "node-b", "access-denied");
      assert.match((await nodeReport(wrong, "node-b")).reason ?? "", /SignatureDoesNotMatch/);
      await readAll(wrong);
      await untilEvents(wrong, "node-b", "NODE_ACCESS_DENIED");
      // What is on it counts as there.
      const { missing, unverified } = (await replicationReport(wrong)) as { missing: number; unverified?: number };
      assert.deepEqual([missing, unverified], [0, 0]);
      assert.equal(await wrong.stop(), 0);
    } finally {
      await wrong[Symbol.asyncDispose]();
    }
    const right = await startGateway({ config: configOver(servers), dataDir });
    try {
      await untilState(right, "node-b", "online");
      await readAll(right);
      await holders(right);
    } finally {
      await right[Symbol.asyncDispose]();
    }
  } catch (error) {
    throw new Error(`the gateway's last words:\n${gateway.output.slice(-4000)}`, { cause: error });
  } finally {
    await gateway[Symbol.asyncDispose]();
    await closeAll(servers);
  }
});
