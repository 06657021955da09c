/** What is kept of the journal, and what is missing of it, by the names of the pieces alone. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Chain } from "../../../../src/catalog/journal/chain.ts";
import { Holdings } from "../../../../src/catalog/journal/holdings.ts";
import { type JournalName, journalKey, type SegmentName } from "../../../../src/catalog/journal/journal-name.ts";
import type { JournalNode } from "../../../../src/catalog/journal/journal-nodes.ts";
import { Retention } from "../../../../src/catalog/journal/retention.ts";
import { insufficientSets } from "../../../../src/catalog/journal/sufficiency.ts";
import { seededRandom } from "../../../../src/shared/random.ts";
import { JournalWorld } from "../../../support/journal-world.ts";

const segment = (from: number, through: number): SegmentName => ({ kind: "segment", from, through, session: 1 });
const snapshot = (base: number): JournalName => ({ kind: "snapshot", base, chunks: 0, session: 1 });

test("gaps are exactly the commits that no segment holds", () => {
  const anySegment = fc
    .tuple(fc.integer({ min: 1, max: 40 }), fc.nat(6))
    .map(([from, more]) => segment(from, from + more));
  fc.assert(
    fc.property(fc.array(anySegment), fc.nat(20), fc.integer({ min: 0, max: 50 }), (names, after, through) => {
      const expected: number[] = [];
      for (let version = after + 1; version <= through; version++) {
        if (!names.some((name) => name.from <= version && version <= name.through)) expected.push(version);
      }
      const gaps = new Chain(names).gaps(after, through);
      const found = gaps.flatMap(({ from, through: end }) =>
        Array.from({ length: end - from + 1 }, (_, at) => from + at),
      );
      assert.deepEqual(found, expected);
    }),
  );
});

/** One node a domain holds all of these, with as many bytes each. */
async function retentionOf(names: readonly JournalName[], bytes: number): Promise<Retention> {
  const world = new JournalWorld();
  const nodes: readonly JournalNode[] = world.cluster().nodes();
  const holdings = new Holdings();
  for (const node of nodes) {
    await holdings.refresh(node);
    for (const name of names)
      holdings.add(node.uuid, { key: journalKey(name, seededRandom(name.session)), name, bytes });
  }
  return new Retention(world.cluster(), holdings);
}

test("behind the snapshots, what a consumer has not read is kept, the newest first, up to a limit of bytes", async () => {
  const segments = Array.from({ length: 10 }, (_, at) => segment(2 * at + 1, 2 * at + 2));
  const retention = await retentionOf([...segments, snapshot(12), snapshot(16)], 100);
  assert.equal(retention.floor, 12);
  const goneAfter = (cursor: number, bytesMax: number): number[] => {
    const going = retention.superfluous(undefined, retention.keptAfter(cursor, bytesMax));
    const names = going.flatMap(({ piece }) => (piece.name.kind === "segment" ? [piece.name.through] : []));
    return [...new Set(names)];
  };
  assert.deepEqual(goneAfter(4, 1_000), [2, 4]);
  assert.deepEqual(goneAfter(5, 1_000), [2, 4], "a segment that was read in part is kept whole");
  assert.deepEqual(goneAfter(4, 250), [2, 4, 6, 8], "two of them fit");
  assert.deepEqual(goneAfter(20, 1_000), [2, 4, 6, 8, 10, 12]);
  assert.deepEqual(goneAfter(0, 50), [2, 4, 6, 8, 10, 12]);
});

test("which sets of domains would not do follows from the quorum", () => {
  const all = [
    { domain: "a", names: [segment(1, 4)] },
    { domain: "b", names: [segment(1, 2), snapshot(3), segment(4, 4)] },
    { domain: "c", names: [segment(1, 3)] },
  ];
  assert.deepEqual(insufficientSets(all, 3, 4), [["c"]]);
  assert.deepEqual(insufficientSets(all, 2, 4), []);
  assert.deepEqual(insufficientSets(all.slice(1), 2, 5), [["b"], ["c"]]);
  assert.deepEqual(insufficientSets([{ domain: "a", names: [] }], 1, 0), []);
  assert.deepEqual(insufficientSets([{ domain: "a", names: [{ ...snapshot(4), chunks: 1 } as JournalName] }], 1, 4), [
    ["a"],
  ]);
});
