import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Chain } from "../../../../src/catalog/journal/chain.ts";
import type { SegmentName } from "../../../../src/catalog/journal/journal-name.ts";

const segment = (session: number, from: number, through: number): SegmentName => ({
  kind: "segment",
  from,
  through,
  session,
});

describe("which segment holds a commit", () => {
  test("the one that reaches furthest comes first, others may stand in for it", () => {
    const chain = new Chain([segment(1, 1, 3), segment(1, 1, 10), segment(1, 3, 5), segment(1, 11, 12)]);
    assert.deepEqual(
      chain.holding(3).map(({ through }) => through),
      [10, 5, 3],
    );
    assert.equal(chain.reach(0), 12);
    assert.equal(chain.last, 12);
    assert.deepEqual(chain.holding(13), []);
  });

  test("a gap ends the reach, and what lies behind it is told", () => {
    const chain = new Chain([segment(1, 1, 3), segment(1, 6, 8)]);
    assert.equal(chain.reach(0), 3);
    assert.equal(chain.nextAfter(3), 6);
    assert.equal(chain.reach(5), 8);
    assert.equal(chain.nextAfter(8), undefined);
  });

  test("where a later session begins, earlier ones end", () => {
    const chain = new Chain([segment(1, 1, 100), segment(2, 91, 95), segment(1, 101, 150)]);
    assert.equal(chain.reach(0), 95);
    assert.equal(chain.last, 95);
    assert.deepEqual(chain.holding(92), [{ name: segment(2, 91, 95), through: 95 }]);
    assert.deepEqual(chain.holding(90), [{ name: segment(1, 1, 100), through: 90 }]);
  });

  test("a snapshot or a witness tells of a session as well", () => {
    const old = segment(1, 1, 100);
    assert.equal(new Chain([old, { kind: "snapshot", base: 50, chunks: 1, session: 2 }]).reach(0), 50);
    assert.equal(new Chain([old], [segment(3, 20, 30)]).reach(0), 19);
    assert.equal(new Chain([old, { kind: "chunk", base: 50, number: 0, session: 2 }]).reach(0), 100);
  });

  test("nothing reaches nowhere", () => {
    assert.deepEqual([new Chain([]).reach(0), new Chain([]).last, new Chain([]).nextAfter(0)], [0, 0, undefined]);
  });
});

const names = fc.array(
  fc
    .record({ session: fc.integer({ min: 1, max: 4 }), from: fc.integer({ min: 1, max: 40 }), length: fc.nat(12) })
    .map(({ session, from, length }) => segment(session, from, from + length)),
  { maxLength: 25 },
);

test("as one by one: a commit is held by a segment of the last session that had begun by then", () => {
  fc.assert(
    fc.property(names, (all) => {
      const chain = new Chain(all);
      const begins = new Map<number, number>();
      for (const { session, from } of all) begins.set(session, Math.min(from, begins.get(session) ?? from));
      const holders = (version: number): SegmentName[] => {
        const begun = [...begins].filter(([, begin]) => begin <= version).map(([session]) => session);
        const last = Math.max(...begun);
        return all.filter(({ session, from, through }) => session === last && from <= version && through >= version);
      };
      for (let version = 1; version <= 55; version++) {
        const expected = new Set(holders(version));
        assert.deepEqual(new Set(chain.holding(version).map(({ name }) => name)), expected, `commit ${version}`);
        const next = chain.holding(version)[0];
        if (next !== undefined) assert.ok(holders(next.through).length > 0);
      }
      let reach = 0;
      while (holders(reach + 1).length > 0) reach += 1;
      assert.equal(chain.reach(0), reach);
    }),
  );
});
