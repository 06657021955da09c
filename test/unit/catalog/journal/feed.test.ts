/** The change feed: every commit once and in order, whatever becomes of the segments that tell of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CursorLostError, DurableChanges } from "../../../../src/catalog/journal/durable-changes.ts";
import { ChangeFeed } from "../../../../src/catalog/journal/feed.ts";
import { Holdings } from "../../../../src/catalog/journal/holdings.ts";
import { journalName } from "../../../../src/catalog/journal/journal-name.ts";
import { cursorKey } from "../../../../src/catalog/keys.ts";
import { CatalogError, type Kv, type KvChange } from "../../../../src/catalog/kv.ts";
import { memoryKv } from "../../../../src/catalog/memory/memory-kv.ts";
import { JournalWorld } from "../../../support/journal-world.ts";

const KEY = (key: number): Buffer => Buffer.of(5, key);

function changesOf(world: JournalWorld): DurableChanges {
  return new DurableChanges({ kv: world.store, cluster: world.cluster(), journal: world.journal });
}

function feedOf(world: JournalWorld, kv: Kv): ChangeFeed {
  const catalog = { kv, begin: () => kv.atomic(), commit: (atomic: ReturnType<Kv["atomic"]>) => atomic.commit() };
  return new ChangeFeed({ catalog, changes: changesOf(world) });
}

async function sets(kv: Kv, from: number, count: number): Promise<number> {
  let version = 0;
  for (let i = from; i < from + count; i++) {
    const result = await kv
      .atomic()
      .set(KEY(i), Buffer.from(`value ${i}`))
      .commit();
    assert.ok(result.committed);
    version = result.version;
  }
  return version;
}

/** A change as a line: what a test compares. */
function told({ version, writes }: KvChange): string {
  const texts = writes.map(({ key, value }) => `${key.toString("hex")}=${value?.toString() ?? "deleted"}`);
  return `${version} ${texts.join(" ")}`;
}

async function readAll(changes: DurableChanges, from = 0, limit = 7): Promise<string[]> {
  const all: string[] = [];
  for (let after = from; ; ) {
    const page = await changes.after(after, limit);
    assert.ok(page.changes.length <= limit);
    all.push(...page.changes.map(told));
    if (page.next === after) return all;
    after = page.next;
  }
}

/** Removes what lies behind snapshots. */
async function snapshots(world: JournalWorld, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await world.snapshot();
    await world.keep();
  }
}

test("changes are read in order, from the nodes as from the store, in pages of any size", async () => {
  const world = new JournalWorld({ settings: { sync: false } });
  const kv = await world.start();
  await sets(kv, 0, 9);
  await world.journal.flush();
  await sets(kv, 9, 3);
  await world.journal.flush();
  const version = await world.store.version();
  const expected = await readAll(changesOf(world), 0, 1);
  assert.deepEqual(
    expected.map((line) => Number(line.split(" ")[0])),
    Array.from({ length: version }, (_, at) => at + 1),
  );
  assert.equal(expected[1], `2 0500=value 0`);
  for (const limit of [2, 5, 1_000]) assert.deepEqual(await readAll(changesOf(world), 0, limit), expected);
  assert.deepEqual(await readAll(changesOf(world), 4), expected.slice(4));
});

test("no change is handed out before the journal has it", async () => {
  const world = new JournalWorld({ settings: { sync: false } });
  const kv = await world.start();
  const durable = world.journal.shippedThrough;
  const version = await sets(kv, 0, 3);
  const changes = changesOf(world);
  assert.deepEqual(await changes.after(durable, 10), { changes: [], next: durable });
  assert.deepEqual(await changes.after(version, 10), { changes: [], next: version });
  await assert.rejects(changes.after(version + 1, 10), RangeError);
  await world.journal.flush();
  assert.equal((await changes.after(durable, 10)).changes.length, 3);
});

test("of what the store has on record only what is durable is handed out", async () => {
  const kv = memoryKv();
  await sets(kv, 0, 5);
  const world = new JournalWorld();
  const journal = { shippedThrough: 3, holdings: new Holdings() };
  const page = await new DurableChanges({ kv, cluster: world.cluster(), journal }).after(1, 10);
  assert.deepEqual([page.changes.map(({ version }) => version), page.next], [[2, 3], 3]);
});

