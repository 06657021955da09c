/** Promotions in the catalog, and what they do to copies (P2, P6 to P9 of docs/operations/standby-promotion.md). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { appliedFileKey } from "../../../../src/catalog/keys.ts";
import type { ConfiguredNode, ConfiguredTopology } from "../../../../src/cluster/configured-topology.ts";
import { promoteNode, StaleEpochError } from "../../../../src/cluster/promotion/change-promotion.ts";
import {
  PROMOTION_EVENTS,
  PROMOTION_STATES,
  PROMOTION_TABLE,
  promotionStateOf,
} from "../../../../src/cluster/promotion/promotion-state.ts";
import { TopologyChangeError } from "../../../../src/cluster/topology-change-error.ts";
import { decodeFile } from "../../../../src/cluster/topology-records.ts";
import { applyConfiguration, loadTopology } from "../../../../src/cluster/topology-store.ts";
import { silentLogger } from "../../../../src/observability/logger.ts";
import { DemotedNodes } from "../../../../src/replication/repair/demoted-nodes.ts";
import { idSource } from "../../../../src/shared/ids.ts";
import { promoterOf } from "../../../support/admin-context.ts";
import { patternBytes } from "../../../support/blobs.ts";
import { assertFullyRedundant, assertSound } from "../../../support/catalog-audit.ts";
import type { InMemoryGateway } from "../../../support/in-memory-gateway.ts";
import { type Box, openBox } from "../../../support/open-box.ts";
import { changeSlot, copyIn, slotsOf } from "../../../support/slots.ts";

const BYTES = Buffer.from(patternBytes(300_000, 1));
const NEVER = new AbortController().signal;

/** Domains d0 and d1 of one node each, two nodes on standby. */
const openWithStandby = (): Promise<Box> => openBox({ standbyNodes: 2, policy: { domainChoice: "priority" } });

async function stateOf(gateway: InMemoryGateway, name: string): Promise<string> {
  const records = (await loadTopology(gateway.kv))?.records.values() ?? [];
  const record = [...records].find((each) => each.name === name);
  return record === undefined ? "none" : `${promotionStateOf(record)} ${record.domain} ${record.homeDomain}`;
}

/** The gateway goes by what the catalog says now. */
async function promote(gateway: InMemoryGateway, node: string, domain: string): Promise<void> {
  await promoterOf(gateway).promote(domain, node);
  await gateway.restart();
}

async function demote(gateway: InMemoryGateway, node: string): Promise<void> {
  await promoterOf(gateway).demote(node);
  await gateway.restart();
}

async function empty(gateway: InMemoryGateway): Promise<number> {
  const { catalog, ledger } = gateway.process;
  return await new DemotedNodes({ catalog, ledger, logger: silentLogger }).run(NEVER);
}

test("the table says of every state what every event does", () => {
  for (const state of PROMOTION_STATES) {
    for (const event of PROMOTION_EVENTS) {
      const step = PROMOTION_TABLE[state][event];
      assert.ok("to" in step ? PROMOTION_STATES.includes(step.to) : step.refused.length > 0, `${state} ${event}`);
    }
  }
});

test("P2, P7 a promotion is one commit under a new epoch, and survives restarts with the same configuration (G10)", async () => {
  const { gateway } = await openWithStandby();
  const before = (await loadTopology(gateway.kv))?.topology.epoch ?? assert.fail();
  await promote(gateway, "standby-1", "d1");
  assert.equal(await stateOf(gateway, "standby-1"), "promoted d1 standby");
  assert.equal(gateway.members.topology.epoch, before + 1);
  for (let times = 0; times < 3; times++) await gateway.restart();
  assert.equal(await stateOf(gateway, "standby-1"), "promoted d1 standby");
  assert.equal(gateway.members.topology.epoch, before + 1, "a restart changes nothing");
});

test("P1 what is no standby node, no active domain, not healthy or promoted already is refused", async () => {
  const { gateway } = await openWithStandby();
  const refused = async (attempt: Promise<unknown>, kind: "refused" | "unknown"): Promise<void> => {
    await assert.rejects(attempt, (error) => error instanceof TopologyChangeError && error.kind === kind);
  };
  const promoter = promoterOf(gateway);
  await refused(promoter.promote("d1", "d0-0"), "refused");
  await refused(promoter.promote("standby", "standby-0"), "refused");
  await refused(promoter.promote("nowhere"), "unknown");
  await refused(promoter.promote("d1", "nobody"), "unknown");
  await refused(promoter.demote("standby-0"), "refused");
  gateway.nodeDown("standby-0");
  await refused(promoter.promote("d1", "standby-0"), "refused");
  assert.equal(await promoter.promote("d1"), "standby-1");
  await refused(promoterOf(gateway).promote("d0", "standby-1"), "refused");
});

