import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import * as keys from "../../../src/catalog/keys.ts";
import { KV_KEY_BYTES_MAX, type KvKey, type KvRange } from "../../../src/catalog/kv.ts";
import { unpack } from "../../../src/catalog/tuple.ts";
import type { Id } from "../../../src/shared/ids.ts";
import { aCopyKey, anId, aText } from "./arbitraries.ts";

/** One drawing of everything that keys are made of. */
const drawn = fc.record({
  a: anId,
  b: anId,
  name: aText,
  key: aText,
  copyKey: aCopyKey,
  number: fc.nat(10_000),
  ms: fc.maxSafeNat(),
});
type Drawn = typeof drawn extends fc.Arbitrary<infer T> ? T : never;

/** Every kind of record: how a key of it is made, and the ranges that are read as a whole and must hold it. */
const KINDS: Readonly<Record<string, (from: Drawn) => { key: KvKey; ranges: readonly KvRange[] }>> = {
  cluster: () => ({ key: keys.clusterKey(), ranges: [] }),
  topology: () => ({ key: keys.topologyKey(), ranges: [] }),
  "live-limits": () => ({ key: keys.liveLimitsKey(), ranges: [] }),
  node: ({ a }) => ({ key: keys.nodeKey(a), ranges: [keys.nodesRange()] }),
  leader: () => ({ key: keys.leaderKey(), ranges: [] }),
  session: ({ number }) => ({ key: keys.sessionKey(number), ranges: [keys.sessionsRange()] }),
  bucket: ({ name }) => ({ key: keys.bucketKey(name), ranges: [keys.bucketsRange()] }),
  object: ({ a, key }) => ({
    key: keys.objectKey(a, key),
    ranges: [keys.objectsRange(a, ""), keys.objectsRange(a, firstHalf(key))],
  }),
  upload: ({ a, b, key }) => ({
    key: keys.uploadKey(a, key, b),
    ranges: [keys.uploadsRange(a, ""), keys.uploadsRange(a, firstHalf(key))],
  }),
  part: ({ a, number }) => ({ key: keys.partKey(a, number), ranges: [keys.partsRange(a)] }),
  "part-counter": ({ a }) => ({ key: keys.partCounterKey(a), ranges: [] }),
  manifest: ({ a, number }) => ({ key: keys.manifestKey(a, number), ranges: [keys.manifestRange(a)] }),
  blob: ({ a }) => ({ key: keys.blobKey(a), ranges: [] }),
  ref: ({ a, b }) => ({ key: keys.referenceKey(a, b), ranges: [keys.referencesRange(a)] }),
  copy: ({ a, copyKey }) => ({ key: keys.copyIndexKey(a, copyKey), ranges: [keys.copiesRange(a)] }),
  repair: ({ a, number }) => ({ key: keys.repairKey(number, a, number), ranges: [keys.repairRange()] }),
  "dead-letter": ({ a, number }) => ({ key: keys.deadLetterKey(a, number), ranges: [keys.deadLettersRange()] }),
  dying: ({ a, ms }) => ({ key: keys.dyingKey(ms, a), ranges: [keys.dyingRange()] }),
  local: () => ({ key: keys.sweepMarkKey(), ranges: [] }),
  collected: ({ a, number }) => ({ key: keys.collectedKey(number, a), ranges: [keys.collectedRange(number)] }),
  "pending-delete": ({ a, copyKey }) => ({
    key: keys.pendingDeleteKey(a, copyKey),
    ranges: [keys.pendingDeletesRange(a)],
  }),
  pin: ({ a, ms }) => ({ key: keys.pinKey(a, ms), ranges: [keys.pinsRange(), keys.pinsOfBlob(a)] }),
  event: ({ number }) => ({ key: keys.eventKey(number), ranges: [keys.eventsRange()] }),
  "event-cursor": ({ name }) => ({ key: keys.eventCursorKey(name), ranges: [] }),
  "health-report": ({ number }) => ({ key: keys.healthReportKey(number), ranges: [keys.healthReportsRange()] }),
  cursor: ({ name }) => ({ key: keys.cursorKey(name), ranges: [keys.cursorsRange()] }),
  job: ({ a }) => ({ key: keys.jobKey(a), ranges: [keys.jobsRange()] }),
  "job-queued": ({ name }) => ({ key: keys.queuedJobKey(name, name), ranges: [] }),
  "job-failure": ({ a, b, number }) => ({
    key: keys.jobFailureKey(a, b, number),
    ranges: [keys.jobFailuresRange(a)],
  }),
  "seen-node": ({ a }) => ({ key: keys.seenNodeKey(a), ranges: [keys.seenNodesRange()] }),
  usage: ({ a, number }) => ({ key: keys.usageKey(a, number), ranges: [keys.usageRange(a)] }),
};

function firstHalf(text: string): string {
  // Cut between characters: half a surrogate pair has no UTF-8 form.
  const characters = Array.from(text);
  return characters.slice(0, Math.floor(characters.length / 2)).join("");
}

