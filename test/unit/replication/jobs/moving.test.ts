/** The jobs that move copies: what moves, what does not, and that nothing is lost on the way. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Location, Slot } from "../../../../src/catalog/records/blob.ts";
import { setNode } from "../../../../src/cluster/change-nodes.ts";
import { withSurplus } from "../../../../src/replication/surplus.ts";
import { copyKey, patternBytes } from "../../../support/blobs.ts";
import { assertFullyRedundant, assertSound } from "../../../support/catalog-audit.ts";
import type { InMemoryGateway } from "../../../support/in-memory-gateway.ts";
import { closeNode, heldBy, openJobs, setAccepting } from "../../../support/jobs.ts";
import { type Box, openBox } from "../../../support/open-box.ts";
import { blobOf, changeSlot, rot, slotsOf } from "../../../support/slots.ts";

const KEYS = Array.from({ length: 60 }, (_, at) => `k${at}`);

function bodyOf(key: string): Buffer {
  return Buffer.from(patternBytes(1_000 + Number(key.slice(1)), Number(key.slice(1))));
}

/** Objects written while d0-1 took no copies; now it does. */
async function openWithNewNode(): Promise<Box> {
  const box = await openBox({ nodesPerDomain: 2 });
  closeNode(box.gateway, "d0-1");
  for (const key of KEYS) await box.client.put(`box/${key}`, bodyOf(key));
  assert.equal(heldBy(box.gateway, "d0-1"), 0);
  setAccepting(box.gateway, "d0-1", true);
  return box;
}

async function assertReadable({ client }: Box): Promise<void> {
  for (const key of KEYS) assert.ok((await client.get(`box/${key}`)).equals(bodyOf(key)), key);
}

/** Where the plan of each blob puts its copy in d0. */
async function assertAtHome(gateway: InMemoryGateway): Promise<number> {
  const contents = await assertSound(gateway);
  let onNew = 0;
  for (const { content } of contents.versions.values()) {
    if (content.kind !== "inline") continue;
    const plan = gateway.members.placement.plan({ key: content.blob.blobId, writable: () => true });
    const home = plan.slots.find(({ domain }) => domain === "d0")?.candidates[0];
    const slot = content.blob.slots.find(({ domain, state }) => domain === "d0" && state === "ok");
    assert.equal(slot?.location?.nodeUuid, home);
    if (home === gateway.node("d0-1").uuid) onNew += 1;
  }
  return onNew;
}

test("a rebalance moves to a new node what the ring assigns to it, and nothing else", async () => {
  const box = await openWithNewNode();
  const { gateway } = box;
  await using jobs = openJobs(gateway);
  const before = await Promise.all(KEYS.map((key) => slotsOf(gateway, key)));
  const job = await jobs.run({ kind: "REBALANCE_TO_NEW", subject: { node: "d0-1" } });
  assert.equal(job.state, "done");
  const onNew = await assertAtHome(gateway);
  assert.ok(onNew > 10 && onNew < 50, `${onNew} of ${KEYS.length}`);
  assert.deepEqual(
    { ...job.counts, bytes: 0 },
    { considered: 60, moved: onNew, skipped: 60 - onNew, failed: 0, bytes: 0 },
  );
  const after = await Promise.all(KEYS.map((key) => slotsOf(gateway, key)));
  for (const [at, slots] of after.entries()) assert.equal(slots[1], before[at]?.[1], "a copy of another domain moved");
  await assertReadable(box);
  await gateway.sweepPastGrace();
  await assertFullyRedundant(gateway);
  assert.equal(heldBy(gateway, "d0-1"), onNew);
  assert.equal(heldBy(gateway, "d0-0"), KEYS.length - onNew);
});

test("a rebalance that waits for a node ends when the configuration does not name that node any more", async () => {
  const { gateway } = await openWithNewNode();
  gateway.nodeDown("d0-1");
  await using jobs = openJobs(gateway);
  const { view } = await jobs.jobs.submit({
    ...{ kind: "REBALANCE_TO_NEW", subject: { node: "d0-1" } },
    ...{ cause: "a test", askedBy: "a test" },
  });
  await jobs.until(view.job.id, ({ detail }) => detail === "waiting for the node to take copies");
  // It stays on record as long as copies may be on it.
  gateway.members.remove(gateway.node("d0-1").uuid);
  const job = await jobs.until(view.job.id, ({ state }) => state !== "running");
  assert.deepEqual([job.state, job.detail], ["cancelled", "the node is no member any more"]);
});

