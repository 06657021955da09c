/** Handles of nodes: opened by the configuration or by the catalog's connection, and closed after their last use. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { nodeConnectionKey } from "../../../src/catalog/keys.ts";
import { memoryKv } from "../../../src/catalog/memory/memory-kv.ts";
import type { NodeConnection } from "../../../src/cluster/node-connection.ts";
import type { NodeRecord } from "../../../src/cluster/topology-records.ts";
import { directNodeOf } from "../../../src/compose/direct.ts";
import { NodeHandles } from "../../../src/compose/node-handles.ts";
import { loadConfig } from "../../../src/config/load-config.ts";
import { silentLogger } from "../../../src/observability/logger.ts";
import { createMetrics } from "../../../src/observability/metrics.ts";
import type { Id } from "../../../src/shared/ids.ts";
import { seededRandom } from "../../../src/shared/random.ts";
import { Secret } from "../../../src/shared/secret.ts";
import { turns } from "../../support/in-memory-gateway.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const CLUSTER_ID = "0192c4100190f3a2b4c5001122334455";
const uuidOf = (number: number): Id => String(number).padStart(32, "0");

function recordOf(number: number, name: string, change: Partial<NodeRecord> = {}): NodeRecord {
  return {
    uuid: uuidOf(number),
    name,
    domain: "a",
    homeDomain: "a",
    weight: 100,
    acceptsWrites: true,
    physicalStorageId: name,
    host: name,
    diskType: "unknown",
    admitted: false,
    configured: true,
    ...change,
  };
}

async function open(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), "bulkhead-handles-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const yaml = (secretKey: string): string =>
    JSON.stringify({
      storage: {
        "active-domains": ["a"],
        nodes: [
          { name: "of-file", endpoint: "http://127.0.0.1:1", faultDomain: "a", accessKey: "k", secretKey },
          { name: "volume", endpoint: `volume:${join(folder, "v")}`, faultDomain: "a" },
        ],
      },
    });
  const load = (secretKey: string) => {
    const loaded = loadConfig({ yamlText: yaml(secretKey), env: {}, readSecretFile: () => assert.fail("none") });
    return "problems" in loaded ? assert.fail(JSON.stringify(loaded.problems)) : loaded;
  };
  const clock = new ManualClock();
  const kv = memoryKv();
  const { config, secrets } = load("first-key");
  const handles = new NodeHandles({
    kv,
    config,
    secrets,
    clusterKey: Buffer.alloc(32, 1),
    metrics: createMetrics({ version: "1", processMetrics: false }),
    clock,
    random: seededRandom(1),
    logger: silentLogger,
  });
  t.after(() => handles[Symbol.asyncDispose]());
  const connect = async (number: number, connection: NodeConnection): Promise<void> => {
    const value = handles.codec(CLUSTER_ID).encode(uuidOf(number), connection);
    await kv
      .atomic()
      .set(nodeConnectionKey(uuidOf(number)), value)
      .commit();
  };
  const of = (...records: NodeRecord[]) => handles.of(CLUSTER_ID, new Map(records.map((each) => [each.uuid, each])));
  return { folder, load, clock, kv, handles, connect, of };
}

test("nodes of the file and nodes of the catalog are opened, one that neither tells the way to is not", async (t) => {
  const { folder, handles, connect, of } = await open(t);
  await connect(2, { kind: "volume", path: join(folder, "added") });
  const records = [recordOf(1, "of-file"), recordOf(2, "added"), recordOf(3, "unknown")];
  const first = await of(...records);
  assert.deepEqual([...first.keys()], [uuidOf(1), uuidOf(2)]);
  assert.deepEqual(
    handles.configs().map(({ name, kind }) => `${name} ${kind}`),
    ["of-file s3", "added volume"],
  );
  assert.equal(handles.placeOf("added").endpoint, join(folder, "added"));
  // They stay the same as long as the way is, whatever else is changed of the node.
  const again = await of(recordOf(1, "of-file", { weight: 1 }), recordOf(2, "added", { acceptsWrites: false }));
  assert.equal(again.get(uuidOf(1)), first.get(uuidOf(1)));
  assert.equal(again.get(uuidOf(2)), first.get(uuidOf(2)));
});

test("other keys in the file open a node anew; the handle before it is closed when nobody uses it any more", async (t) => {
  const { load, clock, handles, of } = await open(t);
  const before = (await of(recordOf(1, "of-file"))).get(uuidOf(1)) ?? assert.fail();
  const { config, secrets } = load("second-key");
  handles.configure(config.storage, secrets.nodes);
  const after = (await of(recordOf(1, "of-file"))).get(uuidOf(1));
  assert.notEqual(after, before);
  let closed = false;
  before.node.close = async () => {
    closed = true;
  };
  clock.advance(10_000);
  await turns();
  assert.equal(closed, false, "a request may still use it");
  clock.advance(60_000);
  await turns();
  assert.equal(closed, true);
});

test("others read an added node, and one of a file that was read again, where they are told to", async (t) => {
  const { load, handles, connect, of } = await open(t);
  const keys = { accessKey: "k", secretKey: new Secret("s") };
  const s3 = { kind: "s3", bucket: "b", region: "us-east-1", metricsPath: "/m", keys } as const;
  const own = "https://own.example.com";
  await connect(2, { ...s3, endpoint: "http://127.0.0.1:2" });
  await connect(3, { ...s3, endpoint: "http://127.0.0.1:3", externalEndpoint: own });
  const records = [recordOf(1, "of-file"), recordOf(2, "added"), recordOf(3, "added-too")];
  const urls = async (): Promise<unknown[]> => {
    await of(...records);
    return records.map(({ uuid }) => {
      const way = handles.wayTo(uuid) ?? assert.fail("it is not reached");
      const copy = "00000001/000102030405060708090a0b0c0d0e0f";
      const url = directNodeOf(way, CLUSTER_ID)?.sign(copy, {
        method: "GET",
        nowMs: 0,
        expiresSeconds: 60,
        headers: [],
      });
      return url === undefined ? undefined : new URL(url).origin;
    });
  };
  assert.deepEqual(await urls(), ["http://127.0.0.1:1", "http://127.0.0.1:2", own]);
  const first = handles.wayTo(uuidOf(2));
  await urls();
  assert.equal(handles.wayTo(uuidOf(2)), first, "the way to a node is the same while nothing changes");
  const { config, secrets } = load("first-key");
  const { nodes } = config.storage;
  const elsewhere = nodes.map((node) =>
    node.kind === "s3" ? { ...node, externalEndpoint: "https://file.example.com" } : node,
  );
  const externalEndpoints = { everywhere: "https://all.example.com", ofDomains: new Map() };
  handles.configure({ nodes: elsewhere, externalEndpoints }, secrets.nodes);
  assert.deepEqual(await urls(), ["https://file.example.com", "https://all.example.com", own]);
  handles.configure(
    { nodes, externalEndpoints: { ...externalEndpoints, ofDomains: new Map([["a", "https://a.example.com"]]) } },
    secrets.nodes,
  );
  assert.deepEqual(await urls(), ["http://127.0.0.1:1", "https://a.example.com", own]);
});

test("a node that was removed, or is leaving, has no handle any more", async (t) => {
  const { of } = await open(t);
  assert.equal((await of(recordOf(1, "of-file"))).size, 1);
  assert.equal((await of(recordOf(1, "of-file", { configured: false, leaving: true }))).size, 0);
  assert.equal((await of(recordOf(1, "of-file"))).size, 1);
  assert.equal((await of()).size, 0);
});

test("a volume that is open is not opened a second time, whatever the configuration says by now", async (t) => {
  const { folder, load, handles, of } = await open(t);
  const externalEndpoints = load("any-key").config.storage.externalEndpoints;
  const before = (await of(recordOf(1, "volume"))).get(uuidOf(1));
  const [, volume] = handles.configs().length === 1 ? [undefined, handles.configs()[0]] : assert.fail();
  assert.ok(volume?.kind === "volume");
  handles.configure({ externalEndpoints, nodes: [{ ...volume, path: join(folder, "elsewhere") }] }, new Map());
  assert.equal((await of(recordOf(1, "volume"))).get(uuidOf(1)), before);
});

test("a node that gets another name is reached all the time: by the name before, and while only another gateway's file has it", async (t) => {
  const { handles, of } = await open(t);
  const records = [recordOf(1, "of-file"), recordOf(2, "volume")];
  const before = await of(...records);
  // The catalog has the names already, this process's file has them not.
  const renamed = [recordOf(1, "new"), recordOf(2, "new-volume")];
  assert.deepEqual([...(await of(...renamed)).values()], [...before.values()]);
  const configs = handles.configs();
  const newNames = configs.map((config) => {
    const name = config.kind === "volume" ? "new-volume" : "new";
    return { ...config, name, formerName: config.name };
  });
  handles.configure(
    { externalEndpoints: { ofDomains: new Map() }, nodes: newNames },
    new Map([["new", { accessKey: "k", secretKey: new Secret("first-key") }]]),
  );
  const after = await of(...renamed);
  assert.equal(after.get(uuidOf(1))?.node.name, "new");
  assert.equal(after.get(uuidOf(2)), before.get(uuidOf(2)), "a folder is not opened twice");
  assert.deepEqual(
    handles.configs().map(({ name }) => name),
    ["new", "new-volume"],
  );
  // At a start the catalog has the names before for a moment.
  assert.deepEqual([...(await of(...records)).keys()], [uuidOf(1), uuidOf(2)]);
});

test("a node whose keys were sealed under another cluster key has a handle, which says why it cannot be used", async (t) => {
  const { kv, of, connect } = await open(t);
  const keys = { accessKey: "k", secretKey: new Secret("s") };
  const s3 = {
    kind: "s3",
    endpoint: "http://127.0.0.1:1",
    bucket: "bucket",
    region: "r",
    metricsPath: "/m",
    keys,
  } as const;
  await connect(5, s3);
  const entry = (await kv.get(nodeConnectionKey(uuidOf(5)))) ?? assert.fail();
  const damaged = Buffer.from(entry.value);
  damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
  await kv.atomic().set(entry.key, damaged).commit();
  const handle = (await of(recordOf(5, "sealed"))).get(uuidOf(5));
  await assert.rejects(handle?.node.probe("reach") ?? assert.fail("it is no member"), /the node has no keys/);
});
