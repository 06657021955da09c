/** Nodes that are gone: what was on them is on record as work, made anew where that can be, and never forgotten (I5). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeKey } from "../../../src/catalog/keys.ts";
import { forgetLeftNodes, removeNode } from "../../../src/cluster/change-nodes.ts";
import { silentLogger } from "../../../src/observability/logger.ts";
import { AbsentNodes } from "../../../src/replication/repair/absent-nodes.ts";
import { patternBytes } from "../../support/blobs.ts";
import { assertFullyRedundant, assertSound } from "../../support/catalog-audit.ts";
import type { InMemoryGateway } from "../../support/in-memory-gateway.ts";
import { openBox } from "../../support/open-box.ts";
import { slotsOf } from "../../support/slots.ts";

const BYTES = Buffer.from(patternBytes(600_000, 1));
const NEVER = new AbortController().signal;

function absentNodes(gateway: InMemoryGateway): AbsentNodes {
  const { catalog, ledger, members } = gateway.process;
  return new AbsentNodes({ catalog, ledger, members: () => members, clock: gateway.clock, logger: silentLogger });
}

test("the copies of a replaced node are made anew on another node of its domain", async () => {
  const { gateway, client } = await openBox({ nodesPerDomain: 2 });
  for (const key of ["a", "b", "c", "d", "e", "f"]) await client.put(`box/${key}`, BYTES);
  gateway.members.setState(gateway.node("d1-0").uuid, "replaced");
  const held = gateway.node("d1-0").store.blobs.size;
  assert.ok(held > 0, "the node holds none of the copies");
  const absent = absentNodes(gateway);
  assert.equal(await absent.run(NEVER), held);
  assert.equal(await absent.run(NEVER), 0, "they were put on record twice");
  assert.equal((await assertSound(gateway)).repairs.size, held);
  await gateway.repair();
  await assertFullyRedundant(gateway);
  for (const key of ["a", "f"]) assert.ok((await client.get(`box/${key}`)).equals(BYTES));
});

test("where no other node of the domain is there they wait, and are checked when the node comes back with them", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  const { uuid } = gateway.node("d1-0");
  gateway.members.setState(uuid, "replaced");
  await absentNodes(gateway).run(NEVER);
  await gateway.repair();
  assert.deepEqual(await slotsOf(gateway, "a"), ["ok d0 d0-0", "unverified d1 d1-0"]);
  gateway.members.setState(uuid, "online");
  await gateway.repair();
  assert.deepEqual(await slotsOf(gateway, "a"), ["ok d0 d0-0", "ok d1 d1-0"]);
  await assertFullyRedundant(gateway);
});

test("what is committed on a node after its copies were gone through is found later", async () => {
  const { gateway, client } = await openBox();
  const { uuid } = gateway.node("d1-0");
  const absent = absentNodes(gateway);
  gateway.members.setState(uuid, "replaced");
  assert.equal(await absent.run(NEVER), 0);
  gateway.members.setState(uuid, "online");
  await client.put("box/late", BYTES);
  gateway.members.setState(uuid, "replaced");
  assert.equal(await absent.run(NEVER), 0);
  gateway.clock.advance(300_000);
  assert.equal(await absent.run(NEVER), 1);
  assert.deepEqual(await slotsOf(gateway, "late"), ["ok d0 d0-0", "unverified d1 d1-0"]);
});

test("a node that is only away is left alone", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  gateway.members.setState(gateway.node("d1-0").uuid, "degraded");
  assert.equal(await absentNodes(gateway).run(NEVER), 0);
});

test("of a node that was given up the copies are missing, but for those that are the last ones; then its record goes", async () => {
  const { gateway, client } = await openBox({ nodesPerDomain: 2 });
  for (const key of ["a", "b", "c", "d", "e", "f"]) await client.put(`box/${key}`, BYTES);
  const { uuid, store } = gateway.node("d1-0");
  const held = store.blobs.size;
  assert.ok(held > 0, "the node holds none of the copies");
  await removeNode(gateway.process.catalog, "d1-0", { lost: true });
  gateway.members.remove(uuid);
  const absent = absentNodes(gateway);
  // While the other domain is away, too, they are the last ones.
  for (const name of ["d0-0", "d0-1"]) gateway.members.setState(gateway.node(name).uuid, "replaced");
  assert.equal(await absent.run(NEVER), 12 - (6 - held));
  for (const name of ["d0-0", "d0-1"]) gateway.members.setState(gateway.node(name).uuid, "online");
  await gateway.repair();
  await forgetLeftNodes(gateway.process.catalog);
  gateway.clock.advance(300_000);
  await absent.run(NEVER);
  await gateway.repair();
  await gateway.sweepPastGrace();
  await forgetLeftNodes(gateway.process.catalog);
  assert.equal(await gateway.kv.get(nodeKey(uuid)), undefined);
  for (const key of ["a", "f"]) assert.ok((await client.get(`box/${key}`)).equals(BYTES));
  assert.ok(
    (await Promise.all(["a", "b", "c", "d", "e", "f"].map((key) => slotsOf(gateway, key))))
      .flat()
      .every((slot) => slot.startsWith("ok ")),
  );
});
