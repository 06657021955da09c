/** A node that is added by command is judged as the nodes of a file are; and what a reload cannot take over is named. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { loadConfig } from "../../../src/config/load-config.ts";
import { readNode } from "../../../src/config/read-node.ts";
import { whatNeedsRestart } from "../../../src/config/what-needs-restart.ts";

function load(yaml: object) {
  const loaded = loadConfig({
    yamlText: JSON.stringify(yaml),
    env: {},
    readSecretFile: () => assert.fail("there is none"),
  });
  return "problems" in loaded ? assert.fail(JSON.stringify(loaded.problems)) : loaded;
}

const KEYS = { accessKey: "access", secretKey: "a-secret" };
const STORAGE = {
  "active-domains": ["a", "b"],
  "standby-domain": "s",
  nodes: [
    { name: "node-a", endpoint: "http://10.0.0.1:9000", faultDomain: "a", ...KEYS },
    { name: "node-b", endpoint: "volume:/disks/b", faultDomain: "b" },
  ],
};
const CLUSTER = load({ storage: STORAGE }).config.storage;
const NEW = { name: "node-c", endpoint: "http://10.0.0.3:9000", faultDomain: "a", ...KEYS };

function problemsOf(change: object): readonly string[] {
  const read = readNode({ ...NEW, ...change }, CLUSTER);
  return "problems" in read ? read.problems : assert.fail("it was taken");
}

test("what is left out is as in a file", () => {
  const read = readNode(NEW, CLUSTER);
  assert.ok("node" in read);
  const file = load({ storage: { ...STORAGE, nodes: [...STORAGE.nodes, NEW] } });
  assert.deepEqual(read.node, file.config.storage.nodes[2]);
  assert.equal(read.keys?.secretKey.reveal(), "a-secret");
});

test("each problem is told by the name of its setting, in the words of a file's, without a secret", () => {
  assert.deepEqual(problemsOf({ faultDomain: "z" }), [
    "faultDomain must be an active domain or the standby domain: a, b, s",
  ]);
  assert.deepEqual(problemsOf({ name: "node-a" }), ["name is the name of two nodes"]);
  assert.match(
    problemsOf({ endpoint: "http://10.0.0.1:9000", bucket: "node-a" })[0] ?? "",
    /^endpoint is the place of node node-a as well/,
  );
  assert.match(problemsOf({ endpoint: "volume:/disks/b" })[0] ?? "", /^endpoint is the place of node node-b as well/);
  assert.match(problemsOf({ secretKey: undefined })[0] ?? "", /^secretKey must be given together with accessKey/);
  assert.match(problemsOf({ name: "Node_C" })[0] ?? "", /^bucket must be given/);
  assert.match(problemsOf({ endpoint: "ftp://x" })[0] ?? "", /^endpoint must be/);
  assert.match(problemsOf({ weight: -1 })[0] ?? "", /^weight must be/);
  assert.match(problemsOf({ caFile: "/ca.pem" })[0] ?? "", /^caFile has no use unless/);
  assert.deepEqual(problemsOf({ colour: "red" }), ["colour is no setting of a node"]);
  assert.ok(!problemsOf({ accessKey: "a b", secretKey: "very secret" }).join().includes("very secret"));
});

test("what the topology is made of needs no restart; the rest is named", () => {
  const before = load({ storage: STORAGE });
  const [first = {}, second = {}] = STORAGE.nodes;
  const needs = (change: object): string[] => whatNeedsRestart(before, load({ storage: STORAGE, ...change }));
  assert.deepEqual(needs({}), []);
  const live = {
    ...STORAGE,
    nodes: [{ ...first, weight: 5, secretKey: "another" }, second],
    replication: { quorum: 1 },
  };
  assert.deepEqual(needs({ storage: live }), []);
  assert.deepEqual(needs({ server: { s3: { listen: "127.0.0.1:1234" }, dataDir: "/elsewhere" } }).toSorted(), [
    "catalog",
    "server.dataDir",
    "server.s3",
  ]);
  assert.deepEqual(needs({ server: { admin: { apiKey: "a-key-of-the-api" }, rootKey: KEYS } }), [
    "server.rootKey",
    "server.admin.apiKey",
  ]);
  assert.deepEqual(needs({ catalog: { journal: "sync" }, log: { level: "warn" } }).toSorted(), [
    "catalog.journal",
    "log",
  ]);
  assert.deepEqual(needs({ storage: { ...STORAGE, scrub: { enabled: false } } }), ["storage.scrub"]);
  const faster = { rateLimitPerSecond: 7, bandwidthLimitMib: 7 };
  const rates = { rebalance: { ...faster, automatic: false, cleanupSource: true }, repair: faster, scrub: faster };
  assert.deepEqual(needs({ storage: { ...STORAGE, ...rates } }), []);
  const moved = { ...STORAGE, nodes: [first, { ...second, endpoint: "volume:/disks/other" }] };
  assert.deepEqual(needs({ storage: moved }), ["storage.nodes.node-b.endpoint"]);
});
