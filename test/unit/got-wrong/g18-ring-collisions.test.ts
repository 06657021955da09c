/** G18: of virtual nodes that collided on the ring only one was kept. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Hash64, Hasher } from "../../../src/placement/hasher.ts";
import { createRing, POSITIONS_PER_VIRTUAL_NODE } from "../../../src/placement/ring.ts";
import { quickHasher } from "../placement/topologies.ts";

/** So few places that nearly every position collides with others. */
const crowded: Hasher = (text) => ({ high: quickHasher(text).high % 4, low: 0 });
const MEMBERS = ["a", "b", "c"].map((uuid) => ({ uuid, weight: 100 }));
const VIRTUAL_NODES = 20;

test("G18: virtual nodes that collide all stay on the ring, and every member is met from everywhere", () => {
  const ring = createRing({ members: MEMBERS, virtualNodesPerNode: VIRTUAL_NODES, hasher: crowded });
  assert.equal(ring.size, MEMBERS.length * VIRTUAL_NODES * POSITIONS_PER_VIRTUAL_NODE);
  for (let high = 0; high < 6; high++) {
    const from: Hash64 = { high, low: 0 };
    assert.deepEqual([...ring.walk(from)].map(({ uuid }) => uuid).toSorted(), ["a", "b", "c"]);
  }
});

test("G18: a member that leaves a crowded ring uncovers those that it collided with, and moves nothing else", () => {
  const all = createRing({ members: MEMBERS, virtualNodesPerNode: VIRTUAL_NODES, hasher: crowded });
  const two = createRing({ members: MEMBERS.slice(1), virtualNodesPerNode: VIRTUAL_NODES, hasher: crowded });
  for (let high = 0; high < 6; high++) {
    const order = [...all.walk({ high, low: 0 })].map(({ uuid }) => uuid).filter((uuid) => uuid !== "a");
    assert.deepEqual(
      [...two.walk({ high, low: 0 })].map(({ uuid }) => uuid),
      order,
    );
  }
});
