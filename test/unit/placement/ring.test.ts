import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createHasher, type Hash64, unitInterval } from "../../../src/placement/hasher.ts";
import {
  createRing,
  POSITIONS_PER_VIRTUAL_NODE,
  type Ring,
  type RingMember,
  VIRTUAL_NODES_MAX,
} from "../../../src/placement/ring.ts";
import { quickHasher } from "./topologies.ts";

const hasher = await createHasher();
const KEYS = Array.from({ length: 60_000 }, (_, i) => hasher(`blob ${i}`));

function ringOf(members: readonly RingMember[], virtualNodesPerNode = 150): Ring<RingMember> {
  return createRing({ members, virtualNodesPerNode, hasher });
}

function ownerOf(ring: Ring<RingMember>, hash: Hash64): string | undefined {
  for (const member of ring.walk(hash)) return member.uuid;
  return undefined;
}

function orderOf(ring: Ring<RingMember>, hash: Hash64): string[] {
  return Array.from(ring.walk(hash), (member) => member.uuid);
}

function sharesOf(ring: Ring<RingMember>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const key of KEYS) {
    const owner = ownerOf(ring, key) ?? "";
    counts.set(owner, (counts.get(owner) ?? 0) + 1 / KEYS.length);
  }
  return counts;
}

const members: fc.Arbitrary<RingMember[]> = fc.uniqueArray(
  fc.record({ uuid: fc.stringMatching(/^[0-9a-f]{8}$/), weight: fc.constantFrom(0, 1, 30, 100, 250) }),
  { minLength: 1, maxLength: 8, selector: (member) => member.uuid },
);
const hashes = fc.array(
  fc.string().map((text) => quickHasher(text)),
  { minLength: 1, maxLength: 50 },
);

test("the hash is XXH64 and its halves make a float between 0 and 1", () => {
  // From the xxHash specification's test vectors: XXH64 of no bytes with seed 0.
  assert.deepEqual(hasher(""), { high: 0xef46db37, low: 0x51d8e999 });
  assert.ok(unitInterval({ high: 0, low: 0 }) > 0);
  assert.ok(unitInterval({ high: 0xffffffff, low: 0xffffffff }) < 1);
});

test("ten equal nodes own a tenth each, within a tenth of it", () => {
  const shares = sharesOf(ringOf(Array.from({ length: 10 }, (_, i) => ({ uuid: `node-${i}`, weight: 100 }))));
  assert.equal(shares.size, 10);
  for (const share of shares.values()) assert.ok(Math.abs(share - 0.1) < 0.01, `share ${share}`);
});

test("nodes own keys by their weights, within a few percent", () => {
  const weights = [50, 100, 100, 200, 400];
  const shares = sharesOf(ringOf(weights.map((weight, i) => ({ uuid: `node-${i}`, weight }))));
  weights.forEach((weight, i) => {
    const off = (shares.get(`node-${i}`) ?? 0) / (weight / 850) - 1;
    assert.ok(Math.abs(off) < 0.1, `weight ${weight} is off by ${off}`);
  });
});

test("a node that joins takes about its share, and nothing moves between the others", () => {
  const nine = Array.from({ length: 9 }, (_, i) => ({ uuid: `node-${i}`, weight: 100 }));
  const before = ringOf(nine);
  const after = ringOf([...nine, { uuid: "new", weight: 100 }]);
  const moved = KEYS.filter((key) => ownerOf(before, key) !== ownerOf(after, key));
  assert.ok(moved.every((key) => ownerOf(after, key) === "new"));
  assert.ok(Math.abs(moved.length / KEYS.length - 0.1) < 0.01, `moved ${moved.length / KEYS.length}`);
});

