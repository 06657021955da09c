/** The cluster is changed in every way that an operator may, while clients use it: no request fails, nothing is lost. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { type NodeReport, nodeReport } from "../support/admin.ts";
import { change, refusalOf } from "../support/change-cluster.ts";
import { closeAll, domainName, nodeName, startServers, storageOver } from "../support/clusters.ts";
import { eventually } from "../support/eventually.ts";
import type { MinioServer } from "../support/find-minio.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { strictClientOf } from "../support/s3-client.ts";
import { SteadyClients } from "../support/steady-clients.ts";

const CLIENTS = 6;
/** Operations of the clients between two changes. */
const BETWEEN = 150;
const REPAIR_TIMEOUT_MS = 120_000;

/** Three servers: two are the cluster at first, the third has room for what comes. */
async function openServers(t: TestContext): Promise<readonly MinioServer[] | undefined> {
  const servers = await startServers(3);
  if ("skip" in servers) {
    t.skip(servers.skip);
    return undefined;
  }
  t.after(() => closeAll(servers));
  return servers;
}

function added(server: MinioServer | undefined, name: string, domain: string): object {
  assert.ok(server !== undefined);
  const { endpoint, accessKey, secretKey } = server;
  return { name, endpoint, domain, access_key: accessKey, secret_key: secretKey };
}

/** A gateway over the first two servers whose configuration file can be written anew. */
async function openGateway(t: TestContext, servers: readonly MinioServer[]) {
  const storage = { ...(storageOver(servers.slice(0, 2)) as { readonly nodes: readonly object[] }) };
  const folder = await mkdtemp(join(tmpdir(), "bulkhead-live-topology-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "bulkhead.yaml");
  const write = (changed: object): Promise<void> =>
    writeFile(file, JSON.stringify({ storage: { ...storage, ...changed } }));
  await write({});
  const gateway = await startGateway({ dataDir: join(folder, "data"), env: { BULKHEAD_CONFIG: file } });
  t.after(() => gateway[Symbol.asyncDispose]());
  return { gateway, storage, write };
}

async function names(gateway: Gateway): Promise<string[]> {
  const { workers } = (await gateway.admin("/api/v1/storage/cluster/workers")) as { workers: readonly NodeReport[] };
  return workers.map(({ name }) => name);
}

test("nodes and domains are added, weighed, disabled and removed and the factor changes under load, and no request fails", async (t) => {
  const servers = await openServers(t);
  if (servers === undefined) return;
  const { gateway, storage, write } = await openGateway(t, servers);
  using client = strictClientOf(gateway);
  await client.send(new CreateBucketCommand({ Bucket: "steady" }));
  const clients = new SteadyClients(client, "steady", CLIENTS);
  const step = async (what: string, act: () => Promise<unknown>): Promise<void> => {
    await act().catch((error: unknown) => clients.failures.push(`${what}: ${String(error)}`));
    await clients.progress(BETWEEN);
    assert.deepEqual(clients.failures.slice(0, 5), [], `${what}; the gateway said:\n${gateway.output.slice(-3000)}`);
  };
  try {
    await clients.progress(BETWEEN);
    await step("a node is added", () => change(gateway, "POST nodes", added(servers[2], "node-a2", domainName(0))));
    assert.equal((await nodeReport(gateway, "node-a2")).state, "online");
    await step("it is weighed", () => change(gateway, `PATCH nodes/${nodeName(0)}`, { weight: 50 }));
    await step("a domain is added", () => change(gateway, "POST domains", { name: "domain-c" }));
    await step("it gets a node", () => change(gateway, "POST nodes", added(servers[2], "node-c", "domain-c")));
    await step("and takes copies", () => change(gateway, "PATCH domains/domain-c", { accepts_writes: true }));
    await step("of which there are three now", () =>
      change(gateway, "PUT config", { replication: { factor: 3, quorum: 2 } }),
    );
    assert.match(await refusalOf(gateway, "PUT config", { replication: { factor: 4 } }), /replication\.factor must be/);
    assert.match(await refusalOf(gateway, "DELETE nodes/node-a2"), /copies are on record on node node-a2/);
    await step("a node is disabled", () => change(gateway, `PATCH nodes/${nodeName(0)}`, { enabled: false }));
    await step("and enabled", () => change(gateway, `PATCH nodes/${nodeName(0)}`, { enabled: true }));
    await step("there are two copies again", () => change(gateway, "PUT config", { replication: { factor: 2 } }));
    await step("the file changes a weight, and how every node is reached", async () => {
      const reached = storage.nodes.map((node) => ({ ...node, metricsPath: "/elsewhere" }));
      await write({ nodes: reached.map((node, index) => (index === 1 ? { ...node, weight: 70 } : node)) });
      await change(gateway, "POST config/reload");
    });
    await step("an empty node is added", () =>
      change(gateway, "POST nodes", { ...added(servers[2], "node-a3", domainName(0)), weight: 0 }),
    );
    await step("and removed", () => change(gateway, "DELETE nodes/node-a3"));
    await step("a node is lost", () => change(gateway, "DELETE nodes/node-a2?lost=true"));
    assert.deepEqual(await names(gateway), [nodeName(0), nodeName(1), "node-c"]);
    await clients.progress(BETWEEN);
  } finally {
    await clients.stop();
  }
  await eventually(
    "no copy in a domain with a node is missing",
    { timeoutMs: REPAIR_TIMEOUT_MS, intervalMs: 500 },
    async () => {
      const { unverified } = (await gateway.admin("/api/v1/storage/cluster/replication")) as { unverified: number };
      assert.equal(unverified, 0);
    },
  );
  // What was added by command is there after a restart, and its keys are.
  await gateway.restart();
  assert.equal((await nodeReport(gateway, "node-c")).state, "online");
  assert.ok((await clients.verify()) > 0);
  assert.deepEqual(clients.failures, []);
  t.diagnostic(`${clients.operations} operations, none failed`);
  assert.ok(!gateway.output.includes(servers[0]?.secretKey ?? "?"), "no key is logged");
});

test("a signal has the configuration read again; what contradicts itself or what was changed is refused whole", async (t) => {
  const servers = await openServers(t);
  if (servers === undefined) return;
  const { gateway, storage, write } = await openGateway(t, servers);
  const weigh = (weight: number): readonly object[] =>
    storage.nodes.map((node, index) => (index === 0 ? { ...node, weight } : node));
  const weight = async (): Promise<number> =>
    ((await nodeReport(gateway, nodeName(0))) as NodeReport & { readonly weight: number }).weight;
  await write({ nodes: weigh(60) });
  process.kill(gateway.pid, "SIGHUP");
  await eventually("the weight of the file", { timeoutMs: 20_000, intervalMs: 50 }, async () => {
    assert.equal(await weight(), 60);
  });
  await write({ nodes: weigh(80), replication: { factor: 5 } });
  assert.match(await refusalOf(gateway, "POST config/reload"), /storage\.replication\.factor = 5: must be at most 2/);
  await change(gateway, `PATCH nodes/${nodeName(0)}`, { weight: 10 });
  await write({ nodes: weigh(80) });
  assert.match(
    await refusalOf(gateway, "POST config/reload"),
    /nodes\.node-a\.weight was 60, is 80 in the file, and was made 10 meanwhile/,
  );
  assert.equal(await weight(), 10);
  await write({ nodes: weigh(10), scrub: { enabled: false } });
  assert.deepEqual(((await change(gateway, "POST config/reload")) as { needs_restart: unknown }).needs_restart, [
    "storage.scrub",
  ]);
});