test("P6 a decision that was made under an older epoch is not committed", async () => {
  const { gateway } = await openWithStandby();
  const { catalog } = gateway.process;
  const { epoch } = gateway.members.topology;
  await promoteNode(catalog, { node: "standby-0", domain: "d0", epoch });
  await assert.rejects(promoteNode(catalog, { node: "standby-1", domain: "d1", epoch }), StaleEpochError);
  assert.equal(await stateOf(gateway, "standby-1"), "standby standby standby");
});

test("P6 a copy that a gateway with an older epoch made on a node is not pointed to when that node serves another domain", async () => {
  const { gateway, client } = await openWithStandby();
  await promote(gateway, "standby-0", "d1");
  await client.put("box/a", BYTES);
  await changeSlot(gateway, "a", 1, ({ domain }) => ({ state: "missing", domain }));
  gateway.nodeDown("d1-0");
  // The node is demoted while a repair copies to it, and this gateway does not know.
  gateway.node("standby-0").control.hooks.put = async (request, pass) => {
    const receipt = await pass(request);
    gateway.nodeUp("d1-0");
    await promoterOf(gateway).demote("standby-0");
    gateway.nodeDown("d1-0");
    return receipt;
  };
  await gateway.repair();
  assert.equal((await slotsOf(gateway, "a"))[1], "missing d1");
  gateway.node("standby-0").control.hooks = {};
  await gateway.restart();
  gateway.nodeUp("d1-0");
  await gateway.repair();
  assert.equal((await slotsOf(gateway, "a"))[1], "ok d1 d1-0");
  await assertFullyRedundant(gateway);
});

test("P6 a write that was planned before a promotion is planned anew", async () => {
  const { gateway, client } = await openWithStandby();
  gateway.nodeDown("d1-0");
  let promoted = false;
  for (const name of ["standby-0", "standby-1"]) {
    gateway.node(name).control.hooks.put = async (request, pass) => {
      if (!promoted) {
        promoted = true;
        await promoterOf(gateway).promote("d0", name);
      }
      return await pass(request);
    };
  }
  await client.put("box/a", BYTES);
  assert.equal(promoted, true);
  await gateway.restart();
  assert.deepEqual(await client.get("box/a"), BYTES);
  await assertSound(gateway);
});

test("P8 two copies never lie on nodes of one home domain, though the domains that these serve are two", async () => {
  const { gateway, client } = await openWithStandby();
  await promote(gateway, "standby-0", "d0");
  await promote(gateway, "standby-1", "d1");
  gateway.nodeDown("d0-0");
  gateway.nodeDown("d1-0");
  await client.put("box/a", BYTES);
  await gateway.repair();
  const [first, second] = await slotsOf(gateway, "a");
  assert.ok(!(first?.startsWith("ok") === true && second?.startsWith("ok") === true), `${first}, ${second}`);
  gateway.nodeUp("d1-0");
  await gateway.repair();
  await gateway.quiesce();
  assert.deepEqual(await slotsOf(gateway, "a"), ["ok d0 standby-0", "ok d1 d1-0"]);
});

test("a hand-off copy on a node that is promoted to its domain is checked and stays where it is", async () => {
  const { gateway, client } = await openWithStandby();
  gateway.nodeDown("d1-0");
  await client.put("box/a", BYTES);
  const handedOff = await copyIn(gateway, "a", 1);
  assert.match(handedOff.node.name, /^standby/);
  await promote(gateway, handedOff.node.name, "d1");
  await gateway.repair();
  assert.equal((await slotsOf(gateway, "a"))[1], `ok d1 ${handedOff.node.name}`);
  assert.equal((await copyIn(gateway, "a", 1)).location.key, handedOff.location.key);
});

