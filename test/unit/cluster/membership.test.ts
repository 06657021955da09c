import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeKey } from "../../../src/catalog/keys.ts";
import { CatalogError } from "../../../src/catalog/kv.ts";
import { judgeIdentity, writeIdentityDocument } from "../../../src/cluster/identity.ts";
import { loadTopology } from "../../../src/cluster/topology-store.ts";
import { NodeError, type ProbeFinding } from "../../../src/nodes/storage-node.ts";
import type { Id } from "../../../src/shared/ids.ts";
import { turns } from "../../support/in-memory-gateway.ts";
import { CLUSTER_KEY, INTERVAL_MS, openCluster, RETRY_MS, TestHandle } from "./test-cluster.ts";

test("fresh nodes are admitted, carry our identity, and are online and announced once", async () => {
  await using cluster = await openCluster();
  const { membership, clusterId } = cluster;
  assert.deepEqual(cluster.changes.toSorted(), ["a online", "b online"]);
  assert.deepEqual(cluster.announced.toSorted(), ["a", "b"]);
  for (const member of membership.members.all()) {
    const { spec } = member;
    assert.deepEqual([member.state, member.reason, member.loadScore()], ["online", undefined, 0.25]);
    const { store } = cluster.handle(spec.name);
    const identity = { clusterId, nodeUuid: spec.uuid };
    assert.deepEqual(judgeIdentity(store.identity ?? Buffer.of(), identity, CLUSTER_KEY), { kind: "same" });
    assert.equal(spec.writeGeneration, (await cluster.kv.get(nodeKey(spec.uuid)))?.version);
    assert.deepEqual(cluster.accepts(spec.name), { reads: true, writes: true });
  }
});

test("nodes are looked at every interval, each by its own clock, and say nothing new", async () => {
  await using cluster = await openCluster();
  const before = cluster.handle("a").probes;
  await cluster.pass(3 * INTERVAL_MS);
  assert.equal(cluster.handle("a").probes - before, 3);
  assert.equal(cluster.changes.length, 2);
  assert.equal(cluster.announced.length, 2);
});

test("a process that starts knows the nodes that were admitted before, and admits them no more", async () => {
  await using cluster = await openCluster();
  const depths: string[] = [];
  cluster.handle("a").node.hooks.probe = async (depth) => {
    depths.push(depth);
    return [];
  };
  await cluster.start();
  assert.deepEqual([cluster.state("a"), depths], ["online", ["reach"]]);
});

test("a node that goes away is left at its next check, and used and announced again as soon as it is back", async () => {
  await using cluster = await openCluster();
  cluster.handle("a").node.down = true;
  await cluster.pass(INTERVAL_MS);
  assert.deepEqual([cluster.state("a"), cluster.conditions("a")], ["online", ["suspect"]]);
  assert.match(cluster.reason("a") ?? "", /down/);
  assert.deepEqual(cluster.accepts("a"), { reads: false, writes: false });
  cluster.handle("a").node.down = false;
  await cluster.pass(RETRY_MS);
  assert.deepEqual([cluster.state("a"), cluster.conditions("a"), cluster.reason("a")], ["online", [], undefined]);
  assert.deepEqual(cluster.accepts("a"), { reads: true, writes: true });
  assert.deepEqual(cluster.changes.slice(2), []);
  assert.deepEqual(cluster.announced.slice(2), ["a"]);
  assert.equal(cluster.state("b"), "online");
});

test("a node that is away at the start holds nobody up, and is admitted when it comes", async () => {
  await using cluster = await openCluster((fresh) => {
    fresh.handle("a").node.down = true;
  });
  assert.deepEqual([cluster.state("a"), cluster.state("b")], ["degraded", "online"]);
  cluster.handle("a").node.down = false;
  await cluster.pass(2 * RETRY_MS);
  assert.equal(cluster.state("a"), "online");
  assert.ok(cluster.handle("a").store.identity !== undefined);
});

