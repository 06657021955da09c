/** Slots that want repair, and what becomes of them (I5, I6). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type BlobHeader, NodeError } from "../../../src/nodes/storage-node.ts";
import { patternBytes } from "../../support/blobs.ts";
import { assertFullyRedundant, assertSound, audit } from "../../support/catalog-audit.ts";
import { type InMemoryGateway, turns } from "../../support/in-memory-gateway.ts";
import { type Box, MIB, openBox } from "../../support/open-box.ts";
import { blobOf, changeSlot, copyCount, copyIn, rot, slotsOf } from "../../support/slots.ts";

const BYTES = Buffer.from(patternBytes(600_000, 1));
const MINUTE_MS = 60_000;

/** An object whose slots 0, 1 and 2 are in the domains d0, d1 and d2. */
async function openWithObject(): Promise<Box> {
  const box = await openBox({ domains: 3, nodesPerDomain: 2, policy: { domainChoice: "priority" } });
  await box.client.put("box/a", BYTES);
  return box;
}

/** Takes the copy of a slot off the record and its node, as if it had never been made. */
async function loseSlot(gateway: InMemoryGateway, key = "a", slot = 1): Promise<void> {
  const { node, location } = await copyIn(gateway, key, slot);
  await changeSlot(gateway, key, slot, ({ domain }) => ({ state: "missing", domain }));
  await gateway.sweepPastGrace();
  assert.equal(node.store.blobs.has(location.key), false);
}

test("a missing copy is made in its own domain, from whichever copy can be read", async () => {
  const { gateway } = await openWithObject();
  await loseSlot(gateway);
  gateway.nodeDown((await copyIn(gateway, "a", 0)).node.name);
  await gateway.repair();
  await assertFullyRedundant(gateway);
  assert.ok(BYTES.equals((await copyIn(gateway, "a", 1)).bytes));
  assert.deepEqual(gateway.process.repairer.counts, { repaired: 1, failed: 0 });
});

test("a copy whose domain has no node to make it on waits until one is back, and costs no attempt", async () => {
  const { gateway } = await openWithObject();
  await loseSlot(gateway);
  gateway.nodeDown("d1-0");
  gateway.nodeDown("d1-1");
  const before = (await assertSound(gateway)).repairs;
  await gateway.repair();
  assert.deepEqual((await assertSound(gateway)).repairs, before);
  gateway.nodeUp("d1-1");
  await gateway.repair();
  await assertFullyRedundant(gateway);
  assert.equal((await slotsOf(gateway, "a"))[1], "ok d1 d1-1");
});

test("a hand-off copy moves home, and goes from where it was only after the home copy is on record", async () => {
  const { gateway, client } = await openBox({ nodesPerDomain: 2, policy: { domainChoice: "priority" } });
  gateway.nodeDown("d1-0");
  gateway.nodeDown("d1-1");
  await client.put("box/a", BYTES);
  const handedOff = await copyIn(gateway, "a", 1);
  assert.equal(handedOff.node.domain, "d0");
  gateway.nodeUp("d1-0");
  await gateway.repair();
  assert.deepEqual((await slotsOf(gateway, "a"))[1], "ok d1 d1-0");
  assert.ok(handedOff.node.store.blobs.has(handedOff.location.key), "it is kept for reads under way");
  await assertSound(gateway);
  await gateway.sweepPastGrace();
  assert.equal(copyCount(gateway), 2);
  await assertFullyRedundant(gateway);
});

test("a hand-off copy stays as long as its home does not take it", async () => {
  const { gateway, client } = await openBox({ nodesPerDomain: 2, policy: { domainChoice: "priority" } });
  gateway.nodeDown("d1-0");
  gateway.nodeDown("d1-1");
  await client.put("box/a", BYTES);
  gateway.nodeUp("d1-0");
  gateway.node("d1-0").control.hooks.put = () => Promise.reject(new NodeError("full", "no room"));
  await gateway.repair();
  assert.match((await slotsOf(gateway, "a"))[1] ?? "", /^handoff d1 d0/);
  assert.deepEqual(gateway.process.repairer.counts, { repaired: 0, failed: 1 });
  assert.deepEqual(await client.get("box/a"), BYTES);
});