test("P9 a demoted node keeps each copy until there is one where it belongs, and then stands by again, empty", async () => {
  const { gateway, client } = await openWithStandby();
  gateway.nodeDown("d1-0");
  await promote(gateway, "standby-0", "d1");
  for (const key of ["a", "b", "c"]) await client.put(`box/${key}`, BYTES);
  await gateway.repair();
  assert.equal((await slotsOf(gateway, "a"))[1], "ok d1 standby-0");
  await assert.rejects(promoterOf(gateway).demote("standby-0"), /nowhere to move/);
  gateway.nodeUp("d1-0");
  await demote(gateway, "standby-0");
  assert.equal(await stateOf(gateway, "standby-0"), "demoting standby standby");
  assert.equal(await empty(gateway), 3);
  assert.equal((await slotsOf(gateway, "a"))[1], "handoff d1 standby-0");
  await assertSound(gateway);
  assert.deepEqual(await client.get("box/a"), BYTES);
  gateway.node("d1-0").control.hooks.put = () => Promise.reject(new Error("not now"));
  await gateway.repair();
  await gateway.restart();
  assert.equal(await empty(gateway), 0);
  assert.equal(await stateOf(gateway, "standby-0"), "demoting standby standby", "its copies are not moved yet");
  assert.equal(gateway.node("standby-0").store.blobs.size, 3);
  gateway.node("d1-0").control.hooks = {};
  await gateway.quiesce();
  await assertFullyRedundant(gateway);
  assert.equal((await slotsOf(gateway, "a"))[1], "ok d1 d1-0");
  assert.equal(gateway.node("standby-0").store.blobs.size, 0);
  await empty(gateway);
  assert.equal(await stateOf(gateway, "standby-0"), "standby standby standby");
});

test("P9 a node that is promoted again while it is demoted keeps its copies, as those of the domain that they are of", async () => {
  const { gateway, client } = await openWithStandby();
  gateway.nodeDown("d1-0");
  await promote(gateway, "standby-0", "d1");
  await client.put("box/a", BYTES);
  gateway.nodeUp("d1-0");
  await demote(gateway, "standby-0");
  await empty(gateway);
  gateway.nodeDown("d1-0");
  await promote(gateway, "standby-0", "d1");
  const { location } = await copyIn(gateway, "a", 1);
  await gateway.repair();
  assert.equal((await slotsOf(gateway, "a"))[1], "ok d1 standby-0");
  assert.equal((await copyIn(gateway, "a", 1)).location.key, location.key);
});

test("the promoter looks, promotes under the epoch that it looked at, and tells of it", async () => {
  const { gateway } = await openWithStandby();
  const told: string[] = [];
  const promoter = promoterOf(gateway, {
    onPromoted: (uuid, domain) => void told.push(`${gateway.nodeOf(uuid).name} to ${domain}`),
  });
  gateway.nodeDown("d1-0");
  await promoter.run(NEVER);
  assert.deepEqual(told, []);
  gateway.clock.advance(60_000);
  await promoter.run(NEVER);
  assert.deepEqual(told, ["standby-0 to d1"]);
  assert.equal(await stateOf(gateway, "standby-0"), "promoted d1 standby");
  // This process still goes by the topology before: what it decides under that is not committed.
  gateway.clock.advance(600_000);
  await promoter.run(NEVER);
  assert.equal(await stateOf(gateway, "standby-1"), "standby standby standby");
});

test("P7 a changed configuration file leaves a promotion and a demotion as they are, unless it gives the node another home", async () => {
  const { gateway } = await openWithStandby();
  const { catalog } = gateway.process;
  const ids = idSource(gateway.clock, gateway.random);
  const fileWith = async (change: Partial<ConfiguredNode>): Promise<ConfiguredTopology> => {
    const file = decodeFile((await catalog.kv.get(appliedFileKey()))?.value ?? assert.fail("no file was applied"));
    const nodes = file.nodes.map((node) => (node.name === "standby-0" ? { ...node, ...change } : node));
    return { ...file, nodes };
  };
  await promote(gateway, "standby-0", "d1");
  await applyConfiguration(gateway.process.catalog, await fileWith({ weight: 50 }), ids);
  assert.equal(await stateOf(gateway, "standby-0"), "promoted d1 standby");
  await promoterOf(gateway).demote("standby-0");
  await applyConfiguration(gateway.process.catalog, await fileWith({ weight: 60 }), ids);
  assert.equal(await stateOf(gateway, "standby-0"), "demoting standby standby");
  await promoteNode(gateway.process.catalog, { node: "standby-0", domain: "d1" });
  await applyConfiguration(gateway.process.catalog, await fileWith({ domain: "d0" }), ids);
  assert.equal(await stateOf(gateway, "standby-0"), "standby d0 d0", "it is a node of d0 as any other");
});
