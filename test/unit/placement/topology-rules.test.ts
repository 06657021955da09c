/** What a topology must not be, whoever asks for it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Topology } from "../../../src/placement/topology.ts";
import { newProblems, topologyProblems } from "../../../src/placement/topology-rules.ts";
import { domainOf, evenTopology, nodeOf, policyOf, standbyDomain, topologyOf } from "./topologies.ts";

const SOUND = evenTopology(2, 2, policyOf(2));

function pathsOf(change: Partial<Topology>): string[] {
  return topologyProblems({ ...SOUND, ...change }).map(({ path }) => path);
}

test("a sound topology has no problem", () => {
  assert.deepEqual(topologyProblems(SOUND), []);
  assert.deepEqual(pathsOf({ domains: [...SOUND.domains, standbyDomain] }), []);
});

test("the factor is at most the number of domains that accept writes, and the quorum at most the factor", () => {
  assert.deepEqual(pathsOf({ replication: policyOf(3) }), ["replication.factor"]);
  assert.deepEqual(pathsOf({ replication: policyOf(1, { quorum: 2 }) }), ["replication.quorum"]);
  const [first = domainOf("d0")] = SOUND.domains;
  const one = [first, domainOf("d1", { acceptsWrites: false })];
  assert.deepEqual(pathsOf({ domains: one }), ["replication.factor"]);
  const none = SOUND.domains.map((domain) => ({ ...domain, acceptsWrites: false }));
  assert.deepEqual(pathsOf({ domains: none, replication: policyOf(1) }), ["domains"]);
});

test("a domain that takes copies has nodes, with storages for the copies that it is to hold", () => {
  assert.deepEqual(pathsOf({ domains: [...SOUND.domains, domainOf("d2")] }), ["domains.d2"]);
  assert.deepEqual(pathsOf({ domains: [...SOUND.domains, domainOf("d2", { acceptsWrites: false })] }), []);
  const [first = domainOf("d0"), second = domainOf("d1")] = SOUND.domains;
  assert.deepEqual(pathsOf({ domains: [{ ...first, replicaCount: 3 }, second] }), ["domains.d0.replicaCount"]);
  assert.deepEqual(pathsOf({ domains: [{ ...first, replicaCount: 0 }, second] }), ["domains.d0.replicaCount"]);
  const shared = SOUND.nodes.map((node) => ({ ...node, physicalStorageId: node.domain }));
  const both = [{ ...first, replicaCount: 2 }, second];
  assert.deepEqual(pathsOf({ domains: both, nodes: shared }), ["domains.d0.replicaCount"]);
});

test("there is one standby domain at most, and it takes no planned copies", () => {
  const wrong = { ...standbyDomain, replicaCount: 1, acceptsWrites: true };
  assert.deepEqual(pathsOf({ domains: [...SOUND.domains, wrong] }), [
    "domains.standby.replicaCount",
    "domains.standby.acceptsWrites",
  ]);
  const two = [...SOUND.domains, standbyDomain, { ...standbyDomain, name: "other" }];
  assert.deepEqual(pathsOf({ domains: two }), ["domains.other.role"]);
});

test("names are given once, and nodes stand in domains that there are", () => {
  const [node = nodeOf("x", "d0")] = SOUND.nodes;
  assert.deepEqual(pathsOf({ nodes: [...SOUND.nodes, { ...node, uuid: "y", physicalStorageId: "y" }] }), [
    "nodes.d0-0",
  ]);
  assert.deepEqual(pathsOf({ nodes: [...SOUND.nodes, nodeOf("lost", "nowhere")] }), ["nodes.lost.domain"]);
  assert.deepEqual(pathsOf({ domains: [...SOUND.domains, domainOf("d0")] }), ["domains.d0"]);
});

test("degraded writes ask for no more copies than there are nodes, and no weight is more than a ring takes", () => {
  const degradedWrite = { enabled: true, minReplicas: 5, handoff: "any" } as const;
  assert.deepEqual(pathsOf({ replication: policyOf(2, { degradedWrite }) }), ["replication.degradedWrite.minReplicas"]);
  const heavy = [...SOUND.nodes, nodeOf("heavy", "d0", { weight: 10_000 })];
  assert.deepEqual(pathsOf({ nodes: heavy }), []);
  assert.deepEqual(pathsOf({ nodes: heavy, virtualNodesPerNode: 201 }), ["nodes.heavy.weight"]);
});

test("a change is not to blame for what was wrong before it", () => {
  const before = topologyOf([domainOf("d0")], [], policyOf(1));
  const after = { ...before, replication: policyOf(2) };
  assert.deepEqual(
    newProblems(before, after).map(({ path }) => path),
    ["replication.factor"],
  );
});
