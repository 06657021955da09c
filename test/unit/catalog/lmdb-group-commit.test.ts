import assert from "node:assert/strict";
import { constants } from "node:os";
import { test } from "node:test";
import { open, type RootDatabase } from "lmdb";
import { CatalogError, type CatalogErrorKind, type KvCommitResult } from "../../../src/catalog/kv.ts";
import type { KvCommitRequest } from "../../../src/catalog/kv-atomic.ts";
import { GroupCommit } from "../../../src/catalog/lmdb/group-commit.ts";
import { pack } from "../../../src/catalog/tuple.ts";
import { temporaryFolder } from "../../support/files.ts";

type Db = RootDatabase<Buffer, Uint8Array>;

const KEY = pack(["key"]);
const OTHER = pack(["other"]);
const MDB_PANIC = -30795;

function setting(...keys: Buffer[]): KvCommitRequest {
  return { checks: [], mutations: keys.map((key) => ({ kind: "set", key, value: Buffer.from("x") })) };
}

function numbered(code: number): Error {
  return Object.assign(new Error("from LMDB"), { code });
}

/** Rejects as lmdb-js does: the cause is in a promise of its own. */
async function failTransaction(code: number): Promise<never> {
  throw Object.assign(new Error("Commit failed (see commitError for details)"), {
    commitError: Promise.reject(numbered(code)),
  });
}

/** What the store under test does in place of lmdb-js; by default nothing. */
interface Faults {
  transaction?: () => Promise<never>;
  putSync?: (key: Uint8Array) => void;
  getBinaryFast?: () => never;
  getStats?: () => never;
}

async function groupCommit(): Promise<
  AsyncDisposable & { commits: GroupCommit; db: Db; faults: Faults; calls: string[] }
> {
  const folder = await temporaryFolder();
  const db = open<Buffer, Uint8Array>({
    path: folder.path,
    keyEncoding: "binary",
    encoding: "binary",
    overlappingSync: false,
    eventTurnBatching: false,
  });
  const faults: Faults = {};
  const calls: string[] = [];
  const faulty: Db = new Proxy(db, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return (...args: unknown[]): unknown => {
        calls.push(String(name));
        if (name === "transaction" && faults.transaction !== undefined) return faults.transaction();
        if (name === "putSync" && args[0] instanceof Uint8Array) faults.putSync?.(args[0]);
        if (name === "getBinaryFast") faults.getBinaryFast?.();
        if (name === "getStats") faults.getStats?.();
        return Reflect.apply(value, target, args);
      };
    },
  });
  return {
    commits: new GroupCommit({ db: faulty, folder: folder.path, bytesMax: 2 ** 30, reserveBytes: 0, version: 0 }),
    db,
    faults,
    calls,
    async [Symbol.asyncDispose]() {
      await db.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

async function refused(commit: Promise<KvCommitResult>, kind: CatalogErrorKind): Promise<void> {
  await assert.rejects(commit, (thrown) => {
    assert.ok(thrown instanceof CatalogError, String(thrown));
    assert.equal(thrown.kind, kind);
    return true;
  });
}

for (const [code, kind] of [
  [constants.errno.ENOSPC, "full"],
  [constants.errno.EDQUOT, "full"],
  [-30792, "full"],
  [constants.errno.EIO, "unavailable"],
  [constants.errno.ENOMEM, "unavailable"],
] as const) {
  test(`a transaction that fails with ${code} is answered ${kind} by each of its commits, and the next one goes on`, async () => {
    await using subject = await groupCommit();
    const { commits, faults } = subject;
    faults.transaction = () => failTransaction(code);
    await Promise.all([refused(commits.commit(setting(KEY)), kind), refused(commits.commit(setting(OTHER)), kind)]);
    delete faults.transaction;
    assert.deepEqual(await commits.commit(setting(KEY)), { committed: true, version: 1 });
    assert.equal(commits.broken, undefined);
  });
}

test("after a failure that LMDB does not recover from the outcome is unknown, and the store is not touched again", async () => {
  await using subject = await groupCommit();
  const { commits, faults, calls } = subject;
  faults.transaction = () => failTransaction(constants.errno.EIO);
  faults.getBinaryFast = () => {
    throw numbered(MDB_PANIC);
  };
  await refused(commits.commit(setting(KEY)), "unknown-outcome");
  const touched = calls.length;
  await refused(commits.commit(setting(KEY)), "unavailable");
  assert.equal(commits.broken?.kind, "unavailable");
  assert.equal(calls.length, touched);
  await commits.idle();
});

test("a failure before the transaction began is no failure of the store", async () => {
  await using subject = await groupCommit();
  const { commits, faults } = subject;
  faults.getStats = () => {
    throw numbered(constants.errno.EIO);
  };
  await refused(commits.commit(setting(KEY)), "unavailable");
  delete faults.getStats;
  assert.deepEqual(await commits.commit(setting(KEY)), { committed: true, version: 1 });
});

test("a transaction that was committed in part ends the store, also for the commits that wait", async () => {
  await using subject = await groupCommit();
  const { commits, db, faults, calls } = subject;
  let waiting: Promise<void> | undefined;
  faults.putSync = (key) => {
    if (!OTHER.equals(key)) return;
    waiting = refused(commits.commit(setting(KEY)), "unavailable");
    throw new Error("a defect of this program, not of LMDB");
  };
  await refused(commits.commit(setting(KEY, OTHER)), "unknown-outcome");
  assert.ok(
    db.get(KEY),
    "lmdb-js does not undo what a callback did before it threw; if it does now, so much the better",
  );
  assert.ok(waiting);
  await waiting;
  assert.equal(calls.filter((name) => name === "transaction").length, 1);
});

test("more commits than may wait are refused, and those that wait are not", async () => {
  await using subject = await groupCommit();
  const { commits } = subject;
  const settled = await Promise.allSettled(Array.from({ length: 16_400 }, () => commits.commit(setting(KEY))));
  const refusals = settled.filter((result) => result.status === "rejected");
  assert.equal(refusals.length, 16);
  for (const { reason } of refusals) assert.ok(reason instanceof CatalogError && reason.kind === "unavailable");
});
