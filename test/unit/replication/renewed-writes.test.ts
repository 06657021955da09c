/**
 * The topology changes between the moment that a write's copies are durable and its commit: what the commit enters, and
 * that the request does not fail.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isNodeKey, nodeKey } from "../../../src/catalog/keys.ts";
import { setNode } from "../../../src/cluster/change-nodes.ts";
import { patternBytes } from "../../support/blobs.ts";
import { assertSound, liveBlobs, readCatalog } from "../../support/catalog-audit.ts";
import type { GatewayOptions, InMemoryGateway } from "../../support/in-memory-gateway.ts";
import { assertCode } from "../../support/object-client.ts";
import { type Box, MIB, once, openBox } from "../../support/open-box.ts";

const SHORT = Buffer.from(patternBytes(1_000, 1));
/** Streamed, in one segment. */
const LONG = Buffer.from(patternBytes(MIB, 2));

/** A bucket on a gateway; what happens before the first commit that enters a copy is the test's. */
async function open(options: GatewayOptions, before: (gateway: InMemoryGateway) => Promise<void>): Promise<Box> {
  const box = await openBox(options);
  const act = once(() => before(box.gateway));
  box.gateway.kv.hooks.commit = async ({ checks }, pass) => {
    const entersCopies = checks.some((check) => "key" in check && isNodeKey(check.key));
    if (entersCopies) await act();
    return pass();
  };
  return box;
}

/** Takes a node out, as if it were gone for good, and lets the process go by it. */
async function lose(gateway: InMemoryGateway, name: string): Promise<void> {
  const { uuid } = gateway.node(name);
  const { catalog } = gateway.process;
  const entry = (await gateway.kv.get(nodeKey(uuid))) ?? assert.fail("it left before");
  await catalog.commit(catalog.begin().check(entry.key, entry.version).delete(entry.key));
  gateway.members.remove(uuid);
  gateway.node(name).store.blobs.clear();
}

async function slotsOf(gateway: InMemoryGateway): Promise<string[]> {
  const [blob] = liveBlobs(await readCatalog(gateway.kv)).values();
  const nodes = new Map([...gateway.nodes.values()].map(({ uuid, name }) => [uuid, name]));
  return (blob?.slots ?? []).map(({ state, location }) => `${state} ${nodes.get(location?.nodeUuid ?? "") ?? "-"}`);
}

test("a copy on a node that is gone is recorded missing where a quorum is left", async () => {
  const options = { domains: 3, policy: { quorum: 2 } };
  const { gateway, client } = await open(options, (box) => lose(box, "d1-0"));
  await client.put("box/a", SHORT);
  assert.deepEqual((await slotsOf(gateway)).toSorted(), ["missing -", "ok d0-0", "ok d2-0"]);
  assert.deepEqual(await client.get("box/a"), SHORT);
  await assertSound(gateway);
});

test("a copy on a node that accepts no more writes is recorded missing where a quorum is left, and deleted", async () => {
  const disable = (box: InMemoryGateway): Promise<void> =>
    setNode(box.process.catalog, "d1-0", { acceptsWrites: false });
  const { gateway, client } = await open({ domains: 3, policy: { quorum: 2 } }, disable);
  await client.put("box/a", SHORT);
  await gateway.settle();
  assert.deepEqual((await slotsOf(gateway)).toSorted(), ["missing -", "ok d0-0", "ok d2-0"]);
  assert.equal(gateway.node("d1-0").store.blobs.size, 0);
  await assertSound(gateway);
});

test("a copy on a node that serves another domain by now is one that has to move home", async () => {
  const move = async (box: InMemoryGateway): Promise<void> => {
    const held = [...box.nodes.values()].find(({ name, store }) => name.startsWith("d1") && store.blobs.size > 0);
    await setNode(box.process.catalog, held?.name ?? "", { domain: "d0" });
  };
  const { gateway, client } = await open({ nodesPerDomain: 2 }, move);
  await client.put("box/a", SHORT);
  const slots = (await slotsOf(gateway)).map((slot) => slot.slice(0, -2));
  assert.deepEqual(slots, ["ok d0", "handoff d1"]);
  assert.deepEqual(await client.get("box/a"), SHORT);
});