test("who asks for what was removed behind a snapshot is told what can be had", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  await sets(kv, 0, 10);
  const before = await readAll(changesOf(world));
  await world.snapshot();
  await snapshots(world, 2);
  await sets(kv, 20, 5);
  const changes = changesOf(world);
  const lost = await changes.after(3, 10).then(
    () => assert.fail("it was removed"),
    (error: unknown) => error,
  );
  assert.ok(lost instanceof CursorLostError);
  assert.ok(lost.firstVersion > before.length && lost.firstVersion <= world.journal.shippedThrough - 4);
  const after = await readAll(changes, lost.firstVersion - 1);
  assert.equal(Number(after[0]?.split(" ")[0]), lost.firstVersion);
  await assert.rejects(changes.after(lost.firstVersion - 2, 10), CursorLostError);
});

test("changes whose nodes are away are not lost, and come when a node is back", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  await sets(kv, 0, 5);
  const changes = changesOf(world);
  for (const node of world.nodes) node.control.down = true;
  await assert.rejects(changes.after(0, 10), (error) => error instanceof CatalogError && error.kind === "unavailable");
  world.node("b0").control.down = false;
  assert.equal((await changes.after(0, 1)).changes.length, 1);
});

test("a damaged segment is read from another node", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  await sets(kv, 0, 5);
  const expected = await readAll(changesOf(world));
  for (const [key, blob] of world.node("a0").store.blobs) {
    world.node("a0").store.blobs.set(key, { ...blob, bytes: Buffer.alloc(blob.bytes.length) });
  }
  assert.deepEqual(await readAll(changesOf(world)), expected);
});

test("segments of a session that was given up are not taken for what came after, though their node alone answers", async () => {
  const world = new JournalWorld();
  await world.start();
  world.node("a0").control.down = true;
  const lost = await sets(await restarted(world), 0, 3);
  world.node("a0").control.down = false;
  world.node("b0").control.down = true;
  await world.loseStore();
  const kv = await restarted(world);
  const version = await sets(kv, 50, 6);
  assert.ok(version > lost, "other commits have those numbers now");
  const expected = await readAll(changesOf(world));
  world.node("b0").control.down = false;
  await world.keep();
  world.node("a0").control.down = true;
  assert.deepEqual(await readAll(changesOf(world)), expected);
});

test("what only a node with a session that was given up has is not handed out, while the others are away", async () => {
  const world = new JournalWorld();
  await world.start();
  world.node("a0").control.down = true;
  await sets(await restarted(world), 0, 3);
  world.node("a0").control.down = false;
  world.node("b0").control.down = true;
  await world.loseStore();
  await sets(await restarted(world), 50, 6);
  world.node("b0").control.down = false;
  for (const node of world.cluster().nodes()) await world.journal.holdings.refresh(node);
  world.node("a0").control.down = true;
  assert.deepEqual(
    (await changesOf(world).after(0, 10)).changes.map(({ version }) => version),
    [1],
    "both sessions have the first commit",
  );
  await assert.rejects(
    changesOf(world).after(1, 10),
    (error) => error instanceof CatalogError && error.kind === "unavailable",
  );
});

async function restarted(world: JournalWorld): Promise<Kv> {
  world.crash();
  return world.start();
}

test("what a consumer has still to read is kept behind the snapshots, and goes when it has read it", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  const feed = feedOf(world, kv);
  await sets(kv, 0, 10);
  await feed.advance("mirror", 4);
  await snapshots(world, 4);
  const segments = (): number =>
    [...world.node("a0").store.blobs.keys()].filter((key) => journalName(key)?.kind === "segment").length;
  const kept = segments();
  const page = await feed.read(4, 100);
  assert.equal(page.changes[0]?.version, 5);
  await feed.advance("mirror", world.journal.shippedThrough);
  await world.keep();
  assert.ok(segments() < kept - 5);
  await assert.rejects(feedOf(world, kv).read(4, 100), CursorLostError);
});

test("a consumer that was ended holds nothing back", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  const feed = feedOf(world, kv);
  await sets(kv, 0, 10);
  await feed.advance("mirror", 4);
  await feed.forget("mirror");
  assert.equal(await feed.cursor("mirror"), undefined);
  await snapshots(world, 4);
  await assert.rejects(feed.read(4, 100), CursorLostError);
});