test("a node that hangs is joining for as long as its check may take, and degraded then; the start does not wait for it", async () => {
  await using cluster = await openCluster((fresh) => {
    fresh.handle("a").node.probe = (_, signal) =>
      new Promise((_resolve, reject) => {
        signal?.addEventListener("abort", () => reject(new NodeError("aborted", "the caller gave up")), { once: true });
      });
  });
  assert.deepEqual([cluster.state("a"), cluster.state("b")], ["joining", "online"]);
  assert.deepEqual(cluster.accepts("a"), { reads: false, writes: false });
  await cluster.pass(14_500);
  assert.deepEqual([cluster.state("a"), cluster.reason("a")], ["degraded", "it did not answer its check in time"]);
});

test("a node whose identity is gone was replaced: it is not used, nor given a new identity", async () => {
  await using cluster = await openCluster();
  const { store } = cluster.handle("a");
  const identity = store.identity;
  store.identity = undefined;
  await cluster.pass(INTERVAL_MS);
  assert.equal(cluster.state("a"), "replaced");
  assert.deepEqual(cluster.accepts("a"), { reads: false, writes: false });
  await cluster.start();
  assert.equal(cluster.state("a"), "replaced");
  assert.equal(store.identity, undefined);
  // The right disk is mounted.
  store.identity = identity;
  await cluster.pass(RETRY_MS);
  assert.equal(cluster.state("a"), "online");
  assert.equal(cluster.announced.at(-1), "a");
});

test("a node whose bucket is missing is admitted where it is new, and replaced where it is not", async () => {
  const missing: ProbeFinding = { check: "bucket-exists", passed: false };
  await using cluster = await openCluster((fresh) => {
    const { node } = fresh.handle("a");
    node.hooks.probe = async (depth) => (depth === "reach" ? [missing] : [{ check: "reach", passed: true }]);
  });
  assert.equal(cluster.state("a"), "online");
  await cluster.pass(INTERVAL_MS);
  assert.deepEqual([cluster.state("a"), cluster.reason("a")], ["replaced", "its bucket is gone"]);
});

test("a node with another identity is refused and left as it is", async () => {
  const foreign = writeIdentityDocument({ clusterId: "f".repeat(32), nodeUuid: "1".repeat(32) }, CLUSTER_KEY);
  await using cluster = await openCluster((fresh) => {
    fresh.handle("a").store.identity = foreign;
  });
  assert.equal(cluster.state("a"), "refused");
  assert.match(cluster.reason("a") ?? "", /another cluster/);
  assert.deepEqual(cluster.accepts("a"), { reads: false, writes: false });
  await cluster.pass(INTERVAL_MS);
  assert.equal(cluster.handle("a").store.identity, foreign);
  // Two nodes of ours that were swapped.
  const [a, b] = [cluster.handle("a"), cluster.handle("b")];
  a.store.identity = writeIdentityDocument({ clusterId: cluster.clusterId, nodeUuid: b.uuid }, CLUSTER_KEY);
  await cluster.pass(RETRY_MS);
  assert.match(cluster.reason("a") ?? "", /it is node b of this cluster .* two nodes were swapped/);
});

test("a node that fails admission is refused until it passes", async () => {
  await using cluster = await openCluster((fresh) => {
    fresh.handle("a").node.hooks.probe = async (depth) =>
      depth === "reach" ? [] : [{ check: "versioning-off", passed: false, reason: "versioning is on" }];
  });
  assert.deepEqual([cluster.state("a"), cluster.reason("a")], ["refused", "versioning-off: versioning is on"]);
  assert.equal(cluster.handle("a").store.identity, undefined);
  cluster.handle("a").find();
  await cluster.pass(RETRY_MS);
  assert.equal(cluster.state("a"), "online");
});

test("a node that refuses our credentials is told apart, and tried again", async () => {
  await using cluster = await openCluster();
  cluster.handle("a").find({ check: "access", passed: false, reason: "the key is not known" });
  await cluster.pass(INTERVAL_MS);
  assert.deepEqual([cluster.state("a"), cluster.reason("a")], ["access-denied", "access: the key is not known"]);
  cluster.handle("a").find();
  await cluster.pass(RETRY_MS);
  assert.equal(cluster.state("a"), "online");
});

