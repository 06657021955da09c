/** What the journal promises: a store that is lost is made again from the nodes, to the last commit that was answered. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { journalName } from "../../../../src/catalog/journal/journal-name.ts";
import { catchUp, JournalGapError, noteLocally } from "../../../../src/catalog/journal/replay.ts";
import { orphansHeldKey } from "../../../../src/catalog/keys.ts";
import { CatalogError, type Kv } from "../../../../src/catalog/kv.ts";
import { memoryKv } from "../../../../src/catalog/memory/memory-kv.ts";
import { NodeError } from "../../../../src/nodes/storage-node.ts";
import { assertSame, JournalWorld, type WorldNode } from "../../../support/journal-world.ts";

async function set(kv: Kv, key: number, value: string): Promise<number> {
  const result = await kv.atomic().set(Buffer.of(5, key), Buffer.from(value)).commit();
  assert.ok(result.committed);
  return result.version;
}

async function sets(kv: Kv, from: number, count: number): Promise<void> {
  for (let i = from; i < from + count; i++) await set(kv, i, `value ${i}`);
}

function pieces(node: WorldNode, kind: "segment" | "chunk" | "snapshot"): number {
  return [...node.store.blobs.keys()].filter((key) => journalName(key)?.kind === kind).length;
}

/** Settles what is under way without moving time. */
async function turns(count = 50): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

test("every commit that was answered is in both domains, and either alone makes the store again", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  await sets(kv, 0, 20);
  await kv.atomic().delete(Buffer.of(5, 3)).sum(Buffer.of(6), [4, -1]).commit();
  for (const away of ["a0", "b0"]) {
    world.node(away).control.down = true;
    const rebuilt = await world.rebuild();
    await assertSame(rebuilt.kv, world.store);
    assert.equal(rebuilt.gapUntil, undefined);
    world.node(away).control.down = false;
  }
});

test("in sync a commit is answered only when a quorum of domains has it, and read by nobody before", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  await set(kv, 1, "before");
  const held = Promise.withResolvers<void>();
  world.node("b0").control.hooks.put = async (request, pass) => {
    await held.promise;
    return pass(request);
  };
  const seen: string[] = [];
  const deleting = kv.atomic().delete(Buffer.of(5, 1)).commit();
  const setting = set(kv, 2, "after");
  void deleting.then(() => seen.push("deleted"));
  void setting.then(() => seen.push("set"));
  await turns();
  assert.equal((await world.store.get(Buffer.of(5, 2)))?.value.toString(), "after", "the store has it");
  void kv.get(Buffer.of(5, 2)).then(() => seen.push("read"));
  void kv.get(Buffer.of(5, 1)).then(() => seen.push("read what is gone"));
  void kv.list({ start: Buffer.of(5), end: Buffer.of(6) }, { limit: 10 }).then(() => seen.push("listed"));
  await turns();
  assert.deepEqual(seen, []);
  held.resolve();
  await Promise.all([deleting, setting]);
  await turns();
  assert.deepEqual(new Set(seen), new Set(["deleted", "listed", "read", "read what is gone", "set"]));
});

test("a commit that comes when the journal is closed has no known outcome at once, and the next process hands it over", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  const held = Promise.withResolvers<void>();
  world.node("b0").control.hooks.put = async (request, pass) => {
    await held.promise;
    return pass(request);
  };
  const outcomeOf = (key: number): Promise<string> =>
    set(kv, key, "late").then(
      () => "answered",
      (error: unknown) => (error instanceof CatalogError ? error.kind : String(error)),
    );
  const waiting = outcomeOf(1);
  await turns();
  const stopped = world.stop();
  await turns();
  held.resolve();
  await stopped;
  assert.equal(await waiting, "answered", "what waits is handed over if the nodes take it");
  // No time passes: who waits for the timeout waits for ever.
  assert.equal(await outcomeOf(2), "unknown-outcome");
  await assert.rejects(kv.get(Buffer.of(5, 2)), { kind: "unavailable" });
  const next = await world.start();
  assert.equal((await next.get(Buffer.of(5, 2)))?.value.toString(), "late");
  await world.stop();
  await assertSame((await world.rebuild()).kv, world.store);
});

