import assert from "node:assert/strict";
import { test } from "node:test";
import { topologyEvents } from "../../../../src/cluster/events/topology-events.ts";
import type { NodeRecord } from "../../../../src/cluster/topology-records.ts";
import type { StoredTopology } from "../../../../src/cluster/topology-store.ts";
import type { TopologyNode } from "../../../../src/placement/topology.ts";
import { domainOf, nodeOf, policyOf, topologyOf } from "../../placement/topologies.ts";

function stored(nodes: readonly TopologyNode[], unconfigured: readonly string[] = []): StoredTopology {
  const records = nodes.map((node): [string, NodeRecord] => {
    const { writeGeneration: _generation, ...spec } = node;
    return [node.uuid, { ...spec, admitted: true, configured: !unconfigured.includes(node.uuid) }];
  });
  return { topology: topologyOf([domainOf("a"), domainOf("b")], nodes, policyOf(2)), records: new Map(records) };
}

function told(before: StoredTopology | undefined, after: StoredTopology): string[] {
  return topologyEvents(before, after).map(({ kind, node, domain }) => `${kind} ${node} ${domain}`);
}

const [ONE, TWO] = [nodeOf("one", "a"), nodeOf("two", "b")];

test("nodes that come and go are told, also those that keep a record for their copies", () => {
  assert.deepEqual(told(undefined, stored([ONE, TWO])), ["NODE_ADDED one a", "NODE_ADDED two b"]);
  assert.deepEqual(told(stored([ONE]), stored([ONE, TWO])), ["NODE_ADDED two b"]);
  assert.deepEqual(told(stored([ONE, TWO]), stored([ONE])), ["NODE_REMOVED two b"]);
  assert.deepEqual(told(stored([ONE, TWO]), stored([ONE, TWO], ["two"])), ["NODE_REMOVED two b"]);
  assert.deepEqual(told(stored([ONE, TWO], ["two"]), stored([ONE, TWO])), ["NODE_ADDED two b"]);
});

test("a node that serves another domain, or is decommissioned, is told once", () => {
  const promoted = { ...ONE, domain: "b" };
  assert.deepEqual(told(stored([ONE]), stored([promoted])), ["NODE_DOMAIN_CHANGED one b"]);
  assert.match(topologyEvents(stored([ONE]), stored([promoted]))[0]?.cause ?? "", /was in a; its home is a/);
  assert.deepEqual(told(stored([promoted]), stored([ONE])), ["NODE_DOMAIN_CHANGED one a"]);
  const away = { ...ONE, decommissionedAtMs: 5 };
  assert.deepEqual(told(stored([ONE]), stored([away])), ["NODE_DECOMMISSIONED one a"]);
  assert.deepEqual(told(stored([away]), stored([away])), []);
});

test("a weight that changes by a tenth or more is told as a capacity that did", () => {
  const weighed = (weight: number): StoredTopology => stored([{ ...ONE, weight }]);
  assert.deepEqual(told(weighed(100), weighed(110)), ["NODE_CAPACITY_CHANGED one a"]);
  assert.deepEqual(told(weighed(100), weighed(90)), ["NODE_CAPACITY_CHANGED one a"]);
  assert.deepEqual(told(weighed(100), weighed(109)), []);
  assert.match(topologyEvents(weighed(0), weighed(50))[0]?.cause ?? "", /its weight was 0 and is 50/);
});

test("what changes of a node besides is no event", () => {
  assert.deepEqual(told(stored([ONE]), stored([{ ...ONE, acceptsWrites: false, writeGeneration: 9 }])), []);
});