test("every change between states that are not online is told, with its reason", async () => {
  await using cluster = await openCluster();
  const { node, store } = cluster.handle("a");
  node.down = true;
  await cluster.pass(3 * INTERVAL_MS);
  node.down = false;
  cluster.handle("a").find({ check: "access", passed: false });
  await cluster.pass(RETRY_MS);
  cluster.handle("a").find();
  store.identity = undefined;
  await cluster.pass(RETRY_MS);
  store.identity = Buffer.from("garbage");
  await cluster.pass(RETRY_MS);
  assert.deepEqual(cluster.changes.slice(2), ["a degraded", "a access-denied", "a replaced", "a refused"]);
});

test("a node whose circuit breaker opens is left at once and looked at soon, and announced when it is closed again", async () => {
  await using cluster = await openCluster();
  const handle = cluster.handle("a");
  const before = handle.probes;
  handle.openBreaker();
  assert.deepEqual([cluster.conditions("a"), cluster.reason("a")], [["suspect"], "its circuit breaker is open"]);
  assert.deepEqual(cluster.accepts("a"), { reads: false, writes: false });
  await cluster.pass(RETRY_MS);
  assert.equal(handle.probes, before + 1);
  assert.deepEqual(cluster.accepts("a"), { reads: false, writes: false });
  await cluster.pass(RETRY_MS);
  assert.equal(handle.probes, before + 2);
  handle.breakerOpen = false;
  await cluster.pass(RETRY_MS);
  assert.deepEqual([cluster.state("a"), cluster.conditions("a")], ["online", []]);
  assert.deepEqual(cluster.announced.slice(2), ["a"]);
  await cluster.pass(INTERVAL_MS);
  assert.deepEqual(cluster.announced.slice(2), ["a"]);
});

test("a breaker that opens and closes between two checks is announced all the same", async () => {
  await using cluster = await openCluster();
  cluster.handle("a").openBreaker();
  cluster.handle("a").breakerOpen = false;
  await cluster.pass(RETRY_MS);
  assert.deepEqual(cluster.announced.slice(2), ["a"]);
});

test("a node without room is read from and not written to", async () => {
  await using cluster = await openCluster();
  cluster.handle("a").room = false;
  assert.deepEqual(cluster.accepts("a"), { reads: true, writes: false });
});

test("an admission that cannot be recorded is none: the node is not used, and admitted later", async () => {
  await using cluster = await openCluster((fresh) => {
    fresh.kv.hooks.commit = () => Promise.reject(new CatalogError("unavailable", "closed"));
  });
  assert.deepEqual(cluster.accepts("a"), { reads: false, writes: false });
  assert.ok(cluster.errors.length > 0);
  cluster.kv.hooks = {};
  await cluster.pass(2 * RETRY_MS);
  assert.equal(cluster.state("a"), "online");
  assert.equal(cluster.announced.filter((name) => name === "a").length, 1);
});

test("an admission that meets a change of the node's record is made again", async () => {
  await using cluster = await openCluster((fresh) => {
    fresh.kv.hooks.commit = async ({ mutations }, pass) => {
      const key = nodeKey(fresh.handle("a").uuid);
      if (mutations.some((mutation) => Buffer.compare(mutation.key, key) === 0)) {
        fresh.kv.hooks = {};
        const entry = (await fresh.kv.get(key)) ?? assert.fail();
        await fresh.kv.atomic().set(entry.key, entry.value).commit();
      }
      return pass();
    };
  });
  assert.deepEqual([cluster.state("a"), cluster.state("b")], ["joining", "online"]);
  await cluster.pass(RETRY_MS);
  assert.equal(cluster.state("a"), "online");
  const { uuid } = cluster.handle("a");
  const { writeGeneration } = cluster.members.get(uuid)?.spec ?? assert.fail();
  assert.equal(writeGeneration, (await cluster.kv.get(nodeKey(uuid)))?.version);
});

