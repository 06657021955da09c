import assert from "node:assert/strict";
import { test } from "node:test";
import type { BlobHome } from "../../../src/catalog/blobs.ts";
import type { Blob, Slot } from "../../../src/catalog/records/blob.ts";
import { SlotContentionError, withSlot } from "../../../src/replication/slot-ledger.ts";
import { patternBytes } from "../../support/blobs.ts";
import { assertSound } from "../../support/catalog-audit.ts";
import type { InMemoryGateway } from "../../support/in-memory-gateway.ts";
import { openBox } from "../../support/open-box.ts";
import { blobOf, slotsOf, touch } from "../../support/slots.ts";

const BYTES = Buffer.from(patternBytes(1_000, 1));
const MISSING = ({ domain }: Slot): Slot => ({ state: "missing", domain });
const CORRUPT = (slot: Slot): Slot => ({ ...slot, state: "corrupt" });

interface Subject {
  readonly gateway: InMemoryGateway;
  readonly blob: Blob;
  readonly home: BlobHome;
  readonly change: (slot: number, to: (slot: Slot) => Slot) => Promise<string>;
}

/** The blob of an object in three domains. */
async function openWithBlob(): Promise<Subject> {
  const { gateway, client } = await openBox({ domains: 3, policy: { domainChoice: "priority" } });
  await client.put("box/a", BYTES);
  const { blob, home } = await blobOf(gateway, "a");
  const change: Subject["change"] = (number, to) =>
    gateway.process.ledger.change(blob.blobId, home, ({ blob: { slots } }) => ({
      slots: withSlot(slots, number, to(slots[number] ?? assert.fail())),
    }));
  return { gateway, blob, home, change };
}

/** The repair entries as `goodCopies slot`. */
async function repairs(gateway: InMemoryGateway): Promise<string[]> {
  const { repairs: entries } = await assertSound(gateway);
  return [...entries.keys()].map((name) => name.replace(/ [0-9a-f]{32} /, " "));
}

test("a change is committed with all that is kept beside the record", async () => {
  const { gateway, change, blob } = await openWithBlob();
  assert.equal(await change(1, CORRUPT), "changed");
  assert.deepEqual(await repairs(gateway), ["2 1"]);
  assert.equal(await change(2, MISSING), "changed");
  // The copy of the slot that is missing now is about to be deleted; the corrupt one keeps its place.
  assert.deepEqual(await repairs(gateway), ["1 1", "1 2"]);
  const { dying, copies } = await assertSound(gateway);
  assert.deepEqual(dying, [{ kind: "copies", blobId: blob.blobId, copies: [blob.slots[2]?.location] }]);
  assert.equal(copies.size, 3);
  const again: Slot = { ...(blob.slots[1] ?? assert.fail()), verifiedAtMs: gateway.clock.nowMs() };
  await change(1, () => again);
  assert.deepEqual(await repairs(gateway), ["2 2"]);
});

test("what is on record of one slot's repair stays when another slot changes, as long as it wants the same", async () => {
  const { gateway, change } = await openWithBlob();
  await change(1, MISSING);
  const [before] = (await assertSound(gateway)).repairs.values();
  gateway.clock.advance(5_000);
  await change(2, CORRUPT);
  const sinceMs = async (): Promise<number[]> =>
    [...(await assertSound(gateway)).repairs.values()].map((entry) => entry.sinceMs);
  assert.deepEqual(await sinceMs(), [before?.sinceMs, gateway.clock.nowMs()]);
  gateway.clock.advance(5_000);
  await change(2, MISSING);
  assert.deepEqual(await sinceMs(), [before?.sinceMs, gateway.clock.nowMs()]);
});

test("a postponed repair is put off, and what is not postponed is not", async () => {
  const { gateway, blob, home, change } = await openWithBlob();
  await change(1, MISSING);
  await change(2, MISSING);
  const [, other] = (await assertSound(gateway)).repairs.values();
  const notBeforeMs = gateway.clock.nowMs() + 60_000;
  await gateway.process.ledger.change(blob.blobId, home, ({ blob: { slots } }) => ({
    slots,
    postponed: new Map([[1, { notBeforeMs, attempts: 1 }]]),
  }));
  const [first, second] = (await assertSound(gateway)).repairs.values();
  assert.deepEqual([first?.notBeforeMs, first?.attempts], [notBeforeMs, 1]);
  assert.deepEqual(second, other);
});

test("a decision to leave things changes nothing, and one on a blob that is dead is not asked for", async () => {
  const { gateway, blob, home } = await openWithBlob();
  let commits = 0;
  gateway.kv.hooks.commit = (_, pass) => {
    commits++;
    return pass();
  };
  assert.equal(await gateway.process.ledger.change(blob.blobId, home, () => undefined), "unchanged");
  assert.equal(commits, 0);
  gateway.kv.hooks = {};
  await gateway.service.deleteObject({ bucket: "box", key: "a" });
  const decide = (): never => assert.fail("a dead blob was decided on");
  assert.equal(await gateway.process.ledger.change(blob.blobId, home, decide), "gone");
  assert.equal(await gateway.process.ledger.change("9".repeat(32), { kind: "own" }, decide), "gone");
});

test("a decision is made anew when another commit came first", async () => {
  const { gateway, blob, home } = await openWithBlob();
  let decisions = 0;
  gateway.kv.hooks.commit = async (_, pass) => {
    gateway.kv.hooks = {};
    await touch(gateway, "a");
    return pass();
  };
  const outcome = await gateway.process.ledger.change(blob.blobId, home, ({ blob: { slots } }) => {
    decisions++;
    return { slots: withSlot(slots, 0, CORRUPT(slots[0] ?? assert.fail())) };
  });
  assert.deepEqual([outcome, decisions], ["changed", 2]);
  assert.deepEqual(await slotsOf(gateway, "a"), ["corrupt d0 d0-0", "ok d1 d1-0", "ok d2 d2-0"]);
});

test("a change that others come before every time is given up", async () => {
  const { gateway, change } = await openWithBlob();
  gateway.kv.hooks.commit = async ({ checks }) => {
    const last = checks.at(-1);
    return { committed: false, failed: last?.kind === "version" ? last.key : assert.fail() };
  };
  await assert.rejects(change(0, CORRUPT), SlotContentionError);
});

test("a blob that moved out of its object since is found where it is, and one that another object took the place of is gone", async () => {
  const { gateway, change } = await openWithBlob();
  const copy = { bucket: "box", key: "a", conditions: {} };
  const principal = { id: "alice", displayName: "alice" };
  await gateway.service.copyObject({ principal, bucket: "box", key: "b", source: copy, conditions: {} });
  await gateway.service.deleteObject({ bucket: "box", key: "a" });
  assert.equal(await change(0, CORRUPT), "changed");
  assert.deepEqual((await slotsOf(gateway, "b"))[0], "corrupt d0 d0-0");
  const other = await openWithBlob();
  await other.gateway.service.copyObject({ principal, bucket: "box", key: "b", source: copy, conditions: {} });
  await other.gateway.service.deleteObject({ bucket: "box", key: "b" });
  await other.gateway.service.deleteObject({ bucket: "box", key: "a" });
  assert.equal(await other.change(0, CORRUPT), "gone");
});