test("a cursor never goes back, and its own moves do not feed the consumer", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  const feed = feedOf(world, kv);
  const version = await sets(kv, 0, 3);
  await feed.advance("mirror", version);
  await feed.advance("mirror", 1);
  assert.equal(await feed.cursor("mirror"), version);
  const page = await feed.read(version, 100);
  assert.deepEqual([page.changes, page.next > version], [[], true]);
  assert.equal((await changesOf(world).after(version, 1)).changes[0]?.writes[0]?.key.equals(cursorKey("mirror")), true);
});

test("of two who move a cursor at once the one that is further wins", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  const feed = feedOf(world, kv);
  await sets(kv, 0, 9);
  await Promise.all([3, 9, 5].map((version) => feed.advance("mirror", version)));
  assert.equal(await feed.cursor("mirror"), 9);
});

test("consumers are limited in number", async () => {
  const world = new JournalWorld({ settings: { sync: false } });
  const feed = feedOf(world, await world.start());
  for (let i = 0; i < 100; i++) await feed.advance(`consumer ${i}`, 1);
  await assert.rejects(feed.advance("one more", 1), RangeError);
  await feed.advance("consumer 7", 2);
});

type Step =
  | { readonly kind: "commit"; readonly key: number; readonly value: number }
  | { readonly kind: "delete"; readonly key: number }
  | { readonly kind: "read"; readonly limit: number; readonly stops: boolean }
  | { readonly kind: "keep" | "snapshot" | "stop" | "crash" | "all up" }
  | { readonly kind: "down"; readonly node: string };

const aStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({ kind: fc.constant("commit" as const), key: fc.nat(9), value: fc.nat(99) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete" as const), key: fc.nat(9) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("read" as const),
      limit: fc.integer({ min: 1, max: 9 }),
      stops: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom("keep" as const, "snapshot" as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("stop" as const, "crash" as const, "all up" as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("down" as const), node: fc.constantFrom("a0", "b0") }) },
);

test("a consumer sees every commit once and in order, across restarts, merges, snapshots, removals and failures", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(aStep, { maxLength: 120 }), fc.nat(), async (steps, seed) => {
      const world = new JournalWorld({ seed });
      let kv: Kv = await world.start();
      const committed: string[] = [];
      const seen: string[] = [];
      await feedOf(world, kv).advance("mirror", 0);
      const read = async (limit: number, stops: boolean): Promise<void> => {
        const feed = feedOf(world, kv);
        const after = (await feed.cursor("mirror")) ?? assert.fail("it has a cursor");
        const page = await feed.read(after, limit).catch((error: unknown) => {
          if (error instanceof CatalogError && error.kind === "unavailable") return undefined;
          throw error;
        });
        if (page === undefined) return;
        assert.ok(page.next <= world.journal.shippedThrough);
        // One that stops before it has acted reads the same again.
        if (stops) return;
        seen.push(...page.changes.filter(({ writes }) => writes.some(({ key }) => key[0] === 5)).map(told));
        if (page.next > after) await feed.advance("mirror", page.next);
      };
      for (const step of steps) {
        if (step.kind === "commit" || step.kind === "delete") {
          const atomic = kv.atomic();
          const value = step.kind === "delete" ? null : Buffer.from(String(step.value));
          if (value === null) atomic.delete(KEY(step.key));
          else atomic.set(KEY(step.key), value);
          const result = await atomic.commit();
          assert.ok(result.committed);
          committed.push(told({ version: result.version, writes: [{ key: KEY(step.key), value }] }));
        } else if (step.kind === "read") await read(step.limit, step.stops);
        else if (step.kind === "keep") await world.keep();
        else if (step.kind === "snapshot") await world.snapshot();
        else if (step.kind === "all up") for (const node of world.nodes) node.control.down = false;
        else if (step.kind === "down") {
          // The other one has to have everything first, or a commit may be on a node that is away alone.
          for (const node of world.nodes) node.control.down = false;
          await world.keep();
          world.node(step.node).control.down = true;
        } else {
          if (step.kind === "stop") await world.stop();
          else world.crash();
          kv = await world.start();
        }
      }
      for (const node of world.nodes) node.control.down = false;
      for (let reads = 0; reads < 4 * steps.length && seen.length < committed.length; reads++) await read(50, false);
      assert.deepEqual(seen, committed);
    }),
    { numRuns: 100 },
  );
});