test("in async commits are answered at once and follow within a second", async () => {
  const world = new JournalWorld({ settings: { sync: false } });
  const kv = await world.start();
  await turns();
  world.node("b0").control.calls.length = 0;
  for (let i = 0; i < 5; i++) await set(kv, i, "x");
  await turns();
  assert.equal(world.node("b0").control.count("put"), 0, "they are collected");
  assert.ok(world.journal.shippedThrough < (await world.store.version()));
  world.clock.advance(500);
  await turns();
  assert.equal(world.node("b0").control.count("put"), 1);
  assert.equal(world.journal.shippedThrough, await world.store.version());
  await set(kv, 9, "x");
  await world.stop();
  await assertSame((await world.rebuild()).kv, world.store);
});

test("with one domain away commits go on, degraded, and it gets what it lacks when it is back", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  await sets(kv, 0, 5);
  world.node("b0").control.down = true;
  await sets(kv, 5, 5);
  world.node("b0").control.down = false;
  await world.keep();
  world.node("a0").control.down = true;
  await assertSame((await world.rebuild()).kv, world.store);
});

test("where degraded writes are not allowed a commit without a quorum has no known outcome, and later ones are refused", async () => {
  const world = new JournalWorld({ degraded: false });
  const kv = await world.start();
  world.node("b0").control.down = true;
  const stuck = assert.rejects(
    set(kv, 1, "stuck"),
    (error) => error instanceof CatalogError && error.kind === "unknown-outcome",
  );
  await turns();
  for (let ms = 0; ms < 10_000; ms += 100) {
    world.clock.advance(100);
    await turns(2);
  }
  await stuck;
  await assert.rejects(set(kv, 2, "refused"), (error) => error instanceof CatalogError && error.kind === "unavailable");
  assert.equal(await world.store.get(Buffer.of(5, 2)), undefined);
  world.node("b0").control.down = false;
  for (let ms = 0; ms < 10_000; ms += 100) {
    world.clock.advance(100);
    await turns(2);
  }
  await set(kv, 3, "goes on");
  await assertSame((await world.rebuild()).kv, world.store);
});

test("a node that fails is stood in for by another of its domain", async () => {
  const world = new JournalWorld({ nodesPerDomain: 2 });
  const kv = await world.start();
  await set(kv, 1, "x");
  for (const name of ["a0", "b1"]) {
    world.node(name).control.hooks.put = async () => {
      throw new NodeError("full", "no room");
    };
  }
  await sets(kv, 2, 5);
  for (const domain of ["a", "b"]) {
    for (const node of world.nodes) node.control.down = node.domain === domain;
    await assertSame((await world.rebuild()).kv, world.store);
  }
});

test("what a domain's lost node held is made again on another one", async () => {
  const world = new JournalWorld({ nodesPerDomain: 2 });
  const kv = await world.start();
  await sets(kv, 0, 10);
  const holder = world.nodes.find((node) => node.domain === "a" && pieces(node, "segment") > 0);
  assert.ok(holder !== undefined);
  await world.keep();
  holder.lost = true;
  holder.control.down = true;
  holder.store.blobs.clear();
  await world.keep();
  for (const name of ["b0", "b1"]) world.node(name).control.down = true;
  await assertSame((await world.rebuild()).kv, world.store);
});

test("a process that ended before it wrote the journal leaves it to the next", async () => {
  const world = new JournalWorld({ settings: { sync: false } });
  await world.start();
  const kv = await world.start();
  await sets(kv, 0, 5);
  world.crash();
  await world.start();
  await world.stop();
  await assertSame((await world.rebuild()).kv, world.store);
});

