import assert from "node:assert/strict";
import { test } from "node:test";
import type { Version } from "../../../src/catalog/records/version.ts";
import { ObjectError, type ReadConditions } from "../../../src/objects/api.ts";
import { checkCopyConditions, checkReadConditions, checkWriteConditions } from "../../../src/objects/conditions.ts";

const SECOND_MS = 1_000;
/** On the 700th millisecond of its second. */
const MODIFIED_MS = 1_800_000_000_700;
const ETAG = "0123456789abcdef0123456789abcdef";

const VERSION: Version = {
  versionId: "1".repeat(32),
  isNull: true,
  sequence: 1,
  deleteMarker: false,
  createdAtMs: MODIFIED_MS,
  size: 0,
  etag: ETAG,
  headers: [],
  metadata: [],
  content: { kind: "empty" },
  storageClass: "STANDARD",
  owner: "alice",
};

/** The code that the check ends with; `passed` where it ends well. */
function outcomeOf(check: () => void): string {
  try {
    check();
    return "passed";
  } catch (error) {
    if (error instanceof ObjectError) return error.code;
    throw error;
  }
}

/** An ETag list and whether it matches; absent. */
const ETAG_LISTS = [
  [undefined, undefined],
  [[ETAG], true],
  [["other", ETAG], true],
  [["*"], true],
  [["other"], false],
  [[], false],
] as const;

/** A time and whether the object was modified after it; absent. */
const TIMES = [
  [undefined, undefined],
  [MODIFIED_MS - 700 - SECOND_MS, true],
  // The second in which it was modified, which is all that Last-Modified tells.
  [MODIFIED_MS - 700, false],
  [MODIFIED_MS - 700 + SECOND_MS, false],
] as const;

test("every combination of read conditions is decided as RFC 9110 orders it", () => {
  for (const [ifMatch, matched] of ETAG_LISTS) {
    for (const [ifUnmodifiedSinceMs, modifiedSinceThen] of TIMES) {
      for (const [ifNoneMatch, noneMatched] of ETAG_LISTS) {
        for (const [ifModifiedSinceMs, modified] of TIMES) {
          const failed = matched === undefined ? modifiedSinceThen === true : !matched;
          const unchanged = noneMatched === undefined ? modified === false : noneMatched;
          const expected = failed ? "precondition-failed" : unchanged ? "not-modified" : "passed";
          const conditions: ReadConditions = {
            ...(ifMatch && { ifMatch }),
            ...(ifUnmodifiedSinceMs !== undefined && { ifUnmodifiedSinceMs }),
            ...(ifNoneMatch && { ifNoneMatch }),
            ...(ifModifiedSinceMs !== undefined && { ifModifiedSinceMs }),
          };
          const outcome = outcomeOf(() => checkReadConditions(conditions, VERSION));
          assert.equal(outcome, expected, JSON.stringify(conditions));
          const forCopy = outcomeOf(() => checkCopyConditions(conditions, VERSION));
          assert.equal(forCopy, expected === "not-modified" ? "precondition-failed" : expected);
        }
      }
    }
  }
});

test("an answer of not modified says what the client has", () => {
  assert.throws(
    () => checkReadConditions({ ifNoneMatch: [ETAG] }, VERSION),
    (error) => error instanceof ObjectError && error.details["etag"] === ETAG,
  );
});

test("a write condition is decided on what is there", () => {
  const on = (current: Version | undefined, conditions: Parameters<typeof checkWriteConditions>[0]): string =>
    outcomeOf(() => checkWriteConditions(conditions, current));
  assert.equal(on(undefined, {}), "passed");
  assert.equal(on(VERSION, {}), "passed");
  assert.equal(on(undefined, { ifNoneMatch: "*" }), "passed");
  assert.equal(on(VERSION, { ifNoneMatch: "*" }), "precondition-failed");
  assert.equal(on(undefined, { ifMatch: ETAG }), "no-such-key");
  assert.equal(on(undefined, { ifMatch: "*" }), "no-such-key");
  assert.equal(on(VERSION, { ifMatch: ETAG }), "passed");
  assert.equal(on(VERSION, { ifMatch: "*" }), "passed");
  assert.equal(on(VERSION, { ifMatch: "other" }), "precondition-failed");
});

test("a delete marker counts as nothing", () => {
  const marker = { ...VERSION, deleteMarker: true };
  assert.equal(
    outcomeOf(() => checkWriteConditions({ ifNoneMatch: "*" }, marker)),
    "passed",
  );
  assert.equal(
    outcomeOf(() => checkWriteConditions({ ifMatch: ETAG }, marker)),
    "no-such-key",
  );
});
