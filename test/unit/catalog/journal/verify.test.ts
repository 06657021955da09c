/** Verifying the catalog: what is right is found right while it is in use, and every kind of wrong is found. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { compareWithJournal } from "../../../../src/catalog/journal/compare-live.ts";
import { DurableChanges } from "../../../../src/catalog/journal/durable-changes.ts";
import { journalName } from "../../../../src/catalog/journal/journal-name.ts";
import type { Verification } from "../../../../src/catalog/journal/verification.ts";
import { type ScratchStore, Verifier, type VerifierDeps } from "../../../../src/catalog/journal/verify.ts";
import type { Kv, KvStore } from "../../../../src/catalog/kv.ts";
import { memoryKv } from "../../../../src/catalog/memory/memory-kv.ts";
import { NodeError } from "../../../../src/nodes/storage-node.ts";
import { silentLogger } from "../../../../src/observability/logger.ts";
import { JournalWorld } from "../../../support/journal-world.ts";

const KEY = (key: number): Buffer => Buffer.of(5, key >> 8, key & 0xff);

async function sets(kv: Kv, from: number, count: number): Promise<void> {
  for (let i = from; i < from + count; i++) {
    await kv
      .atomic()
      .set(KEY(i), Buffer.from(`value ${i}`))
      .commit();
  }
}

class Scratch implements ScratchStore {
  opened = 0;
  removed = 0;
  room = true;
  readonly kvs: KvStore[] = [];

  async open(): Promise<KvStore> {
    this.opened++;
    const kv = memoryKv();
    this.kvs.push(kv);
    return kv;
  }

  hasRoom(): boolean {
    return this.room;
  }

  async remove(): Promise<void> {
    for (const kv of this.kvs) await assert.rejects(kv.version(), "it was not closed");
    this.removed++;
  }
}

interface Verifying {
  readonly verifier: Verifier;
  readonly scratch: Scratch;
}

function verifying(world: JournalWorld, deps: Partial<VerifierDeps> = {}): Verifying {
  const scratch = new Scratch();
  const verifier = new Verifier({
    kv: world.store,
    cluster: world.cluster(),
    journal: world.journal,
    changes: new DurableChanges({ kv: world.store, cluster: world.cluster(), journal: world.journal }),
    scratch,
    clock: world.clock,
    logger: silentLogger,
    ...deps,
  });
  return { verifier, scratch };
}

/** Lets time pass until it has ended; `meanwhile` is called again and again. */
async function toEnd(
  world: JournalWorld,
  { verifier }: Verifying,
  meanwhile: () => Promise<void> = async () => {},
): Promise<Verification> {
  assert.equal(verifier.start(), true);
  let ended = false;
  const end = verifier.idle().then(() => {
    ended = true;
  });
  while (!ended) {
    await meanwhile();
    await new Promise((resolve) => setImmediate(resolve));
    world.clock.advance(10);
  }
  await end;
  return verifier.state ?? assert.fail("it has no state");
}

function kindsOf({ findings }: Verification): string[] {
  return findings.map(({ kind }) => kind);
}

test("a catalog whose journal is whole is found right, from a snapshot and without one", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  await sets(kv, 0, 30);
  const first = verifying(world);
  const found = await toEnd(world, first);
  assert.deepEqual([found.failure, found.findings, found.notAsked], [undefined, [], []]);
  assert.ok(found.entries >= 30 && found.pieces >= 60);
  assert.deepEqual(
    found.domains.map(({ domain, sufficient }) => `${domain} ${sufficient}`),
    ["a true", "b true"],
  );
  assert.deepEqual([first.scratch.opened, first.scratch.removed], [1, 1]);
  await world.snapshot();
  await sets(kv, 20, 30);
  await world.keep();
  assert.deepEqual((await toEnd(world, verifying(world))).findings, []);
});