test("a store put back from a backup is brought up to date before anything is written", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  await sets(kv, 0, 5);
  const backup = (await world.rebuild()).kv;
  await sets(kv, 5, 5);
  const lost = world.store;
  world.crash();
  world.store = backup;
  await catchUp(world.store, await world.reader());
  await assertSame(world.store, lost);
  const again = await world.start();
  await set(again, 99, "goes on");
  await world.stop();
  await assertSame((await world.rebuild()).kv, world.store);
});

test("a store that the journal goes beyond, with something missing in between, is refused", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  await sets(kv, 0, 5);
  const backup = (await world.rebuild()).kv;
  await sets(kv, 5, 6);
  world.crash();
  for (const { store } of world.nodes) {
    const segments = [...store.blobs.keys()].filter((key) => journalName(key)?.kind === "segment").toSorted();
    const missing = segments.at(-3);
    assert.ok(missing !== undefined);
    store.blobs.delete(missing);
  }
  world.store = backup;
  await assert.rejects(world.start(), JournalGapError);
  const { gapUntil, version } = await world.rebuild();
  assert.equal(gapUntil, version + 2);
});

test("what a rebuild left out behind a gap is never taken for what comes next", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  await sets(kv, 0, 6);
  world.crash();
  for (const { store } of world.nodes) {
    const segments = [...store.blobs.keys()].filter((key) => journalName(key)?.kind === "segment").toSorted();
    const missing = segments.at(-2);
    assert.ok(missing !== undefined);
    store.blobs.delete(missing);
  }
  const { kv: rebuilt, version, gapUntil } = await world.rebuild();
  assert.equal(gapUntil, version + 2);
  await noteLocally(rebuilt, orphansHeldKey(), Buffer.of(1));
  world.store = rebuilt;
  const again = await world.start();
  assert.equal(await again.get(Buffer.of(5, 5)), undefined);
  await set(again, 7, "x");
  const made = await world.rebuild();
  assert.equal(made.gapUntil, undefined);
  await assertSame(made.kv, world.store);
});

test("two histories after a rebuild that did not see all nodes have no session in common", async () => {
  const world = new JournalWorld({ quorum: 1 });
  await sets(await world.start(), 0, 3);
  world.node("b0").control.down = true;
  world.crash();
  // Known to a0 alone.
  await set(await world.start(), 3, "of the lost history");
  world.crash();
  world.node("a0").control.down = true;
  world.node("b0").control.down = false;
  world.store = (await world.rebuild()).kv;
  await set(await world.start(), 4, "of the new one");
  world.node("a0").control.down = false;
  await world.keep();
  await assertSame((await world.rebuild()).kv, world.store);
});

test("a damaged piece is passed over for another copy of it", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  await sets(kv, 0, 6);
  let flip = 0;
  for (const { store } of world.nodes) {
    for (const [key, blob] of [...store.blobs].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      if (journalName(key) === undefined || flip++ % 2 === 0) continue;
      const bytes = Buffer.from(blob.bytes);
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0x10;
      store.blobs.set(key, { ...blob, bytes });
    }
    flip = 1;
  }
  await assertSame((await world.rebuild()).kv, world.store);
});

test("after a rebuild without its end, what was lost does not come back when its node does", async () => {
  const world = new JournalWorld();
  let kv = await world.start();
  await set(kv, 1, "kept");
  world.node("a0").control.down = true;
  await set(kv, 1, "acknowledged degraded, on b alone");
  await set(kv, 2, "the same");
  world.node("a0").control.down = false;
  world.node("b0").control.down = true;
  await world.loseStore();
  kv = await world.start();
  await set(kv, 3, "after the rebuild");
  world.node("b0").control.down = false;
  await world.keep();
  await set(kv, 4, "with both again");
  for (const away of ["a0", "b0"]) {
    world.node(away).control.down = true;
    const { kv: rebuilt } = await world.rebuild();
    assert.equal((await rebuilt.get(Buffer.of(5, 1)))?.value.toString(), "kept");
    assert.equal(await rebuilt.get(Buffer.of(5, 2)), undefined);
    await assertSame(rebuilt, world.store);
    world.node(away).control.down = false;
  }
});

