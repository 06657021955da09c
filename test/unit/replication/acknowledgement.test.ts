/** When a write is acknowledged, as what, and with which copies on record (I1, I2, I5). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeError } from "../../../src/nodes/storage-node.ts";
import { patternBytes } from "../../support/blobs.ts";
import { assertFullyRedundant, assertSound, audit } from "../../support/catalog-audit.ts";
import { type InMemoryGateway, turns } from "../../support/in-memory-gateway.ts";
import { assertCode } from "../../support/object-client.ts";
import { MIB, openBox } from "../../support/open-box.ts";
import { copyCount, slotsOf } from "../../support/slots.ts";

const HELD = Buffer.from(patternBytes(1_000, 1));
const STREAMED = Buffer.from(patternBytes(MIB, 2));

/** Puts on the node wait until the answer is called. */
function holdUp(gateway: InMemoryGateway, name: string): () => void {
  const gate = Promise.withResolvers<void>();
  gateway.node(name).control.hooks.put = async (request, pass) => {
    await gate.promise;
    return pass(request);
  };
  return gate.resolve;
}

/** Whether the promise is settled after all has run that can without time. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const end = (): void => {
    settled = true;
  };
  promise.then(end, end);
  await turns(30);
  return settled;
}

test("full: every slot has its copy, each in its own domain", async () => {
  for (const bytes of [HELD, STREAMED]) {
    const { gateway, client } = await openBox({ domains: 3, nodesPerDomain: 2, replicaCount: 2 });
    await client.put("box/a", bytes);
    assert.deepEqual(gateway.writes, ["full"]);
    await assertFullyRedundant(gateway);
    assert.equal(copyCount(gateway), 6);
    assert.equal(gateway.repairsWanted, 0);
  }
});

test("with two domains both are waited for, however long it takes", async () => {
  const { gateway, client } = await openBox();
  const release = holdUp(gateway, "d1-0");
  const put = client.put("box/a", HELD);
  gateway.clock.advance(3_600_000);
  assert.equal(await isSettled(put), false);
  release();
  await put;
  assert.deepEqual(gateway.writes, ["full"]);
});

test("quorum: two of three are enough, and the third is not waited for longer than a moment", async () => {
  for (const bytes of [HELD, STREAMED]) {
    const { gateway, client } = await openBox({ domains: 3, segmentBytes: 2 * MIB });
    const release = holdUp(gateway, "d1-0");
    const put = gateway.whileTimePasses(client.put("box/a", bytes));
    await put;
    assert.deepEqual(gateway.writes, ["quorum"]);
    assert.deepEqual((await slotsOf(gateway, "a")).sort(), ["missing d1", "ok d0 d0-0", "ok d2 d2-0"]);
    release();
    await gateway.settle();
    await assertFullyRedundant(gateway);
  }
});

test("a copy that is about to arrive when the quorum stands makes the write full", async () => {
  const { gateway, client } = await openBox({ domains: 3 });
  const release = holdUp(gateway, "d1-0");
  const put = client.put("box/a", HELD);
  await turns(30);
  gateway.clock.advance(5);
  release();
  await put;
  assert.deepEqual(gateway.writes, ["full"]);
});

test("quorum: a domain whose nodes all failed is missing on record in the same commit, and repair is asked to run", async () => {
  const { gateway, client } = await openBox({ domains: 3 });
  gateway.nodeFails("d2-0");
  await client.put("box/a", HELD);
  assert.deepEqual(gateway.writes, ["quorum"]);
  assert.deepEqual((await slotsOf(gateway, "a")).sort(), ["missing d2", "ok d0 d0-0", "ok d1 d1-0"]);
  assert.equal((await assertSound(gateway)).repairs.size, 1);
  assert.equal(gateway.repairsWanted, 1);
});

test("copies in one domain count once for the quorum", async () => {
  const { gateway, client } = await openBox({
    domains: 3,
    nodesPerDomain: 2,
    replicaCount: 2,
    policy: { degradedWrite: { enabled: false, minReplicas: 1, handoff: "none" } },
  });
  for (const name of ["d1-0", "d1-1", "d2-0", "d2-1"]) gateway.nodeFails(name);
  await assertCode(client.put("box/a", HELD), "not-enough-copies");
  gateway.nodeUp("d1-1");
  await client.put("box/a", HELD);
  assert.deepEqual(gateway.writes, ["no", "quorum"]);
});

test("a domain's next node stands in for one that fails, and the write is full", async () => {
  for (const bytes of [HELD, STREAMED]) {
    const { gateway, client } = await openBox({ nodesPerDomain: 2, segmentBytes: 2 * MIB });
    // Whichever of the two is asked first fails.
    for (const name of ["d1-0", "d1-1"]) {
      gateway.node(name).control.hooks.put = async () => {
        gateway.node(name === "d1-0" ? "d1-1" : "d1-0").control.hooks = {};
        throw new NodeError("io", "the disk is broken");
      };
    }
    await client.put("box/a", bytes);
    assert.deepEqual(gateway.writes, ["full"]);
    await gateway.settle();
    await assertFullyRedundant(gateway);
    assert.equal(copyCount(gateway), 2);
  }
});

test("degraded: one copy is taken only when no other node accepts writes, and the other slot is missing on record", async () => {
  for (const fail of ["nodeDown", "nodeFails"] as const) {
    const { gateway, client } = await openBox();
    gateway[fail]("d1-0");
    await client.put("box/a", HELD);
    assert.deepEqual(gateway.writes, ["degraded"]);
    assert.deepEqual((await slotsOf(gateway, "a")).sort(), ["missing d1", "ok d0 d0-0"]);
    assert.deepEqual(await client.get("box/a"), HELD);
    await assertSound(gateway);
  }
});

test("degraded: while two nodes accept writes there are two copies, one of them handed off", async () => {
  for (const bytes of [HELD, STREAMED]) {
    const { gateway, client } = await openBox({ nodesPerDomain: 2, segmentBytes: 2 * MIB });
    gateway.nodeDown("d1-0");
    gateway.nodeDown("d1-1");
    await client.put("box/a", bytes);
    assert.deepEqual(gateway.writes, ["degraded"]);
    const states = (await slotsOf(gateway, "a")).map((slot) => slot.replace(/-\d$/, "")).sort();
    assert.deepEqual(states, ["handoff d1 d0", "ok d0 d0"]);
    await assertSound(gateway);
  }
});

test("hand-off goes to another active domain first, then to standby, then into the same domain", async () => {
  const options = {
    domains: 3,
    nodesPerDomain: 2,
    standbyNodes: 1,
    policy: { factor: 2, domainChoice: "priority" },
  } as const;
  for (const [down, expected] of [
    [[], /^handoff d1 d2-\d$/],
    [["d2-0", "d2-1"], /^handoff d1 standby-0$/],
    [["d2-0", "d2-1", "standby-0"], /^handoff d1 d0-\d$/],
  ] as const) {
    const { gateway, client } = await openBox(options);
    for (const name of [...down, "d1-0", "d1-1"]) gateway.nodeDown(name);
    await client.put("box/a", HELD);
    assert.match((await slotsOf(gateway, "a"))[1] ?? "", expected);
    assert.equal(copyCount(gateway), 2);
    await assertSound(gateway);
  }
});

test("hand-off goes on to the next node when one fails", async () => {
  const { gateway, client } = await openBox({
    domains: 3,
    standbyNodes: 1,
    policy: { factor: 2, domainChoice: "priority" },
  });
  gateway.nodeFails("d1-0");
  gateway.nodeFails("d2-0");
  await client.put("box/a", HELD);
  assert.deepEqual(await slotsOf(gateway, "a"), ["ok d0 d0-0", "handoff d1 standby-0"]);
});

test("hand-off keeps to the scope that it is given", async () => {
  for (const [handoff, expected] of [
    ["active", "handoff d1 d2-0"],
    ["none", "missing d1"],
  ] as const) {
    const { gateway, client } = await openBox({
      domains: 3,
      standbyNodes: 1,
      policy: { factor: 2, domainChoice: "priority", degradedWrite: { enabled: true, minReplicas: 1, handoff } },
    });
    gateway.nodeDown("d1-0");
    await client.put("box/a", HELD);
    assert.deepEqual(await slotsOf(gateway, "a"), ["ok d0 d0-0", expected]);
    gateway.nodeDown("d2-0");
    await client.put("box/b", HELD);
    assert.deepEqual(await slotsOf(gateway, "b"), ["ok d0 d0-0", "missing d1"]);
  }
});

test("less than the policy's least is refused, and leaves nothing", async () => {
  for (const degradedWrite of [
    { enabled: false, minReplicas: 1, handoff: "any" },
    { enabled: true, minReplicas: 2, handoff: "any" },
  ] as const) {
    for (const bytes of [HELD, STREAMED]) {
      for (const fail of ["nodeDown", "nodeFails"] as const) {
        const { gateway, client } = await openBox({ policy: { degradedWrite }, segmentBytes: 2 * MIB });
        gateway[fail]("d1-0");
        await gateway.whileTimePasses(assertCode(client.put("box/a", bytes), "not-enough-copies"));
        assert.deepEqual(gateway.writes, ["no"]);
        await gateway.settle();
        assert.equal(gateway.node("d0-0").store.blobs.size, 0);
        await assertSound(gateway);
      }
    }
  }
});

test("a node that may hold a copy of a failed put gets its deletion, one that was never asked does not", async () => {
  for (const [kind, deletes] of [
    ["timeout", 1],
    ["unreachable", 1],
    ["io", 1],
    ["corrupt", 1],
    ["busy", 0],
    ["refused", 0],
  ] as const) {
    const { gateway, client } = await openBox({ domains: 3 });
    const { control } = gateway.node("d1-0");
    control.hooks.put = () => Promise.reject(new NodeError(kind, "a fault of the test"));
    await client.put("box/a", HELD);
    await gateway.settle();
    assert.equal(control.count("delete"), deletes, kind);
  }
});

test("a put that fails in a way that no node fails counts as a failure of its node", async () => {
  const { gateway, client } = await openBox({ domains: 3 });
  gateway.node("d1-0").control.hooks.put = () => Promise.reject(new TypeError("a bug"));
  await client.put("box/a", HELD);
  assert.deepEqual(gateway.writes, ["quorum"]);
});

test("no two copies of a blob share a node, whatever fails", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { gateway, client } = await openBox({
      domains: 3,
      nodesPerDomain: 2,
      replicaCount: 2,
      standbyNodes: 1,
      seed,
    });
    for (const { name } of gateway.nodes.values()) if (gateway.random.float() < 0.4) gateway.nodeFails(name);
    await gateway.whileTimePasses(client.put("box/a", HELD).catch(() => undefined));
    await gateway.settle();
    const { problems } = await audit(gateway);
    assert.deepEqual(problems, [], `seed ${seed}`);
  }
});
