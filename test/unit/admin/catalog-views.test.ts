import assert from "node:assert/strict";
import { test } from "node:test";
import type * as z from "zod";
import { changesSchema, journalSchema, snapshotSchema, verificationSchema } from "../../../src/admin/catalog-types.ts";
import {
  type CatalogContext,
  changes,
  journal,
  requestSnapshot,
  snapshot,
  startVerification,
  verification,
} from "../../../src/admin/catalog-views.ts";
import { ApiError } from "../../../src/admin/problem.ts";
import { DurableChanges } from "../../../src/catalog/journal/durable-changes.ts";
import type { Verification } from "../../../src/catalog/journal/verification.ts";
import { copyIndexKey, cursorKey, objectKey, repairKey } from "../../../src/catalog/keys.ts";
import type { Kv } from "../../../src/catalog/kv.ts";
import { encodeCursor } from "../../../src/catalog/records/cursor.ts";
import { JournalWorld } from "../../support/journal-world.ts";

const ID = "0190f3a2b4c500112233445566778899";
const COPY_KEY = "00000007/00112233445566778899aabbccddeeff";

/** What the API describes, no more and no less. */
function checked<T extends z.ZodType>(schema: T, answer: z.infer<T>): z.infer<T> {
  assert.deepEqual(schema.parse(answer), answer);
  return answer;
}

function contextOf(world: JournalWorld, kv: Kv, state?: Verification): CatalogContext {
  const { journal } = world;
  return {
    catalog: { kv },
    journal,
    requestSnapshot: () => journal.requestSnapshot(),
    changes: new DurableChanges({ kv: world.store, cluster: world.cluster(), journal }),
    verifier: { start: () => state === undefined, state },
  };
}

function isProblem(status: number): (error: unknown) => boolean {
  return (error) => error instanceof ApiError && error.status === status;
}

async function write(kv: Kv, ...keys: Uint8Array[]): Promise<void> {
  const atomic = kv.atomic();
  for (const key of keys) atomic.set(key, Buffer.from("a secret"));
  assert.ok((await atomic.commit()).committed);
}

test("the journal of a gateway that is up to date", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  await kv
    .atomic()
    .set(cursorKey("mirror"), encodeCursor({ version: 1 }))
    .commit();
  await world.keep();
  const answer = checked(journalSchema, await journal(contextOf(world, kv)));
  const version = await world.store.version();
  assert.ok(answer.bytes > 0);
  assert.deepEqual(
    { ...answer, bytes: 0 },
    {
      mode: "sync",
      lag_ms: 0,
      lag_commits: 0,
      failure: null,
      version,
      durable_version: version,
      rebuildable: true,
      domains: ["a", "b"].map((domain) => ({ domain, through: version, lag_commits: 0 })),
      gaps: [],
      missing_commits: 0,
      unlisted_nodes: [],
      segments: version,
      bytes: 0,
      snapshot: { state: "none", failure: null, newest: null },
      cursors: [{ name: "mirror", version: 1 }],
    },
  );
});

test("what the journal lacks is told: commits behind, domains behind, gaps, nodes not listed", async () => {
  const world = new JournalWorld({ settings: { sync: false } });
  world.node("b0").control.down = true;
  const kv = await world.start();
  world.node("b0").control.down = false;
  const before = checked(journalSchema, await journal(contextOf(world, kv)));
  assert.deepEqual([before.unlisted_nodes, before.rebuildable, before.gaps], [["b0"], null, []]);
  assert.deepEqual(before.domains[1], { domain: "b", through: null, lag_commits: null });
  await world.keep();
  for (let i = 0; i < 6; i++) {
    await write(kv, Buffer.of(5, i));
    await world.journal.flush();
  }
  for (const { name, store } of world.nodes) {
    store.blobs.delete([...store.blobs.keys()].toSorted()[3] ?? assert.fail());
    world.journal.holdings.forget(name);
  }
  await world.keep();
  world.node("b0").control.down = true;
  await write(kv, Buffer.of(5, 9));
  await world.journal.flush();
  await write(kv, Buffer.of(5, 9));
  world.clock.advance(400);
  const answer = checked(journalSchema, await journal(contextOf(world, kv)));
  assert.deepEqual([answer.lag_commits, answer.lag_ms, answer.version - answer.durable_version], [1, 400, 1]);
  assert.deepEqual([answer.gaps, answer.missing_commits, answer.rebuildable], [[{ from: 4, through: 4 }], 1, false]);
  assert.deepEqual(
    answer.domains.map(({ through }) => through),
    [3, 3],
  );
});

test("a snapshot is asked for once, and shown when it was made", async () => {
  const world = new JournalWorld();
  const context = contextOf(world, await world.start());
  assert.equal(checked(snapshotSchema, requestSnapshot(context)).state, "requested");
  assert.throws(() => requestSnapshot(context), isProblem(409));
  await world.keep();
  assert.equal(await world.journal.snapshot(new AbortController().signal), true);
  await world.keep();
  const made = checked(snapshotSchema, snapshot(context));
  assert.deepEqual([made.state, made.newest?.made_at], ["none", new Date(world.clock.nowMs()).toISOString()]);
  assert.equal(requestSnapshot(context).state, "requested");
});

