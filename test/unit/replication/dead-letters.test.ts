/** Repairs that fail again and again (G17): given up, kept on record, tried again when an operator says so. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeError } from "../../../src/nodes/storage-node.ts";
import { DeadLetters } from "../../../src/replication/repair/dead-letters.ts";
import { ATTEMPTS_MAX } from "../../../src/replication/repair/repairer.ts";
import { patternBytes } from "../../support/blobs.ts";
import { assertFullyRedundant, assertSound } from "../../support/catalog-audit.ts";
import type { InMemoryGateway } from "../../support/in-memory-gateway.ts";
import { type Box, openBox } from "../../support/open-box.ts";
import { changeSlot, copyCount, slotsOf } from "../../support/slots.ts";

const BYTES = Buffer.from(patternBytes(300_000, 1));
const HOUR_MS = 3_600_000;
const NEVER = new AbortController().signal;

/** An object `a` whose copy in domain d1 is missing and cannot be made: d1's disk is broken. */
async function openWithBrokenDomain(keys: readonly string[] = ["a"]): Promise<Box> {
  const box = await openBox({ policy: { domainChoice: "priority" } });
  for (const key of keys) {
    await box.client.put(`box/${key}`, BYTES);
    await changeSlot(box.gateway, key, 1, ({ domain }) => ({ state: "missing", domain }));
  }
  await box.gateway.sweepPastGrace();
  breakNode(box.gateway);
  return box;
}

function breakNode(gateway: InMemoryGateway): void {
  gateway.node("d1-0").control.hooks.put = () => Promise.reject(new NodeError("io", "the disk is broken"));
}

async function failUntilGivenUp(gateway: InMemoryGateway): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    gateway.clock.advance(HOUR_MS);
    await gateway.repair();
  }
}

function deadLettersOf({ process: { catalog, ledger } }: InMemoryGateway): DeadLetters {
  return new DeadLetters({ catalog, ledger });
}

test("after twelve failed attempts a slot leaves the queue for the dead letters, in one commit, with what went wrong", async () => {
  const { gateway, client } = await openWithBrokenDomain();
  const sinceMs = [...(await assertSound(gateway)).repairs.values()][0]?.sinceMs;
  for (let attempt = 1; attempt < ATTEMPTS_MAX; attempt++) {
    gateway.clock.advance(HOUR_MS);
    await gateway.repair();
    const { repairs, deadLetters } = await assertSound(gateway);
    assert.deepEqual([[...repairs.values()][0]?.attempts, deadLetters.size], [attempt, 0]);
  }
  gateway.clock.advance(HOUR_MS);
  await gateway.repair();
  const { repairs, deadLetters } = await assertSound(gateway);
  assert.equal(repairs.size, 0);
  const [letter] = deadLetters.values();
  assert.ok(letter !== undefined);
  const { home: _home, ...told } = letter;
  assert.deepEqual(told, {
    sinceMs,
    givenUpAtMs: gateway.clock.nowMs(),
    attempts: ATTEMPTS_MAX,
    errorKind: "io",
    errorMessage: "the disk is broken",
    node: "d1-0",
  });
  assert.equal((await slotsOf(gateway, "a"))[1], "missing d1", "it is missing as before");
  assert.deepEqual(await client.get("box/a"), BYTES, "and read from the copy that there is");
  const { failed } = gateway.process.repairer.counts;
  gateway.clock.advance(24 * HOUR_MS);
  gateway.process.repairer.nodeCameBack();
  await gateway.repair();
  assert.equal(gateway.process.repairer.counts.failed, failed, "it was tried although it was given up");
});