function holds({ start, end }: KvRange, key: KvKey): boolean {
  return Buffer.compare(start, key) <= 0 && Buffer.compare(key, end) < 0;
}

const id = (digit: string): Id => digit.repeat(32);

test("every kind of key begins with its own name and lies in its own ranges", () => {
  fc.assert(
    fc.property(drawn, (from) => {
      for (const [kind, make] of Object.entries(KINDS)) {
        const { key, ranges } = make(from);
        assert.equal(unpack(key)[0], kind);
        for (const range of ranges) assert.ok(holds(range, key), `a ${kind} key is not in its range`);
      }
    }),
  );
});

test("no range of one kind holds a key of another, nor one of another bucket, node or blob", () => {
  fc.assert(
    fc.property(drawn, drawn, (one, other) => {
      for (const [kind, make] of Object.entries(KINDS)) {
        for (const range of make(one).ranges) {
          for (const [otherKind, makeOther] of Object.entries(KINDS)) {
            if (otherKind !== kind)
              assert.ok(!holds(range, makeOther(other).key), `${otherKind} in a range of ${kind}`);
          }
        }
      }
      fc.pre(one.a !== other.a);
      for (const kind of ["object", "upload", "part", "manifest", "ref", "copy", "pending-delete", "usage"]) {
        const [range] = KINDS[kind]?.(one).ranges ?? [];
        const key = KINDS[kind]?.(other).key;
        assert.ok(range !== undefined && key !== undefined && !holds(range, key), `ranges of ${kind}`);
      }
    }),
  );
});

test("a prefix of object keys holds exactly the keys that begin with it", () => {
  fc.assert(
    fc.property(anId, aText, aText, (bucketId, prefix, key) => {
      const range = keys.objectsRange(bucketId, prefix);
      assert.equal(holds(range, keys.objectKey(bucketId, key)), Buffer.from(key).indexOf(Buffer.from(prefix)) === 0);
    }),
  );
});

test("object keys are ordered as S3 orders them, by the bytes of their UTF-8", () => {
  fc.assert(
    fc.property(anId, aText, aText, (bucketId, a, b) => {
      const packed = Buffer.compare(keys.objectKey(bucketId, a), keys.objectKey(bucketId, b));
      assert.equal(packed, Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
  );
});

test("what a key was made of can be read from it", () => {
  fc.assert(
    fc.property(drawn, ({ a, key, copyKey, number }) => {
      assert.equal(keys.keyOfObject(keys.objectKey(a, key)), key);
      assert.equal(keys.copyKeyOfIndex(keys.copyIndexKey(a, copyKey)), copyKey);
      assert.equal(keys.copyKeyOfPendingDelete(keys.pendingDeleteKey(a, copyKey)), copyKey);
      const repair = keys.partsOfRepairKey(keys.repairKey(number, a, number));
      assert.deepEqual(repair, { goodCopies: number, blobId: a, slot: number });
      assert.deepEqual(keys.partsOfDeadLetterKey(keys.deadLetterKey(a, number)), { blobId: a, slot: number });
    }),
  );
});

test("slots that want repair are ordered by how few good copies there are", () => {
  fc.assert(
    fc.property(anId, anId, fc.nat(300), fc.nat(300), (a, b, few, many) => {
      fc.pre(few < many);
      assert.ok(Buffer.compare(keys.repairKey(few, a, 9), keys.repairKey(many, b, 0)) < 0);
    }),
  );
});

test("what dies is ordered by when it died, and those that died before a time are one range", () => {
  fc.assert(
    fc.property(anId, fc.maxSafeNat(), fc.maxSafeNat(), (a, diedAtMs, limitMs) => {
      assert.equal(holds(keys.dyingBefore(limitMs), keys.dyingKey(diedAtMs, a)), diedAtMs < limitMs);
    }),
  );
});

test("the parts and pages of a manifest, sessions and copies of a session are in the order of their numbers", () => {
  const sorted = (made: readonly KvKey[]): boolean =>
    made.every((key, i) => i === 0 || Buffer.compare(made[i - 1] ?? key, key) < 0);
  const numbers = [1, 2, 9, 10, 255, 256, 9_999, 10_000];
  assert.ok(sorted(numbers.map((number) => keys.partKey(id("a"), number))));
  assert.ok(sorted(numbers.map((number) => keys.manifestKey(id("a"), number))));
  assert.ok(sorted(numbers.map((number) => keys.sessionKey(number))));
  const copies = numbers.map((session) => `${session.toString(16).padStart(8, "0")}/${id("0")}`);
  assert.ok(sorted(copies.map((key) => keys.copyIndexKey(id("a"), key))));
});

test("the key of an object whose name is as long as names may be fits the store, and so do its ranges and bounds", () => {
  for (const character of ["a", "\u0000", "ü", "漢", "😀"]) {
    const name = character.repeat(1024 / Buffer.byteLength(character));
    const upload = keys.uploadKey(id("f"), name, id("0"));
    assert.ok(upload.length <= KV_KEY_BYTES_MAX);
    assert.ok(keys.objectsRange(id("0"), name).end.length <= KV_KEY_BYTES_MAX);
  }
});