test("where too few would be left, copies on nodes that only accept no more are kept", async () => {
  const disable = (box: InMemoryGateway): Promise<void> =>
    setNode(box.process.catalog, "d1-0", { acceptsWrites: false });
  const { gateway, client } = await open({}, disable);
  await client.put("box/a", SHORT);
  assert.deepEqual((await slotsOf(gateway)).toSorted(), ["ok d0-0", "ok d1-0"]);
});

test("where too few are left, the blob is written once more: from memory, or from a copy that is left", async () => {
  for (const bytes of [SHORT, LONG]) {
    const options = { nodesPerDomain: 2 };
    const lost: string[] = [];
    const { gateway, client } = await open(options, async (box) => {
      const held = [...box.nodes.values()].filter(({ name, store }) => name.startsWith("d1") && store.blobs.size > 0);
      for (const { name } of held) {
        lost.push(name);
        await lose(box, name);
      }
    });
    await client.put("box/a", bytes);
    await gateway.settle();
    assert.equal(lost.length, 1);
    const slots = await slotsOf(gateway);
    assert.ok(
      slots.every((slot) => slot.startsWith("ok ") && !slot.endsWith(lost[0] ?? "")),
      slots.join(", "),
    );
    assert.ok((await client.get("box/a")).equals(bytes));
    // Nothing is left of the first attempt on the nodes that are there.
    for (const { name, store } of gateway.nodes.values()) {
      if (!lost.includes(name)) assert.ok(store.blobs.size <= 1, name);
    }
  }
});

test("a part whose node was changed or is gone meanwhile is committed like an object", async () => {
  const { gateway, client } = await open({ domains: 3, policy: { quorum: 2 } }, async (box) => {
    await setNode(box.process.catalog, "d0-0", { weight: 50 });
    await lose(box, "d1-0");
  });
  const upload = await client.createUpload("box/a");
  const { etag } = await client.part(upload, 1, SHORT);
  await client.complete(upload, [{ partNumber: 1, etag }]);
  assert.deepEqual(await client.get("box/a"), SHORT);
  await assertSound(gateway);
});

test("a streamed body all of whose copies are gone is refused as one that too few nodes took, and nothing is left", async () => {
  const { gateway, client } = await open({}, async (box) => {
    for (const name of ["d0-0", "d1-0"]) await lose(box, name);
  });
  await assertCode(client.put("box/a", LONG), "not-enough-copies");
  await assertCode(client.get("box/a"), "no-such-key");
  assert.deepEqual(await slotsOf(gateway), []);
});

test("no copy comes on record on a node that left, whoever made it there", async () => {
  const { gateway, client } = await openBox({ domains: 3, policy: { quorum: 2 } });
  await client.put("box/a", SHORT);
  const [blob] = liveBlobs(await readCatalog(gateway.kv)).values();
  assert.ok(blob !== undefined);
  const object = [...(await readCatalog(gateway.kv)).copies.values()][0];
  assert.ok(object !== undefined);
  const before = await slotsOf(gateway);
  const gone = "f".repeat(32);
  const outcome = await gateway.process.ledger.change(blob.blobId, object.home, ({ blob: { slots } }) => ({
    slots: slots.map((slot, at) =>
      at === 0
        ? {
            state: "ok",
            domain: slot.domain,
            location: { nodeUuid: gone, key: slot.location?.key ?? assert.fail() },
            verifiedAtMs: 0,
          }
        : slot,
    ),
  }));
  assert.equal(outcome, "unchanged");
  assert.deepEqual(await slotsOf(gateway), before);
});
