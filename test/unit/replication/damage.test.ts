/** Copies that readers find bad: taken out of service, replaced, deleted; and the reader gets the right bytes (I5). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { patternBytes } from "../../support/blobs.ts";
import { assertFullyRedundant, assertSound } from "../../support/catalog-audit.ts";
import type { InMemoryGateway } from "../../support/in-memory-gateway.ts";
import { assertCode } from "../../support/object-client.ts";
import { type Box, openBox } from "../../support/open-box.ts";
import { blobOf, copyCount, copyIn, rot, slotsOf } from "../../support/slots.ts";

const BYTES = Buffer.from(patternBytes(600_000, 1));

/** An object in two domains, read from the first as long as that goes well. */
async function openWithObject(): Promise<Box> {
  const box = await openBox({ policy: { domainChoice: "priority" } });
  await box.client.put("box/a", BYTES);
  box.gateway.members.scores.set(box.gateway.node("d0-0").uuid, 0.1);
  return box;
}

async function read({ gateway, client }: Box, path = "box/a"): Promise<void> {
  assert.ok((await gateway.whileTimePasses(client.get(path))).equals(BYTES));
  await gateway.settle();
}

function damageOf(gateway: InMemoryGateway, key: string, slot: number, kind: "corrupt" | "lost"): Promise<void> {
  return Promise.all([blobOf(gateway, key), copyIn(gateway, key, slot)]).then(([{ blob }, { location }]) =>
    gateway.process.repairer.recordDamage({ blobId: blob.blobId, slot, location, kind }),
  );
}

test("a flipped byte: the reader gets the right bytes, and the copy is on record as corrupt and then replaced", async () => {
  for (const at of [0, 262_143, 262_144, BYTES.length - 1]) {
    const box = await openWithObject();
    const { gateway } = box;
    const bad = await copyIn(gateway, "a", 0);
    await rot(gateway, "a", 0, at);
    await read(box);
    assert.deepEqual(await slotsOf(gateway, "a"), ["corrupt d0 d0-0", "ok d1 d1-0"]);
    assert.equal((await assertSound(gateway)).repairs.size, 1);
    const { calls } = bad.node.control;
    calls.length = 0;
    await read(box);
    assert.deepEqual(calls, [], "a corrupt copy was read");
    await gateway.repair();
    await gateway.sweepPastGrace();
    assert.equal(bad.node.store.blobs.has(bad.location.key), false);
    await assertFullyRedundant(gateway);
  }
});

test("a copy that its node has lost keeps its place until another one stands in its stead", async () => {
  const box = await openWithObject();
  const { gateway } = box;
  const { node, location } = await copyIn(gateway, "a", 0);
  const lost = node.store.blobs.get(location.key) ?? assert.fail();
  node.store.remove(location.key);
  await read(box);
  assert.deepEqual(await slotsOf(gateway, "a"), ["corrupt d0 d0-0", "ok d1 d1-0"]);
  // The node showed an old state of its disk, and now the right one; the other copy goes.
  node.store.add(location.key, lost);
  gateway.nodeDown("d1-0");
  await read(box);
  gateway.nodeUp("d1-0");
  await gateway.repair();
  await gateway.quiesce();
  await assertFullyRedundant(gateway);
  assert.equal(copyCount(gateway), 2);
  assert.equal(node.store.blobs.has(location.key), false);
});

test("a bad copy of a blob that objects share is found by a read of either", async () => {
  const box = await openWithObject();
  await box.client.copy("box/a", "box/b");
  await rot(box.gateway, "a", 0);
  await read(box, "box/b");
  assert.deepEqual(await slotsOf(box.gateway, "a"), ["corrupt d0 d0-0", "ok d1 d1-0"]);
  await box.gateway.repair();
  await assertFullyRedundant(box.gateway);
});

test("a range without the bad block is read from the copy, which nobody then knows to be bad", async () => {
  const { gateway, client } = await openWithObject();
  await rot(gateway, "a", 0, 0);
  assert.deepEqual(await client.getRange("box/a", { start: 300_000, end: 400_000 }), BYTES.subarray(300_000, 400_000));
  await gateway.settle();
  assert.deepEqual(await slotsOf(gateway, "a"), ["ok d0 d0-0", "ok d1 d1-0"]);
});

test("a node that does not answer is no damage", async () => {
  const box = await openWithObject();
  box.gateway.nodeFails("d0-0");
  await read(box);
  assert.deepEqual(await slotsOf(box.gateway, "a"), ["ok d0 d0-0", "ok d1 d1-0"]);
});

test("an object all of whose copies are bad at one block is unavailable, and every one of them is on record", async () => {
  const { gateway, client } = await openWithObject();
  await rot(gateway, "a", 0, 5);
  await rot(gateway, "a", 1, 6);
  await gateway.whileTimePasses(assertCode(client.get("box/a"), "unavailable"));
  await gateway.settle();
  assert.deepEqual(await slotsOf(gateway, "a"), ["corrupt d0 d0-0", "corrupt d1 d1-0"]);
  await assertCode(client.get("box/a"), "unavailable");
  assert.equal((await client.head("box/a")).object.size, BYTES.length);
});

test("an object whose copies are bad at different blocks is read from both, block by block, and repaired", async () => {
  const box = await openWithObject();
  const { gateway } = box;
  await rot(gateway, "a", 0, 5);
  await rot(gateway, "a", 1, 300_000);
  await read(box);
  await read(box);
  assert.deepEqual(await slotsOf(gateway, "a"), ["corrupt d0 d0-0", "corrupt d1 d1-0"]);
  await gateway.repair();
  await gateway.quiesce();
  await assertFullyRedundant(gateway);
  await read(box);
});

test("a report is of the copy that was read: of one that was replaced or deleted meanwhile it changes nothing", async () => {
  const { gateway, client } = await openWithObject();
  const { blob } = await blobOf(gateway, "a");
  const { location } = await copyIn(gateway, "a", 0);
  const late = { blobId: blob.blobId, slot: 0, location, kind: "corrupt" } as const;
  await damageOf(gateway, "a", 0, "lost");
  await gateway.repair();
  await gateway.process.repairer.recordDamage(late);
  await assertFullyRedundant(gateway);
  await client.delete("box/a");
  await gateway.process.repairer.recordDamage(late);
  await gateway.sweepPastGrace();
  await gateway.process.repairer.recordDamage(late);
  await assertSound(gateway);
});

test("a report that comes twice is recorded once", async () => {
  const { gateway } = await openWithObject();
  await Promise.all([damageOf(gateway, "a", 0, "corrupt"), damageOf(gateway, "a", 0, "corrupt")]);
  const [before] = (await assertSound(gateway)).repairs.values();
  gateway.clock.advance(1_000);
  await damageOf(gateway, "a", 0, "corrupt");
  assert.deepEqual([...(await assertSound(gateway)).repairs.values()], [before]);
});