test("a corrupt copy is replaced, and then deleted", async () => {
  const { gateway } = await openWithObject();
  const bad = await copyIn(gateway, "a", 1);
  await changeSlot(gateway, "a", 1, (slot) => ({ ...slot, state: "corrupt" }));
  await gateway.repair();
  const good = await copyIn(gateway, "a", 1);
  assert.notEqual(good.location.key, bad.location.key);
  assert.ok(BYTES.equals(good.bytes));
  await gateway.sweepPastGrace();
  assert.equal(bad.node.store.blobs.has(bad.location.key), false);
  await assertFullyRedundant(gateway);
});

test("an unverified copy is read whole: one that is right is good again, another is replaced", async () => {
  for (const what of ["good", "corrupt", "lost"] as const) {
    const { gateway } = await openWithObject();
    const copy = await copyIn(gateway, "a", 1);
    await changeSlot(gateway, "a", 1, (slot) => ({ ...slot, state: "unverified" }));
    if (what === "corrupt") await rot(gateway, "a", 1, BYTES.length - 1);
    if (what === "lost") copy.node.store.remove(copy.location.key);
    gateway.clock.advance(MINUTE_MS);
    await gateway.repair();
    if (what !== "good") {
      assert.match((await slotsOf(gateway, "a"))[1] ?? "", /^corrupt d1/);
      await gateway.repair();
    }
    const { blob } = await blobOf(gateway, "a");
    assert.equal(blob.slots[1]?.location?.key === copy.location.key, what === "good");
    assert.equal(blob.slots[1]?.verifiedAtMs, gateway.clock.nowMs());
    await assertFullyRedundant(gateway);
  }
});

test("an unverified copy whose node is away, or breaks off, stays unverified", async () => {
  const { gateway } = await openWithObject();
  const { node } = await copyIn(gateway, "a", 1);
  await changeSlot(gateway, "a", 1, (slot) => ({ ...slot, state: "unverified" }));
  gateway.nodeDown(node.name);
  await gateway.repair();
  assert.match((await slotsOf(gateway, "a"))[1] ?? "", /^unverified/);
  gateway.nodeUp(node.name);
  node.control.hooks.get = () => Promise.reject(new NodeError("timeout", "no answer"));
  await gateway.repair();
  assert.match((await slotsOf(gateway, "a"))[1] ?? "", /^unverified/);
  node.control.hooks = {};
  gateway.clock.advance(MINUTE_MS);
  await gateway.repair();
  await assertFullyRedundant(gateway);
});

test("a repair that fails is tried again after a minute, then after twice as long each time, up to an hour", async () => {
  const { gateway } = await openWithObject();
  await loseSlot(gateway);
  const sinceMs = [...(await assertSound(gateway)).repairs.values()][0]?.sinceMs;
  for (const name of ["d1-0", "d1-1"]) {
    gateway.node(name).control.hooks.put = () => Promise.reject(new NodeError("io", "the disk is broken"));
  }
  for (const [attempt, minutes] of [1, 2, 4, 8, 16, 32, 60, 60].entries()) {
    await gateway.repair();
    const [entry] = (await assertSound(gateway)).repairs.values();
    assert.equal(entry?.attempts, attempt + 1);
    assert.equal(entry?.notBeforeMs, gateway.clock.nowMs() + minutes * MINUTE_MS);
    assert.equal(entry?.sinceMs, sinceMs);
    const { failed } = gateway.process.repairer.counts;
    gateway.clock.advance(minutes * MINUTE_MS - 1_000);
    await gateway.repair();
    assert.equal(gateway.process.repairer.counts.failed, failed, "it was tried too soon");
    gateway.clock.advance(1_000);
  }
  for (const name of ["d1-0", "d1-1"]) gateway.node(name).control.hooks = {};
  await gateway.repair();
  await assertFullyRedundant(gateway);
});

