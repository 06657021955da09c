import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Blob, SlotState } from "../../../src/catalog/records/blob.ts";
import type { Member, Members } from "../../../src/cluster/members.ts";
import { MemoryStore, openMemoryNode } from "../../../src/nodes/memory/memory-node.ts";
import { BLOCK_BYTES, NodeError } from "../../../src/nodes/storage-node.ts";
import { createPlacement } from "../../../src/placement/placement.ts";
import { BlobUnavailableError, type CopyDamage, createBlobReader } from "../../../src/replication/read/blob-reader.ts";
import { packCrcs } from "../../../src/replication/write/block-assembler.ts";
import { seededRandom } from "../../../src/shared/random.ts";
import { blocksOf, collect, copyKey, headerFor, patternBytes } from "../../support/blobs.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { type ReadScript, ScriptedReads } from "../../support/scripted-node.ts";
import { evenTopology, policyOf, quickHasher } from "../placement/topologies.ts";

const CLUSTER = "c".repeat(32);
const HEDGE_DELAY_MS = 250;
const STALL_TIMEOUT_MS = 10_000;

interface WorldOptions {
  readonly length: number;
  /** The state of each copy; one domain with one node each. */
  readonly states?: readonly SlotState[];
  readonly chunkBytes?: number;
}

/** A blob of pattern bytes with a copy on each of several nodes, and a reader over them. Lower nodes are read first. */
async function makeWorld({ length, states = ["ok", "ok"], chunkBytes }: WorldOptions) {
  const random = seededRandom(length);
  const clock = new ManualClock();
  const bytes = patternBytes(length, 7);
  const blocks = blocksOf(bytes);
  const stores: MemoryStore[] = [];
  const reads: ScriptedReads[] = [];
  const slots: Blob["slots"][number][] = [];
  for (const [i, state] of states.entries()) {
    const store = new MemoryStore();
    const node = openMemoryNode({ name: `d${i}-0`, clusterId: CLUSTER, store });
    const key = copyKey(1, random);
    await node.put({ key, header: headerFor(key, length, random, CLUSTER), blocks });
    stores.push(store);
    reads.push(new ScriptedReads(node, chunkBytes));
    slots.push({ state, domain: `d${i}`, location: { nodeUuid: `d${i}-0`, key } });
  }
  const blobId = "b".repeat(32);
  const blob: Blob = { blobId, length, blockCrcs: packCrcs(blocks.map((block) => block.crc32c)), slots };
  const scores = states.map((_, i) => i / 10);
  const away = new Set<string>();
  const damage: CopyDamage[] = [];
  /** Nodes that are read last. */
  const last = new Set<string>();
  const members = membersOver(reads, scores, { away, last });
  const reader = createBlobReader({
    members: () => members,
    clock,
    random,
    limits: { hedgeDelayMs: HEDGE_DELAY_MS, stallTimeoutMs: STALL_TIMEOUT_MS },
    onDamage: (each) => damage.push(each),
  });
  return { bytes, blob, reader, reads, scores, away, last, damage, clock, stores };
}

type World = Awaited<ReturnType<typeof makeWorld>>;

