import assert from "node:assert/strict";
import { test } from "node:test";
import { CatalogError } from "../../../src/catalog/kv.ts";
import type { Location } from "../../../src/catalog/records/blob.ts";
import { NodeError } from "../../../src/nodes/storage-node.ts";
import { copyKey } from "../../support/blobs.ts";
import { readCatalog } from "../../support/catalog-audit.ts";
import { type InMemoryGateway, openInMemoryGateway, turns } from "../../support/in-memory-gateway.ts";
import { copyCount } from "../../support/slots.ts";

const BLOB = "b".repeat(32);

/** Copies on the node that are to be discarded. */
function copiesOn(gateway: InMemoryGateway, name: string, count = 1): Location[] {
  const { uuid, store } = gateway.node(name);
  return Array.from({ length: count }, () => {
    const key = copyKey(1, gateway.random);
    store.add(key, { blobId: BLOB, bytes: new Uint8Array(3) });
    return { nodeUuid: uuid, key };
  });
}

test("discarded copies are deleted, and idle waits for the last", async () => {
  const gateway = await openInMemoryGateway();
  const { discarder } = gateway.process;
  discarder.discard(BLOB, copiesOn(gateway, "d0-0", 50));
  discarder.discard(BLOB, copiesOn(gateway, "d1-0"));
  discarder.discard(BLOB, []);
  await discarder.idle();
  assert.equal(copyCount(gateway), 0);
  assert.equal((await readCatalog(gateway.kv)).pendingDeletes.size, 0);
});

test("no more than eight deletions are under way at a time", async () => {
  const gateway = await openInMemoryGateway();
  let [underWay, most] = [0, 0];
  gateway.node("d0-0").control.hooks.delete = async (key, pass) => {
    most = Math.max(most, ++underWay);
    await turns(2);
    await pass(key);
    underWay--;
  };
  gateway.process.discarder.discard(BLOB, copiesOn(gateway, "d0-0", 40));
  await gateway.process.discarder.idle();
  assert.deepEqual([most, copyCount(gateway)], [8, 0]);
});

test("a node that is away is not asked: a record of the deletion is left for it", async () => {
  const gateway = await openInMemoryGateway();
  const [copy] = copiesOn(gateway, "d1-0");
  gateway.nodeDown("d1-0");
  gateway.process.discarder.discard(BLOB, [copy ?? assert.fail()]);
  await gateway.process.discarder.idle();
  assert.equal(gateway.node("d1-0").control.count("delete"), 0);
  assert.deepEqual([...(await readCatalog(gateway.kv)).pendingDeletes], [`${copy?.nodeUuid}/${copy?.key}`]);
  gateway.nodeUp("d1-0");
  await gateway.carryOutPendingDeletes();
  assert.equal(copyCount(gateway), 0);
});

test("a deletion that fails, for whatever reason, is left on record", async () => {
  for (const error of [new NodeError("timeout", "no answer"), new TypeError("a bug")]) {
    const gateway = await openInMemoryGateway();
    gateway.node("d0-0").control.hooks.delete = () => Promise.reject(error);
    gateway.process.discarder.discard(BLOB, copiesOn(gateway, "d0-0"));
    await gateway.process.discarder.idle();
    assert.equal((await readCatalog(gateway.kv)).pendingDeletes.size, 1);
  }
});

test("a copy on a node that nobody knows any more is left on record", async () => {
  const gateway = await openInMemoryGateway();
  gateway.process.discarder.discard(BLOB, [{ nodeUuid: "9".repeat(32), key: copyKey(1, gateway.random) }]);
  await gateway.process.discarder.idle();
  assert.equal((await readCatalog(gateway.kv)).pendingDeletes.size, 1);
});

test("where not even the record can be left the copy is an orphan, and the others are deleted all the same", async () => {
  const gateway = await openInMemoryGateway();
  gateway.kv.hooks.commit = () => Promise.reject(new CatalogError("full", "no room"));
  gateway.nodeDown("d0-0");
  gateway.process.discarder.discard(BLOB, [...copiesOn(gateway, "d0-0", 20), ...copiesOn(gateway, "d1-0", 20)]);
  await gateway.process.discarder.idle();
  assert.deepEqual([gateway.node("d0-0").store.blobs.size, gateway.node("d1-0").store.blobs.size], [20, 0]);
});

test("what more than ten thousand copies wait for is left to the orphan collector", async () => {
  const gateway = await openInMemoryGateway();
  const gate = Promise.withResolvers<void>();
  gateway.node("d0-0").control.hooks.delete = async (key, pass) => {
    await gate.promise;
    return pass(key);
  };
  const { discarder } = gateway.process;
  discarder.discard(BLOB, copiesOn(gateway, "d0-0", 8));
  discarder.discard(BLOB, copiesOn(gateway, "d0-0", 10_001));
  discarder.discard(BLOB, copiesOn(gateway, "d0-0", 5));
  gate.resolve();
  await discarder.idle();
  assert.equal(copyCount(gateway), 6);
});