test("commits, merges and snapshots while it runs are no findings", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  await sets(kv, 0, 100);
  let round = 0;
  const found = await toEnd(world, verifying(world), async () => {
    round++;
    await kv
      .atomic()
      .set(KEY(round % 100), Buffer.from(`round ${round}`))
      .delete(KEY((round * 7) % 100))
      .sum(Buffer.of(6), [1])
      .commit();
    if (round % 20 === 0) await world.keep();
    if (round % 50 === 0) await world.snapshot();
  });
  assert.ok(round > 50);
  assert.deepEqual([found.failure, found.findings], [undefined, []]);
});

test("an entry that is written each time that it is looked at is no difference; one that is not is", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  await sets(kv, 0, 5);
  const { kv: replayed, version } = await world.rebuild();
  await world.store.restore([{ key: KEY(3), value: null, version }], version);
  let flushes = 0;
  const differing: string[] = [];
  await compareWithJournal({
    replayed,
    version,
    live: world.store,
    changes: new DurableChanges({ kv: world.store, cluster: world.cluster(), journal: world.journal }),
    flush: async () => {
      // After the entry was read, and before the journal was replayed so far.
      await sets(kv, 1, 1);
      flushes++;
      await world.journal.flush();
    },
    rest: async () => {
      if (flushes === 0) await sets(kv, 1, 1);
    },
    requireRoom: () => {},
    onDifference: (key, what) => differing.push(`${Buffer.from(key).toString("hex")} ${what}`),
    signal: new AbortController().signal,
  });
  assert.ok(flushes > 1);
  assert.deepEqual(differing, ["050003 missing"]);
});

test("what is removed behind snapshots stays while a verification reads it, and goes afterwards", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  await sets(kv, 0, 30);
  const pieces = (): number => world.node("a0").store.blobs.size;
  let snapshots = 0;
  let least = Number.POSITIVE_INFINITY;
  const found = await toEnd(world, verifying(world), async () => {
    if (snapshots++ < 3) await world.snapshot();
    await world.keep();
    least = Math.min(least, pieces());
  });
  assert.deepEqual(found.findings, []);
  assert.ok(least > 30);
  await world.keep();
  assert.ok(pieces() < 15);
});

test("an entry that the journal tells differently is found: changed, gone, or never journaled", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  await sets(kv, 0, 10);
  const version = await world.store.version();
  // As a fault in the store would have it: no change is on record of it.
  await world.store.restore(
    [
      { key: KEY(3), value: Buffer.from("rotten"), version: 5 },
      { key: KEY(4), value: null, version },
      { key: KEY(99), value: Buffer.from("from nowhere"), version: 7 },
    ],
    version,
  );
  await set(kv);
  const found = await toEnd(world, verifying(world), () => set(kv));
  const differing = found.findings.map((finding) =>
    finding.kind === "entry-differs" ? `${Buffer.from(finding.key).toString("hex")} ${finding.what}` : finding.kind,
  );
  assert.deepEqual(differing, ["050003 other", "050004 missing", "050063 extra"]);
  assert.equal(found.findingCount, 3);
});

/** One more commit, at a key that nobody looks at. */
async function set(kv: Kv): Promise<void> {
  await kv.atomic().set(KEY(700), Buffer.from("x")).commit();
}

test("more findings than are told are counted", async () => {
  const world = new JournalWorld({ settings: { sync: false } });
  const kv = await world.start();
  await sets(kv, 0, 150);
  await world.journal.flush();
  const version = await world.store.version();
  const gone = Array.from({ length: 150 }, (_, i) => ({ key: KEY(i), value: null, version }));
  await world.store.restore(gone, version);
  const found = await toEnd(world, verifying(world));
  assert.deepEqual([found.findings.length, found.findingCount], [100, 150]);
});

test("a damaged copy of a piece is found, with its node, though another copy serves", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  await sets(kv, 0, 5);
  const { store } = world.node("b0");
  const [key, blob] = [...store.blobs].find(([each]) => journalName(each)?.kind === "segment") ?? assert.fail();
  store.blobs.set(key, { ...blob, bytes: Buffer.alloc(blob.bytes.length) });
  const found = await toEnd(world, verifying(world));
  assert.deepEqual(kindsOf(found), ["bad-piece"]);
  const [finding] = found.findings;
  assert.ok(finding?.kind === "bad-piece" && finding.node === "b0" && finding.piece.startsWith("segment "));
});

