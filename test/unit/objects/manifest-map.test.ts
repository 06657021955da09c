import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { memoryKv } from "../../../src/catalog/memory/memory-kv.ts";
import { RUNS_PER_PAGE, runsOf } from "../../../src/catalog/records/manifest.ts";
import { partsInRange, readRuns, spanOfPart } from "../../../src/objects/manifest-map.ts";
import { setManifest } from "../../../src/objects/store-body.ts";

const MANIFEST = "1".repeat(32);

/** Parts of few sizes, so that runs come about, with gaps between their numbers. */
const someParts = fc
  .array(fc.tuple(fc.constantFrom(0, 1, 5, 5, 5, 7), fc.constantFrom(1, 1, 1, 2)), { minLength: 1, maxLength: 30 })
  .map((drawn) => {
    let partNumber = 0;
    return drawn.map(([size, step]) => {
      partNumber += step;
      return { partNumber, size };
    });
  });

test("the parts of a range are those that hold its bytes, found without looking at the others", () => {
  fc.assert(
    fc.property(someParts, fc.nat(200), fc.nat(200), (parts, a, b) => {
      const range = { start: Math.min(a, b), end: Math.max(a, b) };
      let start = 0;
      const spans = parts.map(({ partNumber, size }) => {
        const span = { partNumber, start, end: start + size };
        start += size;
        return span;
      });
      const runs = runsOf(parts);
      const expected = spans.filter(
        (span) => span.start < span.end && span.start < range.end && span.end > range.start && range.start < range.end,
      );
      // An empty part between others may be named; it holds nothing of anything.
      const found = [...partsInRange(runs, range)].filter((span) => span.start < span.end);
      if (range.start < range.end) assert.deepEqual(found, expected);
      for (const span of spans) assert.deepEqual(spanOfPart(runs, span.partNumber), span);
      assert.equal(spanOfPart(runs, (parts.at(-1)?.partNumber ?? 0) + 1), undefined);
    }),
  );
});

test("a manifest of as many runs as there can be parts is kept in pages and read whole", async () => {
  const parts = Array.from({ length: 10_000 }, (_, i) => ({ partNumber: i + 1, size: 5 * 2 ** 30 - (i % 2) }));
  const runs = runsOf(parts);
  assert.equal(runs.length, 10_000);
  const kv = memoryKv();
  const atomic = kv.atomic();
  setManifest(atomic, MANIFEST, runs);
  assert.ok((await atomic.commit()).committed);
  assert.deepEqual(await readRuns(kv, MANIFEST), runs);
  assert.ok(runs.length > RUNS_PER_PAGE);
  const last = spanOfPart(runs, 10_000);
  assert.equal(
    last?.end,
    parts.reduce((sum, { size }) => sum + size, 0),
  );
});
