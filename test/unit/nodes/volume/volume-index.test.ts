import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DATA_START, recordBytes } from "../../../../src/nodes/volume/layout.ts";
import { isBlob, VolumeIndex, type VolumeState } from "../../../../src/nodes/volume/volume-index.ts";
import { MemoryIndex } from "../../../support/memory-index-store.ts";

const STORE_ID = "5".repeat(32);
const BLOB_ID = "b".repeat(32);
const KEYS = 12;
const VOLUMES = 3;

const keyOf = (n: number): string => `0000000${n % 2}/${n.toString(16).padStart(32, "0")}`;
const states = new Map<number, VolumeState>(
  Array.from({ length: VOLUMES }, (_, n) => [n, { settledEnd: DATA_START + n, marker: Buffer.alloc(16, n) }]),
);

type Step =
  | { readonly kind: "add" | "bury"; readonly key: number; readonly volume: number; readonly length: number }
  | { readonly kind: "checkpoint" | "fail" | "reopen" };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: change("add") },
  { weight: 3, arbitrary: change("bury") },
  { weight: 2, arbitrary: fc.constantFrom<Step>({ kind: "checkpoint" }, { kind: "fail" }, { kind: "reopen" }) },
);

function change(kind: "add" | "bury"): fc.Arbitrary<Step> {
  const [key, volume] = [fc.nat(KEYS - 1), fc.nat(VOLUMES - 1)];
  return fc.record({ kind: fc.constant(kind), key, volume, length: fc.integer({ min: 1, max: 600_000 }) });
}

/** Blobs by key with volume and length, or null for a deleted key: what the index stands for. */
type Model = Map<string, { readonly volume: number; readonly length: number } | null>;

function assertEqual(index: VolumeIndex, model: Model): void {
  const live = [...model].filter(([, entry]) => entry !== null).map(([key]) => key);
  const sorted = live.toSorted();
  assert.deepEqual(
    index.list(undefined, undefined, 1000).map(({ key }) => key),
    sorted,
  );
  assert.deepEqual(
    index.list(1, keyOf(3), 2).map(({ key }) => key),
    sorted.filter((key) => key > keyOf(3) && key.startsWith("00000001/")).slice(0, 2),
  );
  for (let volume = 0; volume < VOLUMES; volume++) {
    let bytes = 0;
    for (const entry of model.values()) if (entry?.volume === volume) bytes += recordBytes(entry.length);
    assert.equal(index.liveBytes(volume), bytes, `live bytes of volume ${volume}`);
  }
  for (let n = 0; n < KEYS; n++) {
    const [entry, expected] = [index.get(keyOf(n)), model.get(keyOf(n))];
    assert.equal(entry !== undefined && !isBlob(entry), expected === null);
    assert.equal(index.blob(keyOf(n))?.length, expected?.length);
  }
}

test("the index holds what was entered, and after a crash what its last checkpoint held, live bytes included", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const store = new MemoryIndex();
      let index = new VolumeIndex(store.open(), STORE_ID);
      const model: Model = new Map();
      let stored: Model = new Map();
      for (const taken of steps) {
        if (taken.kind === "add") {
          const { volume, length } = taken;
          index.addBlob(keyOf(taken.key), { volume, offset: DATA_START, length, blobId: BLOB_ID });
          if (!model.has(keyOf(taken.key))) model.set(keyOf(taken.key), { volume, length });
        } else if (taken.kind === "bury") {
          index.bury(keyOf(taken.key), taken.volume);
          model.set(keyOf(taken.key), null);
        } else if (taken.kind === "checkpoint") {
          await index.checkpoint(states);
          stored = new Map(model);
        } else if (taken.kind === "fail") {
          store.fault = () => {
            throw new Error("made by a test");
          };
          await assert.rejects(index.checkpoint(states));
          store.fault = () => {};
        } else {
          index = new VolumeIndex(store.open(), STORE_ID);
          model.clear();
          for (const [key, entry] of stored) model.set(key, entry);
        }
        assertEqual(index, model);
      }
    }),
  );
});

test("changes made while a checkpoint is being written are neither lost nor written with it", async () => {
  const store = new MemoryIndex();
  const index = new VolumeIndex(store.open(), STORE_ID);
  const entry = { volume: 0, offset: DATA_START, length: 10, blobId: BLOB_ID };
  index.addBlob(keyOf(1), entry);
  index.addBlob(keyOf(2), entry);
  const writing = index.checkpoint(states);
  index.bury(keyOf(1), 0);
  index.addBlob(keyOf(3), entry);
  assert.equal(index.blob(keyOf(1)), undefined);
  await writing;
  assert.equal(index.blob(keyOf(1)), undefined);
  assert.equal(index.liveBytes(0), 2 * recordBytes(10));
  const reopened = new VolumeIndex(store.open(), STORE_ID);
  assert.ok(reopened.blob(keyOf(1)) && reopened.blob(keyOf(2)));
  assert.equal(reopened.get(keyOf(3)), undefined);
  await index.checkpoint(states);
  const again = new VolumeIndex(store.open(), STORE_ID);
  assert.equal(again.blob(keyOf(1)), undefined);
  assert.equal(again.liveBytes(0), 2 * recordBytes(10));
});

test("an index of other volumes is refused", async () => {
  const store = new MemoryIndex();
  await new VolumeIndex(store.open(), STORE_ID).checkpoint(states);
  assert.throws(() => new VolumeIndex(store.open(), "6".repeat(32)), RangeError);
});