test("a dead letter that is replayed is work again with all its attempts, missing since it was first", async () => {
  const { gateway } = await openWithBrokenDomain();
  const sinceMs = [...(await assertSound(gateway)).repairs.values()][0]?.sinceMs;
  await failUntilGivenUp(gateway);
  const letters = deadLettersOf(gateway);
  const [letter] = (await letters.list({ limit: 10 })).letters;
  assert.ok(letter !== undefined);
  assert.deepEqual([letter.state, letter.domain], ["missing", "d1"]);
  assert.deepEqual(await letters.get(letter), letter);
  assert.equal(await letters.replay(letter), true);
  assert.equal(await letters.replay(letter), false, "it is none any more");
  assert.equal(await letters.get(letter), undefined);
  const [entry] = (await assertSound(gateway)).repairs.values();
  assert.deepEqual([entry?.attempts, entry?.sinceMs, entry?.notBeforeMs], [0, sinceMs, gateway.clock.nowMs()]);
  gateway.node("d1-0").control.hooks = {};
  await gateway.repair();
  await assertFullyRedundant(gateway);
});

test("dead letters are listed in pages and replayed all at once", async () => {
  const keys = ["a", "b", "c", "d", "e"];
  const { gateway } = await openWithBrokenDomain(keys);
  await failUntilGivenUp(gateway);
  const letters = deadLettersOf(gateway);
  const first = await letters.list({ limit: 3 });
  const second = await letters.list({ limit: 3, after: first.next });
  assert.deepEqual([first.letters.length, second.letters.length, second.next], [3, 2, undefined]);
  assert.equal(new Set([...first.letters, ...second.letters].map(({ blobId }) => blobId)).size, keys.length);
  assert.deepEqual(await letters.replayAll(NEVER), { replayed: 5, more: false });
  gateway.node("d1-0").control.hooks = {};
  await gateway.repair();
  await assertFullyRedundant(gateway);
});

test("the dead letters of an object go with it, in the same commit", async () => {
  for (const end of ["delete", "overwrite"] as const) {
    const { gateway, client } = await openWithBrokenDomain();
    await failUntilGivenUp(gateway);
    gateway.node("d1-0").control.hooks = {};
    if (end === "delete") await client.delete("box/a");
    else await client.put("box/a", patternBytes(10, 2));
    assert.equal((await assertSound(gateway)).deadLetters.size, 0);
    await gateway.quiesce();
    assert.equal(copyCount(gateway), end === "delete" ? 0 : 2);
  }
});

test("a slot that changes is work again: what was given up was the repair of what it was before", async () => {
  const { gateway } = await openWithBrokenDomain();
  await failUntilGivenUp(gateway);
  const session = gateway.process.catalog.session.toString(16).padStart(8, "0");
  const location = { nodeUuid: gateway.node("d1-0").uuid, key: `${session}/${"ab".repeat(16)}` };
  await changeSlot(gateway, "a", 1, ({ domain }) => ({ state: "corrupt", domain, location }));
  const { repairs, deadLetters } = await assertSound(gateway);
  assert.deepEqual([[...repairs.values()][0]?.attempts, deadLetters.size], [0, 0]);
});

test("a copy that no node can take, or that no node can be read for, never becomes a dead letter", async () => {
  for (const down of ["d1-0", "d0-0"]) {
    const { gateway } = await openWithBrokenDomain();
    gateway.node("d1-0").control.hooks = {};
    gateway.nodeDown(down);
    await failUntilGivenUp(gateway);
    const { repairs, deadLetters } = await assertSound(gateway);
    assert.deepEqual([[...repairs.values()][0]?.attempts, deadLetters.size], [0, 0]);
    assert.deepEqual(gateway.process.repairer.lastRun?.waiting, 1);
    gateway.nodeUp(down);
    await gateway.repair();
    await assertFullyRedundant(gateway);
  }
});

test("attempts that are made early, because a node comes and goes, are not counted", async () => {
  const { gateway } = await openWithBrokenDomain();
  gateway.clock.advance(HOUR_MS);
  await gateway.repair();
  for (let times = 0; times < 2 * ATTEMPTS_MAX; times++) {
    gateway.process.repairer.nodeCameBack();
    await gateway.repair();
  }
  const { repairs, deadLetters } = await assertSound(gateway);
  assert.deepEqual([[...repairs.values()][0]?.attempts, deadLetters.size], [1, 0]);
});
