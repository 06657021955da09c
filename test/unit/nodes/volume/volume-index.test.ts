import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isBlob, KEY_META, recordVolumes, type VolumeState } from "../../../../src/nodes/volume/index-entries.ts";
import { DATA_START, recordBytes } from "../../../../src/nodes/volume/layout.ts";
import { VolumeIndex } from "../../../../src/nodes/volume/volume-index.ts";
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
  | {
      readonly kind: "add" | "bury" | "move" | "rebury" | "forget";
      readonly key: number;
      readonly volume: number;
      readonly length: number;
    }
  | { readonly kind: "checkpoint" | "fail" | "reopen" };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: change("add") },
  { weight: 3, arbitrary: change("bury") },
  { weight: 3, arbitrary: change("move") },
  { weight: 2, arbitrary: change("rebury") },
  { weight: 1, arbitrary: change("forget") },
  { weight: 2, arbitrary: fc.constantFrom<Step>({ kind: "checkpoint" }, { kind: "fail" }, { kind: "reopen" }) },
);

function change(kind: "add" | "bury" | "move" | "rebury" | "forget"): fc.Arbitrary<Step> {
  const [key, volume] = [fc.nat(KEYS - 1), fc.nat(VOLUMES - 1)];
  return fc.record({ kind: fc.constant(kind), key, volume, length: fc.integer({ min: 1, max: 600_000 }) });
}

/** Every key that was put or deleted: where it lies, or its tombstone, and the volumes that hold records of it. */
interface Known {
  readonly volume: number;
  /** Undefined for a deleted key. */
  readonly length: number | undefined;
  readonly records: readonly number[];
}
type Model = Map<string, Known>;

const isThere = (): boolean => true;
const byNumber = (a: number, b: number): number => a - b;

function withRecord(known: Known, volume: number): Known {
  return known.records.includes(volume) ? known : { ...known, records: [...known.records, volume] };
}

/** Does the same to an index and to the model of it. */
function apply(index: VolumeIndex, model: Model, taken: Extract<Step, { key: number }>): void {
  const { volume, length } = taken;
  const key = keyOf(taken.key);
  const known = model.get(key);
  const place = { volume, offset: DATA_START, length, blobId: BLOB_ID };
  if (taken.kind === "add") {
    index.addBlob(key, place);
    model.set(key, known === undefined ? { volume, length, records: [volume] } : withRecord(known, volume));
  } else if (taken.kind === "bury") {
    index.bury(key, volume);
    if (known?.length !== undefined) model.set(key, { ...known, volume, length: undefined });
    else if (known === undefined) model.set(key, { volume, length: undefined, records: [] });
  } else if (taken.kind === "move") {
    const from = { ...place, volume: known?.volume ?? 0, length: known?.length ?? length };
    const to = { ...from, volume };
    if (known?.length === undefined) {
      index.moveBlob(key, { from, to, isThere });
    } else {
      const between = { ...to, offset: 2 * DATA_START };
      index.moveBlob(key, { from, to: between, isThere });
      index.moveBlob(key, { from: between, to, isThere });
    }
    if (known === undefined) model.set(key, { volume, length, records: [volume] });
    else model.set(key, { ...withRecord(known, volume), ...(known.length === undefined ? {} : { volume }) });
  } else if (taken.kind === "rebury") {
    index.moveTombstone(key, { from: known?.volume ?? 0, to: volume, isThere });
    if (known?.length === undefined && known !== undefined) model.set(key, { ...known, volume });
  } else {
    index.forget(key);
    if (known !== undefined && known.length === undefined) model.delete(key);
  }
}

function assertEqual(index: VolumeIndex, model: Model): void {
  const live = [...model].filter(([, { length }]) => length !== undefined).map(([key]) => key);
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
    const content = { liveBytes: 0, tombstones: 0 };
    for (const { volume: at, length } of model.values()) {
      if (at !== volume) continue;
      if (length === undefined) content.tombstones++;
      else content.liveBytes += recordBytes(length);
    }
    const { liveBytes, tombstones } = index.content(volume);
    assert.deepEqual({ liveBytes, tombstones }, content, `content of volume ${volume}`);
  }
  for (let n = 0; n < KEYS; n++) {
    const [entry, expected] = [index.get(keyOf(n)), model.get(keyOf(n))];
    assert.equal(entry !== undefined && !isBlob(entry), expected !== undefined && expected.length === undefined);
    assert.deepEqual(entry && recordVolumes(entry).toSorted(byNumber), expected?.records.toSorted(byNumber));
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
        if ("key" in taken) apply(index, model, taken);
        else if (taken.kind === "checkpoint") {
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
  assert.equal(index.content(0).liveBytes, 2 * recordBytes(10));
  const reopened = new VolumeIndex(store.open(), STORE_ID);
  assert.ok(reopened.blob(keyOf(1)) && reopened.blob(keyOf(2)));
  assert.equal(reopened.get(keyOf(3)), undefined);
  await index.checkpoint(states);
  const again = new VolumeIndex(store.open(), STORE_ID);
  assert.equal(again.blob(keyOf(1)), undefined);
  assert.equal(again.content(0).liveBytes, 2 * recordBytes(10));
});

test("a volume that has no state any more is not known to the store, however often it was written", async () => {
  const store = new MemoryIndex();
  const index = new VolumeIndex(store.open(), STORE_ID);
  const from = { volume: 0, offset: DATA_START, length: 10, blobId: BLOB_ID };
  index.addBlob(keyOf(1), from);
  await index.checkpoint(states);
  index.moveBlob(keyOf(1), { from, to: { ...from, volume: 1 }, isThere });
  await index.checkpoint(new Map([...states].filter(([number]) => number !== 0)));
  assert.deepEqual([...new VolumeIndex(store.open(), STORE_ID).storedVolumes.keys()], [1, 2]);
  assert.equal(new VolumeIndex(store.open(), STORE_ID).content(1).liveBytes, recordBytes(10));
});

test("an index of another format is refused", async () => {
  const store = new MemoryIndex();
  await new VolumeIndex(store.open(), STORE_ID).checkpoint(states);
  await store.open().commit((read) => {
    const meta = Buffer.from(read(KEY_META) ?? []);
    meta[0] = 1;
    return [[KEY_META, meta]];
  });
  assert.throws(() => new VolumeIndex(store.open(), STORE_ID), RangeError);
});

test("an index of other volumes is refused", async () => {
  const store = new MemoryIndex();
  await new VolumeIndex(store.open(), STORE_ID).checkpoint(states);
  assert.throws(() => new VolumeIndex(store.open(), "6".repeat(32)), RangeError);
});
