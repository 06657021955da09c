/** Nodes that the file gives other names or other domains: no copy is moved, and none is where no slot expects it. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { CreateBucketCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { locate, nodeReport, replicationReport } from "../support/admin.ts";
import { change, refusalOf } from "../support/change-cluster.ts";
import { closeAll, domainName, nodeName, startServers, storageOver } from "../support/clusters.ts";
import { eventually } from "../support/eventually.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { bytesOf, Ledger } from "../support/ledger.ts";
import { verifyAll } from "../support/load.ts";
import { blobsOn } from "../support/node-contents.ts";
import { strictClientOf } from "../support/s3-client.ts";

const OBJECTS = 20;
const PATIENCE = { timeoutMs: 60_000, intervalMs: 200 };

async function nodesOf(gateway: Gateway, key: string): Promise<string[]> {
  return (await locate(gateway, "kept", key)).flat().map(({ node, state }) => `${node} ${state}`);
}

test("a node with another name on the same bucket says whose it is, and has its copies as soon as the file tells its former name", async (t) => {
  const servers = await startServers(2);
  if ("skip" in servers) return t.skip(servers.skip);
  t.after(() => closeAll(servers));
  const storage = storageOver(servers) as { readonly nodes: readonly object[] };
  const folder = await mkdtemp(join(tmpdir(), "bulkhead-renamed-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "bulkhead.yaml");
  const write = (...changes: readonly [object, object]): Promise<void> => {
    const nodes = storage.nodes.map((node, index) => ({ ...node, ...changes[index] }));
    return writeFile(file, JSON.stringify({ storage: { ...storage, nodes } }));
  };
  await write({}, {});
  await using gateway = await startGateway({ dataDir: join(folder, "data"), env: { BULKHEAD_CONFIG: file } });
  const ledger = new Ledger();
  const verified = async (): Promise<void> => {
    using client = strictClientOf(gateway);
    assert.equal(await verifyAll({ client, bucket: "kept", ledger }), OBJECTS);
  };
  {
    using client = strictClientOf(gateway);
    await client.send(new CreateBucketCommand({ Bucket: "kept" }));
    for (let number = 0; number < OBJECTS; number++) {
      const content = { seed: number, length: 10_000 };
      await client.send(new PutObjectCommand({ Bucket: "kept", Key: `key-${number}`, Body: bytesOf(content) }));
      ledger.acknowledged(`key-${number}`, content);
    }
  }
  const server = servers[1] ?? assert.fail();
  const before = await blobsOn(server, 1);

  await gateway.stop();
  await write({}, { name: "other", bucket: nodeName(1) });
  await gateway.start();
  const { state, reason } = await nodeReport(gateway, "other");
  assert.equal(state, "refused");
  assert.match(
    reason ?? "",
    /^it is node node-b of this cluster \([0-9a-f]{32}\), which the configuration does not name: call it node-b again, or give other formerName: node-b$/,
  );
  await verified();

  await write({}, { name: "other", bucket: nodeName(1), formerName: nodeName(1) });
  await change(gateway, "POST config/reload");
  await eventually("the node is online", PATIENCE, async () => {
    assert.equal((await nodeReport(gateway, "other")).state, "online");
  });
  await eventually("its copies are good again", PATIENCE, async () => {
    const backlog = await replicationReport(gateway);
    assert.deepEqual([(backlog as { unverified?: number }).unverified, backlog.missing], [0, 0]);
    assert.deepEqual((await nodesOf(gateway, "key-0")).toSorted(), ["node-a ok", "other ok"]);
  });
  assert.deepEqual(await blobsOn(server, 1), before, "no copy was made or moved");

  // At once, without a moment under the wrong name, and over a restart.
  await write({ name: "first", bucket: nodeName(0), formerName: nodeName(0) }, { name: "other", bucket: nodeName(1) });
  await change(gateway, "POST config/reload");
  assert.equal((await nodeReport(gateway, "first")).state, "online");
  await verified();
  await gateway.restart();
  assert.deepEqual((await nodesOf(gateway, "key-1")).toSorted(), ["first ok", "other ok"]);
  assert.deepEqual(await blobsOn(server, 1), before);

  // Another domain is another matter: the copies on it are of this one.
  const swapped = { name: "other", bucket: nodeName(1), faultDomain: domainName(0) };
  await write({ name: "first", bucket: nodeName(0), faultDomain: domainName(1) }, swapped);
  assert.match(
    await refusalOf(gateway, "POST config/reload"),
    /^nodes\.(first|other)\.faultDomain is domain-. in the configuration, and copies are on record on the node/,
  );
  await gateway.stop();
  await assert.rejects(gateway.start(), /nodes\.(first|other)\.faultDomain is domain-. in the configuration/);
  await write({ name: "first", bucket: nodeName(0) }, { name: "other", bucket: nodeName(1) });
  await gateway.start();
  await verified();
});