test("no copy is put on record on a node that was changed since it was planned, by a process that does not know yet", async () => {
  const box = await openWithNewNode();
  const { gateway } = box;
  await using jobs = openJobs(gateway);
  // Another gateway closed it; this one still goes by the topology of before.
  await setNode(gateway.process.catalog, "d0-1", { acceptsWrites: false });
  const job = await jobs.run({ kind: "REBALANCE_TO_NEW", subject: { node: "d0-1" } });
  assert.deepEqual([job.state, job.counts.moved], ["done-with-failures", 0]);
  const reasons = (await jobs.jobs.failures(job.id)).map(({ reason }) => reason);
  const why = "the node that was to take the copy was changed in the topology meanwhile";
  assert.deepEqual(new Set(reasons), new Set([why]));
  assert.equal(heldBy(gateway, "d0-1"), 0);
  await assertReadable(box);
  await assertFullyRedundant(gateway);
});

test("without clean-up the source stays as surplus, is served, and goes with its object", async () => {
  const box = await openWithNewNode();
  const { gateway, client } = box;
  await using jobs = openJobs(gateway, { cleanupSource: false });
  const { counts } = await jobs.run({ kind: "REBALANCE_TO_NEW", subject: { node: "d0-1" } });
  await gateway.sweepPastGrace();
  await assertSound(gateway);
  assert.equal(heldBy(gateway, "d0-0"), KEYS.length);
  const moved = [];
  for (const key of KEYS) if ((await slotsOf(gateway, key)).length === 3) moved.push(key);
  assert.equal(moved.length, counts.moved);
  const [first = ""] = moved;
  assert.deepEqual((await slotsOf(gateway, first)).at(-1), "surplus d0 d0-0");
  gateway.nodeDown("d0-1");
  gateway.nodeDown("d1-0");
  gateway.nodeDown("d1-1");
  assert.ok((await client.get(`box/${first}`)).equals(bodyOf(first)), "the surplus copy is not served");
  for (const name of ["d0-1", "d1-0", "d1-1"]) gateway.nodeUp(name);
  for (const key of KEYS) await client.delete(`box/${key}`);
  await gateway.quiesce();
  for (const { name, store } of gateway.nodes.values()) assert.equal(store.blobs.size, 0, name);
});

test("a copy that goes back to where a surplus one is left takes its place, and moves no byte", async () => {
  const box = await openWithNewNode();
  const { gateway } = box;
  await using jobs = openJobs(gateway, { cleanupSource: false, meanwhile: () => gateway.sweep() });
  const { counts } = await jobs.run({ kind: "REBALANCE_TO_NEW", subject: { node: "d0-1" } });
  const sent = jobs.asked.bytes;
  const { state } = await jobs.run({ kind: "DRAIN", subject: { node: "d0-1" } });
  assert.equal(state, "done");
  assert.equal(jobs.asked.bytes, sent);
  for (const key of KEYS) assert.deepEqual((await slotsOf(gateway, key)).length, 2);
  assert.ok(counts.moved > 0);
  await assertSound(gateway);
});

test("a copy is not moved to a node that came to hold a surplus copy of its blob since the plan", async () => {
  const box = await openWithNewNode();
  const { gateway } = box;
  const { control, uuid } = gateway.node("d0-1");
  let doubled = 0;
  control.hooks.put = async (request, pass) => {
    for (const key of KEYS) {
      const { blob, home } = await blobOf(gateway, key);
      if (blob.blobId !== request.header.blobId) continue;
      const surplus: Slot & { location: Location } = {
        ...{ state: "surplus", domain: "d0" },
        location: { nodeUuid: uuid, key: copyKey(1, gateway.random) },
      };
      await gateway.process.ledger.change(blob.blobId, home, ({ blob: { slots } }) => ({
        slots: withSurplus(slots, surplus),
      }));
      doubled += 1;
    }
    return pass(request);
  };
  await using jobs = openJobs(gateway);
  const { counts } = await jobs.run({ kind: "REBALANCE_TO_NEW", subject: { node: "d0-1" } });
  assert.ok(doubled > 0);
  assert.equal(counts.moved, 0);
  for (const key of KEYS) assert.equal((await slotsOf(gateway, key))[0], "ok d0 d0-0");
});

