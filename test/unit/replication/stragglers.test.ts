/** Copies that arrive, or do not, after their write was acknowledged. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CatalogError } from "../../../src/catalog/kv.ts";
import { NodeError } from "../../../src/nodes/storage-node.ts";
import { patternBytes } from "../../support/blobs.ts";
import { assertFullyRedundant, assertNothingLeft, assertSound, audit } from "../../support/catalog-audit.ts";
import { type GatewayOptions, type InMemoryGateway, WRITE_LIMITS } from "../../support/in-memory-gateway.ts";
import type { ObjectClient } from "../../support/object-client.ts";
import { openBox } from "../../support/open-box.ts";
import { blobOf, copyCount, slotsOf } from "../../support/slots.ts";

const BYTES = Buffer.from(patternBytes(1_000, 1));

interface Late {
  readonly gateway: InMemoryGateway;
  readonly client: ObjectClient;
  /** Lets the late copy of the node arrive. */
  readonly arrive: (name?: string) => Promise<void>;
  /** Lets it fail. */
  readonly fail: () => Promise<void>;
}

/** An object whose copies on these nodes are still on their way. */
function putWithLate(...names: string[]): Promise<Late> {
  return putOver({ domains: 3, policy: { quorum: 3 - names.length } }, ...names);
}

async function putOver(options: GatewayOptions, ...names: string[]): Promise<Late> {
  const { gateway, client } = await openBox(options);
  const gates = new Map<string, PromiseWithResolvers<void>>();
  for (const name of names) {
    const { control } = gateway.node(name);
    control.hooks.put = async (request, pass) => {
      const gate = Promise.withResolvers<void>();
      gates.set(name, gate);
      const gone = new NodeError("aborted", "the caller gave up");
      request.signal?.addEventListener("abort", () => gate.reject(gone), { once: true });
      await gate.promise;
      return pass(request);
    };
  }
  await gateway.whileTimePasses(client.put("box/a", BYTES));
  for (const { control } of gateway.nodes.values()) control.hooks = {};
  const arrive = async (name = names[0] ?? ""): Promise<void> => {
    gates.get(name)?.resolve();
    await gateway.settle();
  };
  const fail = async (): Promise<void> => {
    for (const gate of gates.values()) gate.reject(new NodeError("unreachable", "the connection broke"));
    await gateway.settle();
  };
  return { gateway, client, arrive, fail };
}

function putCount({ nodes }: InMemoryGateway): number {
  return [...nodes.values()].reduce((sum, { control }) => sum + control.count("put"), 0);
}

test("a copy that arrives later is added to the record, and no other is made", async () => {
  const { gateway, arrive } = await putWithLate("d1-0");
  await gateway.repair();
  await arrive();
  await assertFullyRedundant(gateway);
  await gateway.quiesce();
  assert.equal(putCount(gateway), 3);
});

test("repair leaves a slot alone as long as its copy may still arrive", async () => {
  const { gateway, arrive } = await putWithLate("d1-0");
  gateway.clock.advance(WRITE_LIMITS.stragglerTimeoutMs - 100);
  await gateway.repair();
  assert.equal(putCount(gateway), 3);
  await arrive();
  await assertFullyRedundant(gateway);
});

test("a copy that does not arrive in time is given up, and repair makes another", async () => {
  const { gateway } = await putWithLate("d1-0");
  gateway.clock.advance(WRITE_LIMITS.stragglerTimeoutMs);
  await gateway.settle();
  assert.equal(gateway.repairsWanted, 1);
  await gateway.repair();
  await assertFullyRedundant(gateway);
  assert.equal(putCount(gateway), 4);
});

test("a copy that fails after the acknowledgement is missing, and repair is asked to run", async () => {
  const { gateway, fail } = await putWithLate("d1-0");
  await fail();
  assert.equal(gateway.repairsWanted, 1);
  assert.deepEqual((await slotsOf(gateway, "a")).sort(), ["missing d1", "ok d0 d0-0", "ok d2 d2-0"]);
  assert.equal((await audit(gateway)).orphans.length, 0);
});

test("each of two late copies arrives for itself, and what is on record of the other stays", async () => {
  const { gateway, arrive } = await putWithLate("d1-0", "d2-0");
  const before = [...(await assertSound(gateway)).repairs.values()];
  assert.equal(before.length, 2);
  gateway.clock.advance(5_000);
  await arrive("d1-0");
  const after = [...(await assertSound(gateway)).repairs.values()];
  assert.deepEqual(after, before.slice(1));
  await gateway.repair();
  assert.equal(putCount(gateway), 3);
  await arrive("d2-0");
  await assertFullyRedundant(gateway);
});

test("a late copy is dropped where another copy of its blob was made on its node meanwhile (seed 601)", async () => {
  const { gateway, arrive } = await putOver({ domains: 2, nodesPerDomain: 2, replicaCount: 2 }, "d1-0");
  const { blob } = await blobOf(gateway, "a");
  const slot = blob.slots.findIndex(({ location }) => location?.nodeUuid === gateway.node("d1-1").uuid);
  const location = blob.slots[slot]?.location ?? assert.fail("d1-1 has its copy");
  await gateway.process.repairer.recordDamage({ blobId: blob.blobId, slot, location, kind: "corrupt" });
  gateway.nodeDown("d1-1");
  await gateway.repair();
  const repaired = ["missing d1", "ok d0 d0-0", "ok d0 d0-1", "ok d1 d1-0"];
  assert.deepEqual((await slotsOf(gateway, "a")).sort(), repaired);
  await arrive();
  assert.deepEqual((await slotsOf(gateway, "a")).sort(), repaired);
  gateway.nodeUp("d1-1");
  await gateway.quiesce();
  await assertFullyRedundant(gateway);
});

test("a late copy of an object that was copied meanwhile is added to the blob that both share", async () => {
  const { gateway, client, arrive } = await putWithLate("d1-0");
  await client.copy("box/a", "box/b");
  await arrive();
  await assertFullyRedundant(gateway);
  await client.delete("box/a");
  assert.deepEqual(await client.get("box/b"), BYTES);
});

test("a late copy of an object whose metadata was replaced meanwhile is added to its record", async () => {
  const { gateway, client, arrive } = await putWithLate("d1-0");
  await client.copy("box/a", "box/a", {
    attributes: { headers: [], metadata: [["a", "b"]], storageClass: "STANDARD" },
  });
  await arrive();
  await assertFullyRedundant(gateway);
});

test("a late copy of an object that is gone is deleted again (I4)", async () => {
  for (const end of ["delete", "overwrite"] as const) {
    const { gateway, client, arrive } = await putWithLate("d1-0");
    if (end === "delete") await client.delete("box/a");
    else await client.put("box/a", patternBytes(10, 2));
    await arrive();
    await assertSound(gateway);
    await client.delete("box/a");
    await client.service.deleteBucket("box");
    await gateway.quiesce();
    await assertNothingLeft(gateway);
  }
});

test("a late copy whose entry into the record is in doubt stays, as it may be on record", async () => {
  const { gateway, arrive } = await putWithLate("d1-0");
  gateway.kv.hooks.commit = async (_, pass) => {
    await pass();
    throw new CatalogError("unknown-outcome", "the answer was lost");
  };
  await arrive();
  gateway.kv.hooks = {};
  await assertFullyRedundant(gateway);
  assert.equal(gateway.repairsWanted, 1);
  await gateway.quiesce();
  assert.equal(copyCount(gateway), 3);
});