test("a snapshot that cannot be made says why, and may be asked for again", async () => {
  const world = new JournalWorld({ settings: { sync: false } });
  const context = contextOf(world, await world.start());
  requestSnapshot(context);
  world.node("a0").control.hooks.put = async () => {
    throw new Error("no disk");
  };
  await assert.rejects(world.journal.snapshot(AbortSignal.abort(new Error("stopped"))));
  assert.deepEqual([snapshot(context).state, snapshot(context).failure === null], ["none", false]);
  assert.equal(requestSnapshot(context).state, "requested");
});

test("changes are told by what was written where, never what, in pages", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  await write(kv, objectKey(ID, "photos/ü.jpg"), copyIndexKey(ID, COPY_KEY), Buffer.of(1));
  await kv
    .atomic()
    .delete(repairKey(1, ID, 3))
    .commit();
  const context = contextOf(world, kv);
  const answer = checked(changesSchema, await changes(context, {}));
  const session = { version: 1, writes: [{ kind: "session", key: [1], deleted: false }] };
  assert.deepEqual(answer, {
    durable_version: 3,
    next: 3,
    changes: [
      session,
      {
        version: 2,
        writes: [
          { kind: "object", key: [ID, "photos/ü.jpg"], deleted: false },
          { kind: "copy", key: [ID, COPY_KEY], deleted: false },
          { kind: "unknown", key: ["01"], deleted: false },
        ],
      },
      { version: 3, writes: [{ kind: "repair", key: [1, ID, 3], deleted: true }] },
    ],
  });
  assert.ok(!JSON.stringify(answer).includes("secret"));
  const second = await changes(context, { after: "1", limit: "1" });
  assert.deepEqual([second.changes.length, second.next], [1, 2]);
  assert.deepEqual(await changes(context, { after: "3" }), { durable_version: 3, next: 3, changes: [] });
});

test("changes that are not there, or not any more, and what is no place among them", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  const context = contextOf(world, kv);
  for (let i = 0; i < 3; i++) {
    await world.snapshot();
    await world.keep();
  }
  await assert.rejects(changes(context, { after: "0" }), isProblem(410));
  for (const query of [{ after: "999" }, { after: "-1" }, { after: "x" }, { limit: "0" }, { limit: "1001" }]) {
    await assert.rejects(changes(context, query), isProblem(400));
  }
  await write(kv, Buffer.of(5));
  for (const node of world.nodes) node.control.down = true;
  const after = String((await world.store.version()) - 1);
  await assert.rejects(changes(contextOf(world, kv), { after }), isProblem(503));
});

test("a verification is told from before it begins to its findings", async () => {
  const world = new JournalWorld();
  const kv = await world.start();
  assert.equal(checked(verificationSchema, verification(contextOf(world, kv))).status, "none");
  const state: Verification = {
    startedAtMs: 0,
    step: "entries",
    done: 5,
    durableVersion: 7,
    pieces: 4,
    entries: 0,
    domains: [{ domain: "a", through: 7, sufficient: true }],
    nodes: [{ node: "a0", listed: 9, lost: 1, orphans: 0, unknown: 0, failed: 0 }],
    notAsked: ["b0"],
    findings: [
      { kind: "entry-differs", key: objectKey(ID, "a"), what: "missing" },
      { kind: "bad-piece", node: "a0", piece: "segment 1 2 1", reason: "its checksum differs" },
      { kind: "not-rebuildable", version: 3, gapUntil: 5 },
      { kind: "domains-insufficient", domains: ["a", "b"] },
      { kind: "copies-missing", node: "a0", lost: 1, failed: 0 },
    ],
    findingCount: 7,
  };
  const told = (facts: Partial<Verification>) =>
    checked(verificationSchema, verification(contextOf(world, kv, { ...state, ...facts })));
  assert.throws(() => startVerification(contextOf(world, kv, state)), isProblem(409));
  const running = told({});
  assert.deepEqual([running.status, running.ended_at, running.total], ["running", null, null]);
  assert.deepEqual(
    running.findings.map(({ message }) => message),
    [
      `object ${ID} a: the journal has it, the catalog has not`,
      "segment 1 2 1 on a0: its checksum differs",
      "the journal on the nodes ends at commit 3; it goes on at commit 5",
      "a rebuild from a, b alone would not have every commit",
      "a0 does not hold 1 copies on record; nothing is known of 0",
    ],
  );
  assert.equal(told({ endedAtMs: 1 }).status, "findings");
  assert.equal(told({ endedAtMs: 1, findings: [], findingCount: 0 }).status, "ok");
  assert.equal(told({ endedAtMs: 1, failure: "no room" }).status, "failed");
});