test("what failed before is tried at once when a node is back, and what may still arrive is not", async () => {
  const { gateway, client } = await openWithObject();
  await loseSlot(gateway);
  const { control } = gateway.node("d1-0");
  gateway.nodeDown("d1-1");
  control.hooks.put = () => Promise.reject(new NodeError("io", "the disk is broken"));
  await gateway.repair();
  const late = Promise.withResolvers<void>();
  control.hooks.put = async (request, pass) => {
    await late.promise;
    return pass(request);
  };
  await gateway.whileTimePasses(client.put("box/late", BYTES));
  control.hooks = {};
  gateway.process.repairer.nodeCameBack();
  await gateway.repair();
  assert.equal((await slotsOf(gateway, "a"))[1], "ok d1 d1-0");
  assert.equal((await slotsOf(gateway, "late"))[1], "missing d1");
  late.resolve();
  await gateway.settle();
  await assertFullyRedundant(gateway);
});

test("what is on record of the other slots of a blob stays when the repair of one fails or succeeds", async () => {
  const { gateway } = await openWithObject();
  await loseSlot(gateway, "a", 1);
  await loseSlot(gateway, "a", 2);
  const failing = (): Promise<never> => Promise.reject(new NodeError("io", "the disk is broken"));
  for (const name of ["d2-0", "d2-1"]) gateway.node(name).control.hooks.put = failing;
  gateway.nodeDown("d1-0");
  gateway.nodeDown("d1-1");
  const entries = async (): Promise<(number | undefined)[][]> =>
    [...(await assertSound(gateway)).repairs.values()].map(({ sinceMs, attempts }) => [sinceMs, attempts]);
  const [first, second] = await entries();
  gateway.clock.advance(MINUTE_MS);
  await gateway.repair();
  assert.deepEqual(await entries(), [first, [second?.[0], 1]]);
  gateway.nodeUp("d1-0");
  await gateway.repair();
  assert.deepEqual(await entries(), [[second?.[0], 1]]);
});

test("the slots with the fewest good copies come first", async () => {
  const { gateway, client } = await openBox({ domains: 3, policy: { domainChoice: "priority" } });
  const keys = Array.from({ length: 12 }, (_, i) => `k${i}`);
  for (const key of keys) await client.put(`box/${key}`, patternBytes(1_000, 1));
  const poor = new Set<string>();
  for (const [index, key] of keys.entries()) {
    await changeSlot(gateway, key, 1, ({ domain }) => ({ state: "missing", domain }));
    if (index % 3 !== 2) continue;
    await changeSlot(gateway, key, 2, ({ domain }) => ({ state: "missing", domain }));
    poor.add((await blobOf(gateway, key)).blob.blobId);
  }
  const order: string[] = [];
  for (const { control } of gateway.nodes.values()) {
    control.hooks.put = (request, pass) => {
      order.push(request.header.blobId);
      return pass(request);
    };
  }
  await gateway.repair();
  assert.equal(order.length, 16);
  assert.deepEqual(new Set(order.slice(0, 2 * poor.size)), poor);
  await assertFullyRedundant(gateway);
});

test("a bad survivor is not copied: another is read, and where there is none the slot stays missing", async () => {
  const { gateway, client } = await openWithObject();
  await loseSlot(gateway);
  await rot(gateway, "a", 0, 300_000);
  await gateway.repair();
  assert.ok(BYTES.equals((await copyIn(gateway, "a", 1)).bytes));
  await gateway.quiesce();
  await assertFullyRedundant(gateway);

  await loseSlot(gateway, "a", 1);
  await rot(gateway, "a", 0, 300_000);
  await rot(gateway, "a", 2, 300_000);
  await gateway.repair();
  assert.equal((await slotsOf(gateway, "a"))[1], "missing d1");
  await assert.rejects(gateway.whileTimePasses(client.get("box/a")));
  assert.deepEqual((await audit(gateway)).orphans, []);
});