test("a journal with a gap is not enough for a rebuild, nor are its domains", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  await sets(kv, 0, 10);
  for (const { store } of world.nodes) {
    const segments = [...store.blobs.keys()].filter((key) => journalName(key)?.kind === "segment").toSorted();
    store.blobs.delete(segments[4] ?? assert.fail());
  }
  const found = await toEnd(world, verifying(world));
  assert.deepEqual(kindsOf(found), ["domains-insufficient", "domains-insufficient", "not-rebuildable"]);
  assert.deepEqual(found.findings.at(-1), { kind: "not-rebuildable", version: 4, gapUntil: 6 });
});

test("nodes that hold nothing are found, too", async () => {
  const world = new JournalWorld();
  await sets(await world.start(), 0, 3);
  for (const { store } of world.nodes) store.blobs.clear();
  assert.ok(kindsOf(await toEnd(world, verifying(world))).includes("not-rebuildable"));
});

test("a domain that lacks what was written without it is found; one that could not be asked is only named", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  world.node("b0").control.down = true;
  await sets(kv, 0, 3);
  const away = await toEnd(world, verifying(world));
  assert.deepEqual([away.findings, away.notAsked], [[], ["b0"]]);
  world.node("b0").control.down = false;
  const behind = await toEnd(world, verifying(world));
  assert.deepEqual(behind.findings, [{ kind: "domains-insufficient", domains: ["b"] }]);
  await world.keep();
  assert.deepEqual((await toEnd(world, verifying(world))).findings, []);
});

test("with a quorum of two of three domains any two have to do, and one alone need not", async () => {
  const world = new JournalWorld({ domains: 3, quorum: 2 });
  const kv = await world.start();
  world.node("c0").control.down = true;
  await sets(kv, 0, 3);
  world.node("c0").control.down = false;
  const found = await toEnd(world, verifying(world));
  assert.deepEqual(found.findings, []);
  assert.deepEqual(
    found.domains.map(({ sufficient }) => sufficient),
    [true, true, false],
  );
});

test("copies that nodes do not hold are findings; a node that fails meanwhile is named", async () => {
  const world = new JournalWorld();
  await world.start();
  const counts = { listed: 10, lost: 0, orphans: 1, unknown: 2, failed: 0 };
  const compareNode = async (uuid: string) => {
    if (uuid === "b0") throw new NodeError("timeout", "it went away");
    return { ...counts, lost: 3 };
  };
  const found = await toEnd(world, verifying(world, { compareNode }));
  assert.deepEqual(found.findings, [{ kind: "copies-missing", node: "a0", lost: 3, failed: 0 }]);
  assert.deepEqual([found.notAsked, found.nodes.length], [["b0"], 1]);
});

test("it stops where the catalog's disk has no room for it, and says so", async () => {
  const world = new JournalWorld();
  await sets(await world.start(), 0, 5);
  const cramped = verifying(world);
  cramped.scratch.room = false;
  const found = await toEnd(world, cramped);
  assert.match(found.failure ?? "", /no room/);
  assert.equal(cramped.scratch.removed, 1);
});

test("one runs at a time, and it ends with the gateway, leaving nothing", async () => {
  const world = new JournalWorld();
  await sets(await world.start(), 0, 50);
  const running = verifying(world);
  assert.equal(running.verifier.start(), true);
  assert.equal(running.verifier.start(), false);
  await new Promise((resolve) => setImmediate(resolve));
  await running.verifier[Symbol.asyncDispose]();
  assert.equal(running.verifier.state?.failure, "the gateway stopped");
  assert.equal(running.verifier.start(), false);
  assert.equal(running.scratch.opened, running.scratch.removed);
  await world.keep();
});