function membersOver(
  reads: readonly ScriptedReads[],
  scores: readonly number[],
  { away, last }: { readonly away: ReadonlySet<string>; readonly last: ReadonlySet<string> },
): Members {
  const topology = evenTopology(reads.length, 1, policyOf(reads.length));
  const all = topology.nodes.map((spec, i): Member => {
    const node = reads[i]?.node ?? assert.fail();
    const health = { state: "online", conditions: [], reason: undefined, sinceMs: 0, missedProbes: 0 } as const;
    return { spec, node, ...health, heartbeat: undefined, loadScore: () => scores[i] ?? 0.5 };
  });
  return {
    topology,
    placement: createPlacement({ ...topology, virtualNodesPerNode: 1 }, quickHasher),
    get: (uuid) => all.find((member) => member.spec.uuid === uuid),
    all: () => all,
    acceptsWrites: () => true,
    servesReads: (uuid) => !away.has(uuid),
    isLost: () => false,
    preference: (uuid) => (last.has(uuid) ? 1 : 0),
    onOnline: () => () => {},
  };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function turns(count = 10): Promise<void> {
  for (let i = 0; i < count; i++) await turn();
}

/** Lets time pass, a step a turn, until the promise is settled. */
async function whileTimePasses<T>(clock: ManualClock, stepMs: number, promise: Promise<T>): Promise<T> {
  let settled = false;
  const end = (): void => {
    settled = true;
  };
  promise.then(end, end);
  while (!settled) {
    await turns(3);
    if (!settled) clock.advance(stepMs);
  }
  return promise;
}

const readAll = ({ reader, blob, bytes }: World): Promise<Buffer> =>
  collect(reader.read(blob, { start: 0, end: bytes.length }));

const script = (fault: ReadScript["fault"], afterBytes: number, more: Partial<ReadScript> = {}): ReadScript => ({
  fault,
  afterBytes,
  ...more,
});

function assertNothingLeft({ reads, clock }: World): void {
  assert.equal(clock.timers, 0);
  for (const each of reads) assert.equal(each.open, 0);
}

test("a blob is read from the copy with the lowest score, to the byte", async () => {
  const world = await makeWorld({ length: 3 * BLOCK_BYTES + 17, states: ["ok", "ok", "ok"] });
  world.scores.splice(0, 3, 0.9, 0.9, 0.1);
  for (let i = 0; i < 20; i++) assert.deepEqual(await readAll(world), Buffer.from(world.bytes));
  await turns();
  // Of three the better of two drawn is read, so that two of three reads go to the best.
  assert.ok((world.reads[2]?.ranges.length ?? 0) > 8);
  assert.equal(
    world.reads.reduce((sum, each) => sum + each.ranges.length, 0),
    20,
  );
  assertNothingLeft(world);
});

test("a range is widened to block bounds at the node and cut for the consumer", async () => {
  const world = await makeWorld({ length: 4 * BLOCK_BYTES });
  const range = { start: BLOCK_BYTES + 5, end: 2 * BLOCK_BYTES + 1 };
  const read = await collect(world.reader.read(world.blob, range));
  assert.deepEqual(read, Buffer.from(world.bytes.subarray(range.start, range.end)));
  assert.deepEqual(world.reads[0]?.ranges, [{ start: BLOCK_BYTES, end: 3 * BLOCK_BYTES }]);
});

test("a range that is empty or not within the blob is refused", async () => {
  const { reader, blob } = await makeWorld({ length: 10 });
  for (const [start, end] of [
    [0, 0],
    [5, 5],
    [6, 5],
    [0, 11],
    [-1, 5],
    [Number.NaN, 5],
  ] as const) {
    assert.throws(() => reader.read(blob, { start, end }), RangeError);
  }
});

test("nothing is asked of a node before the first iteration", async () => {
  const world = await makeWorld({ length: 10 });
  world.reader.read(world.blob, { start: 0, end: 10 });
  await turns();
  assert.deepEqual(world.reads[0]?.ranges, []);
});

for (const [name, error] of [
  ["is unreachable", new NodeError("unreachable", "no route")],
  ["is busy", new NodeError("busy", "later")],
  ["denies access", new NodeError("access-denied", "no")],
  ["breaks the contract", new TypeError("oops")],
] as const) {
  test(`a read goes on from another copy when the first node ${name}, at its start and in mid-stream`, async () => {
    for (const afterBytes of [0, 1, BLOCK_BYTES + 1]) {
      const world = await makeWorld({ length: 3 * BLOCK_BYTES });
      const [first] = world.reads;
      if (first !== undefined) first.script = script("fail", afterBytes, { error });
      assert.deepEqual(await readAll(world), Buffer.from(world.bytes));
      const start = afterBytes > BLOCK_BYTES ? BLOCK_BYTES : 0;
      assert.deepEqual(world.reads[1]?.ranges, [{ start, end: 3 * BLOCK_BYTES }]);
      assert.deepEqual(world.damage, []);
      await turns();
      assertNothingLeft(world);
    }
  });
}

test("no byte of a corrupt block is forwarded, the copy is reported and another one is read from that block", async () => {
  const world = await makeWorld({ length: 3 * BLOCK_BYTES });
  const [first] = world.reads;
  if (first !== undefined) first.script = script("flip a byte", 2 * BLOCK_BYTES - 1);
  assert.deepEqual(await readAll(world), Buffer.from(world.bytes));
  assert.deepEqual(world.reads[1]?.ranges, [{ start: BLOCK_BYTES, end: 3 * BLOCK_BYTES }]);
  const { blobId } = world.blob;
  assert.deepEqual(world.damage, [{ blobId, slot: 0, location: world.blob.slots[0]?.location, kind: "corrupt" }]);
});

test("a copy that is shorter than its record is corrupt, one that is gone is lost", async () => {
  const world = await makeWorld({ length: 2 * BLOCK_BYTES, states: ["ok", "ok", "ok"] });
  const [first] = world.reads;
  if (first !== undefined) first.script = script("end", BLOCK_BYTES + 1);
  world.scores.splice(0, 3, 0.1, 0.1, 0.1);
  world.stores[1]?.blobs.clear();
  // Whichever of the three is drawn, in the end both damaged ones were met or none was in the way.
  for (let i = 0; i < 30; i++) assert.deepEqual(await readAll(world), Buffer.from(world.bytes));
  const kinds = new Map(world.damage.map((each) => [each.slot, each.kind]));
  assert.deepEqual([kinds.get(0), kinds.get(1), kinds.get(2)], ["corrupt", "lost", undefined]);
});

test("a copy that stalls in mid-stream is left after the stall timeout", async () => {
  const world = await makeWorld({ length: 2 * BLOCK_BYTES });
  const [first] = world.reads;
  if (first !== undefined) first.script = script("stall", BLOCK_BYTES + 1);
  const read = readAll(world);
  await turns();
  world.clock.advance(STALL_TIMEOUT_MS - 1);
  await turns();
  assert.deepEqual(world.reads[1]?.ranges, []);
  world.clock.advance(1);
  assert.deepEqual(await read, Buffer.from(world.bytes));
  await turns();
  assert.equal(first?.letGo, 1);
  assertNothingLeft(world);
});

test("time that the consumer takes is not the node's", async () => {
  const world = await makeWorld({ length: 2 * BLOCK_BYTES });
  const parts: Uint8Array[] = [];
  for await (const chunk of world.reader.read(world.blob, { start: 0, end: world.bytes.length })) {
    world.clock.advance(STALL_TIMEOUT_MS);
    parts.push(chunk);
  }
  assert.deepEqual(Buffer.concat(parts), Buffer.from(world.bytes));
  assert.deepEqual(world.reads[1]?.ranges, []);
});

test("a slow start is hedged: the first to deliver a block is read on, the other is let go", async () => {
  const world = await makeWorld({ length: 2 * BLOCK_BYTES });
  const [first, second] = world.reads;
  if (first !== undefined) first.script = script("stall", 0);
  const read = readAll(world);
  await turns();
  world.clock.advance(HEDGE_DELAY_MS - 1);
  await turns();
  assert.equal(second?.ranges.length, 0);
  world.clock.advance(1);
  assert.deepEqual(await read, Buffer.from(world.bytes));
  await turns();
  assert.equal(first?.letGo, 1);
  assert.deepEqual(world.damage, []);
  assertNothingLeft(world);
});

test("a copy that has sent bytes is not hedged", async () => {
  const world = await makeWorld({ length: BLOCK_BYTES, chunkBytes: 1_000 });
  const [first, second] = world.reads;
  if (first !== undefined) first.script = script("stall", 1_500);
  const read = readAll(world);
  await turns();
  world.clock.advance(HEDGE_DELAY_MS);
  await turns();
  assert.equal(second?.ranges.length, 0);
  world.clock.advance(STALL_TIMEOUT_MS);
  assert.deepEqual(await read, Buffer.from(world.bytes));
});

test("the first copy is still read when the hedge fails", async () => {
  const world = await makeWorld({ length: BLOCK_BYTES, states: ["ok", "ok", "ok"] });
  const [first, second, third] = world.reads;
  for (const each of [first, second, third]) if (each !== undefined) each.script = script("stall", 0);
  const read = readAll(world);
  await turns();
  world.clock.advance(HEDGE_DELAY_MS);
  await turns();
  assert.equal(
    world.reads.reduce((sum, each) => sum + each.ranges.length, 0),
    2,
  );
  for (const each of [first, second, third]) if (each !== undefined) each.script = undefined;
  // Both stall; the third one is asked then.
  world.clock.advance(STALL_TIMEOUT_MS);
  assert.deepEqual(await read, Buffer.from(world.bytes));
});

test("hedges are bounded when every read is slow", async () => {
  const world = await makeWorld({ length: 10 });
  const [first, second] = world.reads;
  if (first !== undefined) first.script = script("stall", 0);
  for (let i = 0; i < 100; i++) {
    assert.deepEqual(await whileTimePasses(world.clock, HEDGE_DELAY_MS, readAll(world)), Buffer.from(world.bytes));
  }
  // Every read got its bytes; those beyond the budget after the stall timeout.
  assert.equal(second?.ranges.length, 100);
  assert.ok(world.clock.nowMs() - 1_800_000_000_000 > 50 * STALL_TIMEOUT_MS);
});

test("an unverified copy is read only when no other is left", async () => {
  const world = await makeWorld({ length: 10, states: ["unverified", "handoff"] });
  await readAll(world);
  assert.deepEqual(
    world.reads.map((each) => each.ranges.length),
    [0, 1],
  );
  world.away.add("d1-0");
  assert.deepEqual(await readAll(world), Buffer.from(world.bytes));
  assert.equal(world.reads[0]?.ranges.length, 1);
});

test("a copy whose node is not quite well is read after the others of its rank, whatever the load, and not after doubtful ones", async () => {
  const world = await makeWorld({ length: 10, states: ["ok", "ok", "unverified"] });
  world.last.add("d0-0");
  await readAll(world);
  assert.deepEqual(
    world.reads.map((each) => each.ranges.length),
    [0, 1, 0],
  );
  world.away.add("d1-0");
  await readAll(world);
  assert.deepEqual(
    world.reads.map((each) => each.ranges.length),
    [1, 1, 0],
  );
});

test("nodes that serve no reads are never asked, and all copies are named when none is left", async () => {
  const world = await makeWorld({ length: 10, states: ["ok", "unverified", "corrupt"] });
  for (const node of ["d0-0", "d1-0", "d2-0"]) world.away.add(node);
  await assert.rejects(readAll(world), (error) => {
    assert.ok(error instanceof BlobUnavailableError);
    assert.deepEqual(
      error.copies.map((copy) => copy.slot),
      [0, 1, 2],
    );
    return true;
  });
  for (const each of world.reads) assert.deepEqual(each.ranges, []);
});

test("a copy on record as corrupt is read only where no other one is left", async () => {
  const world = await makeWorld({ length: 10, states: ["corrupt", "ok"] });
  assert.deepEqual(await readAll(world), Buffer.from(world.bytes));
  assert.deepEqual(world.reads[0]?.ranges, []);
  world.away.add("d1-0");
  assert.deepEqual(await readAll(world), Buffer.from(world.bytes));
  assert.deepEqual(world.damage, []);
});

test("two copies with a bad block each, but not the same one, give all bytes", async () => {
  const world = await makeWorld({ length: 4 * BLOCK_BYTES });
  const flip = (copy: number, at: number): void => {
    for (const { bytes } of world.stores[copy]?.blobs.values() ?? []) bytes[at] = (bytes[at] ?? 0) ^ 1;
  };
  flip(0, 5);
  flip(1, 2 * BLOCK_BYTES + 5);
  assert.deepEqual(await readAll(world), Buffer.from(world.bytes));
  assert.deepEqual(
    world.damage.map(({ slot, kind }) => ({ slot, kind })),
    [
      { slot: 0, kind: "corrupt" },
      { slot: 1, kind: "corrupt" },
    ],
  );
});

test("a failure that may have passed gets a second chance once no other copy is left, others get none", async () => {
  const world = await makeWorld({ length: 10, states: ["ok", "ok"] });
  const [first, second] = world.reads;
  if (first !== undefined) first.script = script("fail", 0, { times: 1 });
  if (second !== undefined) second.script = script("fail", 0, { error: new NodeError("access-denied", "no") });
  assert.deepEqual(await whileTimePasses(world.clock, 10, readAll(world)), Buffer.from(world.bytes));
  assert.deepEqual(
    world.reads.map((each) => each.ranges.length),
    [2, 1],
  );
});

test("when no copy can be read the error says what was tried", async () => {
  const world = await makeWorld({ length: 10, states: ["ok", "ok"] });
  const [first, second] = world.reads;
  if (first !== undefined) first.script = script("fail", 0);
  if (second !== undefined) second.script = script("flip a byte", 3);
  await assert.rejects(whileTimePasses(world.clock, 10, readAll(world)), (error) => {
    assert.ok(error instanceof BlobUnavailableError);
    assert.deepEqual(
      error.copies.map((copy) => copy.error?.kind),
      ["unreachable", "corrupt"],
    );
    return true;
  });
  assert.deepEqual(
    world.reads.map((each) => each.ranges.length),
    [2, 1],
  );
  assertNothingLeft(world);
});

test("one copy whose connection breaks again and again is read to its end as long as each try brings a block", async () => {
  const world = await makeWorld({ length: 8 * BLOCK_BYTES, states: ["ok"] });
  const [only] = world.reads;
  if (only !== undefined) only.script = script("fail", BLOCK_BYTES + 200_000);
  assert.deepEqual(await whileTimePasses(world.clock, 50, readAll(world)), Buffer.from(world.bytes));
  assert.ok((only?.ranges.length ?? 0) >= 7);
});

test("leaving early lets the node go at once", async () => {
  const world = await makeWorld({ length: 4 * BLOCK_BYTES });
  for await (const chunk of world.reader.read(world.blob, { start: 0, end: world.bytes.length })) {
    assert.ok(chunk.length > 0);
    break;
  }
  await turns();
  assert.equal(world.reads[0]?.letGo, 1);
  assertNothingLeft(world);
});

test("the signal ends a read at once, whatever the nodes do, and its reason is thrown", async () => {
  const reason = new Error("the client went away");
  for (const afterBytes of [0, 1, BLOCK_BYTES + 1]) {
    const world = await makeWorld({ length: 2 * BLOCK_BYTES });
    for (const each of world.reads) each.script = script("stall", afterBytes);
    const abort = new AbortController();
    const read = collect(world.reader.read(world.blob, { start: 0, end: world.bytes.length }, abort.signal));
    await turns();
    world.clock.advance(HEDGE_DELAY_MS);
    await turns();
    abort.abort(reason);
    await assert.rejects(read, reason);
    await turns();
    assertNothingLeft(world);
  }
  const { reader, blob } = await makeWorld({ length: 10 });
  await assert.rejects(collect(reader.read(blob, { start: 0, end: 10 }, AbortSignal.abort(reason))), reason);
});

test("the signal ends the wait before a second chance", async () => {
  const world = await makeWorld({ length: 10, states: ["ok"] });
  const [only] = world.reads;
  if (only !== undefined) only.script = script("fail", 0);
  const abort = new AbortController();
  const read = collect(world.reader.read(world.blob, { start: 0, end: 10 }, abort.signal));
  await turns();
  assert.equal(world.clock.timers, 1);
  abort.abort(new Error("gone"));
  await assert.rejects(read, /gone/);
  assertNothingLeft(world);
});

const scripts: fc.Arbitrary<ReadScript | undefined> = fc.option(
  fc.record({
    afterBytes: fc.oneof(fc.constant(0), fc.nat(3 * BLOCK_BYTES)),
    fault: fc.constantFrom("fail" as const, "stall" as const, "end" as const, "flip a byte" as const),
    error: fc.constantFrom<Error>(
      new NodeError("unreachable", "x"),
      new NodeError("busy", "x"),
      new NodeError("io", "x"),
      new NodeError("not-found", "x"),
      new NodeError("corrupt", "x"),
      new Error("x"),
    ),
    times: fc.constantFrom(1, 2, 1_000),
  }),
  { nil: undefined, freq: 3 },
);

test("whatever goes wrong, a read gives the right bytes or says that no copy can be read", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: -2, max: 2 })),
      fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })),
      fc.array(
        fc.record({
          script: scripts,
          state: fc.constantFrom<SlotState>("ok", "ok", "handoff", "surplus", "unverified"),
          score: fc.constantFrom(0, 0.5, 1),
          away: fc.constantFrom(false, false, false, true),
        }),
        { minLength: 1, maxLength: 4 },
      ),
      fc.constantFrom(999, 100_000, BLOCK_BYTES, 2 * BLOCK_BYTES + 1),
      async ([blocks, more], [from, share], copies, chunkBytes) => {
        const length = Math.max(1, blocks * BLOCK_BYTES + more);
        const world = await makeWorld({ length, states: copies.map((copy) => copy.state), chunkBytes });
        copies.forEach((copy, i) => {
          world.scores[i] = copy.score;
          if (copy.away) world.away.add(`d${i}-0`);
          const reads = world.reads[i];
          if (reads !== undefined) reads.script = copy.script;
        });
        const start = Math.min(length - 1, Math.floor(from * length));
        const end = Math.min(length, start + 1 + Math.floor(share * (length - start)));
        let read: Buffer | undefined;
        try {
          read = await whileTimePasses(world.clock, 200, collect(world.reader.read(world.blob, { start, end })));
        } catch (error) {
          assert.ok(error instanceof BlobUnavailableError, String(error));
          assert.ok(!copies.some((copy) => copy.script === undefined && !copy.away));
        }
        if (read !== undefined) assert.ok(read.equals(world.bytes.subarray(start, end)));
        for (const { slot } of world.damage) assert.notEqual(copies[slot]?.script, undefined);
        assert.equal(new Set(world.damage.map((each) => each.slot)).size, world.damage.length);
        await turns();
        assertNothingLeft(world);
      },
    ),
    { numRuns: 150 },
  );
});