test("a slot that wants repair takes the surplus copy of its domain", async () => {
  const { box, key } = await openWithSurplus();
  const { gateway } = box;
  await changeSlot(gateway, key, 0, (slot) => ({ ...slot, state: "corrupt" }));
  await gateway.repair();
  assert.deepEqual(await slotsOf(gateway, key), ["ok d0 d0-0", (await slotsOf(gateway, key))[1]]);
  await assertSound(gateway);
});

test("a slot that wants repair gets a copy in the place of a bad surplus one, where no other node is left (seed 1)", async () => {
  const { box, key } = await openWithSurplus();
  const { gateway } = box;
  await rot(gateway, key, 2);
  await changeSlot(gateway, key, 0, (slot) => ({ ...slot, state: "corrupt" }));
  closeNode(gateway, "d0-1");
  await gateway.repair();
  assert.deepEqual(await slotsOf(gateway, key), ["ok d0 d0-0", (await slotsOf(gateway, key))[1]]);
  await assertSound(gateway);
  gateway.nodeDown("d1-0");
  gateway.nodeDown("d1-1");
  assert.ok((await box.client.get(`box/${key}`)).equals(bodyOf(key)));
});

test("a surplus copy that turns out bad is dropped, and not made anew", async () => {
  const { box, key } = await openWithSurplus();
  const { gateway } = box;
  await rot(gateway, key, 2);
  const { blob } = await blobOf(gateway, key);
  const location = blob.slots[2]?.location ?? assert.fail();
  await gateway.process.repairer.recordDamage({ blobId: blob.blobId, slot: 2, location, kind: "corrupt" });
  assert.equal((await slotsOf(gateway, key)).length, 2);
  await gateway.repair();
  assert.equal((await slotsOf(gateway, key)).length, 2);
});

/** An object whose slot in d0 moved to d0-1, and whose surplus copy stayed on d0-0. */
async function openWithSurplus(): Promise<{ box: Box; key: string }> {
  const box = await openWithNewNode();
  await using jobs = openJobs(box.gateway, { cleanupSource: false });
  await jobs.run({ kind: "REBALANCE_TO_NEW", subject: { node: "d0-1" } });
  for (const key of KEYS) if ((await slotsOf(box.gateway, key)).length === 3) return { box, key };
  return assert.fail("no object has a surplus copy");
}

test("a drained node ends empty, its copies in the same domain, while a client writes", async () => {
  const box = await openBox({ nodesPerDomain: 3 });
  const { gateway, client } = box;
  for (const key of KEYS.slice(0, 30)) await client.put(`box/${key}`, bodyOf(key));
  const rest = KEYS.slice(30);
  await using jobs = openJobs(gateway, {
    async meanwhile() {
      const key = rest.shift();
      if (key !== undefined) await client.put(`box/${key}`, bodyOf(key));
      await gateway.sweep();
    },
  });
  const held = heldBy(gateway, "d0-1");
  assert.ok(held > 0);
  const job = await jobs.run({ kind: "DRAIN", subject: { node: "d0-1" } });
  assert.equal(job.state, "done", String(job.detail));
  assert.equal(job.counts.moved, held);
  assert.equal(heldBy(gateway, "d0-1"), 0);
  for (const key of rest) await client.put(`box/${key}`, bodyOf(key));
  await assertReadable(box);
  await gateway.sweepPastGrace();
  await assertFullyRedundant(gateway);
});

