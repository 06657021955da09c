/** From which nodes a catalog may be made again without being told to do with what is there. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { domainsThatAnswer } from "../../../src/compose/seen-domains.ts";

const DOMAINS = ["a", "b", "c"];

function enough(quorum: number, degraded: boolean, unseen: readonly string[]): boolean {
  const degradedWrite = { enabled: degraded, minReplicas: 1, handoff: "any" } as const;
  const domains = unseen.map((domain) => ({ domain }));
  return domainsThatAnswer(DOMAINS, domains, { quorum, degradedWrite }).enough;
}

test("so many domains have to answer whole that one of them is in every quorum", () => {
  assert.equal(enough(2, false, []), true);
  assert.equal(enough(2, false, ["a"]), true);
  assert.equal(enough(2, false, ["a", "a"]), true);
  assert.equal(enough(2, false, ["a", "b"]), false);
  assert.equal(enough(3, false, ["a", "b"]), true);
  assert.equal(enough(1, false, ["a"]), false);
  assert.equal(enough(2, false, ["standby"]), true);
});

test("with degraded writes all nodes have to answer, those of standby domains as well", () => {
  assert.equal(enough(2, true, []), true);
  assert.equal(enough(2, true, ["a"]), false);
  assert.equal(enough(2, true, ["standby"]), false);
});