test("a check that fails in an unexpected way is logged, and the next one comes", async () => {
  await using cluster = await openCluster();
  cluster.handle("a").node.hooks.probe = () => Promise.reject(new TypeError("a bug"));
  await cluster.pass(INTERVAL_MS);
  assert.deepEqual([cluster.conditions("a"), cluster.errors.length], [["suspect"], 1]);
  cluster.handle("a").find();
  await cluster.pass(RETRY_MS);
  assert.deepEqual([cluster.state("a"), cluster.conditions("a")], ["online", []]);
});

test("what stops listening is told nothing more, and a node that nobody configured is no member", async () => {
  await using cluster = await openCluster();
  const heard: Id[] = [];
  const stop = cluster.members.onOnline((uuid) => void heard.push(uuid));
  stop();
  cluster.handle("a").openBreaker();
  cluster.handle("a").breakerOpen = false;
  await cluster.pass(RETRY_MS);
  assert.deepEqual(heard, []);
  const nobody = "9".repeat(32);
  assert.equal(cluster.members.get(nobody), undefined);
  assert.deepEqual([cluster.members.servesReads(nobody), cluster.members.acceptsWrites(nobody)], [false, false]);
});

test("membership that ends gives up the check under way, says nothing more and leaves no timer", async () => {
  const cluster = await openCluster();
  cluster.handle("a").node.probe = (_, signal) =>
    new Promise((_resolve, reject) => {
      signal?.addEventListener("abort", () => reject(new NodeError("aborted", "the caller gave up")), { once: true });
    });
  await cluster.pass(INTERVAL_MS);
  await cluster.membership[Symbol.asyncDispose]();
  assert.equal(cluster.clock.timers, 0);
  cluster.handle("b").openBreaker();
  await cluster.pass(INTERVAL_MS);
  assert.equal(cluster.changes.length, 2);
  assert.equal(cluster.clock.timers, 0);
});

test("a cluster that changes keeps the state of the nodes that stay, checks new ones and lets go of those that left", async () => {
  await using cluster = await openCluster();
  const before = cluster.members;
  const { uuid } = cluster.handle("a");
  const stored = (await loadTopology(cluster.kv)) ?? assert.fail();
  const { topology } = stored;
  const [a, b] = [topology.nodes[0] ?? assert.fail(), topology.nodes[1] ?? assert.fail()];
  const added = new TestHandle("c".repeat(32), "c", cluster.clusterId);
  cluster.handles.set("c", added);
  const probes = cluster.handle("a").probes;

  const nodes = [
    { ...a, weight: 50 },
    { ...b, name: "c", uuid: added.uuid, physicalStorageId: "c" },
  ];
  cluster.membership.update(cluster.shapeOf({ ...stored, topology: { ...topology, epoch: 2, nodes } }));
  const { members } = cluster;
  assert.equal(members.topology.epoch, 2);
  assert.deepEqual(
    members.all().map(({ spec, state }) => [spec.name, spec.weight, state]),
    [
      ["a", 50, "online"],
      ["c", 100, "joining"],
    ],
  );
  assert.equal(cluster.handle("a").probes, probes, "a node that stays is not checked for that");
  assert.equal(members.get(cluster.handle("b").uuid), undefined);
  // Whoever planned under the topology before goes on with it.
  assert.equal(before.topology.epoch, 1);
  assert.equal(before.get(cluster.handle("b").uuid)?.state, "online");

  const left = cluster.handle("b").probes;
  await cluster.pass(2 * INTERVAL_MS);
  assert.equal(cluster.handle("b").probes, left, "a node that left is not checked any more");
  assert.ok(cluster.handle("a").probes > probes);
  assert.equal(members.get(uuid)?.state, "online");
});

test("a node whose handle is another one is checked anew", async () => {
  await using cluster = await openCluster();
  const stored = (await loadTopology(cluster.kv)) ?? assert.fail();
  const { uuid, store } = cluster.handle("a");
  const moved = new TestHandle(uuid, "a", cluster.clusterId);
  moved.store.identity = store.identity;
  cluster.handles.set("a", moved);
  cluster.membership.update(cluster.shapeOf(stored));
  assert.equal(cluster.members.get(uuid)?.node, moved.node);
  await turns();
  assert.equal(cluster.state("a"), "online");
  assert.ok(moved.probes > 0);
});