test("a change of one node leaves the order of the others as it was, whatever the nodes", () => {
  fc.assert(
    fc.property(members, fc.nat(), fc.constantFrom(0, 10, 100, 400), hashes, (nodes, pick, weight, keys) => {
      const changed = pick % nodes.length;
      const uuid = nodes[changed]?.uuid ?? "";
      const before = ringOf(nodes, 10);
      const after = ringOf(nodes.with(changed, { uuid, weight }), 10);
      const others = (ring: Ring<RingMember>, key: Hash64): string[] =>
        orderOf(ring, key).filter((each) => each !== uuid);
      for (const key of keys) assert.deepEqual(others(after, key), others(before, key));
    }),
    { numRuns: 50 },
  );
});

test("a node whose weight grows loses no key", () => {
  const others = [1, 2, 3].map((i) => ({ uuid: `node-${i}`, weight: 100 }));
  const light = ringOf([...others, { uuid: "node-0", weight: 100 }]);
  const heavy = ringOf([...others, { uuid: "node-0", weight: 130 }]);
  for (const key of KEYS) if (ownerOf(light, key) === "node-0") assert.equal(ownerOf(heavy, key), "node-0");
});

test("the order in which nodes are configured does not matter", () => {
  fc.assert(
    fc.property(
      members.chain((nodes) =>
        fc.tuple(fc.constant(nodes), fc.shuffledSubarray(nodes, { minLength: nodes.length, maxLength: nodes.length })),
      ),
      hashes,
      ([nodes, shuffled], keys) => {
        const [one, other] = [ringOf(nodes, 10), ringOf(shuffled, 10)];
        for (const key of keys) assert.deepEqual(orderOf(one, key), orderOf(other, key));
      },
    ),
    { numRuns: 50 },
  );
});

test("a walk meets every node with a weight exactly once", () => {
  fc.assert(
    fc.property(members, hashes, (nodes, keys) => {
      const ring = ringOf(nodes, 10);
      const expected = nodes.filter((node) => node.weight > 0).map((node) => node.uuid);
      for (const key of keys) assert.deepEqual(orderOf(ring, key).toSorted(), expected.toSorted());
    }),
    { numRuns: 50 },
  );
});

test("collisions lose no virtual node and move nothing between other nodes", () => {
  const nodes = ["a", "b", "c", "d"].map((uuid) => ({ uuid, weight: 100 }));
  // 4,800 positions on 4,096 places.
  const narrow = (text: string): Hash64 => ({ high: (quickHasher(text).high & 0xfff00000) >>> 0, low: 0 });
  const build = (of: readonly RingMember[]): Ring<RingMember> =>
    createRing({ members: of, virtualNodesPerNode: 150, hasher: narrow });
  const ring = build(nodes);
  assert.equal(ring.size, 4 * 150 * POSITIONS_PER_VIRTUAL_NODE);
  assert.equal(sharesOf(ring).size, 4);
  const without = build(nodes.slice(1));
  for (const key of KEYS) {
    assert.deepEqual(
      orderOf(ring, key).filter((id) => id !== "a"),
      orderOf(without, key),
    );
  }
});

test("nodes whose positions are all the same are all on the ring", () => {
  const same = (): Hash64 => ({ high: 7, low: 7 });
  const nodes = ["c", "a", "b"].map((uuid) => ({ uuid, weight: 100 }));
  const ring = createRing({ members: nodes, virtualNodesPerNode: 3, hasher: same });
  for (const key of KEYS.slice(0, 100)) assert.deepEqual(orderOf(ring, key), ["a", "b", "c"]);
});

test("an empty ring has nothing to walk", () => {
  assert.deepEqual(orderOf(ringOf([]), { high: 1, low: 1 }), []);
  assert.deepEqual(orderOf(ringOf([{ uuid: "a", weight: 0 }]), { high: 1, low: 1 }), []);
});

test("the smallest weight still has a virtual node, and one beyond the bound is refused", () => {
  assert.equal(ringOf([{ uuid: "a", weight: 0.001 }]).size, POSITIONS_PER_VIRTUAL_NODE);
  assert.throws(() => ringOf([{ uuid: "a", weight: VIRTUAL_NODES_MAX }]), RangeError);
  assert.throws(() => ringOf([{ uuid: "a", weight: Number.POSITIVE_INFINITY }]), RangeError);
});
