import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ABSENT, type HistoryOp, type Need, unexplained, type Way } from "./linearizability.ts";

const NEVER = Number.POSITIVE_INFINITY;

function op(label: string, [calledAt, answeredAt]: readonly [number, number], ...ways: Way[]): HistoryOp {
  return { label, calledAt, answeredAt, ways };
}

const write = (version: string, need: Need = { is: "anything" }): Way => ({ need, sets: version });
const saw = (version: string): Way => ({
  need: version === ABSENT ? { is: "absent" } : { is: "version", version },
});

function check(...history: HistoryOp[]): string | undefined {
  return unexplained(history, (version) => `etag of ${version}`);
}

describe("histories that can be explained", () => {
  test("a read during a write sees what was before or after it", () => {
    assert.equal(check(op("write", [0, 3], write("a")), op("read", [1, 2], saw(ABSENT))), undefined);
    assert.equal(check(op("write", [0, 3], write("a")), op("read", [1, 2], saw("a"))), undefined);
  });

  test("a write without an answer happened late", () => {
    const history = [
      op("write", [0, NEVER], write("a")),
      op("read", [1, 2], saw(ABSENT)),
      op("read", [3, 4], saw("a")),
    ];
    assert.equal(check(...history), undefined);
  });

  test("a write without an answer that nobody saw made a conditional write fail", () => {
    const history = [op("write", [0, NEVER], write("a")), op("create", [1, 2], { need: { is: "present" } })];
    assert.equal(check(...history), undefined);
  });

  test("of two creations at once one fails", () => {
    const created = op("create", [0, 3], write("a", { is: "absent" }));
    assert.equal(check(created, op("create", [1, 2], { need: { is: "present" } })), undefined);
  });

  test("an upload is completed twice, the second time without effect", () => {
    const once = { name: "upload", before: "open" } as const;
    const first: Way = { ...write("a"), once };
    const again: Way = { need: { is: "version", version: "a" }, once: { ...once, before: "done" } };
    assert.equal(check(op("complete", [0, 1], first, again), op("complete", [2, 3], first, again)), undefined);
  });
});

describe("histories that cannot be explained", () => {
  const cannot = (...history: HistoryOp[]): void => assert.match(check(...history) ?? "", /cannot be explained/);

  test("a read after a write sees what was before it", () => {
    cannot(op("write", [0, 1], write("a")), op("read", [2, 3], saw(ABSENT)));
  });

  test("two reads one after the other see two writes the wrong way round", () => {
    cannot(
      op("write", [0, 9], write("a")),
      op("write", [1, 8], write("b")),
      op("read", [2, 3], saw("a")),
      op("read", [4, 5], saw("b")),
      op("read", [6, 7], saw("a")),
    );
  });

  test("what was deleted is seen again", () => {
    cannot(op("write", [0, 1], write("a")), op("delete", [2, 3], write(ABSENT)), op("read", [4, 5], saw("a")));
  });

  test("two creations both succeed", () => {
    cannot(op("create", [0, 3], write("a", { is: "absent" })), op("create", [1, 2], write("b", { is: "absent" })));
  });

  test("a write under If-Match replaces another version than it named", () => {
    cannot(op("write", [0, 1], write("a")), op("write", [2, 3], write("b", { is: "etag", etag: "etag of c" })));
  });

  test("a write without an answer happens twice", () => {
    cannot(
      op("write", [0, NEVER], write("a")),
      op("read", [1, 2], saw("a")),
      op("write", [3, 4], write("b")),
      op("read", [5, 6], saw("b")),
      op("read", [7, 8], saw("a")),
    );
  });
});
