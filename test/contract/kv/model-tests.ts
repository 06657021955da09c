import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { KV_LIST_LIMIT_MAX, type Kv } from "../../../src/catalog/kv.ts";
import { pack } from "../../../src/catalog/tuple.ts";
import type { Subject } from "./calls.ts";
import { addToAtomic, commits, KvModel, keyParts, type ModelCommit, modelEntryOf, ranges } from "./model.ts";

const MODEL_RUNS = 100;

export function model(kv: Subject): void {
  let runs = 0;
  /** A prefix that no other run has: a packed string. */
  const freshPrefix = (): Buffer => pack(["model", runs++]);

  test("one call after the other, it answers what a naive model answers", async () => {
    const calls = fc.array(
      fc.oneof(
        { weight: 4, arbitrary: commits.map((commit) => ({ kind: "commit" as const, commit })) },
        {
          weight: 1,
          arbitrary: fc.array(keyParts, { maxLength: 4 }).map((parts) => ({ kind: "get" as const, parts })),
        },
        {
          weight: 2,
          arbitrary: fc
            .record({ range: ranges, limit: fc.integer({ min: 1, max: 8 }), reverse: fc.boolean() })
            .map((list) => ({ kind: "list" as const, ...list })),
        },
      ),
      { minLength: 1, maxLength: 40 },
    );
    await fc.assert(
      fc.asyncProperty(calls, async (drawn) => {
        const prefix = freshPrefix();
        const naive = new KvModel();
        const versionOf = (key: Buffer): number | null => naive.get(key)?.version ?? null;
        for (const call of drawn) {
          if (call.kind === "commit") {
            const commit = call.commit.below(prefix, versionOf);
            await compareCommit(kv(), naive, commit);
          } else if (call.kind === "get") {
            const keys = call.parts.map((part) => Buffer.concat([prefix, part]));
            const wanted = keys.map((key) => naive.get(key));
            assert.deepEqual(
              (await kv().getMany(keys)).map((entry) => entry && modelEntryOf(entry)),
              wanted,
            );
            const single = await Promise.all(keys.map((key) => kv().get(key)));
            assert.deepEqual(
              single.map((entry) => entry && modelEntryOf(entry)),
              wanted,
            );
          } else {
            const { limit, reverse } = call;
            const range = call.range.below(prefix, versionOf);
            const found = await kv().list(range, { limit, reverse });
            assert.deepEqual(found.map(modelEntryOf), naive.list(range, limit, reverse));
          }
        }
      }),
      { numRuns: MODEL_RUNS },
    );
  });

  test("at once from many sides, commits do what they would do one after the other by version", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(commits, { minLength: 2, maxLength: 24 }), async (drawn) => {
        const prefix = freshPrefix();
        // Versions that checks may name: those of a first round of commits.
        const naive = new KvModel();
        const versionOf = (key: Buffer): number | null => naive.get(key)?.version ?? null;
        const [first, second] = [drawn.slice(0, drawn.length / 2), drawn.slice(drawn.length / 2)];
        await compareAtOnce(
          kv(),
          naive,
          first.map((commit) => commit.below(prefix, versionOf)),
        );
        await compareAtOnce(
          kv(),
          naive,
          second.map((commit) => commit.below(prefix, versionOf)),
        );
        const range = { start: prefix, end: Buffer.concat([prefix, Buffer.alloc(4, 0xff)]) };
        const found = await kv().list(range, { limit: KV_LIST_LIMIT_MAX });
        assert.deepEqual(found.map(modelEntryOf), naive.list(range, KV_LIST_LIMIT_MAX, false));
      }),
      { numRuns: MODEL_RUNS },
    );
  });
}

async function compareCommit(kv: Kv, naive: KvModel, commit: ModelCommit): Promise<void> {
  const result = await addToAtomic(kv.atomic(), commit);
  const failed = commit.checks.find((check) => !naive.holds(check));
  if (failed !== undefined) {
    assert.deepEqual(result, { committed: false, failed: failed.kind === "version" ? failed.key : failed.range.start });
  } else {
    assert.ok(result.committed);
    naive.apply(commit.mutations, result.version);
  }
}

/** Commits all at once, then replays those that committed in the order of their versions. */
async function compareAtOnce(kv: Kv, naive: KvModel, all: readonly ModelCommit[]): Promise<void> {
  const results = await Promise.all(all.map((commit) => addToAtomic(kv.atomic(), commit)));
  const outcomes = all.flatMap((commit, index) => {
    const result = results[index];
    return result === undefined ? [] : [{ commit, result }];
  });
  // Every refused commit must have met, at some point of that order, a state in which a check of it fails.
  const unexplained = new Set(outcomes.filter(({ result }) => !result.committed).map(({ commit }) => commit));
  const explain = (): void => {
    for (const commit of unexplained)
      if (!commit.checks.every((check) => naive.holds(check))) unexplained.delete(commit);
  };
  explain();
  const committed = outcomes.flatMap(({ commit, result }) =>
    result.committed ? [{ commit, version: result.version }] : [],
  );
  for (const { commit, version } of committed.sort((a, b) => a.version - b.version)) {
    for (const check of commit.checks) assert.ok(naive.holds(check), "a commit passed a check that did not hold");
    naive.apply(commit.mutations, version);
    explain();
  }
  assert.equal(unexplained.size, 0, "a commit was refused although its checks always held");
}