test("a copy of an object that goes while it is made is deleted again (I4)", async () => {
  for (const end of ["delete", "overwrite"] as const) {
    const { gateway, client } = await openWithObject();
    await loseSlot(gateway);
    for (const name of ["d1-0", "d1-1"]) {
      gateway.node(name).control.hooks.put = async (request, pass) => {
        gateway.node(name).control.hooks = {};
        const receipt = await pass(request);
        if (end === "delete") await client.delete("box/a");
        else await client.put("box/a", patternBytes(10, 2));
        return receipt;
      };
    }
    await gateway.repair();
    await assertSound(gateway);
    await gateway.quiesce();
    assert.equal(copyCount(gateway), end === "delete" ? 0 : 3);
  }
});

test("a copy that another came before, of the same slot, is deleted again", async () => {
  const { gateway } = await openWithObject();
  await loseSlot(gateway);
  const peer = await gateway.peer();
  let puts = 0;
  for (const name of ["d1-0", "d1-1"]) {
    gateway.node(name).control.hooks.put = async (request, pass) => {
      const receipt = await pass(request);
      if (++puts === 1) await peer.repairer.run(new AbortController().signal);
      return receipt;
    };
  }
  await gateway.repair();
  assert.equal(puts, 2);
  await assertFullyRedundant(gateway);
  await gateway.quiesce();
  assert.equal(copyCount(gateway), 3);
});

test("a repair that is told to stop leaves nothing behind, and counts as no failure", async () => {
  const { gateway, client } = await openBox({ segmentBytes: 64 * MIB, policy: { domainChoice: "priority" } });
  await client.put("box/a", patternBytes(4 * MIB, 1));
  await loseSlot(gateway);
  const stop = new AbortController();
  const { control } = gateway.node("d1-0");
  control.hooks.put = (request, pass) => {
    stop.abort();
    return pass(request);
  };
  await gateway.process.repairer.run(stop.signal);
  await turns();
  await gateway.settle();
  const [entry] = (await assertSound(gateway)).repairs.values();
  assert.equal(entry?.attempts, 0);
  assert.deepEqual(gateway.process.repairer.counts, { repaired: 0, failed: 0 });
  control.hooks = {};
  await gateway.repair();
  await assertFullyRedundant(gateway);
});

test("a repaired copy says on its node what every copy says", async () => {
  const { gateway } = await openWithObject();
  await loseSlot(gateway);
  await gateway.restart();
  const headers: BlobHeader[] = [];
  for (const name of ["d1-0", "d1-1"]) {
    gateway.node(name).control.hooks.put = (request, pass) => {
      headers.push(request.header);
      return pass(request);
    };
  }
  await gateway.repair();
  const { blobId } = (await blobOf(gateway, "a")).blob;
  const { clusterId, session } = gateway.process.catalog;
  assert.deepEqual(headers, [{ clusterId, blobId, session, length: BYTES.length }]);
  assert.ok((await copyIn(gateway, "a", 1)).location.key.startsWith(session.toString(16).padStart(8, "0")));
});

test("two slots of one domain that are repaired at the same time get their copies on different nodes", async () => {
  const { gateway, client } = await openBox({
    nodesPerDomain: 2,
    replicaCount: 2,
    policy: { domainChoice: "priority" },
  });
  await client.put("box/a", BYTES);
  await loseSlot(gateway, "a", 2);
  await loseSlot(gateway, "a", 3);
  await gateway.repair();
  await gateway.repair();
  await gateway.sweepPastGrace();
  await assertFullyRedundant(gateway);
});