test("a domain is drained into another one, and its old nodes end empty", async () => {
  const box = await openBox({ domains: 3, nodesPerDomain: 2, policy: { factor: 2 } });
  const { gateway, client } = box;
  for (const name of ["d2-0", "d2-1"]) closeNode(gateway, name);
  for (const key of KEYS) await client.put(`box/${key}`, bodyOf(key));
  for (const name of ["d2-0", "d2-1"]) setAccepting(gateway, name, true);
  await using jobs = openJobs(gateway, { meanwhile: () => gateway.sweep() });
  const job = await jobs.run({ kind: "DRAIN", subject: { domain: "d0" }, toDomain: "d2" });
  assert.equal(job.state, "done", String(job.detail));
  for (const name of ["d0-0", "d0-1"]) assert.equal(heldBy(gateway, name), 0);
  for (const key of KEYS) {
    const domains = (await slotsOf(gateway, key)).map((slot) => slot.split(" ")[1]);
    assert.deepEqual(new Set(domains), new Set(["d1", "d2"]));
  }
  await assertReadable(box);
  await assertFullyRedundant(gateway);
});

test("copies that have nowhere to go stay, and the drain says so", async () => {
  const box = await openBox({ policy: { degradedWrite: { enabled: true, minReplicas: 1, handoff: "none" } } });
  const { gateway, client } = box;
  for (const key of KEYS.slice(0, 5)) await client.put(`box/${key}`, bodyOf(key));
  await using jobs = openJobs(gateway, { meanwhile: () => gateway.sweep() });
  const job = await jobs.run({ kind: "DRAIN", subject: { node: "d0-0" } });
  assert.equal(job.state, "done-with-failures");
  assert.equal(job.counts.failed, 5);
  assert.equal(job.detail, "5 copies are left on it");
  const failures = await jobs.jobs.failures(job.id);
  assert.deepEqual(new Set(failures.map(({ reason }) => reason)), new Set(["no other node can take the copy now"]));
  await assertFullyRedundant(gateway);
});

test("where the domain has no other node the copies are handed off, and never fewer than before", async () => {
  const box = await openBox({ standbyNodes: 1 });
  const { gateway, client } = box;
  for (const key of KEYS.slice(0, 5)) await client.put(`box/${key}`, bodyOf(key));
  await using jobs = openJobs(gateway, { meanwhile: () => gateway.sweep() });
  const job = await jobs.run({ kind: "DRAIN", subject: { node: "d0-0" } });
  assert.equal(job.state, "done", String(job.detail));
  for (const key of KEYS.slice(0, 5)) {
    assert.deepEqual(await slotsOf(gateway, key), ["handoff d0 standby-0", "ok d1 d1-0"]);
  }
  assert.equal(heldBy(gateway, "d0-0"), 0);
});

test("slots of a drained domain whose copies are elsewhere, or nowhere, go with it to another domain", async () => {
  const box = await openBox({ domains: 3, nodesPerDomain: 2, policy: { factor: 2, domainChoice: "priority" } });
  const { gateway, client } = box;
  for (const name of ["d0-0", "d0-1", "d2-0", "d2-1"]) gateway.nodeDown(name);
  for (const key of KEYS.slice(0, 3)) await client.put(`box/${key}`, bodyOf(key));
  assert.match((await slotsOf(gateway, "k0")).join(), /handoff d0 d1-/);
  await changeSlot(gateway, "k1", 0, ({ domain }) => ({ state: "missing", domain }));
  for (const name of ["d2-0", "d2-1"]) gateway.nodeUp(name);
  await using jobs = openJobs(gateway, { meanwhile: () => gateway.sweep() });
  const job = await jobs.run({ kind: "DRAIN", subject: { domain: "d0" }, toDomain: "d2" });
  assert.equal(job.state, "done", String(job.detail));
  await gateway.repair();
  for (const key of KEYS.slice(0, 3)) {
    const slots = (await slotsOf(gateway, key)).map((slot) => slot.split(" ").slice(0, 2).join(" "));
    assert.deepEqual(slots, ["ok d2", "ok d1"], key);
  }
});

test("a surplus copy stays on a node that is drained while the copy that is wanted cannot be read", async () => {
  const { box, key } = await openWithSurplus();
  const { gateway } = box;
  await using jobs = openJobs(gateway, { cleanupSource: false, meanwhile: () => gateway.sweep() });
  gateway.nodeDown("d0-1");
  const { state } = await jobs.run({ kind: "DRAIN", subject: { node: "d0-0" } });
  assert.equal(state, "done-with-failures");
  assert.equal((await slotsOf(gateway, key))[2], "surplus d0 d0-0");
});