test("small segments are merged, in every domain, and the parts go", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  await sets(kv, 0, 250);
  await sets(kv, 0, 250);
  assert.ok(pieces(world.node("a0"), "segment") >= 500);
  await world.keep();
  await world.keep();
  for (const node of world.nodes) {
    assert.ok(pieces(node, "segment") < 260, `${node.name} has ${pieces(node, "segment")}`);
    for (const other of world.nodes) other.control.down = other !== node;
    await assertSame((await world.rebuild()).kv, world.store);
    for (const other of world.nodes) other.control.down = false;
  }
});

test("a snapshot and what follows it make the store again; the second one lets the journal before the first go", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  await sets(kv, 0, 30);
  await world.snapshot();
  await sets(kv, 20, 20);
  await world.keep();
  assert.ok(pieces(world.node("a0"), "segment") > 40, "nothing went behind one snapshot");
  const rebuilt = await world.rebuild();
  assert.ok(rebuilt.snapshot !== undefined);
  await assertSame(rebuilt.kv, world.store);
  await world.snapshot();
  await world.keep();
  assert.ok(pieces(world.node("a0"), "segment") < 30);
  await world.snapshot();
  await world.keep();
  assert.equal(pieces(world.node("b0"), "snapshot"), 2);
  await set(kv, 77, "after");
  await assertSame((await world.rebuild()).kv, world.store);
});

test("an unreadable snapshot is passed over for the one before", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  await sets(kv, 0, 5);
  await world.snapshot();
  await sets(kv, 5, 5);
  await world.snapshot();
  await world.keep();
  await set(kv, 50, "x");
  for (const { store } of world.nodes) {
    const newest = [...store.blobs.keys()]
      .filter((key) => journalName(key)?.kind === "chunk")
      .toSorted()
      .at(-1);
    const blob = newest === undefined ? undefined : store.blobs.get(newest);
    assert.ok(newest !== undefined && blob !== undefined);
    store.blobs.set(newest, { ...blob, bytes: Buffer.alloc(blob.bytes.length) });
  }
  await assertSame((await world.rebuild()).kv, world.store);
});

test("commits while a snapshot is made are in what is made from it", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  await sets(kv, 0, 200);
  let written = 0;
  const put = async (request: Parameters<WorldNode["control"]["put"]>[0], pass: WorldNode["control"]["put"]) => {
    const kind = journalName(request.key)?.kind;
    if (kind === "chunk" && written === 0) {
      written = 1;
      await world.store.atomic().delete(Buffer.of(5, 0)).set(Buffer.of(5, 199), Buffer.from("changed")).commit();
      await world.store.atomic().set(Buffer.of(5, 1), Buffer.from("changed")).sum(Buffer.of(5, 201), [1]).commit();
    }
    return pass(request);
  };
  world.node("a0").control.hooks.put = put;
  await world.snapshot();
  assert.equal(written, 1);
  await world.journal.flush();
  const rebuilt = await world.rebuild();
  assert.ok(rebuilt.snapshot !== undefined);
  await assertSame(rebuilt.kv, world.store);
});

test("where the nodes do not hold enough for a rebuild, a start makes a snapshot", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  await sets(kv, 0, 5);
  for (const { store } of world.nodes) store.blobs.clear();
  await world.stop();
  const again = await world.start();
  await set(again, 7, "x");
  await world.keep();
  assert.equal(world.journal.status().rebuildable, true);
  await assertSame((await world.rebuild()).kv, world.store);
});

test("a journal that is lost while commits go on is whole again behind a snapshot, and answers none before", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  await sets(kv, 0, 5);
  for (const { name, store } of world.nodes) {
    store.blobs.clear();
    world.journal.holdings.forget(name);
  }
  await world.keep();
  assert.equal(world.journal.status().rebuildable, false);
  let answered = false;
  const seventh = set(kv, 7, "x").then(() => {
    answered = true;
  });
  await world.journal.snapshot(new AbortController().signal);
  assert.equal(world.journal.status().rebuildable, true);
  world.clock.advance(60_000);
  await seventh;
  assert.equal(answered, true);
  await set(kv, 8, "y");
  await assertSame((await world.rebuild()).kv, world.store);
});

test("an empty set of nodes makes nothing", async () => {
  const world = new JournalWorld();
  await assert.rejects(world.rebuild(), /neither a whole snapshot/);
  world.store = memoryKv();
});

test("a damaged piece is found in its turn and replaced by a good one", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  await sets(kv, 0, 5);
  const { store } = world.node("a0");
  const [key, blob] = [...store.blobs].find(([name]) => journalName(name) !== undefined) ?? [];
  assert.ok(key !== undefined && blob !== undefined);
  store.blobs.set(key, { ...blob, bytes: Buffer.alloc(blob.bytes.length) });
  for (let run = 0; run < 40; run++) await world.keep();
  assert.equal(store.blobs.get(key), undefined, "the damaged copy is gone");
  world.node("b0").control.down = true;
  await assertSame((await world.rebuild()).kv, world.store);
});

test("a damaged piece of which there is no other copy stays where it is", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  world.node("b0").control.down = true;
  await set(kv, 1, "on a alone");
  const { store } = world.node("a0");
  for (const [key, blob] of store.blobs) store.blobs.set(key, { ...blob, bytes: Buffer.alloc(blob.bytes.length) });
  const before = [...store.blobs.keys()];
  world.node("b0").store.blobs.clear();
  for (let run = 0; run < 10; run++) await world.keep();
  assert.deepEqual([...store.blobs.keys()], before);
});

test("while a domain is away, even over a start, no snapshot is removed that nothing stands in for", async () => {
  const world = new JournalWorld();
  let kv = await world.start();
  for (let round = 0; round < 3; round++) {
    await sets(kv, round, 5);
    await world.snapshot();
    await world.keep();
  }
  await world.stop();
  world.node("b0").control.down = true;
  kv = await world.start();
  await set(kv, 50, "x");
  for (let run = 0; run < 3; run++) await world.keep();
  await assertSame((await world.rebuild()).kv, world.store);
  assert.ok(world.journal.status().rebuildable);
});

test("a domain that lacks something counts for no quorum before it has it", async () => {
  const world = new JournalWorld({ domains: 3, quorum: 2, degraded: false });
  const kv = await world.start();
  await set(kv, 1, "all");
  world.node("c0").control.down = true;
  await set(kv, 2, "a and b");
  world.node("c0").control.down = false;
  world.node("b0").control.down = true;
  let answered = false;
  const setting = set(kv, 3, "a, and c behind a gap").then(() => {
    answered = true;
  });
  await turns();
  assert.equal(answered, false);
  await world.keep();
  for (let ms = 0; ms < 1_000; ms += 50) {
    world.clock.advance(50);
    await turns(2);
  }
  await setting;
  world.node("a0").control.down = true;
  await assertSame((await world.rebuild()).kv, world.store);
});

test("with degraded writes, what both domains took after one was away is whole in each once it was copied", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  await set(kv, 1, "both");
  world.node("b0").control.down = true;
  await set(kv, 2, "degraded");
  world.node("b0").control.down = false;
  await set(kv, 3, "taken by both, and of no use to b yet");
  await world.keep();
  await set(kv, 4, "full");
  world.node("a0").control.down = true;
  await assertSame((await world.rebuild()).kv, world.store);
});

test("after a rebuild from one domain the other has all of it before the first commit is answered", async () => {
  const world = new JournalWorld();
  let kv = await world.start();
  world.node("b0").control.down = true;
  await sets(kv, 0, 5);
  await world.loseStore();
  world.node("b0").control.down = false;
  kv = await world.start();
  await set(kv, 9, "x");
  world.node("a0").control.down = true;
  await assertSame((await world.rebuild()).kv, world.store);
});
